//! Adds the partial sums of a product whose sums were split over workgroups.

use crate::graph::Program;
use crate::graph::kernel::{Dispatch, Kernel, Slot, word};
use crate::ops::Lower;
use crate::ops::elementwise::epilogue;

/// The number of workgroups that keeps a large device busy: two for each of 132 multiprocessors.
pub(crate) const WORKGROUPS: usize = 264;

/// The number of workgroups of 64 lanes that keep the memory of a large device busy: 16 for each of 132 multiprocessors.
pub(crate) const BUSY: usize = 2112;

/// Partial sums `[splits, rows, pitch]` in memory, of an output `[rows, columns]`; a split may have more rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartialSums {
    /// Where they are.
    pub slot: Slot,
    /// The number of partial sums of each element.
    pub splits: usize,
    /// Rows of the output.
    pub rows: usize,
    /// Columns of the output.
    pub columns: usize,
    /// Elements between two rows of partial sums.
    pub pitch: usize,
    /// Elements between two partial sums of an element.
    pub plane: usize,
}

impl PartialSums {
    /// The dispatch that adds them in order and applies the epilogue, whose operands are the node's inputs from `own` on.
    pub fn add(self, at: &Lower, program: &Program, own: usize) -> Dispatch {
        let Self { slot, splits, rows, columns, pitch, plane } = self;
        let elements = rows * columns;
        let kernel = Kernel::built_in("sum_splits", include_str!("../../shaders/sum_splits.wgsl"), &[]);
        let (kernel, words) = epilogue::splice(program, kernel, at.types, own);
        let dims = [elements, columns, pitch, plane, splits].map(word);
        Dispatch {
            kernel,
            slots: std::iter::once(slot)
                .chain((own..at.types.inputs.len()).map(Slot::Input))
                .chain([Slot::Output])
                .collect(),
            dims: dims.into_iter().chain(words).collect(),
            groups: at.device.fold(elements.div_ceil(64)),
            flops: elements as u64 * (splits as u64 + program.flops()),
            bytes: 4 * (elements * (splits + 1)) as u64,
        }
    }
}
