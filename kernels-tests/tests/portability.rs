//! Every kernel that any case of the op table needs, on any kind of device, is valid WGSL within WebGPU's default limits
//! and can be translated for Vulkan, Metal and DX12. No GPU is needed: naga does here what wgpu does there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use gpunn::check::gradient_graph;
use gpunn::graph::kernel::{Access, Capabilities, DeviceClass, Dispatch, Kernel};
use gpunn::graph::{Graph, Passes, Plan, PlanOptions, Target, optimize};
use gpunn::ops::table::{TABLE, force};
use naga::back::{PipelineConstants, msl, pipeline_constants::process_overrides, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities as NagaCapabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, StorageAccess, TypeInner};

/// WebGPU's default limits.
const MOST_BINDINGS: usize = 8;
const MOST_INVOCATIONS: u32 = 256;
const MOST_WORKGROUP_BYTES: u32 = 16 << 10;
const MOST_GROUPS: u32 = 65_535;

fn targets() -> Vec<(&'static str, Target)> {
    let of = |class, subgroup, alignment| Target {
        alignment,
        device: Some(Capabilities { class, subgroup, ..Capabilities::portable() }),
        ..Target::portable()
    };
    let narrow =
        Target { device: Some(Capabilities { max_groups: 2, ..Capabilities::portable() }), ..Target::portable() };
    let mut targets = vec![
        ("portable", Target::portable()),
        ("software, subgroups of 8", of(DeviceClass::Software, Some(8), 64)),
        ("software", of(DeviceClass::Software, None, 64)),
        ("integrated", of(DeviceClass::Integrated, None, 64)),
        ("integrated, subgroups of 32", of(DeviceClass::Integrated, Some(32), 256)),
        ("discrete, subgroups of 32", of(DeviceClass::Discrete, Some(32), 256)),
        ("discrete, subgroups of 64", of(DeviceClass::Discrete, Some(64), 256)),
        ("at most two workgroups along an axis", narrow),
    ];
    let variants: BTreeSet<&str> = TABLE.iter().flat_map(|entry| (entry.variants)()).collect();
    targets.extend(variants.into_iter().map(|variant| (variant, forcing(variant))));
    targets
}

/// A device with subgroups of 8 on which each op that has a variant takes it.
fn forcing(variant: &str) -> Target {
    let having = TABLE.iter().filter(|entry| (entry.variants)().contains(&variant));
    let forced = having.map(|entry| force(entry.name, variant).expect("it has this variant")).collect();
    let matrix_units = (variant == "half").then_some(8);
    let device = Capabilities { subgroup: Some(8), matrix_units, forced, ..Capabilities::portable() };
    Target { device: Some(device), ..Target::portable() }
}

/// Every distinct kernel with a dispatch of it, by the cases' values and gradients, fused and not, in place and not.
fn kernels() -> HashMap<Kernel, Dispatch> {
    let mut kernels = HashMap::new();
    for case in TABLE.iter().flat_map(|entry| (entry.cases)()) {
        let value = case.graph().expect("it builds").0;
        let gradient = (!case.differentiable.is_empty()).then(|| gradient_graph(&case).expect("it builds").0);
        for graph in std::iter::once(value).chain(gradient) {
            for passes in [Passes::default(), Passes::NONE] {
                let graph = optimize(&graph, passes).expect("it builds");
                collect(&graph, &mut kernels);
            }
        }
    }
    kernels
}

fn collect(graph: &Graph, kernels: &mut HashMap<Kernel, Dispatch>) {
    for (name, target) in targets() {
        for reuse in [true, false] {
            let plan = Plan::new(graph.clone(), &target, PlanOptions { reuse, guard: 0 }).expect("it plans");
            let subgroup = target.device.as_ref().and_then(|device| device.subgroup);
            for dispatch in plan.work.iter().flat_map(|work| &work.lowering.dispatches) {
                let kernel = &dispatch.kernel;
                assert!(
                    kernel.subgroup.is_none() || kernel.subgroup == subgroup,
                    "{}, written for subgroups of {:?}, was chosen for {name}",
                    kernel.label,
                    kernel.subgroup
                );
                let most = dispatch.groups.into_iter().max().unwrap_or(0);
                assert!(most <= MOST_GROUPS, "{}: {:?} workgroups", kernel.label, dispatch.groups);
                // A folded grid may have more invocations than the count, even if that is a multiple of a workgroup.
                let unguarded = kernel.wgsl.contains("fn each(") && kernel.wgsl.contains("const EDGES: bool = false");
                let covered: u32 = dispatch.groups.iter().product();
                assert!(
                    !unguarded || dispatch.dims[0] == 64 * covered,
                    "{} has no guard, but {:?} workgroups for {} invocations ({name})",
                    kernel.label,
                    dispatch.groups,
                    dispatch.dims[0]
                );
                kernels.entry(kernel.clone()).or_insert_with(|| dispatch.clone());
            }
        }
    }
}

pub const HALF: &str = "enable f16;";
pub const MATRIX_UNITS: &str = "enable wgpu_cooperative_matrix;";

/// Parses and validates. No capability is there but subgroups, and those only where the kernel says that it needs them, and what it
/// enables.
fn valid(wgsl: &str, subgroup: bool) -> Result<(Module, ModuleInfo), String> {
    let needs = [
        (subgroup, NagaCapabilities::SUBGROUP),
        (wgsl.contains(HALF), NagaCapabilities::SHADER_FLOAT16),
        (wgsl.contains(MATRIX_UNITS), NagaCapabilities::COOPERATIVE_MATRIX),
    ];
    let capabilities = needs.into_iter().filter(|(needed, _)| *needed).map(|(_, capability)| capability).collect();
    let mut options = naga::front::wgsl::Options::new();
    options.capabilities = capabilities;
    let module = naga::front::wgsl::Frontend::new_with_options(options)
        .parse(wgsl)
        .map_err(|error| error.emit_to_string(wgsl))?;
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    if subgroup {
        validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
        validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    }
    let info = validator.validate(&module).map_err(|error| error.emit_to_string(wgsl))?;
    Ok((module, info))
}

/// What the kernel says of itself and what the host binds agree with the module, and it fits the default limits.
fn check_limits(kernel: &Kernel, dispatch: &Dispatch, module: &Module) -> Result<(), String> {
    let mut storage = BTreeMap::new();
    let mut workgroup_bytes = 0;
    let mut dims_words = 0;
    let mut reads_step = false;
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).map_err(|error| error.to_string())?;
    for (_, variable) in module.global_variables.iter() {
        let place = variable.binding.map(|binding| (binding.group, binding.binding));
        match (variable.space, place) {
            (AddressSpace::Storage { access }, Some((0, binding))) => {
                let writes = access.contains(StorageAccess::STORE);
                storage.insert(binding, if writes { Access::Write } else { Access::Read });
            }
            (AddressSpace::Uniform, Some((0, 0))) => dims_words = words_of(module, variable.ty)?,
            (AddressSpace::Uniform, Some((1, 0))) => reads_step = true,
            (AddressSpace::WorkGroup, None) => workgroup_bytes += layouter[variable.ty].size,
            (AddressSpace::Private, None) => {}
            (space, place) => return Err(format!("a variable in {space:?} at {place:?}")),
        }
    }
    let expect = |holds: bool, what: String| if holds { Ok(()) } else { Err(what) };
    let bound: Vec<_> = storage.into_iter().collect();
    let declared: Vec<_> = (1..).zip(kernel.bindings.iter().copied()).collect();
    expect(bound == declared, format!("it binds {bound:?}, the host {declared:?}"))?;
    expect(bound.len() <= MOST_BINDINGS, format!("{} storage bindings", bound.len()))?;
    expect(
        dispatch.slots.len() == bound.len(),
        format!("{} slots for {} bindings", dispatch.slots.len(), bound.len()),
    )?;
    expect(reads_step == kernel.step, format!("it reads the step: {reads_step}; the host says {}", kernel.step))?;
    expect(workgroup_bytes <= MOST_WORKGROUP_BYTES, format!("{workgroup_bytes} bytes of workgroup memory"))?;
    expect(dims_words <= 64, format!("{dims_words} words of Dims"))?;
    expect(dims_words == dispatch.dims.len(), format!("{dims_words} words of Dims, {} given", dispatch.dims.len()))?;
    // naga puts in the number of workgroups for HLSL only where the entry point itself reads the field.
    let passed = module.functions.iter().flat_map(|(_, function)| &function.arguments);
    let whole = |argument: &naga::FunctionArgument| match &module.types[argument.ty].inner {
        TypeInner::Struct { members, .. } => members.iter().any(|member| member.binding.is_some()),
        _ => false,
    };
    expect(!passed.into_iter().any(whole), "it passes an Invocation to a function".into())?;
    let [entry] = module.entry_points.as_slice() else { return Err("not one entry point".into()) };
    let [x, y, z] = entry.workgroup_size;
    expect(entry.name == "main" && entry.stage == ShaderStage::Compute, "its entry point is not main".into())?;
    expect(x * y * z <= MOST_INVOCATIONS && z <= 64, format!("{:?} invocations", entry.workgroup_size))
}

/// The words of the `Dims` that a host fills one by one: scalars without gaps.
fn words_of(module: &Module, ty: naga::Handle<naga::Type>) -> Result<usize, String> {
    let TypeInner::Struct { members, .. } = &module.types[ty].inner else { return Err("Dims is no struct".into()) };
    for (index, member) in members.iter().enumerate() {
        let scalar = matches!(module.types[member.ty].inner, TypeInner::Scalar(scalar) if scalar.width == 4);
        if !scalar || member.offset as usize != 4 * index {
            return Err(format!("field {index} of Dims is not the next word"));
        }
    }
    Ok(members.len())
}

#[derive(Debug)]
struct Translated {
    /// Of all translations together.
    bytes: usize,
    hlsl: Vec<crate::hlsl::Source>,
}

/// Translates as wgpu's backends would, with checks in the shader and without.
fn translate(kernel: &Kernel, module: &Module, info: &ModuleInfo) -> Result<Translated, String> {
    let entry = Some((ShaderStage::Compute, "main"));
    let overrides = PipelineConstants::default();
    let (module, info) =
        process_overrides(module, info, entry, &overrides).map_err(|error| format!("overrides: {error}"))?;
    let (mut bytes, mut hlsl) = (0, Vec::new());
    for checks in [true, false] {
        let policy = if checks { BoundsCheckPolicy::Restrict } else { BoundsCheckPolicy::Unchecked };
        let policies = BoundsCheckPolicies { index: policy, buffer: policy, image_load: policy, binding_array: policy };
        let spirv = spv::Options {
            lang_version: (1, 3),
            bounds_check_policies: policies,
            force_loop_bounding: checks,
            ..spv::Options::default()
        };
        let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: "main".into() };
        let words =
            spv::write_vec(&module, &info, &spirv, Some(&pipeline)).map_err(|error| format!("SPIR-V: {error}"))?;
        let metal = msl::Options {
            lang_version: (2, 4),
            bounds_check_policies: policies,
            zero_initialize_workgroup_memory: false,
            force_loop_bounding: checks,
            ..msl::Options::default()
        };
        let (metal, _) = msl::write_string(&module, &info, &metal, &msl::PipelineOptions::default())
            .map_err(|error| format!("MSL: {error}"))?;
        bytes += 4 * words.len() + metal.len();
        hlsl.extend(crate::hlsl::sources(kernel, &module, &info, checks)?);
    }
    bytes += hlsl.iter().map(|source| source.text.len()).sum::<usize>();
    Ok(Translated { bytes, hlsl })
}

fn check(kernel: &Kernel, dispatch: &Dispatch) -> Result<Translated, String> {
    let (module, info) = valid(&kernel.wgsl, kernel.subgroup.is_some())?;
    check_limits(kernel, dispatch, &module)?;
    crate::names::check(&module)?;
    translate(kernel, &module, &info)
}

/// Where `GPUNN_HLSL_DIR` names a folder, the HLSL is kept there.
#[test]
fn every_variant_is_valid_everywhere() {
    let folder = std::env::var_os("GPUNN_HLSL_DIR").map(PathBuf::from);
    let kernels = kernels();
    let mut failed = Vec::new();
    let mut written = 0;
    for (kernel, dispatch) in &kernels {
        match check(kernel, dispatch) {
            Ok(translated) => {
                written += translated.bytes;
                if let Some(folder) = &folder {
                    crate::hlsl::keep(folder, kernel, &translated.hlsl);
                }
            }
            Err(error) => failed.push(format!("{}: {error}", kernel.label)),
        }
    }
    let with_subgroups = kernels.keys().filter(|kernel| kernel.subgroup.is_some()).count();
    println!("{} variants, {with_subgroups} of them with subgroups; {written} bytes translated", kernels.len());
    assert!(kernels.len() >= 100, "only {} variants", kernels.len());
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), kernels.len(), failed.join("\n"));
}

/// No two variants of an op lead to the same kernels over its cases: forcing one has an effect.
#[test]
fn every_variant_can_be_forced() {
    for entry in TABLE.iter().filter(|entry| !(entry.variants)().is_empty()) {
        let files = |variant: &&'static str| {
            let mut files = BTreeSet::new();
            for case in (entry.cases)() {
                let graph = case.graph().expect("it builds").0;
                let plan = Plan::new(graph, &forcing(variant), PlanOptions::default()).expect("it plans");
                let own = plan
                    .work
                    .iter()
                    .filter(|work| plan.graph.node(work.node).op().is_some_and(|op| op.name() == entry.name));
                let labels = own.flat_map(|work| &work.lowering.dispatches).map(|dispatch| &dispatch.kernel.label);
                files.extend(labels.cloned());
            }
            (*variant, files)
        };
        let all: Vec<(&str, BTreeSet<String>)> = (entry.variants)().iter().map(files).collect();
        let different: BTreeSet<&BTreeSet<String>> = all.iter().map(|(_, files)| files).collect();
        assert!(
            all.len() > 1 && different.len() == all.len(),
            "{}: two variants are the same kernels: {all:?}",
            entry.name
        );
    }
}

/// A name that is not known is refused with those that are.
#[test]
fn unknown_variants_are_refused() {
    let said = |op, variant| force(op, variant).expect_err("it is unknown").to_string();
    let kernels = "matmul has no kernel variant 'fast'; it has: plain, tiled, registers,";
    assert!(said("matmul", "fast").starts_with(kernels), "{}", said("matmul", "fast"));
    assert!(said("sum", "plain").contains("The ops with variants are: matmul, conv2d,"), "{}", said("sum", "plain"));
}

/// What the checks above would let through if they looked at nothing.
#[test]
fn wrong_kernels_are_refused() {
    let is_sum = |kernel: &Kernel| kernel.label.split(' ').next() == Some("sum");
    let (kernel, dispatch) = kernels().into_iter().find(|(kernel, _)| is_sum(kernel)).expect("a sum");
    assert!(check(&kernel, &dispatch).is_ok());
    let said = |change: &dyn Fn(&mut Kernel, &mut Dispatch)| {
        let (mut kernel, mut dispatch) = (kernel.clone(), dispatch.clone());
        change(&mut kernel, &mut dispatch);
        check(&kernel, &dispatch).expect_err("it is wrong")
    };
    let replaced = |from: &'static str, to: &'static str| {
        said(&move |kernel, _| {
            assert!(kernel.wgsl.contains(from), "{from:?} is not in the kernel");
            kernel.wgsl = kernel.wgsl.replace(from, to);
        })
    };
    let renamed = |from: &str, to: &str| {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        said(&|kernel, _| {
            let words = kernel.wgsl.split_inclusive(|c| !is_name(c));
            let renamed = |word: &str| match word.strip_prefix(from) {
                Some(rest) if !rest.starts_with(is_name) => format!("{to}{rest}"),
                _ => word.to_owned(),
            };
            kernel.wgsl = words.map(renamed).collect();
        })
    };
    assert!(replaced("var sum = 0.0;", "var sum = 0u;").contains("sum"));
    assert!(replaced("@workgroup_size(64)", "@workgroup_size(512)").contains("invocations"));
    assert!(replaced("var<storage, read> x", "var<storage, read_write> x").contains("the host"));
    assert!(replaced("var sum = 0.0;", "var sum = subgroupAdd(0.0);").contains("subgroup"));
    let large = "var<workgroup> tile: array<f32, 4097>;\n@compute";
    assert!(replaced("@compute", large).contains("16388 bytes"));
    assert!(said(&|_, dispatch| dispatch.dims.truncate(1)).contains("words of Dims"));
    assert!(said(&|_, dispatch| dispatch.slots.truncate(1)).contains("slots"));
    assert!(said(&|kernel, _| kernel.step = true).contains("reads the step"));
    // A namespace of DXC, a word of GLSL with an underscore that naga would strip, a word of FXC in another case, a function of DXC, a
    // macro of MSL, and names of forms that GLSL and C++ reserve.
    for word in ["dx", "output_", "Pass", "DebugBreak", "FLT_MAX", "gl_outer", "outer__size", "_outer"] {
        let sentence = renamed("outer", word);
        assert!(sentence.ends_with(&format!("reserved words as names: {word}")), "{sentence}");
    }
    let whole = "fn number(at: Invocation) -> u32 { return linear_group(at.group, at.groups); }\n@compute";
    assert!(replaced("@compute", whole).contains("Invocation"));
}

fn shaders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shaders")
}

/// The WGSL files of a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let paths =
        std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("it can be listed").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "wgsl"))
        .map(|path| {
            let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("it can be read"))
        })
        .collect()
}

/// The library files that the first line of a file names.
fn needs(source: &str) -> impl Iterator<Item = &str> {
    let line = source.lines().next().and_then(|line| line.strip_prefix("// needs: "));
    line.into_iter().flat_map(|line| line.split(", "))
}

/// Each file is WGSL by itself: its constants have values that can be read, and its splice points hold code. Library files are
/// checked as parts of the kernels that need them, and each is needed.
#[test]
fn every_file_is_valid_as_it_stands() {
    let (mut kernels, library) = (files(&shaders()), files(&shaders().join("lib")));
    for folder in ["matmul", "conv2d", "half", "software"] {
        kernels.extend(files(&shaders().join(folder)));
    }
    let mut failed = Vec::new();
    for (name, source) in &kernels {
        let wgsl = Kernel::new(name, source, &[]).wgsl;
        let checked = valid(&wgsl, wgsl.contains("subgroup")).and_then(|(module, _)| crate::names::check(&module));
        if let Err(error) = checked {
            failed.push(format!("{name}.wgsl: {error}"));
        }
    }
    println!("{} kernels, {} library files", kernels.len(), library.len());
    assert!(kernels.len() >= 60 && library.len() >= 20, "{} kernels, {} library files", kernels.len(), library.len());
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    let needed = kernels.values().chain(library.values()).flat_map(|source| needs(source));
    // These replace others.
    let needed: BTreeSet<&str> = needed.chain(["matmul_blocks_scalar", "row_by_workgroup"]).collect();
    let idle: Vec<&String> = library.keys().filter(|name| !needed.contains(name.as_str())).collect();
    assert!(idle.is_empty(), "no kernel needs {idle:?}");
}
