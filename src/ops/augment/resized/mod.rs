//! A part of each image, of a size, proportions and place drawn at random, brought to one size by an antialiased bilinear
//! filter; with mirror image, brightness, contrast, saturation and normalisation, in one op with the gather of the batch.
//!
//! The draws are those of torchvision's `RandomResizedCrop` (C. Szegedy and others, "Going deeper with convolutions", 2014), but
//! from 1,024 areas and as many proportions; the filter is that of `torch.nn.functional.interpolate` with `antialias`. Contrast
//! stretches about the channels' means, not about the image's own, and nothing is clamped: all three are linear.

mod cases;
mod crop_box;
mod define;

pub use cases::cases;

use super::{Augmented, ResizedCrop};
use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{DType, Differentiate, Graph, NodeId, TensorType};
use crate::ops::shards::Shards;
use crate::ops::{Call, Lower, Op, Types};
use crop_box::{CropBox, LEVELS};

/// What [`Augmented`] is where its images are cropped and resized. Inputs: its own, and the roots of areas and proportions
/// `[3, 1024]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resized {
    /// Batch, augmentation and whether the images are a ring.
    pub of: Augmented,
    /// The parts that may be drawn.
    pub crop: ResizedCrop,
}

impl Op for Resized {
    fn name(&self) -> &'static str {
        "resized_crop"
    }
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String> {
        let Some((roots, inputs)) = inputs.split_last() else { return Err("it takes images and roots".into()) };
        if *roots != TensorType::f32([3, LEVELS]) {
            return Err(format!("the roots must be three lists of {LEVELS} floats"));
        }
        self.of.output(inputs, states)
    }
    /// Data are not learned.
    fn gradient(&self, _: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None; at.inputs.len()])
    }
    fn reference(&self, call: &mut Call<f64>) {
        self.define(call);
    }
    fn run(&self, call: &mut Call<f32>) {
        self.run_rows(call);
    }
    fn lower(&self, at: &Lower) -> Lowering {
        let shards = Shards::of(at.types, at.types.inputs.len() - 3);
        let (from, to) = (at.types.inputs[0].dims(), at.types.output.dims());
        let count = self.of.batch * to[2] * to[3].div_ceil(4);
        let augment = &self.of.augment;
        let kernel = Kernel::new(
            "resized_crop",
            include_str!("../../../../shaders/resized_crop.wgsl"),
            &[
                at.edges(count),
                ("BYTES", (at.types.inputs[0].dtype == DType::U8).into()),
                ("RING", self.of.ring.into()),
                ("FLIP", self.of.flip().into()),
                ("CHANNELS", (from[1] as u32).into()),
                ("SATURATED", (augment.saturation > 0.0).into()),
            ],
        );
        let own = [
            Slot::Input(0),
            Slot::Input(shards.count),
            Slot::Input(shards.count + 1),
            Slot::Input(shards.count + 2),
            Slot::Output,
        ];
        let listed = at.types.inputs[shards.count].elements();
        let CropBox { corner, size } = CropBox::fallback(&self.crop, [from[2], from[3]]);
        let sizes = [count, from[2], from[3], to[2], to[3], shards.rows, shards.each, listed];
        let levels = [augment.brightness, augment.contrast, augment.saturation];
        let levels = levels.map(|level| (level as f32).to_bits() as usize);
        let dims: Vec<usize> = sizes.into_iter().chain(corner).chain(size).chain(levels).collect();
        let mut dispatch = at.linear(self, shards.bind(kernel), &shards.slots(&own), &dims, count);
        dispatch.bytes = 2 * at.types.output.bytes() as u64;
        dispatch.into()
    }
    /// CounterRng for parts as large as the image.
    fn flops(&self, types: &Types) -> u64 {
        let (from, to) = (types.inputs[0].dims(), types.output.dims());
        let taps = |axis: usize| 2 * from[axis].div_ceil(to[axis]) as u64 + 1;
        2 * taps(2) * taps(3) * types.output.elements() as u64
    }
}

impl Graph {
    /// The step's batch of parts of images.
    pub(super) fn gather_resized(&mut self, inputs: &[NodeId], of: Augmented, crop: ResizedCrop) -> Result<NodeId> {
        let size = match inputs.first().map(|&shard| self.dims(shard)) {
            Some(&[_, _, height, width]) => [height, width],
            _ => [1, 1],
        };
        let roots = self.constant(TensorType::f32([3, LEVELS]), crop_box::roots(&crop, size));
        let inputs: Vec<NodeId> = inputs.iter().copied().chain([roots]).collect();
        self.apply(Resized { of, crop }, &inputs)
    }
}
