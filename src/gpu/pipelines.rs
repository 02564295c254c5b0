//! Compiles kernels: each variant once, several in parallel. The caller can save compiled kernels on disk if the
//! backend supports it.

use std::collections::HashMap;
use std::sync::Arc;

use super::counters::Counters;
use super::device::Device;
use crate::graph::kernel::{Access, Kernel};
use crate::parallel::*;
use crate::{Error, Result};

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    /// The layout of group 0: dims, then the storage bindings.
    pub layout: wgpu::BindGroupLayout,
}

/// All compiled kernels of a device, and the backend's cache of them.
pub(super) struct Pipelines {
    known: HashMap<Kernel, Arc<Pipeline>>,
    /// The layout of group 1: the values of a step, at a dynamic offset.
    pub step_layout: wgpu::BindGroupLayout,
    cache: Option<wgpu::PipelineCache>,
    keep: Option<Keep>,
}

/// A function that saves the bytes of compiled kernels for the next run.
pub type Keep = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Compiled kernels that outlive a run. This module uses no files. The caller who opens the device loads and saves
/// the bytes.
pub struct KeptKernels {
    /// The bytes that an earlier run on the same adapter and driver passed to `keep`.
    pub bytes: Option<Vec<u8>>,
    /// Called with all compiled kernels after new ones have been compiled.
    pub keep: Keep,
}

/// A mistake in a kernel: a text of its module is replaced when it is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planted {
    /// The kernel's name: the first word of its label.
    pub kernel: String,
    /// The text.
    pub text: String,
    /// What replaces it.
    pub instead: String,
}

impl Planted {
    /// The module of a kernel with these mistakes.
    fn into(planted: &[Self], kernel: &Kernel) -> String {
        let of_kernel = planted.iter().filter(|planted| kernel.label.split(' ').next() == Some(&planted.kernel));
        of_kernel.fold(kernel.wgsl.clone(), |wgsl, planted| wgsl.replace(&planted.text, &planted.instead))
    }
}

const CHECKSUM: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

/// The bytes followed by their checksum.
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = CHECKSUM.checksum(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// The bytes without the checksum of [`with_checksum`]. `None` if a byte was changed or is missing. wgpu and the driver
/// check only a header.
fn without_checksum(bytes: &[u8]) -> Option<&[u8]> {
    let (bytes, checksum) = bytes.split_last_chunk()?;
    (CHECKSUM.checksum(bytes) == u32::from_le_bytes(*checksum)).then_some(bytes)
}

/// The length of the part of wgpu's header that is the same for all caches of a device and its driver.
const OF_DEVICE: usize = 48;

/// The backend's cache, with these bytes if they are of this device. wgpu reports bytes of another one as a program error, and the
/// device then refuses all other requests.
fn pipeline_cache(device: &wgpu::Device, kept: Option<&[u8]>) -> wgpu::PipelineCache {
    let with = |data| {
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("gpunn"), data, fallback: true };
        #[expect(unsafe_code, reason = "wgpu believes the bytes of a pipeline cache")]
        // SAFETY: the bytes come complete from `PipelineCache::get_data`, which the checksum proves. With `fallback`, the driver may
        // refuse bytes of another version.
        unsafe {
            device.create_pipeline_cache(&descriptor)
        }
    };
    let empty = with(None);
    let header = empty.get_data().unwrap_or_default();
    let is_of_device = |kept: &&[u8]| header.len() >= OF_DEVICE && kept.starts_with(&header[..OF_DEVICE]);
    match kept.filter(is_of_device) {
        Some(kept) => with(Some(kept)),
        None => empty,
    }
}

impl std::fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipelines").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl Pipelines {
    /// No compiled kernels, except those that the backend finds in the saved bytes.
    pub fn new(device: &Device, kept: Option<KeptKernels>) -> Self {
        let (kept, keep) = kept.map_or((None, None), |kept| (kept.bytes, Some(kept.keep)));
        let kept = kept.as_deref().and_then(without_checksum);
        let step_layout = device.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("step"),
            entries: &[uniform_entry(0, true)],
        });
        let supported = device.device.features().contains(wgpu::Features::PIPELINE_CACHE);
        let cache = supported.then(|| pipeline_cache(&device.device, kept));
        Self { known: HashMap::new(), step_layout, cache, keep }
    }

    /// Compiles the kernels that are not compiled yet, in parallel.
    pub fn compile<'a>(&mut self, device: &Device, kernels: impl Iterator<Item = &'a Kernel>) -> Result<()> {
        let mut missing: Vec<&Kernel> = Vec::new();
        for kernel in kernels {
            if !self.known.contains_key(kernel) && !missing.contains(&kernel) {
                missing.push(kernel);
            }
        }
        device.check()?;
        let compiled: Vec<_> = missing.par_iter().map(|kernel| self.compile_one(device, kernel)).collect();
        device.compiled()?;
        let mut new = false;
        for (kernel, pipeline) in missing.into_iter().zip(compiled) {
            self.known.insert(kernel.clone(), Arc::new(pipeline?));
            new = true;
        }
        if let (true, Some(keep), Some(bytes)) = (new, &self.keep, self.cache.as_ref().and_then(|c| c.get_data())) {
            keep(&with_checksum(bytes));
        }
        Ok(())
    }

    /// A kernel that has been compiled.
    pub fn get(&self, kernel: &Kernel) -> &Arc<Pipeline> {
        &self.known[kernel]
    }

    fn compile_one(&self, device: &Device, kernel: &Kernel) -> Result<Pipeline> {
        let capabilities = device.capabilities();
        if kernel.subgroup.is_some() && kernel.subgroup != capabilities.subgroup {
            return Err(Error::Device(format!(
                "the kernel '{}' is written for subgroups of {:?}, but {} has {:?}",
                kernel.label,
                kernel.subgroup,
                device.description(),
                capabilities.subgroup
            )));
        }
        Counters::add(&device.counters.pipelines);
        let checks = device.options.checks || kernel.checked;
        let wgsl = Planted::into(&device.options.planted, kernel);
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(&kernel.label), source: wgpu::ShaderSource::Wgsl(wgsl.into()) };
        let module = if checks {
            device.device.create_shader_module(descriptor)
        } else {
            #[expect(unsafe_code, reason = "wgpu compiles without checks only what is promised to need none")]
            // SAFETY: the kernel is part of this crate, or its author promised that it needs no checks. The tests run each kernel of
            // this crate with and without checks, with exact bindings, and check the memory around every tensor.
            unsafe {
                device.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
            }
        };
        let mut entries = vec![uniform_entry(0, false)];
        for (index, access) in kernel.bindings.iter().enumerate() {
            entries.push(storage_entry(index as u32 + 1, *access));
        }
        let layout = device.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(&kernel.label),
            entries: &entries,
        });
        let mut groups = vec![Some(&layout)];
        if kernel.step {
            groups.push(Some(&self.step_layout));
        }
        let pipeline_layout = device.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&kernel.label),
            bind_group_layouts: &groups,
            immediate_size: 0,
        });
        let pipeline = device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&kernel.label),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // A kernel of this crate writes what it reads. FXC takes a minute for the zeros of a large tile.
                zero_initialize_workgroup_memory: kernel.checked,
                ..wgpu::PipelineCompilationOptions::default()
            },
            cache: self.cache.as_ref(),
        });
        Ok(Pipeline { pipeline, layout })
    }
}

fn uniform_entry(binding: u32, dynamic: bool) -> wgpu::BindGroupLayoutEntry {
    entry(binding, wgpu::BufferBindingType::Uniform, dynamic)
}

fn storage_entry(binding: u32, access: Access) -> wgpu::BindGroupLayoutEntry {
    entry(binding, wgpu::BufferBindingType::Storage { read_only: access == Access::Read }, false)
}

fn entry(binding: u32, ty: wgpu::BufferBindingType, has_dynamic_offset: bool) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::block_on;
    use crate::gpu::DeviceOptions;
    use std::sync::Mutex;

    /// A header that names another device, with a right checksum: the bytes are dropped, and the device works.
    #[test]
    fn kept_bytes_of_another_device_or_driver_are_dropped() {
        let adapters = block_on(crate::gpu::adapters());
        let Some(adapter) = adapters.iter().find(|adapter| adapter.kernels_key().is_some()) else { return };
        let device = block_on(Device::open(adapter, DeviceOptions::default())).expect("it opens");
        let kernel = Kernel::new(
            "store",
            "@group(0) @binding(1) var<storage, read_write> y: array<f32>;\n\
             @compute @workgroup_size(1) fn main() { y[0] = 1.0; }",
            &[],
        );
        let kept = Arc::new(Mutex::new(Vec::new()));
        let compiled = |bytes: Option<Vec<u8>>| {
            let all = kept.clone();
            let keep: Keep = Box::new(move |bytes: &[u8]| *all.lock().expect("no panic") = bytes.to_vec());
            let mut pipelines = Pipelines::new(&device, Some(KeptKernels { bytes, keep }));
            pipelines.compile(&device, std::iter::once(&kernel))
        };
        compiled(None).expect("it compiles");
        let whole = kept.lock().expect("no panic").clone();
        let sound = without_checksum(&whole).expect("whole").to_vec();
        for place in 0..64 {
            let mut other = sound.clone();
            other[place] ^= 1;
            compiled(Some(with_checksum(other))).unwrap_or_else(|error| panic!("byte {place}: {error}"));
        }
        compiled(Some(whole)).expect("as before");
    }

    #[test]
    fn what_is_kept_is_taken_back_only_whole() {
        let whole = with_checksum((0..100).collect());
        assert_eq!(without_checksum(&whole), Some(&whole[..100]));
        for length in 0..whole.len() {
            assert_eq!(without_checksum(&whole[..length]), None, "cut to {length}");
            let mut changed = whole.clone();
            changed[length] ^= 1;
            assert_eq!(without_checksum(&changed), None, "byte {length} changed");
        }
    }
}
