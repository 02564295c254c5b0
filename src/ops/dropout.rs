//! Dropout with counter-based random numbers. Every device drops the same elements in the same step. The gradient
//! computes the same random numbers again, so no mask is stored.

use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::lanes::widest;
use crate::ops::op::{defined_by, in_pieces};
use crate::ops::{Call, Lower, Op, Real, expect_inputs};

use crate::graph::DType;
use crate::random::{CounterRng, Purpose};

/// The number of random words in a block.
const BLOCK: usize = 4;
/// The number of blocks drawn at once.
const BLOCKS: usize = 32;

/// Each element is zero with probability `rate`. Other elements are divided by 1 - `rate`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// The probability, at least 0 and below 1.
    pub rate: f32,
    /// A number that distinguishes the dropout layers of one network.
    pub stream: u32,
}

/// An element is dropped with probability `rate` if its random word is below this.
pub(super) fn threshold(rate: f32) -> u32 {
    (f64::from(rate) * 4_294_967_296.0) as u32
}

impl Dropout {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let step = call.step;
        let rng = CounterRng { seed: step.seed(), purpose: Purpose::Dropout, stream: self.stream, step: step.number };
        let (x, threshold) = (call.real(0), threshold(self.rate));
        // The blocks of the batch's earlier parts.
        let before = step.row_offset.wrapping_mul(row_of(call.dims(0)) as u32) / BLOCK as u32;
        let factor = T::of(1.0 / (1.0 - f64::from(self.rate)));
        in_pieces(call.out(), BLOCK, |first, out| {
            let x = x[first * BLOCK..].chunks(BLOCKS * BLOCK);
            widest(
                #[inline(always)]
                || {
                    for (number, (y, x)) in out.chunks_mut(BLOCKS * BLOCK).zip(x).enumerate() {
                        let block = before.wrapping_add((first + number * BLOCKS) as u32);
                        let words = rng.blocks::<BLOCKS>(block);
                        for ((y, &x), &word) in y.iter_mut().zip(x).zip(words.as_flattened()) {
                            *y = if word < threshold { T::zero() } else { factor * x };
                        }
                    }
                },
            );
        });
    }
}

/// The number of elements of a row of the batch.
fn row_of(dims: &[usize]) -> usize {
    dims.iter().skip(1).product()
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        if !(0.0..1.0).contains(&self.rate) {
            return Err(format!("a rate of {} is not at least 0 and below 1", self.rate));
        }
        if inputs[0].dtype != DType::F32 {
            return Err("it takes only floats".into());
        }
        Ok(inputs[0].clone())
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.apply(self.clone(), &[at.dy])?)])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let count = at.types.output.elements();
        let factor = (1.0 / (1.0 - f64::from(self.rate))) as f32;
        let fours = count.div_ceil(4);
        let row = row_of(at.types.output.dims());
        let dims = [fours, count, threshold(self.rate) as usize, self.stream as usize, factor.to_bits() as usize, row];
        let kernel = Kernel::built_in("dropout", include_str!("../../shaders/dropout.wgsl"), &[]);
        at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &dims, fours).into()
    }
}

impl Graph {
    /// Dropout with probability `rate`. `stream` is a number that distinguishes the dropout layers of one network.
    ///
    /// # Errors
    /// When the rate is not at least 0 and below 1.
    pub fn dropout(&mut self, x: NodeId, rate: f32, stream: u32) -> Result<NodeId> {
        self.apply(Dropout { rate, stream }, &[x])
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    let of = |dims: &[usize], rate: f32| {
        Case::new(vec![Sample::floats(dims)], move |graph, x| graph.dropout(x[0], rate, 3))
            .labelled(&format!("rate {rate}"))
    };
    vec![
        of(&[1], 0.5),
        of(&[7], 0.1),
        of(&[64, 36], 0.5),
        of(&[5, 3, 7], 0.9),
        of(&[1031], 0.0),
        of(&[512, 1024], 0.5).timed(),
    ]
}
