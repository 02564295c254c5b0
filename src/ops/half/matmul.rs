//! The matrix product by matrix units.

use super::{BLOCK, Packed, Packing, Product, Units, is_worth_packing};
use crate::graph::kernel::Lowering;
use crate::ops::matmul::{Matmul, MatmulShape};
use crate::ops::splits::{PartialSums, WORKGROUPS};
use crate::ops::{Lower, Op};

/// The least number of steps that a split adds.
const LEAST_SHARE: usize = 256;

/// A matrix of the product, packed with `rows` rows and `columns` columns, from a matrix of these sizes that may be stored transposed.
fn matrix([rows, columns]: [usize; 2], of: [usize; 2], transposed: bool) -> Packing {
    let [of_rows, of_columns] = of.map(|size| size as isize);
    let strides = if transposed { [1, of_rows] } else { [of_columns, 1] };
    Packing {
        sizes: [1, 1, rows, columns],
        offsets: [0, 0],
        of: [1, 1, of[0], of[1]],
        first: 0,
        strides: [0, 0, strides[0], strides[1]],
        along_rows: !transposed,
    }
}

fn packed(op: &Matmul, sizes: MatmulShape, units: Units) -> Packed {
    let MatmulShape { rows, columns, depth } = sizes;
    let tile = units.tile();
    let (down, across, steps) = (rows.div_ceil(tile), columns.div_ceil(tile), depth.next_multiple_of(BLOCK));
    let splits = WORKGROUPS.div_ceil((down * across).max(1)).min(steps.div_ceil(LEAST_SHARE)).max(1);
    let product = Product {
        down,
        across,
        depth: steps,
        share: steps.div_ceil(splits).next_multiple_of(BLOCK).max(BLOCK),
        a_stride: steps,
        b_stride: across * tile,
        taps: [1, 1],
        a_taps: [0, 0],
        b_tap: 0,
        a_by_columns: false,
        sum_over_taps: true,
    };
    let a = matrix([down * tile, steps], [rows, depth], op.transpose_a);
    let b = matrix([steps, across * tile], [depth, columns], op.transpose_b);
    Packed { operands: [a, b], product }
}

/// Whether the product can be computed by matrix units.
pub(crate) fn runs(op: &Matmul, sizes: MatmulShape, units: Option<Units>) -> bool {
    units.is_some_and(|units| packed(op, sizes, units).fits(units))
}

/// Whether it is faster so.
pub(crate) fn pays(sizes: MatmulShape) -> bool {
    let MatmulShape { rows, columns, depth } = sizes;
    is_worth_packing(2 * (rows * columns * depth) as u64, [rows, columns, depth])
}

/// The dispatches: both operands are packed and multiplied, and the sums of the splits are added.
pub(crate) fn lower(at: &Lower, op: &Matmul, sizes: MatmulShape, units: Units) -> Lowering {
    let packed = packed(op, sizes, units);
    let (mut lowering, slot) = packed.lower(at, units, op.flops(at.types));
    let MatmulShape { rows, columns, .. } = sizes;
    let (pitch, plane) = (packed.product.stride(units.tile()), packed.product.plane(units.tile()));
    let sums = PartialSums { slot, splits: packed.product.splits(), rows, columns, pitch, plane };
    lowering.dispatches.push(sums.add(at, &op.epilogue, 2));
    lowering
}
