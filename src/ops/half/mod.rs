//! Products by matrix units: the operands are packed in half precision, the sums are in single precision. Matrix products and
//! convolutions share the packing and the kernel. The idea is explained in docs/kernel-ladder.md.

pub(crate) mod conv2d;
pub(crate) mod matmul;

use crate::graph::kernel::{Capabilities, Constant, Dispatch, Kernel, Lowering, Slot, signed_word, word};
use crate::ops::Lower;

/// The largest number of workgroups that search the largest number of a tensor.
const PARTS: usize = 256;
/// The least number of elements that a workgroup searches.
const LEAST_PART: usize = 4096;
/// The most bytes of a scratch tensor. Larger products take a kernel without packing.
const MOST_BYTES: usize = 1 << 30;
/// The floating-point operations from which packing pays.
const WORTH: u64 = 1 << 28;
/// The least size of an axis of a product for which most of a tile is not padding.
const LEAST_SIDE: usize = 32;
/// Channels and steps are padded to a multiple of this: what an invocation packs.
const BLOCK: usize = 16;

/// The matrix units of a device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Units {
    /// The side of a fragment.
    side: usize,
    /// The lanes of a subgroup.
    lanes: u32,
    /// The most bytes of a scratch tensor.
    most_bytes: usize,
}

impl Units {
    /// The device's units, if they are to be used.
    pub fn of(device: &Capabilities) -> Option<Self> {
        let (side, lanes) = device.matrix_units.zip(device.subgroup)?;
        Some(Self { side: side as usize, lanes, most_bytes: MOST_BYTES.min(device.max_binding as usize) })
    }

    /// The side of a subgroup's tile.
    fn tile(self) -> usize {
        4 * self.side
    }
}

/// Whether a product of this size is computed faster with packed operands.
fn is_worth_packing(flops: u64, sides: [usize; 3]) -> bool {
    flops >= WORTH && sides.iter().all(|&side| side >= LEAST_SIDE)
}

/// The ops that matrix units may compute.
pub(crate) const PRODUCTS: [&str; 4] = ["matmul", "conv2d", "conv2d_backward_input", "conv2d_backward_weight"];

/// The name of the kernel variant.
pub(crate) const VARIANT: &str = "half";

/// The name of the kernel that multiplies.
const PRODUCT: &str = "half_product";

/// Whether an op is computed by matrix units.
pub(crate) fn is_by_matrix_units(lowering: &Lowering) -> bool {
    lowering.dispatches.iter().any(|dispatch| dispatch.kernel.label.starts_with(PRODUCT))
}

/// An operand in half precision: axes of a tensor in another order, with zeros around.
#[derive(Clone, Copy, Debug)]
struct Packing {
    /// The sizes of the packed axes. The last one is a multiple of [`BLOCK`].
    sizes: [usize; 4],
    /// The packed indices of the tensor's first element, on the axes in the middle.
    offsets: [usize; 2],
    /// The sizes of the axes in the tensor.
    of: [usize; 4],
    /// The tensor's element at index 0 of all axes, and its strides.
    first: usize,
    strides: [isize; 4],
    /// Whether the last packed axis, rather than the one before it, is contiguous in the tensor.
    along_rows: bool,
}

impl Packing {
    fn elements(&self) -> usize {
        self.sizes.iter().product()
    }

    fn dims(&self, invocations: usize) -> Vec<u32> {
        let [_, n1, n2, n3] = self.sizes;
        let counts = [invocations, n1, n2, n3 / BLOCK].into_iter().chain(self.offsets).chain(self.of);
        counts.chain([self.first]).map(word).chain(self.strides.map(signed_word)).collect()
    }
}

/// The product of packed operands: the fields of the kernel's `Dims`, in elements.
#[derive(Clone, Copy, Debug)]
struct Product {
    /// Tiles of the sums.
    down: usize,
    across: usize,
    /// The length of the sums, and of the part of it that a split adds. Both are multiples of a fragment's side.
    depth: usize,
    share: usize,
    a_stride: usize,
    b_stride: usize,
    /// Height and width of the kernel of a convolution; [1, 1] for a matrix product.
    taps: [usize; 2],
    /// Elements of A from a tap to the one below and to the one at its right.
    a_taps: [usize; 2],
    /// Elements of B from a tap to the next.
    b_tap: usize,
    /// Whether the columns of A are contiguous.
    a_by_columns: bool,
    /// Whether the sums go over the taps. Else each tap has its own.
    sum_over_taps: bool,
}

impl Product {
    fn splits(&self) -> usize {
        self.depth.div_ceil(self.share.max(1)).max(1)
    }
    fn planes(&self) -> usize {
        let [height, width] = self.taps;
        self.splits() * if self.sum_over_taps { 1 } else { height * width }
    }
    /// Elements of a plane of sums, with `tile` as the side of a tile.
    fn plane(&self, tile: usize) -> usize {
        self.down * tile * self.stride(tile)
    }
    /// Elements from a row of sums to the next.
    fn stride(&self, tile: usize) -> usize {
        self.across * tile
    }
    fn dims(&self, tile: usize) -> Vec<u32> {
        let sums = [self.down, self.across, self.planes(), self.depth, self.share];
        let strides = [self.a_stride, self.b_stride, self.stride(tile)];
        let taps = [self.taps[0] * self.taps[1], self.taps[1], self.a_taps[0], self.a_taps[1], self.b_tap];
        sums.into_iter().chain(strides).chain(taps).map(word).collect()
    }
}

/// The operands and the product of an op.
#[derive(Clone, Copy, Debug)]
struct Packed {
    operands: [Packing; 2],
    product: Product,
}

impl Packed {
    /// Whether all scratch tensors are small enough.
    fn fits(&self, units: Units) -> bool {
        let sums = 4 * self.product.planes() * self.product.plane(units.tile());
        let operands = self.operands.map(|operand| 2 * operand.elements());
        operands.into_iter().chain([sums]).all(|bytes| bytes <= units.most_bytes)
    }

    /// The dispatches that compute the sums, in a scratch tensor. `flops` are those of the product.
    fn lower(&self, at: &Lower, units: Units, flops: u64) -> (Lowering, Slot) {
        let mut lowering = Lowering::default();
        let mut slots = Vec::new();
        for (index, operand) in self.operands.iter().enumerate() {
            slots.push(pack(&mut lowering, at, index, operand));
        }
        let [(a, scale_a), (b, scale_b)] = slots[..] else { unreachable!("two operands") };
        let (tile, product) = (units.tile(), &self.product);
        let floats = product.planes() * product.plane(tile);
        let sums = scratch(&mut lowering, floats);
        let constants = [
            ("SIDE", word(units.side).into()),
            ("LANES", units.lanes.into()),
            ("A_BY_COLUMNS", product.a_by_columns.into()),
            ("SUM_OVER_TAPS", product.sum_over_taps.into()),
        ];
        let kernel = Kernel::built_in(PRODUCT, include_str!("../../../shaders/half/product.wgsl"), &constants);
        let fragments = format!("coop_mat{0}x{0}", units.side);
        let wgsl = kernel.wgsl.replace("coop_mat16x16", &fragments);
        let bytes = 2 * self.operands.iter().map(Packing::elements).sum::<usize>() + 4 * floats;
        lowering.dispatches.push(Dispatch {
            kernel: Kernel { wgsl, ..kernel }.for_subgroup(units.lanes),
            slots: vec![a, b, scale_a, scale_b, sums],
            dims: product.dims(tile),
            groups: at.device.fold(product.down * product.across * product.planes()),
            flops,
            bytes: bytes as u64,
        });
        (lowering, sums)
    }
}

fn scratch(lowering: &mut Lowering, floats: usize) -> Slot {
    lowering.scratch.push(floats);
    Slot::Scratch(lowering.scratch.len() - 1)
}

/// Packs input number `index`. Returns where it is then, and where its scale is.
fn pack(lowering: &mut Lowering, at: &Lower, index: usize, operand: &Packing) -> (Slot, Slot) {
    let (input, ty) = (Slot::Input(index), &at.types.inputs[index]);
    let count = ty.elements();
    let share = count.div_ceil(PARTS).max(LEAST_PART);
    let used = count.div_ceil(share).max(1);
    let parts = scratch(lowering, used);
    let scale = scratch(lowering, 1);
    let packed = scratch(lowering, operand.elements() / 2);
    let invocations = operand.elements() / BLOCK;
    let dispatch = |name: &str, source: &str, constants: &[(&str, Constant)], slots: &[Slot]| Dispatch {
        kernel: Kernel::built_in(name, source, constants),
        slots: slots.to_vec(),
        dims: Vec::new(),
        groups: [1; 3],
        flops: 0,
        bytes: 0,
    };
    let largest = include_str!("../../../shaders/half/largest.wgsl");
    lowering.dispatches.push(Dispatch {
        dims: [count, share].map(word).to_vec(),
        groups: at.device.fold(used),
        bytes: ty.bytes() as u64,
        ..dispatch("half_largest", largest, &[], &[input, parts])
    });
    lowering.dispatches.push(Dispatch {
        dims: vec![word(used)],
        ..dispatch("half_scale", include_str!("../../../shaders/half/scale.wgsl"), &[], &[parts, scale])
    });
    let constants = [("ALONG_ROWS", operand.along_rows.into())];
    lowering.dispatches.push(Dispatch {
        dims: operand.dims(invocations),
        groups: at.device.fold(invocations.div_ceil(64)),
        bytes: (ty.bytes() + 2 * operand.elements()) as u64,
        ..dispatch("half_pack", include_str!("../../../shaders/half/pack.wgsl"), &constants, &[input, scale, packed])
    });
    (packed, scale)
}
