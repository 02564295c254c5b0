//! RMSProp (T. Tieleman and G. Hinton, "Lecture 6.5: RMSProp", 2012): each gradient is divided by the root of a moving average of its
//! square.

use crate::graph::TensorType;
use crate::graph::kernel::{Kernel, Lowering};
use crate::ops::case::Case;
use crate::ops::op::defined_by;
use crate::ops::update::{BLOCKS, check_flat, each, edges, lower_update, updating};
use crate::ops::{Call, Lower, Op, Real, Types};

/// RMSProp as in PyTorch: d = g + decay p; s = alpha s + (1 - alpha) d^2; u = d / (sqrt(s) + epsilon); without momentum p -= rate u, with
/// momentum v = momentum v + u; p -= rate v. The learning rate and momentum come from the step, the decay from the group table. Inputs are
/// those of [`Sgd`](super::update::Sgd). States: parameters, the average of squares, and with momentum the velocity.
#[derive(Clone, Debug, PartialEq)]
pub struct RmsProp {
    /// alpha: the decay of the average of squares.
    pub alpha: f32,
    /// epsilon: added to the root of the average.
    pub epsilon: f32,
    /// Whether there is momentum in a group, and so a velocity.
    pub momentum: bool,
    /// The maximum norm of all gradients together. Larger gradients are clipped.
    pub clip: Option<f32>,
}

impl RmsProp {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (alpha, epsilon) = (T::of(self.alpha.into()), T::of(self.epsilon.into()));
        let one = T::one();
        each(call, self.clip, |states, block| {
            let [parameters, squares, velocities @ ..] = states else { return };
            let updated = block.of(parameters).iter_mut().zip(block.of(squares)).zip(block.gradients);
            let mut velocities = velocities.first_mut().map(|velocities| block.of(velocities).iter_mut());
            for ((p, s), &g) in updated {
                let d = g * block.scale + block.decay * *p;
                *s = alpha * *s + (one - alpha) * d * d;
                let change = d / (s.sqrt() + epsilon);
                let velocity = velocities.as_mut().and_then(Iterator::next);
                *p -= block.rate
                    * velocity.map_or(change, |velocity| {
                        *velocity = block.momentum * *velocity + change;
                        *velocity
                    });
            }
        });
    }
}

impl Op for RmsProp {
    fn name(&self) -> &'static str {
        "rmsprop"
    }
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String> {
        check_flat(inputs, states, self.clip, if self.momentum { 3 } else { 2 })?;
        Ok(TensorType::f32([0]))
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let (name, source) = if self.momentum {
            ("rmsprop_momentum", include_str!("../../shaders/rmsprop_momentum.wgsl"))
        } else {
            ("rmsprop", include_str!("../../shaders/rmsprop.wgsl"))
        };
        let kernel = Kernel::built_in(name, source, &[("CLIP", self.clip.is_some().into()), edges(at)]);
        lower_update(self, at, kernel, self.clip, &[self.clip.unwrap_or(0.0), self.alpha, self.epsilon])
    }
    fn flops(&self, types: &Types) -> u64 {
        10 * types.inputs[0].elements() as u64
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    let of = |blocks, momentum: bool, clip: Option<f32>| {
        let op = RmsProp { alpha: 0.99, epsilon: 1e-8, momentum, clip };
        let case = updating(blocks, 2 + usize::from(momentum), clip.is_some(), op);
        case.labelled(&format!("momentum {momentum} clip {clip:?}"))
    };
    let mut cases: Vec<Case> = BLOCKS.iter().flat_map(|&b| [of(b, false, Some(1.0)), of(b, true, None)]).collect();
    cases.push(of(16_384, true, None).timed());
    cases
}
