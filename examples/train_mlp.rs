//! A network of one's own on the dataset inside the library: trained, evaluated, and asked what an image shows.
//!
//!     cargo run --release --example train_mlp

use gpunn::data::{SplitName, glyphs};
use gpunn::nn::{Activation, Dropout, Flatten, Linear, Model, Scheme, Sequence};
use gpunn::optim::Optimizer;
use gpunn::train::Recipe;
use gpunn::{Engine, Result};

fn main() -> Result<()> {
    let dataset = glyphs::dataset();
    let layers = Sequence::new()
        .with("flatten", Flatten)
        .with("fc1", Linear::new(96, Scheme::Xavier))
        .with("act1", Activation::Gelu)
        .with("dropout", Dropout { rate: 0.1 })
        .with("fc2", Linear::new(dataset.classes.len(), Scheme::Xavier));
    let model = Model::new("mine", &dataset.input, layers)?;
    println!("{} parameters", model.parameters().count());

    let recipe = Recipe::new(&model).epochs(5).batch_size(50).optimizer(Optimizer::sgd_momentum(0.05, 0.9));
    let mut trainer = recipe.trainer_of(model, Engine::cpu(), &dataset)?;
    trainer.fit_blocking(|epoch| println!("{epoch}"))?;

    let test = trainer.evaluate_blocking(SplitName::Test)?;
    println!("test: {:.1} % of {} images", 100.0 * test.accuracy.unwrap_or_default(), test.images);
    let image = dataset.split(SplitName::Test)?.image(0).unwrap_or_default();
    let prediction = trainer.predict_blocking(&image)?;
    println!("test image 0 shows {} ({:.1} %)", prediction.class, 100.0 * prediction.confidence);
    Ok(())
}
