//! Random resized crop: a crop of random size, aspect ratio and position, resized by an antialiased bilinear filter.
//! The same op gathers the batch, mirrors images, changes brightness, contrast and saturation, and normalises.
//!
//! The draws follow torchvision's `RandomResizedCrop` (C. Szegedy and others, "Going deeper with convolutions",
//! 2014), but use 1,024 areas and 1,024 aspect ratios. The filter is that of `torch.nn.functional.interpolate` with
//! `antialias`. Contrast scales about the channels' means, not about the image's own mean. Nothing is clamped, so all
//! three colour changes are linear.

mod cases;
mod crop_box;
mod define;

pub use cases::cases;

use super::{Augmented, ResizedCrop};
use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{DType, Differentiate, Graph, NodeId, TensorType};
use crate::ops::shards::Shards;
use crate::ops::{Lower, Op, Types, defined_by};
pub(super) use crop_box::{CropBox, LEVELS, TRIES, roots};

/// [`Augmented`] with random resized crops. Inputs: those of [`Augmented`], then the roots of areas and aspect
/// ratios, `[3, 1024]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resized {
    /// The batch size, the augmentation, and whether the images are a ring.
    pub of: Augmented,
    /// The range of the crops.
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
    /// Images have no gradient.
    fn gradient(&self, _: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None; at.inputs.len()])
    }
    defined_by!(define, run_rows);
    fn lower(&self, at: &Lower) -> Lowering {
        let shards = Shards::of(at.types, at.types.inputs.len() - 3);
        let (from, to) = (at.types.inputs[0].dims(), at.types.output.dims());
        let count = self.of.batch * to[2] * to[3].div_ceil(4);
        let augment = &self.of.augment;
        let kernel = Kernel::built_in(
            "resized_crop",
            include_str!("../../../../shaders/resized_crop.wgsl"),
            &[
                at.edges(count),
                ("BYTES", (at.types.inputs[0].dtype == DType::U8).into()),
                ("RING", self.of.ring.into()),
                ("FLIP", self.of.flip().into()),
                ("VERTICAL_FLIP", augment.vertical_flip.into()),
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
    /// A table that gives crops of the image's own size.
    fn flops(&self, types: &Types) -> u64 {
        let (from, to) = (types.inputs[0].dims(), types.output.dims());
        let taps = |axis: usize| 2 * from[axis].div_ceil(to[axis]) as u64 + 1;
        2 * taps(2) * taps(3) * types.output.elements() as u64
    }
}

impl Graph {
    /// The step's batch of resized crops.
    pub(super) fn gather_resized(&mut self, inputs: &[NodeId], of: Augmented, crop: ResizedCrop) -> Result<NodeId> {
        let size = match inputs.first().map(|&shard| self.dims(shard)) {
            Some(&[_, _, height, width]) => [height, width],
            _ => [1, 1],
        };
        let roots = self.constant(TensorType::f32([3, LEVELS]), roots(&crop, size));
        let inputs: Vec<NodeId> = inputs.iter().copied().chain([roots]).collect();
        self.apply(Resized { of, crop }, &inputs)
    }
}
