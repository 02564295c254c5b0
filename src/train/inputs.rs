//! Images as the network gets them, computed by the augmentation op on the CPU.

use crate::cpu::Executor;
use crate::data::{Dataset, Pixels, Split, SplitName};
use crate::graph::{Graph, PlanOptions, TensorType};
use crate::nn::{Model, Weights};
use crate::ops::Step;
use crate::ops::augment::{Augment, AugmentMode, Augmented};
use crate::{Error, Result};

use super::memory;
use super::recipe::Recipe;

/// The maximum number of values in a sample: 5,000 images of 3x32x32.
const SAMPLE_VALUES: usize = 5000 * 3 * 32 * 32;
/// The maximum number of images in a sample.
const SAMPLE_IMAGES: usize = 5000;

/// All images `[channels, height, width]` of a split, concatenated, as the network gets them. Random changes are those of
/// the first step of a run with this seed.
///
/// # Errors
/// When the augmentation does not fit the images, or they cannot be read.
pub(crate) fn seen(
    augment: &Augment,
    split: &Split,
    input: [usize; 3],
    mode: AugmentMode,
    seed: u64,
) -> Result<Vec<f32>> {
    let rows = split.len();
    let mut graph = Graph::new();
    let dims: Vec<usize> = std::iter::once(rows).chain(input).collect();
    let (ty, bytes): (_, &[u8]) = match &split.pixels {
        Pixels::U8(values) => (TensorType::u8(dims), values),
        Pixels::F32(values) => (TensorType::f32(dims), bytemuck::cast_slice(values)),
        Pixels::Stored(_) => return seen(augment, &split.clone().in_memory()?, input, mode, seed),
    };
    let pixels = graph.leaf("pixels", 0, ty)?;
    let listed = graph.leaf("order", 0, TensorType::u32([rows]))?;
    let op = Augmented { batch: rows, augment: augment.clone(), mode, ring: false };
    let result = graph.gather_augmented(&[pixels], listed, op)?;
    graph.output("images", result);
    let mut executor = Executor::new();
    let program = executor.load(memory::plan(&graph, &executor.target(), PlanOptions::default())?)?;
    executor.write("pixels", 0, bytes)?;
    executor.write("order", 0, bytemuck::cast_slice(&(0..rows as u32).collect::<Vec<u32>>()))?;
    let mut step = Step::new(0, rows as u32, seed);
    let [_, height, width] = augment.output(input)?;
    augment.mix(&mut step, [height, width]);
    executor.schedule(program, &[step]);
    executor.run(program, 0..1);
    let plan = executor.plan(program);
    let place = plan.place(plan.output("images")?);
    let place = place.ok_or_else(|| Error::usage("there are no images"))?;
    Ok(bytemuck::pod_collect_to_vec(&executor.read_place(program, place)))
}

/// The first images of a split as the network gets them in evaluation, at most 5,000 and fewer if they are large. Some
/// layers are initialised from them: see [`Model::initialise_from_images`].
///
/// # Errors
/// When the augmentation does not fit the images, or they cannot be read.
fn sample(augment: Option<&Augment>, split: &Split, input: [usize; 3]) -> Result<Vec<f32>> {
    let image = input.iter().product::<usize>().max(1);
    let count = split.len().min(SAMPLE_IMAGES).min((SAMPLE_VALUES / image).max(1));
    let first = split.select(&(0..count as u32).collect::<Vec<u32>>());
    seen(&augment.cloned().unwrap_or_default(), &first, input, AugmentMode::MIDDLE, 0)
}

/// The initial weights of a run. They are drawn from its seed. A layer that is initialised from the training images gets
/// weights computed from a sample of them.
///
/// # Errors
/// When a layer is initialised from the training images, and there are none or they cannot be used.
pub fn first_weights(model: &Model, recipe: &Recipe, dataset: Option<&Dataset>) -> Result<Weights> {
    let mut weights = model.parameters().initial_weights(recipe.seed);
    if model.is_initialised_from_images() {
        let dataset = dataset.ok_or_else(|| {
            Error::usage("The network is initialised from the training images, but these were not found.")
        })?;
        let train = dataset.split(SplitName::Train)?;
        model.initialise_from_images(&mut weights, &sample(recipe.augment.as_ref(), train, dataset.input)?)?;
    }
    Ok(weights)
}
