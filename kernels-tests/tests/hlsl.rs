//! Kernels in HLSL, as wgpu's DX12 backend has naga write them. `scripts/dx12.sh compile` has Microsoft's compilers read what
//! [`keep`] writes.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::Path;

use gpunn::graph::kernel::Kernel;
use naga::Module;
use naga::back::hlsl::{BindTarget, Options, PipelineOptions, ShaderModel, Writer};
use naga::valid::ModuleInfo;

/// A kernel in HLSL.
#[derive(Debug)]
pub struct Source {
    model: ShaderModel,
    checks: bool,
    pub text: String,
}

/// The kernel for each shader model it is compiled for, with checks in the shader or without. FXC compiles 5.1 and has no
/// subgroups; DXC takes 6.0, and 6.2 for half precision. HLSL has no matrix units.
///
/// # Errors
/// naga's, with the shader model.
pub fn sources(kernel: &Kernel, module: &Module, info: &ModuleInfo, checks: bool) -> Result<Vec<Source>, String> {
    let models = match &kernel.wgsl {
        wgsl if wgsl.contains(crate::portability::MATRIX_UNITS) => &[][..],
        wgsl if wgsl.contains(crate::portability::HALF) => &[ShaderModel::V6_2],
        _ if kernel.subgroup.is_some() => &[ShaderModel::V6_0],
        _ => &[ShaderModel::V5_1, ShaderModel::V6_0],
    };
    let source = |&model: &ShaderModel| {
        let options = Options {
            shader_model: model,
            restrict_indexing: checks,
            // Only kernels from outside the crate have it zeroed, and none is here.
            zero_initialize_workgroup_memory: false,
            force_loop_bounding: checks,
            // The number of workgroups is a constant that the host gives. No kernel has anything else in this space.
            special_constants_binding: Some(BindTarget { space: 2, ..BindTarget::default() }),
            ..Options::default()
        };
        let mut text = String::new();
        Writer::new(&mut text, &options, &PipelineOptions::default())
            .write(module, info, None)
            .map_err(|error| format!("HLSL {model:?}: {error}"))?;
        Ok(Source { model, checks, text })
    };
    models.iter().map(source).collect()
}

/// Writes a kernel's sources into a folder that has none of them yet: `HASH-KERNEL-VARIANT-plain-cs_5_1.hlsl` and so on.
pub fn keep(folder: &Path, kernel: &Kernel, sources: &[Source]) {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let mut hasher = DefaultHasher::new();
    kernel.hash(&mut hasher);
    let (name, variant) = kernel.label.split_once(' ').unwrap_or((&kernel.label, ""));
    let plain = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let label = format!("{:016x}-{}-{}", hasher.finish(), plain(name), plain(variant));
    for Source { model, checks, text } in sources {
        let kind = if *checks { "checked" } else { "plain" };
        let path = folder.join(format!("{label}-{kind}-cs_{}.hlsl", model.to_str()));
        let written = File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
