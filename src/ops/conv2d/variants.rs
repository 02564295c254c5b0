//! The table that selects convolution kernels by device and shape. It replaces tuning at run time. Measurements and
//! reasons are in `docs/conv2d-variants.md`.

use super::prefetched::{self, TileSize};
use super::{Conv2dShape, depthwise, tiled};
use crate::graph::kernel::{Capabilities, DeviceClass, Dispatch, Kernel, Lowering, Slot};
use crate::ops::Lower;
use crate::ops::elementwise::{Program, epilogue};
use crate::ops::half::{self, Units};
use crate::ops::software;
use crate::ops::splits::PartialSums;
use crate::ops::variant::Variant;

/// Which of the three ops is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// y from x and w.
    Forward,
    /// dx from dy and w.
    BackwardInput,
    /// dw from x and dy.
    BackwardWeight,
}

impl Direction {
    /// The op that computes it.
    fn op(self) -> &'static str {
        match self {
            Self::Forward => "conv2d",
            Self::BackwardInput => "conv2d_backward_input",
            Self::BackwardWeight => "conv2d_backward_weight",
        }
    }
}

/// A variant of a convolution or one of its gradients. Every variant but `Half` supports every shape of its ops. The op table uses
/// the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conv2dVariant {
    /// One invocation per output: the definition.
    Plain,
    /// Tiles in workgroup memory and registers, for hardware.
    Tiled,
    /// 8 x 8 outputs in the registers of each lane; the next tile is fetched while a tile is multiplied. For hardware. A
    /// workgroup computes 64 channels of 64 pixels or taps.
    Prefetched,
    /// The same with 32 x 64.
    PrefetchedTiny,
    /// The same with 32 x 128.
    PrefetchedNarrow,
    /// The same with 64 x 128.
    PrefetchedWide,
    /// The same with 128 x 128.
    PrefetchedLarge,
    /// A workgroup for the weights of a pair of channels, for groups of few channels on hardware. Only for the gradient by the weight.
    Depthwise,
    /// Matrix units, from operands in half precision, for stride 1 and one group.
    Half,
    /// Packed operands and large register tiles, for software rasterisers.
    Strip,
    /// The same, with values shared by `subgroupBroadcast`, for subgroups of 8 lanes.
    Subgroup,
}

impl Variant for Conv2dVariant {
    const NAMED: &'static [(&'static str, Self)] = &[
        ("plain", Self::Plain),
        ("tiled", Self::Tiled),
        ("prefetched", Self::Prefetched),
        ("prefetched_tiny", Self::PrefetchedTiny),
        ("prefetched_narrow", Self::PrefetchedNarrow),
        ("prefetched_wide", Self::PrefetchedWide),
        ("prefetched_large", Self::PrefetchedLarge),
        ("depthwise", Self::Depthwise),
        (half::VARIANT, Self::Half),
        ("strip", Self::Strip),
        ("subgroup", Self::Subgroup),
    ];
}

/// The names of the variants of the two ops that compute images: all but `Depthwise`.
pub(crate) fn names_for_images() -> Vec<&'static str> {
    let named = Conv2dVariant::NAMED.iter().filter(|(_, variant)| *variant != Conv2dVariant::Depthwise);
    named.map(|(name, _)| *name).collect()
}

/// The table. If a requested variant cannot run on the device, the table chooses. `Plain` takes the place of a variant that the device
/// computes wrongly.
fn choose(device: &Capabilities, direction: Direction, sizes: &Conv2dShape) -> Conv2dVariant {
    let subgroups = device.subgroup == Some(software::SUBGROUP);
    let by_units = || half::conv2d::runs(direction, sizes, Units::of(device));
    let runs = |variant: &Conv2dVariant| match variant {
        Conv2dVariant::Subgroup => subgroups,
        Conv2dVariant::Half => by_units(),
        _ => true,
    };
    if let Some(variant) = Conv2dVariant::forced(device, direction.op()).filter(runs) {
        return variant;
    }
    let allowed = |variant: &Conv2dVariant| variant.allowed(device, direction.op());
    if half::conv2d::pays(sizes) && by_units() && allowed(&Conv2dVariant::Half) {
        return Conv2dVariant::Half;
    }
    // Groups of few channels use a small part of any tile. Packed operands are still twice as fast as `Plain`, except
    // for the gradient with respect to the weight.
    let narrow = sizes.geometry.groups > 1 && sizes.group_outputs().min(sizes.group_inputs()) < 4;
    let chosen = match device.class {
        DeviceClass::Software if narrow && direction == Direction::BackwardWeight => Conv2dVariant::Plain,
        DeviceClass::Software if subgroups => Conv2dVariant::Subgroup,
        DeviceClass::Software => Conv2dVariant::Strip,
        _ if narrow && direction == Direction::BackwardWeight => Conv2dVariant::Depthwise,
        _ if narrow => Conv2dVariant::Plain,
        _ => match prefetched::tile(direction, sizes) {
            prefetched::LARGE => Conv2dVariant::PrefetchedLarge,
            prefetched::TINY => Conv2dVariant::PrefetchedTiny,
            prefetched::NARROW => Conv2dVariant::PrefetchedNarrow,
            prefetched::WIDE => Conv2dVariant::PrefetchedWide,
            _ => Conv2dVariant::Prefetched,
        },
    };
    if allowed(&chosen) { chosen } else { Conv2dVariant::Plain }
}

/// The dispatches of one convolution with its epilogue.
pub(super) fn lower(direction: Direction, at: &Lower, sizes: Conv2dShape, program: &Program) -> Lowering {
    let by_tiles = |tile: TileSize| match direction {
        Direction::BackwardWeight => prefetched::weight(at, sizes, tile),
        _ => prefetched::image(direction, at, sizes, program, tile).into(),
    };
    match choose(at.device, direction, &sizes) {
        Conv2dVariant::Plain if direction == Direction::BackwardWeight => plain_weight(at, sizes),
        Conv2dVariant::Plain => plain(direction, at, sizes, program).into(),
        Conv2dVariant::Depthwise => depthwise::weight(at, sizes),
        Conv2dVariant::Tiled if direction == Direction::BackwardWeight => tiled::weight(at, sizes),
        Conv2dVariant::Tiled => tiled::image(direction, at, sizes, program).into(),
        Conv2dVariant::Prefetched => by_tiles(prefetched::SMALL),
        Conv2dVariant::PrefetchedTiny => by_tiles(prefetched::TINY),
        Conv2dVariant::PrefetchedNarrow => by_tiles(prefetched::NARROW),
        Conv2dVariant::PrefetchedWide => by_tiles(prefetched::WIDE),
        Conv2dVariant::PrefetchedLarge => by_tiles(prefetched::LARGE),
        Conv2dVariant::Half => Units::of(at.device)
            .and_then(|units| half::conv2d::lower(direction, at, &sizes, program, units))
            .expect("it was chosen because it can run"),
        Conv2dVariant::Strip => software::conv2d::lower(direction, at, sizes, program, false),
        Conv2dVariant::Subgroup => software::conv2d::lower(direction, at, sizes, program, true),
    }
}

/// One invocation per output: the definition.
fn plain(direction: Direction, at: &Lower, sizes: Conv2dShape, program: &Program) -> Dispatch {
    let (name, source) = match direction {
        Direction::BackwardInput => {
            ("conv2d_backward_input", include_str!("../../../shaders/conv2d/1_plain_backward_input.wgsl"))
        }
        _ => ("conv2d_forward", include_str!("../../../shaders/conv2d/1_plain_forward.wgsl")),
    };
    let groups = at.device.fold(at.types.output.elements().div_ceil(64));
    whole(Kernel::built_in(name, source, &[]), at, sizes, program, groups)
}

/// The maximum number of pixels that an invocation adds for the gradient of a weight: half of the limit of loops in
/// Mesa's software rasteriser.
const MAX_PIXELS: usize = software::LOOP_TURNS.div_ceil(2);

/// One invocation per weight and split of the rows that its gradient sums over.
fn plain_weight(at: &Lower, sizes: Conv2dShape) -> Lowering {
    let lines = sizes.batch * sizes.outputs[0];
    let most = (MAX_PIXELS / sizes.outputs[1].max(1)).max(1);
    let share = lines.div_ceil(lines.div_ceil(most).max(1)).max(1);
    let splits = lines.div_ceil(share).max(1);
    let source = include_str!("../../../shaders/conv2d/1_plain_backward_weight.wgsl");
    let kernel = Kernel::built_in("conv2d_backward_weight", source, &[]);
    let groups = at.device.fold((splits * at.types.output.elements()).div_ceil(64));
    split(at, kernel, sizes, share, splits, groups)
}

/// The gradient with respect to the weight, from unpacked operands. `splits` is the number of partial sums.
pub(super) fn split(
    at: &Lower,
    kernel: Kernel,
    sizes: Conv2dShape,
    share: usize,
    splits: usize,
    groups: [u32; 3],
) -> Lowering {
    let sums = whole(kernel, at, sizes, &Program::default(), groups);
    let mut sums = Dispatch { dims: sizes.words([share, splits]), ..sums };
    if splits == 1 {
        return sums.into();
    }
    let elements = at.types.output.elements();
    sums.slots[2] = Slot::Scratch(0);
    let pitch = elements / sizes.out_channels;
    let total = partial_sums(&sizes, splits, pitch).add(at, &Program::default(), 2);
    Lowering { dispatches: vec![sums, total], scratch: vec![splits * elements] }
}

/// A dispatch that computes the whole output from unpacked operands.
pub(super) fn whole(kernel: Kernel, at: &Lower, sizes: Conv2dShape, program: &Program, groups: [u32; 3]) -> Dispatch {
    let (kernel, words) = epilogue::splice(program, kernel, at.types, 2);
    Dispatch {
        kernel,
        slots: (0..at.types.inputs.len()).map(Slot::Input).chain([Slot::Output]).collect(),
        dims: sizes.words([0, 1]).into_iter().chain(words).collect(),
        groups,
        flops: sizes.flops() + at.types.output.elements() as u64 * program.flops(),
        bytes: at.types.bytes(),
    }
}

/// The partial sums `[splits, out channels, pitch]` of a weight's gradient, in the first scratch tensor.
pub(crate) fn partial_sums(sizes: &Conv2dShape, splits: usize, pitch: usize) -> PartialSums {
    let columns = sizes.group_inputs() * sizes.kernel[0] * sizes.kernel[1];
    PartialSums {
        slot: Slot::Scratch(0),
        splits,
        rows: sizes.out_channels,
        columns,
        pitch,
        plane: sizes.out_channels * pitch,
    }
}
