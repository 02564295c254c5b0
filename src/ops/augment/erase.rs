//! Random erasing (Z. Zhong, L. Zheng, G. Kang, S. Li and Y. Yang, "Random erasing data augmentation", AAAI 2020): a rectangle of random
//! area, aspect ratio and place is covered. The draws follow torchvision's `RandomErasing`, with the rectangles of
//! [`resized`](super::resized): 1,024 areas and 1,024 aspect ratios.

use crate::parallel::*;

use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Step, Types, expect_inputs};
use crate::random::CounterRng;
use crate::{Error, Result};

use super::draw::{ERASED, more};
use super::resized::{CropBox, LEVELS, roots};
use super::{CutoutFill, ResizedCrop};

/// The settings of random erasing.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Erasing {
    /// The fraction of images that are erased.
    pub chance: f64,
    /// Smallest and largest fraction of the image's area.
    pub scale: [f64; 2],
    /// Smallest and largest aspect ratio: width divided by height.
    pub ratio: [f64; 2],
    /// The fill of the rectangle.
    pub fill: CutoutFill,
}

impl Default for Erasing {
    /// The default values of torchvision, on all images.
    fn default() -> Self {
        Self { chance: 1.0, scale: [0.02, 0.33], ratio: [0.3, 3.3], fill: CutoutFill::Zero }
    }
}

impl Erasing {
    /// The same ranges as those of a crop.
    fn ranges(&self) -> ResizedCrop {
        ResizedCrop { scale: self.scale, ratio: self.ratio }
    }

    pub(super) fn validate(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.chance) {
            return Err(Error::out_of_range("[augment] erase's chance", self.chance, "from 0 to 1"));
        }
        self.ranges().validate("erase")
    }
}

/// Erases rectangles of images `[batch, channels, height, width]`. Inputs: the images, the value of each channel that covers,
/// `[channels]`, and the roots of areas and aspect ratios, `[3, 1024]`. Masked rows are 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Erase {
    /// The fraction of images that are erased.
    pub chance: f64,
}

impl Erase {
    /// The number of draws out of 2^24 that erase.
    fn chance(&self) -> u32 {
        (self.chance * f64::from(1 << 24)).round() as u32
    }

    /// The rectangle of an image, if it gets one.
    fn drawn<T: Real>(&self, roots: &[T], step: &Step, row: u32, size: [usize; 2]) -> Option<CropBox> {
        let rng: CounterRng = more(step, row);
        let is_erased = rng.block(ERASED)[0] >> 8 < self.chance();
        let root = |at: usize| roots[at].to_u32().unwrap_or_default();
        // A rectangle is smaller than the image in both directions, as in torchvision.
        is_erased.then(|| CropBox::found(root, &rng, ERASED + 1, size, size.map(|side| side - 1))).flatten()
    }

    fn define<T: Real>(&self, call: &mut Call<T>) {
        let &[_, channels, height, width] = call.types.output.dims() else { panic!("images of another shape") };
        let (x, fills, roots, step, plane) = (call.real(0), call.real(1), call.real(2), call.step, height * width);
        call.out().par_chunks_mut(channels * plane).zip(x.par_chunks(channels * plane)).enumerate().for_each(
            |(row, (to, from))| {
                if row >= step.valid as usize {
                    return to.fill(T::zero());
                }
                to.copy_from_slice(from);
                let Some(CropBox { corner, size }) = self.drawn(roots, step, row as u32, [height, width]) else {
                    return;
                };
                for (to, &fill) in to.chunks_mut(plane).zip(fills) {
                    let rows = to.chunks_mut(width).skip(corner[0]).take(size[0]);
                    rows.for_each(|to| to[corner[1]..][..size[1]].fill(fill));
                }
            },
        );
    }
}

impl Op for Erase {
    fn name(&self) -> &'static str {
        "erase"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 3)?;
        let [_, channels, height, width] = super::images_of_floats(&inputs[0])?;
        if inputs[1] != TensorType::f32([channels]) || inputs[2] != TensorType::f32([3, LEVELS]) {
            return Err(format!("it takes a float for each channel, and three lists of {LEVELS} floats"));
        }
        if height.min(width) < 2 || height.max(width) > super::LONGEST_RESIZED {
            return Err(format!("rectangles are erased from images of 2 to {} pixels a side", super::LONGEST_RESIZED));
        }
        Ok(inputs[0].clone())
    }
    /// Images have no gradient.
    fn gradient(&self, _: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None; at.inputs.len()])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let dims = at.types.output.dims();
        let count = dims[..3].iter().product::<usize>() * dims[3].div_ceil(4);
        let source = include_str!("../../../shaders/erase.wgsl");
        let kernel = Kernel::built_in("erase", source, &[at.edges(count)]);
        let sizes = [count, dims[1], dims[2], dims[3], self.chance() as usize];
        let slots = [Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Output];
        at.linear(self, kernel, &slots, &sizes, count).into()
    }
    fn flops(&self, _: &Types) -> u64 {
        0
    }
}

impl Graph {
    /// Erases rectangles. `levels` has a mean and the inverse of a standard deviation for each channel.
    pub(super) fn erase(&mut self, images: NodeId, levels: &[[f64; 2]], erasing: &Erasing) -> Result<NodeId> {
        let size = match self.dims(images) {
            &[_, _, height, width] => [height, width],
            _ => [1, 1],
        };
        let fills = levels.iter().map(|&[mean, inverse]| ((erasing.fill.value(mean) - mean) * inverse) as f32);
        let fills = self.constant(TensorType::f32([levels.len()]), fills.collect::<Vec<_>>());
        let roots = self.constant(TensorType::f32([3, LEVELS]), roots(&erasing.ranges(), size));
        self.apply(Erase { chance: erasing.chance }, &[images, fills, roots])
    }
}

/// Whole and partial batches, and widths that are and are not multiples of four.
pub fn cases() -> Vec<Case> {
    let of = |dims: [usize; 4], erasing: Erasing| {
        let levels: Vec<[f64; 2]> = (0..dims[1]).map(|channel| [0.5, 4.0 + channel as f64]).collect();
        let build = move |graph: &mut Graph, x: &[NodeId]| graph.erase(x[0], &levels, &erasing);
        Case::new(vec![Sample::floats(&dims)], build).differentiable(&[]).valid(dims[0] as u32)
    };
    let half = Erasing { chance: 0.5, ..Erasing::default() };
    vec![
        of([9, 1, 8, 8], Erasing::default()).labelled("all"),
        of([9, 3, 7, 5], Erasing::default()).labelled("all"),
        of([8, 2, 9, 13], half).labelled("half").valid(6),
        of([64, 3, 32, 32], half).timed(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// torchvision's `RandomErasing.get_params`: area and logarithm of the aspect ratio are uniform.
    #[test]
    fn rectangles_have_the_chance_and_the_areas_asked_for() {
        let erasing = Erasing { chance: 0.25, scale: [0.1, 0.3], ratio: [0.5, 2.0], ..Erasing::default() };
        let table: Vec<f64> = roots(&erasing.ranges(), [100, 120]).into_iter().map(f64::from).collect();
        let op = Erase { chance: erasing.chance };
        let one = |number: u32| op.drawn(&table, &Step::new(number / 64, 64, 5), number % 64, [100, 120]);
        let found: Vec<CropBox> = (0..8000).filter_map(one).collect();
        assert!((1850..2150).contains(&found.len()), "{} of 8000", found.len());
        let mean = |of: &dyn Fn(&CropBox) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
        assert!((mean(&|part| (part.size[0] * part.size[1]) as f64 / 12_000.0) - 0.2).abs() < 0.005);
        assert!(mean(&|part| (part.size[1] as f64 / part.size[0] as f64).ln()).abs() < 0.03);
        assert!(found.iter().all(|part| (0..2).all(|axis| part.corner[axis] + part.size[axis] <= [100, 120][axis])));
    }
}
