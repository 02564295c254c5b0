//! Updates all parameters in one dispatch: SGD with momentum, Adam and AdamW, with clipping by the global norm.
//!
//! Parameters, gradients and optimizer state are flat buffers of the same layout. Each parameter starts at a multiple
//! of 64 elements. The block table has one entry per block of 64: its parameter group and the number of elements that
//! belong to a parameter. A second table has a row for each parameter group: see [`group_row`].

use crate::Result;
use crate::graph::DType;
use crate::graph::kernel::{Constant, Dispatch, Kernel, Lowering, Slot};
use crate::graph::{Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};
use crate::parallel::*;

/// Elements per block of the table.
pub const BLOCK: usize = 64;

/// An entry of the block table.
pub fn block_entry(group: u32, elements: u32) -> u32 {
    group << 8 | elements
}

/// Floats in a row of the group table.
pub const GROUP_FLOATS: usize = 4;

/// A row of the group table: the factor on the learning rate, the weight decay, and the index in
/// [`Step::groups`](crate::ops::Step::groups) of the learning rate and the momentum. The last number is not used.
pub fn group_row(factor: f32, decay: f32, group: usize) -> [f32; GROUP_FLOATS] {
    [factor, decay, group as f32, 0.0]
}

/// Stochastic gradient descent as in PyTorch: d = g + decay p; v = momentum v + d; p -= rate v. With Nesterov
/// momentum, p -= rate (d + momentum v). The learning rate and momentum come from the step, the decay from the group table.
/// Inputs: gradients, block table, group table, and with clipping the norm of the gradients. States: parameters, and with momentum the velocity.
#[derive(Clone, Debug, PartialEq)]
pub struct Sgd {
    /// Whether there is momentum in a group, and so a velocity.
    pub momentum: bool,
    /// Whether it is Nesterov momentum.
    pub nesterov: bool,
    /// The maximum norm of all gradients together. Larger gradients are clipped.
    pub clip: Option<f32>,
}

/// Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019), as in PyTorch. The learning rate, beta1 and both
/// bias corrections come from the step. Inputs are those of [`Sgd`]. States: parameters, first moment and second
/// moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    /// beta2: the decay of the second moment.
    pub beta2: f32,
    /// epsilon: added to the root of the second moment.
    pub epsilon: f32,
    /// AdamW: the decay is decoupled from the gradient.
    pub decoupled: bool,
    /// The maximum norm of all gradients together. Larger gradients are clipped.
    pub clip: Option<f32>,
}

/// The Euclidean norm of all gradients, without the gaps between them, as `[1]`. Inputs: gradients, block table.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm;

/// One block of everything that an update reads, with its group's learning rate, momentum and decay.
pub(super) struct Block<'a, T> {
    first: usize,
    pub gradients: &'a [T],
    pub scale: T,
    pub rate: T,
    pub momentum: T,
    pub decay: T,
}

impl<T> Block<'_, T> {
    /// The block of a state.
    pub fn of<'s>(&self, state: &'s mut [T]) -> &'s mut [T] {
        &mut state[self.first..self.first + self.gradients.len()]
    }
}

/// The number of blocks of a piece of the work: a large part of a second-level cache for the parameters, the gradients and two states.
const PIECE: usize = 256;

/// The most blocks that one thread updates alone. To wake another takes longer.
const SMALL: usize = 16 * PIECE;

/// Calls `update` for each block.
pub(super) fn each<T: Real>(call: &mut Call<T>, clip: Option<f32>, update: impl Fn(&mut [&mut [T]], Block<T>) + Sync) {
    // Of a batch in parts, only the last one updates.
    if !call.step.updates() {
        return;
    }
    let (gradients, table, groups) = (call.real(0), call.integers(1), call.real(2));
    let scale = clip.map_or(T::one(), |most| T::one().min(T::of(f64::from(most)) / (call.real(3)[0] + T::of(1e-6))));
    let step = call.step;
    let of_piece = |number: usize, states: &mut [&mut [T]]| {
        for (block, entry) in table[number * PIECE..].iter().take(PIECE).enumerate() {
            let row = &groups[(entry >> 8) as usize * GROUP_FLOATS..][..GROUP_FLOATS];
            let numbers = step.groups[row[2].to_usize().unwrap_or(0)];
            let (rate, momentum) = (T::of(f64::from(numbers.rate)) * row[0], T::of(f64::from(numbers.momentum)));
            let gradients = &gradients[(number * PIECE + block) * BLOCK..][..(entry & 0xff) as usize];
            update(states, Block { first: block * BLOCK, gradients, scale, rate, momentum, decay: row[1] });
        }
    };
    if table.len() <= SMALL {
        return (0..table.len().div_ceil(PIECE)).for_each(|number| {
            let first = number * PIECE * BLOCK;
            let mut states: Vec<&mut [T]> = call.states.iter_mut().map(|state| &mut state[first..]).collect();
            of_piece(number, &mut states);
        });
    }
    let mut pieces: Vec<Vec<&mut [T]>> = (0..table.len().div_ceil(PIECE)).map(|_| Vec::new()).collect();
    for state in call.states.iter_mut() {
        pieces.iter_mut().zip(state.chunks_mut(PIECE * BLOCK)).for_each(|(piece, part)| piece.push(part));
    }
    pieces.into_par_iter().enumerate().for_each(|(number, mut states)| of_piece(number, &mut states));
}

impl Sgd {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        each(call, self.clip, |states, block| {
            let [parameters, velocities @ ..] = states else { return };
            let parameters = block.of(parameters);
            let direction = |gradient: T, parameter: T| gradient * block.scale + block.decay * parameter;
            let [velocities] = velocities else {
                for (p, &g) in parameters.iter_mut().zip(block.gradients) {
                    *p -= block.rate * direction(g, *p);
                }
                return;
            };
            for ((p, v), &g) in parameters.iter_mut().zip(block.of(velocities)).zip(block.gradients) {
                let d = direction(g, *p);
                *v = block.momentum * *v + d;
                *p -= block.rate * if self.nesterov { d + block.momentum * *v } else { *v };
            }
        });
    }
}

impl Adam {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let of = |value: f32| T::of(f64::from(value));
        let (beta2, epsilon) = (of(self.beta2), of(self.epsilon));
        let (correction1, correction2) = (of(call.step.correction1), of(call.step.correction2));
        let one = T::one();
        each(call, self.clip, |states, block| {
            let beta1 = block.momentum;
            let [parameters, first, second] = states else { return };
            let moments = block.of(first).iter_mut().zip(block.of(second));
            for ((p, (m, v)), &g) in block.of(parameters).iter_mut().zip(moments).zip(block.gradients) {
                let mut gradient = g * block.scale;
                if self.decoupled {
                    *p -= block.rate * block.decay * *p;
                } else {
                    gradient += block.decay * *p;
                }
                *m = beta1 * *m + (one - beta1) * gradient;
                *v = beta2 * *v + (one - beta2) * gradient * gradient;
                *p -= block.rate * (*m / correction1) / ((*v / correction2).sqrt() + epsilon);
            }
        });
    }
}

impl Norm {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let (gradients, table) = (call.real(0), call.integers(1));
        // Sums by block, then by 256 blocks. In single precision, one long sum would lose small terms.
        let squares = |block: usize, entry: u32| {
            let own = &gradients[block * BLOCK..][..(entry & 0xff) as usize];
            own.iter().fold(T::zero(), |sum, &gradient| sum + gradient * gradient)
        };
        let mut sum = T::zero();
        for (piece, entries) in table.chunks(256).enumerate() {
            let blocks = entries.iter().enumerate().map(|(i, &entry)| squares(piece * 256 + i, entry));
            sum += blocks.fold(T::zero(), |sum, square| sum + square);
        }
        call.out()[0] = sum.sqrt();
    }
}

pub(super) fn check_flat(
    inputs: &[TensorType],
    states: &[TensorType],
    clip: Option<f32>,
    count: usize,
) -> Result<(), String> {
    expect_inputs(inputs, if clip.is_some() { 4 } else { 3 })?;
    check_blocks(inputs)?;
    if states.len() != count || states.iter().any(|state| *state != inputs[0]) {
        return Err(format!("it updates {count} states of the gradients' length"));
    }
    Ok(())
}

fn check_blocks(inputs: &[TensorType]) -> Result<(), String> {
    let len = inputs[0].elements();
    if inputs[0] != TensorType::f32([len]) || !len.is_multiple_of(BLOCK) {
        return Err(format!("the gradients must be flat, in blocks of {BLOCK}"));
    }
    if inputs[1].dtype != DType::U32 || inputs[1].elements() != len / BLOCK {
        return Err("the block table must have one u32 per block".into());
    }
    Ok(())
}

/// Whether the last workgroup, of 64 times four elements, runs past the end. Loads under that condition are slow on
/// software rasterisers. So parameters should be padded to a multiple of 256.
pub(super) fn edges(at: &Lower) -> (&'static str, Constant) {
    at.edges(at.types.inputs[0].elements() / 4)
}

/// The dispatch of an update, with one invocation for four elements.
pub(super) fn lower_update(op: &dyn Op, at: &Lower, kernel: Kernel, clip: Option<f32>, words: &[f32]) -> Lowering {
    // Without clipping, the group table is bound in place of the norm and is not used.
    let norm = if clip.is_some() { 3 } else { 2 };
    let mut slots = vec![Slot::Input(0), Slot::Input(1), Slot::Input(2), Slot::Input(norm)];
    slots.extend((0..at.types.states.len()).map(Slot::State));
    let quarters = at.types.inputs[0].elements() / 4;
    let dims: Vec<usize> = [quarters].into_iter().chain(words.iter().map(|w| w.to_bits() as usize)).collect();
    at.linear(op, kernel, &slots, &dims, quarters).into()
}

impl Op for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String> {
        check_flat(inputs, states, self.clip, if self.momentum { 2 } else { 1 })?;
        Ok(TensorType::f32([0]))
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let (name, source) = if self.momentum {
            ("sgd_momentum", include_str!("../../shaders/sgd_momentum.wgsl"))
        } else {
            ("sgd", include_str!("../../shaders/sgd.wgsl"))
        };
        let mut constants = vec![("CLIP", self.clip.is_some().into()), edges(at)];
        if self.momentum {
            constants.push(("NESTEROV", self.nesterov.into()));
        }
        let kernel = Kernel::built_in(name, source, &constants);
        lower_update(self, at, kernel, self.clip, &[self.clip.unwrap_or(0.0)])
    }
    fn flops(&self, types: &Types) -> u64 {
        types.inputs[0].elements() as u64 * if self.momentum { 6 } else { 4 }
    }
}

impl Op for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String> {
        check_flat(inputs, states, self.clip, 3)?;
        Ok(TensorType::f32([0]))
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let constants = [("CLIP", self.clip.is_some().into()), ("DECOUPLED", self.decoupled.into()), edges(at)];
        let kernel = Kernel::built_in("adam", include_str!("../../shaders/adam.wgsl"), &constants);
        let words = [self.clip.unwrap_or(0.0), self.beta2, self.epsilon];
        lower_update(self, at, kernel, self.clip, &words)
    }
    fn flops(&self, types: &Types) -> u64 {
        16 * types.inputs[0].elements() as u64
    }
}

impl Op for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 2)?;
        check_blocks(inputs)?;
        Ok(TensorType::f32([1]))
    }
    defined_by!(define);
    /// Computes a sum of squares for each workgroup, then the root of their total.
    fn lower(&self, at: &Lower) -> Lowering {
        let blocks = at.types.inputs[1].elements();
        let run = blocks.div_ceil(256);
        let pieces = blocks.div_ceil(run);
        let squares = Kernel::built_in("norm_squares", include_str!("../../shaders/norm_squares.wgsl"), &[]);
        let root = Kernel::built_in("norm_root", include_str!("../../shaders/norm_root.wgsl"), &[]);
        let first = [Slot::Input(0), Slot::Input(1), Slot::Scratch(0)];
        let squares = at.linear(self, squares, &first, &[blocks, run], pieces * 64);
        let root = at.linear(self, root, &[Slot::Scratch(0), Slot::Output], &[pieces], 1);
        let root = Dispatch { flops: pieces as u64, bytes: 4 * pieces as u64, ..root };
        Lowering { dispatches: vec![squares, root], scratch: vec![pieces] }
    }
    fn flops(&self, types: &Types) -> u64 {
        2 * types.inputs[0].elements() as u64
    }
}

impl Graph {
    /// The norm of packed gradients.
    ///
    /// # Errors
    /// When the block table does not fit the gradients.
    pub fn norm(&mut self, gradients: NodeId, table: NodeId) -> Result<NodeId> {
        self.apply(Norm, &[gradients, table])
    }
}

/// Sizes in blocks to test on. An entry below 256 is a block of group 0 with as many elements, up to 63.
pub(super) const BLOCKS: [usize; 5] = [1, 2, 7, 64, 301];

pub(super) fn updating(blocks: usize, states: usize, clip: bool, op: impl Op + Clone) -> Case {
    let flat = [blocks * BLOCK];
    let mut inputs =
        vec![Sample::floats(&flat), Sample::integers(&[blocks], 64), Sample::between(&[GROUP_FLOATS], 0.5, 2.0)];
    if clip {
        inputs.push(Sample::between(&[1], 0.5, 4.0));
    }
    let states = (0..states).map(|_| Sample::between(&flat, 0.1, 1.0)).collect();
    Case::updating(inputs, states, move |graph, x, states| graph.update(op.clone(), x, states))
}

/// Shapes to test and to time [`Sgd`] on: plain, momentum, Nesterov and clipping. The group table's numbers are from 0.5 to 2,
/// so the decay is large, and the step's numbers are those of group 0 or 1.
pub fn sgd_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for blocks in BLOCKS {
        for (momentum, nesterov, clip) in [(false, false, None), (true, false, Some(1.0)), (true, true, None)] {
            let op = Sgd { momentum, nesterov, clip };
            let label = format!("momentum {momentum} nesterov {nesterov} clip {clip:?}");
            cases.push(updating(blocks, 1 + usize::from(momentum), clip.is_some(), op).labelled(&label));
        }
    }
    let op = Sgd { momentum: true, nesterov: false, clip: None };
    cases.push(updating(16_384, 2, false, op).timed());
    cases
}

/// Shapes to test and to time [`Adam`] on.
pub fn adam_cases() -> Vec<Case> {
    let of = |blocks, decoupled, clip: Option<f32>| {
        let op = Adam { beta2: 0.999, epsilon: 1e-8, decoupled, clip };
        updating(blocks, 3, clip.is_some(), op).labelled(&format!("decoupled {decoupled} clip {clip:?}"))
    };
    let mut cases: Vec<Case> = BLOCKS.iter().flat_map(|&b| [of(b, false, None), of(b, true, Some(1.0))]).collect();
    cases.push(of(16_384, true, None).timed());
    cases
}

/// Shapes to test and to time [`Norm`] on.
pub fn norm_cases() -> Vec<Case> {
    let of = |blocks: usize| {
        let inputs = vec![Sample::floats(&[blocks * BLOCK]), Sample::integers(&[blocks], 64)];
        Case::new(inputs, |graph, x| graph.norm(x[0], x[1])).differentiable(&[])
    };
    [1, 3, 64, 301, 1031].map(of).into_iter().chain([of(16_384).timed()]).collect()
}
