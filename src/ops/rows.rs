//! Kernels that compute the rows of a matrix independently: each by one lane, or by a workgroup, whose lanes read neighbours.
//! `shaders/lib/row.wgsl` says how they are written.

use crate::graph::kernel::{Constant, DeviceClass, Dispatch, Kernel, Lowering, Slot};
use crate::ops::{Lower, Op};

/// The shortest row that a workgroup computes on hardware: then at least half of its 64 lanes have work.
const SHORTEST: usize = 32;

/// A kernel of rows: the name of its file, its text, and the values of its constants.
pub(crate) struct RowKernel<'a> {
    pub name: &'static str,
    pub source: &'static str,
    pub constants: &'a [(&'static str, Constant)],
}

impl RowKernel<'_> {
    /// Its dispatch. The first two words of `dims` are the number of rows and that of columns.
    pub fn lower(&self, op: &dyn Op, at: &Lower, slots: &[Slot], dims: &[usize]) -> Lowering {
        let Self { name, source, constants } = *self;
        let (rows, columns) = (dims[0], dims[1]);
        let by_lanes = at.linear(op, Kernel::built_in(name, source, constants), slots, dims, rows);
        if at.device.class == DeviceClass::Software || columns < SHORTEST || rows == 0 {
            return by_lanes.into();
        }
        let name = format!("{name}_rows");
        let kernel = Kernel::with_library(&name, source, constants, &[("row_by_lane", "row_by_workgroup")]);
        Dispatch { kernel, groups: at.device.fold(rows), ..by_lanes }.into()
    }
}
