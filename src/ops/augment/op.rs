//! The op: gathers a batch of images from the dataset and augments it, in one kernel.

use super::blur::Blur;
use super::mix::Mix;
use super::recolour::Recolour;
use super::roughen::Roughen;
use super::{Augment, AugmentMode, Flip, Padding, View};
use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{DType, Differentiate, Graph, NodeId, TensorType};
use crate::ops::shards::Shards;
use crate::ops::{Lower, Op, Types, defined_by};

/// The images that `order` lists, from the step's first position on, augmented. Masked rows are 0. Inputs: the images
/// `[N, channels, height, width]` as bytes or floats, in one tensor or several shards; the order `[rows]` (u32); the
/// table of [`Augment`], `[channels, 4]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Augmented {
    /// Rows of the batch.
    pub batch: usize,
    /// The augmentation.
    pub augment: Augment,
    /// Whether its random part is used.
    pub mode: AugmentMode,
    /// Whether the images are a ring of slots, see [`Gather::ring`](crate::ops::gather::Gather::ring).
    pub ring: bool,
}

impl Op for Augmented {
    fn name(&self) -> &'static str {
        "augment"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        let [shards @ .., order, table] = inputs else { return Err("it takes images, an order and a table".into()) };
        Shards::check(shards)?;
        Shards::check_order(order)?;
        let &[_, channels, height, width] = shards[0].dims() else {
            return Err("images must be [N, channels, height, width]".into());
        };
        if shards[0].dtype == DType::U32 {
            return Err("images are bytes or floats".into());
        }
        if *table != TensorType::f32([channels, 4]) {
            return Err("the table must have four floats per channel".into());
        }
        let [channels, height, width] =
            self.augment.output([channels, height, width]).map_err(|error| error.to_string())?;
        Ok(TensorType::f32([self.batch, channels, height, width]))
    }
    /// Images have no gradient.
    fn gradient(&self, _: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None; at.inputs.len()])
    }
    defined_by!(define, run_rows);
    fn lower(&self, at: &Lower) -> Lowering {
        let shards = Shards::of(at.types, at.types.inputs.len() - 2);
        let (from, to) = (at.types.inputs[0].dims(), at.types.output.dims());
        let count = self.batch * to[2] * to[3].div_ceil(4);
        let kernel = Kernel::built_in(
            "augment",
            include_str!("../../../shaders/augment.wgsl"),
            &[
                at.edges(count),
                ("BYTES", (at.types.inputs[0].dtype == DType::U8).into()),
                ("RING", self.ring.into()),
                ("RANDOM", (self.mode == AugmentMode::Random).into()),
                ("FLIP", self.flip().into()),
                ("PLACED", (self.augment.crop.is_some() || self.augment.cutout > 0).into()),
                ("STRETCHED", (self.augment.contrast > 0.0 || self.augment.is_affine()).into()),
                ("VERTICAL_FLIP", self.augment.vertical_flip.into()),
                ("WARPED", (self.augment.perspective > 0.0 && self.mode == AugmentMode::Random).into()),
                ("REFLECT", (self.padding() == Padding::Reflect).into()),
                ("AFFINE", (self.augment.is_affine() && self.mode == AugmentMode::Random).into()),
                ("CUTOUT", (self.augment.cutout > 0 && self.mode == AugmentMode::Random).into()),
            ],
        );
        let own = [Slot::Input(0), Slot::Input(shards.count), Slot::Input(shards.count + 1), Slot::Output];
        let listed = at.types.inputs[shards.count].elements();
        let augment = &self.augment;
        let [low, high] = augment.scale.unwrap_or([1.0, 1.0]);
        let sizes = [count, from[1], from[2], from[3], to[2], to[3], shards.rows, shards.each, listed];
        let levels = [augment.brightness, augment.contrast, augment.rotate.to_radians(), augment.shear.to_radians()];
        let floats = levels
            .into_iter()
            .chain([low, high - low, 0.5 * augment.perspective])
            .map(|value| (value as f32).to_bits() as usize);
        let moved = match self.mode {
            AugmentMode::Random => augment.translate,
            AugmentMode::Still(View { shift, .. }) => shift as u32 as usize,
        };
        let dims: Vec<usize> =
            sizes.into_iter().chain([moved, augment.cutout, augment.chance() as usize]).chain(floats).collect();
        let mut dispatch = at.linear(self, shards.bind(kernel), &shards.slots(&own), &dims, count);
        dispatch.bytes = 2 * at.types.output.bytes() as u64;
        dispatch.into()
    }
    fn flops(&self, types: &Types) -> u64 {
        let each = if self.augment.is_warped() { 20 } else { 2 };
        each * types.output.elements() as u64
    }
}

impl Augmented {
    /// Pixel values outside the image's edge.
    pub(super) fn padding(&self) -> Padding {
        match self.mode {
            AugmentMode::Random => self.augment.padding,
            // The view does not reach outside the image.
            AugmentMode::Still(View { shift: 0, .. }) => Padding::Zero,
            AugmentMode::Still(_) => Padding::Reflect,
        }
    }

    /// The number that the kernel uses: 0 never, 1 random, 2 alternate by epoch, 3 always.
    pub(super) fn flip(&self) -> u32 {
        match (self.mode, self.augment.flip) {
            (AugmentMode::Still(View { mirrored: true, .. }), _) => 3,
            (AugmentMode::Random, Flip::Random) => 1,
            (AugmentMode::Random, Flip::Alternate) => 2,
            _ => 0,
        }
    }
}

impl Graph {
    /// The step's batch of augmented images from `shards`: one tensor or several.
    ///
    /// # Errors
    /// When the shards are not images, the order is not a list of u32, or the images are too small.
    pub fn gather_augmented(&mut self, shards: &[NodeId], order: NodeId, augmented: Augmented) -> Result<NodeId> {
        let channels = shards.first().and_then(|&shard| self.dims(shard).get(1)).copied().unwrap_or(0);
        let augment = augmented.augment.clone();
        let table = self.levels_of(&augment, channels);
        let with = |table: NodeId| -> Vec<NodeId> { shards.iter().copied().chain([order, table]).collect() };
        if augmented.mode != AugmentMode::Random {
            return self.apply(augmented, &with(table));
        }
        // TrivialAugment changes images that are not normalised.
        let inputs = with(match augment.trivial_augment {
            true => self.constant(TensorType::f32([channels, 4]), augment.table_before(channels)),
            false => table,
        });
        let mut images = match augment.resized_crop {
            Some(crop) => self.gather_resized(&inputs, augmented, crop),
            None => self.apply(augmented, &inputs),
        }?;
        if augment.trivial_augment {
            images = self.change_trivially(images, table)?;
        }
        self.change(images, table, &augment)
    }

    /// The table of an augmentation as a constant.
    pub(super) fn levels_of(&mut self, augment: &Augment, channels: usize) -> NodeId {
        self.constant(TensorType::f32([channels, 4]), augment.table(channels))
    }

    /// The random changes that follow the gathering of a batch.
    fn change(&mut self, mut images: NodeId, table: NodeId, augment: &Augment) -> Result<NodeId> {
        let &Augment { hue, grey, blur: most, stroke, noise, .. } = augment;
        // Resized crops have changed the saturation.
        let saturation = if augment.resized_crop.is_some() { 0.0 } else { augment.saturation };
        if saturation > 0.0 || hue > 0.0 || grey > 0.0 {
            images = self.apply(Recolour { saturation, hue, grey }, &[images, table])?;
        }
        if most > 0.0 {
            images = self.apply(Blur { most, axis: 2 }, &[images])?;
            images = self.apply(Blur { most, axis: 3 }, &[images])?;
        }
        if stroke > 0.0 || noise > 0.0 {
            images = self.apply(Roughen { stroke, noise }, &[images, table])?;
        }
        if let Some(erasing) = &augment.erase {
            let levels = augment.levels(self.dims(images)[1]);
            images = self.erase(images, &levels, erasing)?;
        }
        if augment.is_mixed() {
            images = self.apply(Mix, &[images])?;
        }
        Ok(images)
    }
}
