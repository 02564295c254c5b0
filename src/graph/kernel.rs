//! Kernels as data: a WGSL file with values for its constants. Some kernels also get spliced code. No wgpu type
//! appears here, so plans can be made and shaders checked without a device.

use std::fmt::Write as _;

/// The class of an adapter. Kernels are chosen by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceClass {
    /// A software rasteriser: a CPU that runs GPU code. Load instructions are its main cost.
    Software,
    /// A GPU that shares the CPU's memory. Also a virtual GPU, and one that does not say what it is.
    Integrated,
    /// A GPU with memory of its own.
    Discrete,
}

/// The properties of a device that lowering may use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// The device's class. Each class has its own row in an op's kernel table.
    pub class: DeviceClass,
    /// The subgroup size in lanes, if the adapter has subgroups of one fixed size.
    pub subgroup: Option<u32>,
    /// The largest number of workgroups along one axis of a dispatch. Larger grids are folded.
    pub max_groups: u32,
    /// The largest binding, in bytes. A kernel that needs a larger scratch tensor is not chosen.
    pub max_binding: u64,
    /// The side of the square matrices that the device's matrix units multiply, in half precision with sums in single precision, if
    /// they are to be used. The subgroup size is fixed then.
    pub matrix_units: Option<u32>,
    /// Kernel variants that ops must use instead of their tables' choice: for tests and comparisons.
    pub forced: Vec<ForcedVariant>,
    /// Kernel variants that ops must not choose, because the device computes them wrongly: the plain kernel takes their place.
    pub avoided: Vec<ForcedVariant>,
}

/// A kernel variant of an op: one that it must use where it can run, or one that it must avoid. `ops::table::force` checks the
/// names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForcedVariant {
    pub(crate) op: &'static str,
    pub(crate) variant: &'static str,
    pub(crate) needs_matrix_units: bool,
}

impl ForcedVariant {
    /// The op and the variant.
    pub fn names(&self) -> [&'static str; 2] {
        [self.op, self.variant]
    }
    /// Whether only matrix units can run the variant.
    pub fn needs_matrix_units(&self) -> bool {
        self.needs_matrix_units
    }
}

impl Capabilities {
    /// WebGPU's default limits. Every variant fits them, except those chosen for a special capability.
    pub fn portable() -> Self {
        Self {
            class: DeviceClass::Discrete,
            subgroup: None,
            max_groups: 65_535,
            max_binding: 128 << 20,
            matrix_units: None,
            forced: Vec::new(),
            avoided: Vec::new(),
        }
    }
    /// The name of the variant that an op must use, if one is forced.
    pub(crate) fn forced_variant(&self, op: &str) -> Option<&'static str> {
        self.forced.iter().find(|forced| forced.op == op).map(|forced| forced.variant)
    }
    /// Whether an op must not choose a variant.
    pub(crate) fn avoids(&self, op: &str, variant: &str) -> bool {
        self.avoided.iter().any(|avoided| (avoided.op, avoided.variant) == (op, variant))
    }
    /// A linear grid of `groups` workgroups. If one axis is too short, the grid is folded into two. Kernels compute
    /// the linear workgroup number with `shaders/lib/grid.wgsl`.
    pub fn fold(&self, groups: usize) -> [u32; 3] {
        let most = self.max_groups as usize;
        let groups = groups.max(1);
        if groups <= most {
            return [word(groups), 1, 1];
        }
        let rows = groups.div_ceil(most);
        [word(groups.div_ceil(rows)), word(rows), 1]
    }
}

/// A value for one `const` of a WGSL file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constant {
    /// `u32`.
    U32(u32),
    /// `f32`.
    F32(f32),
    /// `bool`.
    Bool(bool),
}
impl From<u32> for Constant {
    fn from(value: u32) -> Self {
        Self::U32(value)
    }
}
impl From<f32> for Constant {
    fn from(value: f32) -> Self {
        Self::F32(value)
    }
}
impl From<bool> for Constant {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
impl Constant {
    fn wgsl(self) -> String {
        match self {
            Self::U32(value) => format!("{value}u"),
            Self::F32(value) => format!("{value:?}f"),
            Self::Bool(value) => value.to_string(),
        }
    }
}

/// How a kernel uses a storage binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    Write,
}

/// A variant of a kernel. Its rendered WGSL identifies it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// The file's name without its extension, and the constants that distinguish the variant: for profiles and
    /// errors.
    pub label: String,
    /// The complete WGSL module.
    pub wgsl: String,
    /// How each storage binding is used. Bindings start at 1 in group 0.
    pub bindings: Vec<Access>,
    /// Whether it reads the step's values (group 1).
    pub step: bool,
    /// The subgroup size that it requires, in lanes.
    pub subgroup: Option<u32>,
    /// Whether it is compiled with bounds checks and limits of loops on every device.
    pub(crate) checked: bool,
}

/// Library files. A kernel requests them in its first line: `// needs: NAME, NAME`.
const LIBRARY: &[(&str, &str)] = &[
    ("grid", include_str!("../../shaders/lib/grid.wgsl")),
    ("each", include_str!("../../shaders/lib/each.wgsl")),
    ("step", include_str!("../../shaders/lib/step.wgsl")),
    ("total", include_str!("../../shaders/lib/total.wgsl")),
    ("maximum", include_str!("../../shaders/lib/maximum.wgsl")),
    ("row", include_str!("../../shaders/lib/row.wgsl")),
    ("row_by_lane", include_str!("../../shaders/lib/row_by_lane.wgsl")),
    ("row_by_workgroup", include_str!("../../shaders/lib/row_by_workgroup.wgsl")),
    ("workgroup_sum", include_str!("../../shaders/lib/workgroup_sum.wgsl")),
    ("ordered_sum", include_str!("../../shaders/lib/ordered_sum.wgsl")),
    ("augment", include_str!("../../shaders/lib/augment.wgsl")),
    ("augment_more", include_str!("../../shaders/lib/augment_more.wgsl")),
    ("sine_cosine", include_str!("../../shaders/lib/sine_cosine.wgsl")),
    ("trivial", include_str!("../../shaders/lib/trivial.wgsl")),
    ("rectangles", include_str!("../../shaders/lib/rectangles.wgsl")),
    ("rmsprop", include_str!("../../shaders/lib/rmsprop.wgsl")),
    ("optimizer", include_str!("../../shaders/lib/optimizer.wgsl")),
    ("resize2d", include_str!("../../shaders/lib/resize2d.wgsl")),
    ("philox", include_str!("../../shaders/lib/philox.wgsl")),
    ("conv2d", include_str!("../../shaders/lib/conv2d.wgsl")),
    ("conv2d_sides", include_str!("../../shaders/lib/conv2d_sides.wgsl")),
    ("pool2d", include_str!("../../shaders/lib/pool2d.wgsl")),
    ("pool2d_pairs", include_str!("../../shaders/lib/pool2d_pairs.wgsl")),
    ("pool2d_backward", include_str!("../../shaders/lib/pool2d_backward.wgsl")),
    ("max_pool2d", include_str!("../../shaders/lib/max_pool2d.wgsl")),
    ("average_pool2d", include_str!("../../shaders/lib/average_pool2d.wgsl")),
    ("matmul", include_str!("../../shaders/lib/matmul.wgsl")),
    ("matmul_vectors", include_str!("../../shaders/lib/matmul_vectors.wgsl")),
    ("matmul_numbers", include_str!("../../shaders/lib/matmul_numbers.wgsl")),
    ("register_tiles", include_str!("../../shaders/lib/register_tiles.wgsl")),
    ("bands", include_str!("../../shaders/lib/bands.wgsl")),
    ("prefetched_product", include_str!("../../shaders/lib/prefetched_product.wgsl")),
    ("matmul_blocks", include_str!("../../shaders/lib/matmul_blocks.wgsl")),
    ("matmul_blocks_scalar", include_str!("../../shaders/lib/matmul_blocks_scalar.wgsl")),
    ("matmul_tiles", include_str!("../../shaders/lib/matmul_tiles.wgsl")),
    ("conv2d_packed", include_str!("../../shaders/lib/conv2d_packed.wgsl")),
    ("conv2d_weight", include_str!("../../shaders/lib/conv2d_weight.wgsl")),
    ("batch_norm", include_str!("../../shaders/lib/batch_norm.wgsl")),
    ("layer_norm2d", include_str!("../../shaders/lib/layer_norm2d.wgsl")),
    ("cross_entropy", include_str!("../../shaders/lib/cross_entropy.wgsl")),
    ("tags", include_str!("../../shaders/lib/tags.wgsl")),
    ("binary_cross_entropy", include_str!("../../shaders/lib/binary_cross_entropy.wgsl")),
    ("softmax_row", include_str!("../../shaders/lib/softmax_row.wgsl")),
    ("subgroup", include_str!("../../shaders/lib/subgroup.wgsl")),
];

impl Kernel {
    /// The kernel of a WGSL file with these values for its constants. Its storage bindings are read off the file: group 0, from
    /// binding 1 on; binding 0 is the uniform of [`Dispatch::dims`].
    ///
    /// A first line `// needs: each, philox`, after the `enable` lines if there are any, puts library files before it, each once, after the files that they need themselves.
    /// They are in `shaders/lib`. For kernels of your own:
    ///
    /// | file | what it has |
    /// |---|---|
    /// | `each` | the entry point and the uniform `dims`: calls `fn each(number: u32)` for every number below `dims.count` |
    /// | `grid` | the number of a workgroup in a folded grid, for kernels with an entry point of their own |
    /// | `step` | the numbers of the training step, group 1 |
    /// | `philox` | counter-based random numbers |
    /// | `ordered_sum` | the sum of `fn term(i: u32) -> f32` by one invocation, in order |
    /// | `workgroup_sum`, `total` | the sum of `fn term(i: u32) -> f32`, or of one number of each lane, by a workgroup |
    ///
    /// The kernel is compiled with bounds checks: an index out of range reads or writes another element of the same tensor, never
    /// other memory. [`Kernel::without_checks`] removes them.
    ///
    /// # Panics
    /// When the file lacks one of the constants, needs an unknown library file, or its bindings have a gap: a mistake of the
    /// kernel's author.
    pub fn new(name: &str, source: &str, constants: &[(&str, Constant)]) -> Self {
        Self { checked: true, ..Self::built_in(name, source, constants) }
    }

    /// The same kernel without bounds checks and without limits of loops, as the kernels of this crate are compiled.
    ///
    /// # Safety
    /// For all inputs that the op accepts, every index must be within its array, and every loop must end.
    #[expect(unsafe_code, reason = "its caller promises what no compiler checks")]
    pub unsafe fn without_checks(self) -> Self {
        Self { checked: false, ..self }
    }

    /// A kernel of this crate. The tests run each one with and without checks, all variants of an op with `scripts/test.sh --slow`.
    pub(crate) fn built_in(name: &str, source: &str, constants: &[(&str, Constant)]) -> Self {
        Self::with_library(name, source, constants, &[])
    }

    /// A kernel of this crate with other library files than those that it names: `instead` has pairs of a name and what replaces
    /// it.
    pub(crate) fn with_library(
        name: &str,
        source: &str,
        constants: &[(&str, Constant)],
        instead: &[(&'static str, &'static str)],
    ) -> Self {
        // A module begins with the extensions that it needs, before the library files.
        let enabled = source.lines().take_while(|line| line.starts_with("enable ")).map(|line| line.len() + 1).sum();
        let (enables, body) = source.split_at(enabled);
        let mut wgsl = enables.to_owned();
        let mut included = Vec::new();
        include(&mut wgsl, &mut included, name, body, instead);
        let step = included.contains(&"step");
        let mut label = name.to_owned();
        for (constant, value) in constants {
            wgsl = replace_constant(&wgsl, constant, &value.wgsl())
                .unwrap_or_else(|| panic!("{name}.wgsl has no line 'const {constant}: '"));
            let _ = write!(label, " {}={}", constant.to_lowercase(), value.wgsl().trim_end_matches(['u', 'f']));
        }
        Self { label, bindings: storage_bindings(&wgsl), wgsl, step, subgroup: None, checked: false }
    }

    /// Marks the variant as written for one subgroup size.
    pub fn for_subgroup(mut self, size: u32) -> Self {
        self.subgroup = Some(size);
        self
    }

    /// Replaces the text at a splice point with `code`.
    ///
    /// # Panics
    /// When the module does not contain the text exactly once: a bug in this crate.
    pub(crate) fn splice(mut self, point: &str, code: &str) -> Self {
        assert_eq!(self.wgsl.matches(point).count(), 1, "{}: splice point {point:?}", self.label);
        self.wgsl = self.wgsl.replace(point, code);
        self.bindings = storage_bindings(&self.wgsl);
        self
    }
}

/// Appends a WGSL file to the module, after the library files that it needs. Each of these is included once.
fn include<'a>(
    wgsl: &mut String,
    included: &mut Vec<&'a str>,
    name: &str,
    source: &'a str,
    instead: &[(&'static str, &'static str)],
) {
    let needs = source.lines().next().and_then(|line| line.strip_prefix("// needs: "));
    for need in needs.into_iter().flat_map(|needs| needs.split(", ")) {
        let need = instead.iter().find(|(name, _)| *name == need).map_or(need, |(_, other)| other);
        if !included.contains(&need) {
            let (need, text) =
                LIBRARY.iter().find(|(name, _)| *name == need).unwrap_or_else(|| panic!("{name} needs '{need}'"));
            included.push(need);
            include(wgsl, included, need, text, instead);
        }
    }
    wgsl.push_str(source);
}

fn replace_constant(wgsl: &str, name: &str, value: &str) -> Option<String> {
    let start = wgsl.find(&format!("const {name}: "))?;
    let equals = start + wgsl[start..].find('=')?;
    let end = equals + wgsl[equals..].find(';')?;
    Some(format!("{} {value}{}", &wgsl[..=equals], &wgsl[end..]))
}

/// The storage bindings of group 0. Their numbers start at 1, without gaps.
fn storage_bindings(wgsl: &str) -> Vec<Access> {
    let mut found: Vec<(u32, Access)> = wgsl
        .lines()
        .filter_map(|line| {
            let rest = line.trim().strip_prefix("@group(0) @binding(")?;
            let (number, rest) = rest.split_once(')')?;
            let access = if rest.contains("var<storage, read_write>") {
                Access::Write
            } else if rest.contains("var<storage, read>") {
                Access::Read
            } else {
                return None;
            };
            Some((number.parse().ok()?, access))
        })
        .collect();
    found.sort_by_key(|(number, _)| *number);
    assert!(found.iter().enumerate().all(|(i, (number, _))| *number == i as u32 + 1), "storage bindings {found:?}");
    found.into_iter().map(|(_, access)| access).collect()
}

/// What a storage binding of a dispatch is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The node's input with this index.
    Input(usize),
    /// The leaf with this index that the node updates.
    State(usize),
    /// The node's value.
    Output,
    /// A scratch tensor of [`Lowering::scratch`].
    Scratch(usize),
}

/// A size as a 32-bit word of [`Dispatch::dims`], a constant, or a number of workgroups.
///
/// # Panics
/// When it does not fit: a bug in this crate, because a plan refuses larger tensors before their ops are lowered.
pub(crate) fn word(size: usize) -> u32 {
    u32::try_from(size).unwrap_or_else(|_| panic!("the size {size} does not fit 32 bits"))
}

/// A signed number as a word, in two's complement: as [`word`].
///
/// # Panics
/// As [`word`].
pub(crate) fn signed_word(number: isize) -> u32 {
    i32::try_from(number).unwrap_or_else(|_| panic!("the number {number} does not fit 32 bits")).cast_unsigned()
}

/// One dispatch of a kernel.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The kernel.
    pub kernel: Kernel,
    /// What its storage bindings are, in order.
    pub slots: Vec<Slot>,
    /// The 32-bit words of its `Dims`, at most 64.
    pub dims: Vec<u32>,
    /// The number of workgroups along each axis.
    pub groups: [u32; 3],
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes that must be moved: each operand counts once.
    pub bytes: u64,
}

/// How a node runs on a GPU. A node whose value is a view has no dispatch.
#[derive(Clone, Debug, Default)]
pub struct Lowering {
    /// The dispatches, in the order in which they run.
    pub dispatches: Vec<Dispatch>,
    /// Scratch tensors needed while the node runs: the number of floats of each.
    pub scratch: Vec<usize>,
}

impl From<Dispatch> for Lowering {
    fn from(dispatch: Dispatch) -> Self {
        Self { dispatches: vec![dispatch], scratch: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "// needs: grid, step
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
const TILE: u32 = 8u;
const SLOPE: f32 = 0.5; // stays
const EDGES: bool = false;
";

    #[test]
    fn constants_library_and_bindings_are_those_of_the_file() {
        let constants = [("TILE", 16.into()), ("SLOPE", 1e-7.into()), ("EDGES", true.into())];
        let kernel = Kernel::new("name", SOURCE, &constants);
        for line in ["const TILE: u32 = 16u;", "const SLOPE: f32 = 1e-7f; // stays", "const EDGES: bool = true;"] {
            assert!(kernel.wgsl.contains(line), "{line:?} is not in\n{}", kernel.wgsl);
        }
        assert!(kernel.wgsl.contains("fn linear_group") && kernel.step);
        assert_eq!(kernel.bindings, [Access::Read, Access::Write]);
        assert_eq!(kernel.label, "name tile=16 slope=1e-7 edges=true");
        // A different constant makes a different kernel.
        assert_ne!(kernel, Kernel::new("name", SOURCE, &[("TILE", 32.into())]));
        // Kernels from outside this crate are compiled with checks.
        assert!(kernel.checked && !Kernel::built_in("name", SOURCE, &[]).checked);
    }

    #[test]
    #[should_panic(expected = "name.wgsl has no line 'const DEPTH: '")]
    fn a_constant_that_is_not_there_is_a_mistake() {
        Kernel::new("name", SOURCE, &[("DEPTH", 1.into())]);
    }

    #[test]
    #[should_panic(expected = "storage bindings [(2, Write)]")]
    fn a_gap_in_the_bindings_is_a_mistake() {
        Kernel::new("name", "@group(0) @binding(2) var<storage, read_write> y: array<f32>;", &[]);
    }
}
