//! Mixed images: each image of a batch with the next one. mixup (H. Zhang, M. Cisse, Y. N. Dauphin and D. Lopez-Paz, "mixup: Beyond
//! empirical risk minimization", ICLR 2018) adds both, CutMix (S. Yun et al., "CutMix: Regularization strategy to train strong
//! classifiers with localizable features", ICCV 2019) pastes a rectangle. The share, the same for the whole batch as in
//! torchvision, is drawn on the host and is part of the [`Step`]. The loss takes the labels with the same share
//! ([`Objective::mixed`](crate::ops::cross_entropy::Objective::mixed)).

use crate::parallel::*;

use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::cross_entropy::Objective;
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Step, Types, expect_inputs};
use crate::random::{CounterRng, Purpose};

use super::Augment;

/// The stream of what is drawn for a whole batch. No batch has so many rows.
const BATCH: u32 = u32::MAX;
/// The first word of the share. The words before it decide whether and how images are mixed, and where the rectangle is.
const FIRST_SHARE: u32 = 4;

/// Mixes images `[batch, channels, height, width]`: y = blend x + (1 - blend) next, and in the step's rectangle the next image
/// alone. Masked rows are 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix;

impl Mix {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let &[_, channels, height, width] = call.types.output.dims() else { panic!("images of another shape") };
        let (x, step, plane) = (call.real(0), call.step, height * width);
        let [top, left, bottom, right] = step.hole.map(|side| side as usize);
        let blend = T::of(f64::from(step.blend));
        call.out().par_chunks_mut(plane).enumerate().for_each(|(number, to)| {
            let (row, channel) = (number / channels, number % channels);
            if row >= step.valid as usize {
                return to.fill(T::zero());
            }
            let next = Objective::partner(row, step) * channels + channel;
            let (own, next) = (&x[number * plane..][..plane], &x[next * plane..][..plane]);
            for (at, (to, (&own, &next))) in to.iter_mut().zip(own.iter().zip(next)).enumerate() {
                let is_next = (top..bottom).contains(&(at / width)) && (left..right).contains(&(at % width));
                *to = if is_next { next } else { blend * own + (T::one() - blend) * next };
            }
        });
    }
}

impl Op for Mix {
    fn name(&self) -> &'static str {
        "mix"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        super::images_of_floats(&inputs[0])?;
        Ok(inputs[0].clone())
    }
    /// Images have no gradient.
    fn gradient(&self, _: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None; at.inputs.len()])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let dims = at.types.output.dims();
        let count = at.types.output.elements();
        let source = include_str!("../../../shaders/mix.wgsl");
        let kernel = Kernel::built_in("mix", source, &[at.edges(count)]);
        let sizes = [count, dims[1..].iter().product(), dims[2], dims[3]];
        at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &sizes, count).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        3 * types.output.elements() as u64
    }
}

impl Augment {
    /// Whether images are mixed.
    pub fn is_mixed(&self) -> bool {
        (self.mixup > 0.0 || self.cutmix > 0.0) && self.mix_chance != Some(0.0)
    }

    /// Draws how the images of a step, `[height, width]` after augmentation, are mixed.
    pub fn mix(&self, step: &mut Step, size: [usize; 2]) {
        let rng = CounterRng::new(step.seed(), Purpose::AugmentMore, BATCH, step.number);
        if !self.is_mixed() || f64::from(rng.uniform(0)) >= self.mix_chance.unwrap_or(1.0) {
            return;
        }
        let cuts = self.mixup == 0.0 || self.cutmix > 0.0 && rng.uniform(1) < 0.5;
        let share = beta(&rng, if cuts { self.cutmix } else { self.mixup });
        if !cuts {
            (step.share, step.blend) = (share as f32, share as f32);
            return;
        }
        // The sides have the root of the area's share. What is outside the image is cut off.
        let side = |axis: usize| (0.5 * (1.0 - share).sqrt() * size[axis] as f64) as i64;
        let span = |axis: usize| {
            let middle = ((u64::from(rng.word(2 + axis as u32)) * size[axis] as u64) >> 32) as i64;
            [middle - side(axis), middle + side(axis)].map(|at| at.clamp(0, size[axis] as i64) as u32)
        };
        let ([top, bottom], [left, right]) = (span(0), span(1));
        let area = f64::from(bottom - top) * f64::from(right - left);
        step.hole = [top, left, bottom, right];
        step.share = (1.0 - area / (size[0] * size[1]) as f64) as f32;
    }
}

/// A number of the beta distribution with both parameters `alpha` (M. D. Jöhnk, "Erzeugung von betaverteilten und gammaverteilten
/// Zufallszahlen", 1964).
fn beta(rng: &CounterRng, alpha: f64) -> f64 {
    let power = |word: u32| (f64::from(rng.uniform(word)) + 0.5 / 16_777_216.0).powf(1.0 / alpha);
    let pairs = (FIRST_SHARE..).step_by(2).map(|word| (power(word), power(word + 1)));
    let (x, y) = pairs.into_iter().find(|(x, y)| x + y <= 1.0).unwrap_or((1.0, 1.0));
    x / (x + y)
}

/// Whole and partial batches, and one image.
pub fn cases() -> Vec<Case> {
    let of = |dims: [usize; 4]| {
        let build = |graph: &mut Graph, x: &[NodeId]| graph.apply(Mix, x);
        Case::new(vec![Sample::floats(&dims)], build).differentiable(&[]).valid(dims[0] as u32)
    };
    vec![of([5, 3, 7, 6]), of([6, 2, 8, 8]).valid(4), of([1, 1, 6, 7]), of([64, 3, 32, 32]).timed()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(augment: &Augment) -> Vec<Step> {
        let one = |number: u32| {
            let mut step = Step::new(number, 64, 5);
            augment.mix(&mut step, [24, 32]);
            step
        };
        (0..4000).map(one).collect()
    }

    /// The variance of the beta distribution with both parameters a is 1 / (4 (2 a + 1)).
    #[test]
    fn shares_are_of_the_beta_distribution() {
        for alpha in [0.2, 1.0, 3.0] {
            let steps = drawn(&Augment { mixup: alpha, ..Augment::default() });
            let shares: Vec<f64> = steps.iter().map(|step| step.share.into()).collect();
            let mean = shares.iter().sum::<f64>() / shares.len() as f64;
            let variance = shares.iter().map(|share| (share - 0.5).powi(2)).sum::<f64>() / shares.len() as f64;
            let right = 0.25 / (2.0 * alpha + 1.0);
            assert!((mean - 0.5).abs() < 0.02 && (variance / right - 1.0).abs() < 0.06, "{alpha}: {mean} {variance}");
            assert!(steps.iter().all(|step| step.share == step.blend && step.hole == [0; 4]));
        }
    }

    #[test]
    fn the_share_of_a_pasted_rectangle_is_its_area() {
        let steps = drawn(&Augment { cutmix: 1.0, ..Augment::default() });
        for step in &steps {
            let [top, left, bottom, right] = step.hole;
            let area = ((bottom - top) * (right - left)) as f32 / (24.0 * 32.0);
            assert!((step.share - (1.0 - area)).abs() < 1e-6 && step.blend == 1.0 && bottom <= 24 && right <= 32);
        }
        assert!(steps.iter().any(|step| step.share < 0.2) && steps.iter().any(|step| step.share > 0.95));
    }

    #[test]
    fn both_kinds_take_turns_and_some_batches_stay_as_they_are() {
        let steps = drawn(&Augment { mixup: 0.5, cutmix: 1.0, mix_chance: Some(0.8), ..Augment::default() });
        let still = steps.iter().filter(|step| step.share == 1.0).count();
        let added = steps.iter().filter(|step| step.blend < 1.0).count();
        assert!((700..960).contains(&still) && (1500..1700).contains(&added), "{still} {added}");
    }
}
