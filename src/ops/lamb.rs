//! LAMB (Y. You and others, "Large batch optimization for deep learning: training BERT in 76 minutes", ICLR 2020): Adam's direction, with a
//! length that is in proportion to the norm of each parameter.

use crate::graph::kernel::{Dispatch, Kernel, Lowering, Slot};
use crate::graph::{NodeId, TensorType};
use crate::ops::case::Case;
use crate::ops::op::defined_by;
use crate::ops::update::{BLOCK, GROUP_FLOATS, check_flat, edges, updating};
use crate::ops::{Call, Lower, Op, Real, Types};
use crate::parallel::*;

/// LAMB as in timm, where `always_adapt` is set for weights: m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; d = m' / (sqrt(v') + epsilon) + decay p, where m' and v' are
/// m and v without their bias; p -= rate |p| / |d| d. Parameters in rows of the group table that do not adapt, such as biases, take the
/// step rate d. The norms are those of a whole parameter. Inputs: gradients, block table, group table, and the first block and
/// the number of blocks of each parameter, `[parameters, 2]`; with clipping also the norm of the gradients. States: parameters, first
/// moment and second moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Lamb {
    /// beta2: the decay of the second moment.
    pub beta2: f32,
    /// epsilon: added to the root of the second moment.
    pub epsilon: f32,
    /// The maximum norm of all gradients together. Larger gradients are clipped.
    pub clip: Option<f32>,
}

/// The numbers of a step that all parameters share.
struct Shared<T> {
    beta2: T,
    epsilon: T,
    scale: T,
    correction1: T,
    correction2: T,
}

impl Lamb {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        if !call.step.updates() {
            return;
        }
        let of = |value: f32| T::of(f64::from(value));
        let (gradients, table, groups, spans) = (call.real(0), call.integers(1), call.real(2), call.real(3));
        let clipped = |most: f32| T::one().min(of(most) / (call.real(4)[0] + T::of(1e-6)));
        let step = call.step;
        let shared = Shared {
            beta2: of(self.beta2),
            epsilon: of(self.epsilon),
            scale: self.clip.map_or(T::one(), clipped),
            correction1: of(step.correction1),
            correction2: of(step.correction2),
        };
        let whole = |value: T| value.to_usize().unwrap_or(0);
        let [parameters, first, second] = &mut call.states[..] else { return };
        // Each parameter's part of the states, in order.
        let mut rest = (&mut parameters[..], &mut first[..], &mut second[..], 0);
        let mut work = Vec::new();
        for span in spans.chunks_exact(2) {
            let (start, len) = (whole(span[0]) * BLOCK, whole(span[1]) * BLOCK);
            let (skipped, end) = (start - rest.3, start - rest.3 + len);
            let (p, p_rest) = rest.0.split_at_mut(end);
            let (m, m_rest) = rest.1.split_at_mut(end);
            let (v, v_rest) = rest.2.split_at_mut(end);
            work.push((start, [&mut p[skipped..], &mut m[skipped..], &mut v[skipped..]]));
            rest = (p_rest, m_rest, v_rest, start + len);
        }
        work.into_par_iter().for_each(|(start, states)| {
            let blocks = start / BLOCK..(start + states[0].len()) / BLOCK;
            let entries = &table[blocks];
            let Some(entry) = entries.first() else { return };
            let row = &groups[(entry >> 8) as usize * GROUP_FLOATS..][..GROUP_FLOATS];
            let numbers = step.groups[whole(row[2])];
            let numbers = [of(numbers.rate) * row[0], of(numbers.momentum), row[1], row[3]];
            shared.update(states, &gradients[start..], entries, numbers);
        });
    }
}

impl<T: Real> Shared<T> {
    /// Updates one parameter. The numbers are the rate, beta1, the decay, and whether the step adapts to the norms.
    fn update(
        &self,
        [parameters, first, second]: [&mut [T]; 3],
        gradients: &[T],
        entries: &[u32],
        [rate, beta1, decay, adapts]: [T; 4],
    ) {
        let (zero, one) = (T::zero(), T::one());
        // In single precision, one long sum of squares would lose small terms, so there is one for each block.
        let (mut own, mut other) = (zero, zero);
        let mut directions = vec![zero; parameters.len()];
        for (block, entry) in entries.iter().enumerate() {
            let (mut own_squares, mut other_squares) = (zero, zero);
            for at in block * BLOCK..block * BLOCK + (entry & 0xff) as usize {
                let gradient = gradients[at] * self.scale;
                first[at] = beta1 * first[at] + (one - beta1) * gradient;
                second[at] = self.beta2 * second[at] + (one - self.beta2) * gradient * gradient;
                let root = (second[at] / self.correction2).sqrt() + self.epsilon;
                let direction = (first[at] / self.correction1) / root + decay * parameters[at];
                own_squares += parameters[at] * parameters[at];
                other_squares += direction * direction;
                directions[at] = direction;
            }
            (own, other) = (own + own_squares, other + other_squares);
        }
        let is_adapted = adapts > zero && own > zero && other > zero;
        let by = rate * if is_adapted { own.sqrt() / other.sqrt() } else { one };
        parameters.iter_mut().zip(directions).for_each(|(p, direction)| *p -= by * direction);
    }
}

impl Op for Lamb {
    fn name(&self) -> &'static str {
        "lamb"
    }
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String> {
        let mut others = inputs.to_vec();
        if others.len() < 4 {
            return Err("it takes gradients, a block table, a group table and the blocks of each parameter".into());
        }
        let spans = others.remove(3);
        check_flat(&others, states, self.clip, 3)?;
        match spans.dims() {
            [count, 2] if spans == TensorType::f32([*count, 2]) && *count > 0 => Ok(TensorType::f32([0])),
            _ => Err("the blocks of parameters must be two floats for each parameter".into()),
        }
    }
    defined_by!(define);
    /// Computes all directions, the squares of each block, each parameter's ratio of norms, and the steps.
    fn lower(&self, at: &Lower) -> Lowering {
        let (len, blocks) = (at.types.inputs[0].elements(), at.types.inputs[1].elements());
        let parameters = at.types.inputs[3].dims()[0];
        let clip = ("CLIP", self.clip.is_some().into());
        let source = [
            include_str!("../../shaders/lamb_direction.wgsl"),
            include_str!("../../shaders/lamb_squares.wgsl"),
            include_str!("../../shaders/lamb_ratio.wgsl"),
            include_str!("../../shaders/lamb.wgsl"),
        ];
        let direction = Kernel::built_in("lamb_direction", source[0], &[clip, edges(at)]);
        let squares = Kernel::built_in("lamb_squares", source[1], &[at.edges(blocks)]);
        let ratio = Kernel::built_in("lamb_ratio", source[2], &[]);
        let step = Kernel::built_in("lamb", source[3], &[clip, edges(at)]);
        // Without clipping, the group table is bound in place of the norm and is not used.
        let norm = Slot::Input(if self.clip.is_some() { 4 } else { 2 });
        let shared = [Slot::Input(0), Slot::Input(1), Slot::Input(2), norm, Slot::State(0)];
        let with = |more: &[Slot]| shared.iter().chain(more).copied().collect::<Vec<_>>();
        let [directions, sums, ratios] = [0, 1, 2].map(Slot::Scratch);
        let words = [self.clip.unwrap_or(0.0), self.beta2, self.epsilon].map(|word| word.to_bits() as usize);
        let dims: Vec<usize> = [len / 4].into_iter().chain(words).collect();
        let first = [Slot::State(1), Slot::State(2), directions];
        let of_blocks = [Slot::Input(1), Slot::State(0), directions, sums];
        let of_parameters = [Slot::Input(3), Slot::Input(1), Slot::Input(2), sums, ratios];
        let ratio = at.linear(self, ratio, &of_parameters, &[parameters], parameters);
        let dispatches = vec![
            at.linear(self, direction, &with(&first), &dims, len / 4),
            at.linear(self, squares, &of_blocks, &[blocks], blocks),
            Dispatch { groups: at.device.fold(parameters), ..ratio },
            at.linear(self, step, &with(&[directions, ratios]), &dims, len / 4),
        ];
        Lowering { dispatches, scratch: vec![len, 2 * blocks, blocks] }
    }
    fn flops(&self, types: &Types) -> u64 {
        24 * types.inputs[0].elements() as u64
    }
}

/// Parameters of one block and of several, with and without clipping.
pub fn cases() -> Vec<Case> {
    let of = |sizes: &[usize], clip: Option<f32>| {
        let (count, blocks) = (sizes.len(), sizes.iter().sum());
        let firsts = sizes.iter().scan(0, |end, size| {
            *end += size;
            Some(*end - size)
        });
        let spans: Vec<f32> = firsts.zip(sizes).flat_map(|(first, &size)| [first as f32, size as f32]).collect();
        let mut case = updating(blocks, 3, clip.is_some(), Lamb { beta2: 0.999, epsilon: 1e-6, clip });
        case.build = Box::new(move |graph, x, states| {
            let spans = graph.constant(TensorType::f32([count, 2]), spans.clone());
            let inputs: Vec<NodeId> = [x[0], x[1], x[2], spans].into_iter().chain(x.get(3).copied()).collect();
            graph.update(Lamb { beta2: 0.999, epsilon: 1e-6, clip }, &inputs, states)
        });
        case.labelled(&format!("parameters {count} clip {clip:?}"))
    };
    vec![of(&[1], None), of(&[2, 1, 4], Some(1.0)), of(&[64, 1, 236], None), of(&[16_000, 4, 380], None).timed()]
}
