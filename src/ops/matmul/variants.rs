//! The table that selects matrix-product kernels by device and shape. It replaces tuning at run time. Measurements
//! and reasons are in `docs/matmul-variants.md`.

use super::ladder::{self, Side};
use super::{Matmul, MatmulShape};
use crate::graph::Program;
use crate::graph::kernel::{Capabilities, Constant, DeviceClass, Dispatch, Kernel, Lowering, Slot, word};
use crate::ops::elementwise::epilogue;
use crate::ops::half::{self, Units};
use crate::ops::splits::PartialSums;
use crate::ops::variant::Variant;
use crate::ops::{Lower, Op, software};

/// A kernel variant of the product. The op table uses the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatmulVariant {
    /// One invocation per output: the definition.
    Plain,
    /// Tiles in workgroup memory.
    Tiled,
    /// 8 x 8 outputs in the registers of each lane.
    Registers,
    /// The same; the next tile is fetched while a tile is multiplied. A workgroup computes 64 x 64 outputs.
    Prefetched,
    /// The same with 128 x 128 outputs.
    PrefetchedLarge,
    /// The same; long sums are split over workgroups.
    Split,
    /// Matrix units, from operands in half precision.
    Half,
    /// Large register tiles, for software rasterisers. Operands are read as vectors of four.
    Strip,
    /// The same for operands of any size.
    StripScalar,
    /// Values shared by `subgroupBroadcast`, for subgroups of 8 lanes. Operands are read as vectors of four.
    Subgroup,
    /// The same for operands of any size.
    SubgroupScalar,
}

impl Variant for MatmulVariant {
    const NAMED: &'static [(&'static str, Self)] = &[
        ("plain", Self::Plain),
        ("tiled", Self::Tiled),
        ("registers", Self::Registers),
        ("prefetched", Self::Prefetched),
        ("prefetched_large", Self::PrefetchedLarge),
        ("split", Self::Split),
        (half::VARIANT, Self::Half),
        ("strip", Self::Strip),
        ("strip_scalar", Self::StripScalar),
        ("subgroup", Self::Subgroup),
        ("subgroup_scalar", Self::SubgroupScalar),
    ];
}

impl MatmulVariant {
    /// Whether the variant can run. Two variants read only vectors of four, two need subgroups of 8 lanes, one needs matrix units.
    fn runs(self, device: &Capabilities, (op, sizes): (&Matmul, MatmulShape), vectors: bool) -> bool {
        match self {
            Self::Strip => vectors,
            Self::Subgroup => vectors && device.subgroup == Some(software::SUBGROUP),
            Self::SubgroupScalar => device.subgroup == Some(software::SUBGROUP),
            Self::Half => half::matmul::runs(op, sizes, Units::of(device)),
            _ => true,
        }
    }

    fn template(self, sizes: MatmulShape, vectors: bool) -> KernelTemplate {
        match self {
            Self::Plain => ladder::plain(),
            Self::Tiled => ladder::tiled(),
            Self::Registers => ladder::registers(sizes, vectors),
            Self::Prefetched => ladder::prefetched(sizes, vectors, Side::Small),
            Self::PrefetchedLarge => ladder::prefetched(sizes, vectors, Side::Large),
            Self::Split => ladder::split(sizes, vectors),
            Self::Half => unreachable!("it has several kernels"),
            Self::Strip => software::matmul::strip(true, sizes.rows),
            Self::StripScalar => software::matmul::strip(false, sizes.rows),
            Self::Subgroup => software::matmul::subgroup(true, sizes.rows),
            Self::SubgroupScalar => software::matmul::subgroup(false, sizes.rows),
        }
    }
}

/// A kernel file and the values of its constants, except the transposes.
#[derive(Clone, Debug, Default)]
pub(crate) struct KernelTemplate {
    /// The kernel's name, for profiles.
    pub name: &'static str,
    /// The file's text.
    pub source: &'static str,
    /// The constants to set.
    pub constants: Vec<(&'static str, Constant)>,
    /// Library files to use in place of those that the file names.
    pub instead: &'static [(&'static str, &'static str)],
    /// Rows and columns of outputs per workgroup.
    pub tile: [u32; 2],
    /// The steps of the sum that a workgroup adds, if the sum is split over workgroups.
    pub share: Option<usize>,
    /// The subgroup size that it requires, in lanes.
    pub subgroup: Option<u32>,
}

/// Whether all rows of the operands and of the product are whole vectors of four.
fn reads_vectors(sizes: MatmulShape, op: &Matmul) -> bool {
    let MatmulShape { rows, columns, depth } = sizes;
    let run_a = if op.transpose_a { rows } else { depth };
    let run_b = if op.transpose_b { depth } else { columns };
    [columns, run_a, run_b].iter().all(|run| run.is_multiple_of(4))
}

/// The table. If a requested variant cannot run on the device or with the shape, the table chooses. `Plain` takes the place of a
/// variant that the device computes wrongly.
fn choose(device: &Capabilities, (op, sizes): (&Matmul, MatmulShape), vectors: bool) -> MatmulVariant {
    let runs = |variant: &MatmulVariant| variant.runs(device, (op, sizes), vectors);
    if let Some(variant) = MatmulVariant::forced(device, "matmul").filter(runs) {
        return variant;
    }
    let allowed = |variant: &MatmulVariant| variant.allowed(device, "matmul");
    let chosen = match device.class {
        _ if half::matmul::pays(sizes) && runs(&MatmulVariant::Half) && allowed(&MatmulVariant::Half) => {
            MatmulVariant::Half
        }
        DeviceClass::Software => software::matmul::choose(device, vectors),
        // With less than one row of outputs per lane, most of a tile would be idle.
        _ if sizes.rows < 4 || sizes.columns < 4 => MatmulVariant::Plain,
        _ if ladder::splits(sizes) > 1 => MatmulVariant::Split,
        _ => match Side::of(sizes) {
            Side::Small => MatmulVariant::Prefetched,
            Side::Large => MatmulVariant::PrefetchedLarge,
        },
    };
    if allowed(&chosen) { chosen } else { MatmulVariant::Plain }
}

/// The dispatches of a product: one, or two if its sums are split over workgroups.
pub(super) fn lower(at: &Lower, sizes: MatmulShape, op: &Matmul) -> Lowering {
    let vectors = reads_vectors(sizes, op);
    let variant = choose(at.device, (op, sizes), vectors);
    if let (MatmulVariant::Half, Some(units)) = (variant, Units::of(at.device)) {
        return half::matmul::lower(at, op, sizes, units);
    }
    let template = variant.template(sizes, vectors);
    let kernel = Kernel { subgroup: template.subgroup, ..template.kernel(op) };
    let splits = template.share.map_or(1, |share| sizes.depth.div_ceil(share.max(1)).max(1));
    let share = template.share.unwrap_or(sizes.depth);
    let dims = [sizes.rows, sizes.columns, sizes.depth, share].map(word);
    let tiles = [word(sizes.columns).div_ceil(template.tile[1]), word(sizes.rows).div_ceil(template.tile[0])];
    let groups = at.device.fold(tiles.map(|tiles| tiles as usize).iter().product::<usize>() * splits);
    let none = Program::default();
    let (program, output) = if splits > 1 { (&none, Slot::Scratch(0)) } else { (&op.epilogue, Slot::Output) };
    let (kernel, words) = epilogue::splice(program, kernel, at.types, 2);
    let operands = if splits > 1 { 2 } else { at.types.inputs.len() };
    let product = Dispatch {
        kernel,
        slots: (0..operands).map(Slot::Input).chain([output]).collect(),
        dims: dims.into_iter().chain(words).collect(),
        groups,
        flops: op.flops(at.types),
        bytes: at.types.bytes(),
    };
    if splits == 1 {
        return product.into();
    }
    let MatmulShape { rows, columns, .. } = sizes;
    let sums = PartialSums { slot: Slot::Scratch(0), splits, rows, columns, pitch: columns, plane: rows * columns };
    Lowering { dispatches: vec![product, sums.add(at, &op.epilogue, 2)], scratch: vec![splits * rows * columns] }
}

impl KernelTemplate {
    fn kernel(&self, op: &Matmul) -> Kernel {
        let transposes = [("TRANSPOSE_A", op.transpose_a.into()), ("TRANSPOSE_B", op.transpose_b.into())];
        let constants = [&transposes, &self.constants[..]].concat();
        Kernel::with_library(self.name, self.source, &constants, self.instead)
    }
}
