//! Data larger than one binding of the device. The rows are in several tensors of equal length, and the last may be
//! shorter. The ops that gather find a row's tensor by division.

use std::fmt::Write as _;

use crate::graph::kernel::{Kernel, Slot};
use crate::graph::{DType, TensorType};
use crate::ops::Types;

/// The maximum number of shards of an op. With order, table and result, they fit WebGPU's 8 storage buffers.
pub const MAX_SHARDS: usize = 4;

/// The layout of the rows in the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shards {
    /// The number of shards.
    pub count: usize,
    /// The total number of rows.
    pub rows: usize,
    /// The number of rows of each shard except the last.
    pub each: usize,
    /// The number of elements of a row.
    pub width: usize,
}

impl Shards {
    /// The layout for a node whose first `count` inputs are the shards.
    pub fn of(types: &Types, count: usize) -> Self {
        let rows = |ty: &TensorType| ty.dims()[0];
        let all = &types.inputs[..count];
        let width = all[0].elements() / rows(&all[0]);
        Self { count, rows: all.iter().map(rows).sum(), each: rows(&all[0]), width }
    }

    /// The shard that contains a row, and the index of the row's first element in it.
    pub fn place(&self, row: usize) -> (usize, usize) {
        (row / self.each, row % self.each * self.width)
    }

    /// An error if the tensors are not shards of one dataset.
    pub fn check(shards: &[TensorType]) -> Result<(), String> {
        let Some(first) = shards.first() else { return Err("there are no data".into()) };
        if shards.len() > MAX_SHARDS {
            return Err(format!("it takes at most {MAX_SHARDS} shards of data, but {} were given", shards.len()));
        }
        let rows = |ty: &TensorType| ty.dims().first().copied().unwrap_or(0);
        if shards.iter().any(|shard| rows(shard) == 0) {
            return Err("the data have no rows".into());
        }
        let alike = |shard: &TensorType| shard.dims()[1..] == first.dims()[1..] && shard.dtype == first.dtype;
        let full = shards[..shards.len() - 1].iter().all(|shard| rows(shard) == rows(first));
        if !shards.iter().all(alike) || !full || rows(&shards[shards.len() - 1]) > rows(first) {
            return Err(
                "all shards must have the same number of rows of the same shape; only the last may have fewer".into()
            );
        }
        Ok(())
    }

    /// Checks the order of a batch.
    pub fn check_order(order: &TensorType) -> Result<(), String> {
        match order.dtype == DType::U32 && order.shape.rank() == 1 {
            true => Ok(()),
            false => Err("the order must be a list of u32".into()),
        }
    }

    /// Adds bindings for all shards to a kernel that is written for one shard, `data`, after its own bindings.
    pub fn bind(&self, kernel: Kernel) -> Kernel {
        const POINT: &str = "fn stored_at(shard: u32, index: u32) -> Stored { return data[index]; } // spliced";
        if self.count == 1 {
            return kernel;
        }
        let (mut bindings, mut cases) = (String::new(), String::new());
        let first = kernel.bindings.len() + 1;
        for shard in 1..self.count {
            let binding = first + shard - 1;
            let _ = writeln!(bindings, "@group(0) @binding({binding}) var<storage, read> data{shard}: array<Stored>;");
            let _ = writeln!(cases, "        case {shard}u: {{ return data{shard}[index]; }}");
        }
        let code = format!(
            "{bindings}fn stored_at(shard: u32, index: u32) -> Stored {{\n    switch shard {{\n{cases}        default: {{ return \
             data[index]; }}\n    }}\n}}"
        );
        let mut kernel = kernel.splice(POINT, &code);
        let _ = write!(kernel.label, " shards={}", self.count);
        kernel
    }

    /// The slots of these bindings.
    pub fn slots(&self, own: &[Slot]) -> Vec<Slot> {
        own.iter().copied().chain((1..self.count).map(Slot::Input)).collect()
    }
}
