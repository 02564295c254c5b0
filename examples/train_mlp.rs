//! A network of one's own on the dataset inside the library: trained, evaluated, saved, loaded and used.
//!
//!     cargo run --release --example train_mlp

use gpunn::data::{SplitName, glyphs};
use gpunn::nn::{Activation, Dropout, Flatten, Linear, Model, Scheme, Sequence};
use gpunn::optim::Optimizer;
use gpunn::train::{Checkpoint, Predictor, Recipe};
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
    let recipe = Recipe::new(&model).epochs(5).batch_size(50).optimizer(Optimizer::sgd_momentum(0.05, 0.9));
    let mut trainer = recipe.trainer_of(model, Engine::cpu(), &dataset)?;
    trainer.fit_blocking(|epoch| println!("{epoch}"))?;
    let test = trainer.evaluate_blocking(SplitName::Test)?;
    println!("test: loss {:.3}, {:.1} % right", test.loss, 100.0 * test.accuracy.unwrap_or_default());
    let file = std::env::temp_dir().join("gpunn-train_mlp.safetensors");
    trainer.save(&file)?;

    // Another program builds the model again, as above.
    let mut predictor = Predictor::with_model(Engine::cpu(), trainer.model(), &Checkpoint::read(&file)?, 1)?;
    let split = dataset.split(SplitName::Test)?;
    let (image, class) = (split.image(0).unwrap_or_default(), &dataset.classes[split.labels[0] as usize]);
    let prediction = predictor.predict_blocking(&image)?;
    println!("an image of {class} is predicted as {} ({:.1} %)", prediction.class, 100.0 * prediction.confidence);
    Ok(())
}
