//! Pictures as a network gets them, by the op itself on the CPU.

use crate::cpu::Executor;
use crate::data::{Pixels, Split};
use crate::graph::{Graph, PlanOptions, TensorType};
use crate::ops::Step;
use crate::ops::augment::{Augment, Augmented, Mode};
use crate::{Error, Result};

use super::memory;

/// Values of a sample at most: 5,000 pictures of 3x32x32.
const SAMPLE_VALUES: usize = 5000 * 3 * 32 * 32;
/// Pictures of a sample at most.
const SAMPLE_PICTURES: usize = 5000;

/// All pictures `[channels, height, width]` of a split, one after another, as the network gets them in the first step of a
/// run with `seed`.
///
/// # Errors
/// When the augmentation does not fit the pictures, or they cannot be read.
pub(super) fn seen(augment: &Augment, split: &Split, input: [usize; 3], mode: Mode, seed: u64) -> Result<Vec<f32>> {
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
    graph.output("pictures", result);
    let mut executor = Executor::new();
    let program = executor.load(memory::plan(&graph, &executor.target(), PlanOptions::default())?)?;
    executor.write("pixels", 0, bytes)?;
    executor.write("order", 0, bytemuck::cast_slice(&(0..rows as u32).collect::<Vec<u32>>()))?;
    executor.schedule(program, &[Step::new(0, rows as u32, seed)]);
    executor.run(program, 0..1);
    let plan = executor.plan(program);
    let place = plan.place(plan.output("pictures")?);
    let place = place.ok_or_else(|| Error::usage("there are no pictures to look at"))?;
    Ok(bytemuck::pod_collect_to_vec(&executor.read_place(program, place)))
}

/// The first pictures of a split, up to 5,000, as the network gets them when it is measured: what parameters begin by that
/// depend on the pictures ([`crate::nn::Model::prepare`]).
///
/// # Errors
/// When the augmentation does not fit the pictures, or they cannot be read.
pub(super) fn sample(augment: Option<&Augment>, split: &Split, input: [usize; 3]) -> Result<Vec<f32>> {
    let picture = input.iter().product::<usize>().max(1);
    let count = split.len().min(SAMPLE_PICTURES).min((SAMPLE_VALUES / picture).max(1));
    let first = split.select(&(0..count as u32).collect::<Vec<u32>>());
    seen(&augment.cloned().unwrap_or_default(), &first, input, Mode::MIDDLE, 0)
}
