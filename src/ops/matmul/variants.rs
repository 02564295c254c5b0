//! The table that selects matrix-product kernels by device and shape. It replaces tuning at run time. Measurements
//! and reasons are in `docs/matmul-variants.md`.

use super::{Matmul, MatmulShape};
use crate::graph::kernel::{Capabilities, Constant, DeviceClass, Kernel};
use crate::ops::software;
use crate::ops::variant::Variant;

/// A kernel variant of the product. The op table uses the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatmulVariant {
    /// One invocation per output: the definition.
    Plain,
    /// Tiles in workgroup memory and registers, for hardware.
    Tiled,
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
        ("strip", Self::Strip),
        ("strip_scalar", Self::StripScalar),
        ("subgroup", Self::Subgroup),
        ("subgroup_scalar", Self::SubgroupScalar),
    ];
}

impl MatmulVariant {
    /// Whether the variant can run. Two variants read vectors of four, two need subgroups of 8 lanes.
    fn runs(self, device: &Capabilities, vectors: bool) -> bool {
        let reads_vectors = matches!(self, Self::Strip | Self::Subgroup);
        let shares = matches!(self, Self::Subgroup | Self::SubgroupScalar);
        (vectors || !reads_vectors) && (!shares || device.subgroup == Some(software::SUBGROUP))
    }

    fn template(self, sizes: MatmulShape) -> KernelTemplate {
        match self {
            Self::Plain => KernelTemplate {
                name: "matmul_plain",
                source: include_str!("../../../shaders/matmul_plain.wgsl"),
                constants: Vec::new(),
                tile: [16, 16],
                subgroup: None,
            },
            Self::Tiled => {
                // For small outputs, smaller tiles keep more of the device's cores busy.
                let small = sizes.rows.div_ceil(64) * sizes.columns.div_ceil(64) < 64;
                let side = if small { 32 } else { 64 };
                KernelTemplate {
                    name: "matmul_tiled",
                    source: include_str!("../../../shaders/matmul_tiled.wgsl"),
                    constants: vec![("TILE_ROWS", side.into()), ("TILE_COLUMNS", side.into())],
                    tile: [side, side],
                    subgroup: None,
                }
            }
            Self::Strip => software::matmul::strip(true, sizes.rows),
            Self::StripScalar => software::matmul::strip(false, sizes.rows),
            Self::Subgroup => software::matmul::subgroup(true, sizes.rows),
            Self::SubgroupScalar => software::matmul::subgroup(false, sizes.rows),
        }
    }
}

/// A kernel file and the values of its constants, except the transposes.
#[derive(Clone, Debug)]
pub(crate) struct KernelTemplate {
    /// The file's name without its extension.
    pub name: &'static str,
    /// The file's text.
    pub source: &'static str,
    /// The constants to set.
    pub constants: Vec<(&'static str, Constant)>,
    /// Rows and columns of outputs per workgroup.
    pub tile: [u32; 2],
    /// The subgroup size that it requires, in lanes.
    pub subgroup: Option<u32>,
}

/// A kernel for one product, with its grid.
#[derive(Clone, Debug)]
pub(crate) struct MatmulKernel {
    /// The kernel.
    pub kernel: Kernel,
    /// The words of its `Dims`.
    pub dims: Vec<u32>,
    /// The number of workgroups along each axis.
    pub groups: [u32; 3],
}

/// The table. If a requested variant cannot run on the device or with the shape, the table chooses.
fn choose(device: &Capabilities, sizes: MatmulShape, op: &Matmul) -> MatmulVariant {
    let MatmulShape { rows, columns, depth } = sizes;
    let run_a = if op.transpose_a { rows } else { depth };
    let run_b = if op.transpose_b { depth } else { columns };
    let vectors = [columns, run_a, run_b].iter().all(|run| run.is_multiple_of(4));
    if let Some(variant) = MatmulVariant::forced(device, "matmul").filter(|variant| variant.runs(device, vectors)) {
        return variant;
    }
    match device.class {
        DeviceClass::Software => software::matmul::choose(device, vectors),
        // With less than one row of outputs per lane, most of a tile would be idle.
        _ if rows < 4 || columns < 4 => MatmulVariant::Plain,
        _ => MatmulVariant::Tiled,
    }
}

/// The kernel for a product of these sizes.
pub(crate) fn kernel(device: &Capabilities, sizes: MatmulShape, op: &Matmul) -> MatmulKernel {
    let KernelTemplate { name, source, constants, tile, subgroup } = choose(device, sizes, op).template(sizes);
    let transposes = [("TRANSPOSE_A", op.transpose_a.into()), ("TRANSPOSE_B", op.transpose_b.into())];
    let kernel = Kernel { subgroup, ..Kernel::built_in(name, source, &[&transposes, &constants[..]].concat()) };
    let dims = [sizes.rows, sizes.columns, sizes.depth, 0].map(|n| n as u32).to_vec();
    let groups = [(sizes.columns as u32).div_ceil(tile[1]), (sizes.rows as u32).div_ceil(tile[0]), 1];
    MatmulKernel { kernel, dims, groups }
}
