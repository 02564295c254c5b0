//! Adapters and devices: lists the adapters, opens a device, and counts every request to it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::completion::{Completion, TIMEOUT, Waiting};
use super::counters::{Counters, Counts};
use super::failure::{Failure, Failures, refused};
use super::pipelines::Planted;
use crate::graph::Target;
use crate::graph::kernel::{Capabilities, DeviceClass, ForcedVariant};
use crate::{Error, Result};

/// The features that matrix units need.
const MATRIX_UNITS: wgpu::Features = wgpu::Features::SHADER_F16.union(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);

/// An adapter that can be opened.
#[derive(Clone, Debug)]
pub struct Adapter {
    inner: wgpu::Adapter,
    /// Its index in [`adapters`], which `--device` takes.
    pub index: usize,
}

impl Adapter {
    /// Its name, backend and driver.
    pub fn description(&self) -> String {
        describe(&self.inner.get_info())
    }
    /// wgpu's description of it.
    pub fn info(&self) -> wgpu::AdapterInfo {
        self.inner.get_info()
    }
    /// The features that it supports.
    pub fn features(&self) -> wgpu::Features {
        self.inner.features()
    }
    /// The limits that it supports.
    pub fn limits(&self) -> wgpu::Limits {
        self.inner.limits()
    }
    /// A file name for compiled kernels of this adapter and driver. `None` if the backend cannot save them.
    pub fn kernels_key(&self) -> Option<String> {
        let info = self.inner.get_info();
        let driver: String = info.driver_info.chars().filter(char::is_ascii_alphanumeric).collect();
        wgpu::util::pipeline_cache_key(&info).map(|key| format!("{key}_{driver}"))
    }
    /// The side of the square matrices of half precision, with sums in single precision, that its matrix units multiply. `None` if it
    /// has none, or subgroups of several sizes: the units work for a whole subgroup.
    pub fn matrix_units(&self) -> Option<u32> {
        use wgpu::CooperativeScalarType::{F16, F32};
        let info = self.inner.get_info();
        let fixed = info.subgroup_min_size == info.subgroup_max_size && info.subgroup_min_size > 0;
        let offered = self.inner.features().contains(MATRIX_UNITS | wgpu::Features::SUBGROUP);
        let known = self.inner.cooperative_matrix_properties();
        let has = |side: u32| {
            let fits = |of: &wgpu::CooperativeMatrixProperties| {
                [of.m_size, of.n_size, of.k_size] == [side; 3] && (of.ab_type, of.cr_type) == (F16, F32)
            };
            known.iter().any(fits)
        };
        [16, 8].into_iter().find(|&side| fixed && offered && has(side))
    }
    /// Its class, by which kernels are chosen.
    pub fn class(&self) -> DeviceClass {
        class(self.inner.get_info().device_type)
    }
}

fn describe(info: &wgpu::AdapterInfo) -> String {
    let driver = [info.driver.as_str(), info.driver_info.as_str()].join(" ");
    format!("{} ({}, {})", info.name, info.backend, driver.trim())
}

fn class(device_type: wgpu::DeviceType) -> DeviceClass {
    match device_type {
        wgpu::DeviceType::Cpu => DeviceClass::Software,
        wgpu::DeviceType::DiscreteGpu => DeviceClass::Discrete,
        // What a virtual or an unknown adapter is made of is not known. A discrete GPU is taken before it.
        wgpu::DeviceType::IntegratedGpu | wgpu::DeviceType::VirtualGpu | wgpu::DeviceType::Other => {
            DeviceClass::Integrated
        }
    }
}

/// All adapters of the compiled-in backends. Hardware comes first.
pub async fn adapters() -> Vec<Adapter> {
    adapters_of(wgpu::Backends::all()).await
}

/// As [`adapters`], of some backends. The drivers of others are not loaded.
pub async fn adapters_of(backends: wgpu::Backends) -> Vec<Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.flags = wgpu::InstanceFlags::empty();
    descriptor.backends = backends;
    let instance = wgpu::Instance::new(descriptor);
    let mut found = instance.enumerate_adapters(backends).await;
    found.retain(|adapter| adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS));
    found.sort_by_key(|adapter| match class(adapter.get_info().device_type) {
        DeviceClass::Discrete => 0,
        DeviceClass::Integrated => 1,
        DeviceClass::Software => 2,
    });
    found.into_iter().enumerate().map(|(index, inner)| Adapter { inner, index }).collect()
}

/// How kernels are compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Bounds checks and loop limits in every kernel: for tests.
    pub checks: bool,
    /// Timestamps around every dispatch, if the device supports them.
    pub profile: bool,
    /// Chooses kernels for this class of device instead of the device's own: for tests and comparisons.
    pub class: Option<DeviceClass>,
    /// Chooses no kernel that depends on a subgroup size: for tests and comparisons.
    pub without_subgroups: bool,
    /// Kernel variants that ops must use, from [`force`](crate::ops::table::force): for tests and comparisons.
    pub forced: Vec<ForcedVariant>,
    /// Kernel variants that this device computes wrongly, as [`blame`](crate::check::blame) found: ops use their plain kernels.
    pub avoided: Vec<ForcedVariant>,
    /// Mistakes in kernels: for tests of what finds them.
    pub planted: Vec<Planted>,
    /// Large products and convolutions are computed by matrix units, from numbers in half precision with sums in single precision,
    /// if the device has such units, and subgroups of one fixed size. [`half_precision`](crate::check::half_precision) checks them:
    /// they are an experimental feature of wgpu.
    pub half: bool,
    /// The longest time in which the device completes no submission, before it counts as hung. The default is two minutes.
    pub timeout: Option<Duration>,
    /// The limits to open the device with, in place of all that the adapter supports: for tests.
    pub limits: Option<wgpu::Limits>,
    /// Opens the device without subgroups, timestamps and a pipeline cache: for tests.
    pub without_features: bool,
}

/// An opened device. All requests go through it and are counted.
#[derive(Debug)]
pub struct Device {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) counters: Counters,
    pub(super) options: DeviceOptions,
    adapter: Adapter,
    limits: wgpu::Limits,
    features: wgpu::Features,
    matrix_units: Option<u32>,
    failures: Failures,
    waiting: Waiting,
}

/// The most bytes that a binding may have: the largest multiple of 256 below 2 GiB. NVIDIA's bindings end at 2 GiB - 1, and with
/// it the index of every element, even of a byte, is below 2^31.
const MAX_BINDING: u64 = (1 << 31) - 256;

/// The number of bytes in a write to the queue. wgpu allocates memory of this size for each.
const UPLOAD: usize = 32 << 20;

impl Device {
    /// Opens an adapter with all limits that it supports.
    ///
    /// # Errors
    /// When the driver refuses.
    pub async fn open(adapter: &Adapter, options: DeviceOptions) -> Result<Self> {
        let offered = adapter.inner.features();
        let wanted = wgpu::Features::SUBGROUP | wgpu::Features::PIPELINE_CACHE;
        let timed = if options.profile { wgpu::Features::TIMESTAMP_QUERY } else { wgpu::Features::empty() };
        let half = options.half || options.forced.iter().any(ForcedVariant::needs_matrix_units);
        let matrix_units = adapter.matrix_units().filter(|_| half);
        let units = if matrix_units.is_some() { MATRIX_UNITS } else { wgpu::Features::empty() };
        let features = match options.without_features {
            true => wgpu::Features::empty(),
            false => offered & (wanted | timed | units),
        };
        let limits = options.limits.clone().unwrap_or_else(|| adapter.inner.limits());
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("gpunn"),
            required_features: features,
            required_limits: limits.clone(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            experimental_features: match matrix_units {
                #[expect(unsafe_code, reason = "wgpu asks for a promise")]
                // SAFETY: wgpu asks for care with features that may have bugs. Only the kernels of `ops/half` use this one.
                Some(_) => unsafe { wgpu::ExperimentalFeatures::enabled() },
                None => wgpu::ExperimentalFeatures::disabled(),
            },
            ..wgpu::DeviceDescriptor::default()
        };
        let opened = adapter.inner.request_device(&descriptor).await;
        let (device, queue) =
            opened.map_err(|error| Error::Device(format!("cannot open {}: {error}", adapter.description())))?;
        let failures = Failures::default();
        failures.watch(&device);
        let counters = Counters::default();
        let timeout = options.timeout.unwrap_or(TIMEOUT);
        let completed = Arc::new(AtomicU64::new(0));
        let waiting = Waiting { device: device.clone(), completed, timeout, failures: failures.clone() };
        Ok(Self {
            device,
            queue,
            counters,
            options,
            adapter: adapter.clone(),
            limits,
            features,
            matrix_units,
            failures,
            waiting,
        })
    }

    /// The adapter's name, backend and driver.
    pub fn description(&self) -> String {
        self.adapter.description()
    }
    /// The adapter.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }
    /// The number of requests since it was opened.
    pub fn counts(&self) -> Counts {
        self.counters.counts()
    }
    /// Bytes that wgpu's allocator holds for buffers, if the backend reports it.
    pub fn allocated_bytes(&self) -> Option<u64> {
        self.device.generate_allocator_report().map(|report| report.total_allocated_bytes)
    }
    /// Whether it can measure the time of dispatches.
    pub fn has_timestamps(&self) -> bool {
        self.features.contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// The properties by which kernels are chosen.
    pub fn capabilities(&self) -> Capabilities {
        let info = self.adapter.inner.get_info();
        let fixed = info.subgroup_min_size == info.subgroup_max_size && info.subgroup_min_size > 0;
        let has = self.features.contains(wgpu::Features::SUBGROUP);
        Capabilities {
            class: self.options.class.unwrap_or(class(info.device_type)),
            subgroup: (fixed && has && !self.options.without_subgroups).then_some(info.subgroup_min_size),
            max_groups: self.limits.max_compute_workgroups_per_dimension,
            max_binding: self.max_binding(),
            matrix_units: self.matrix_units,
            forced: self.options.forced.clone(),
            avoided: self.options.avoided.clone(),
        }
    }

    fn max_binding(&self) -> u64 {
        self.limits.max_storage_buffer_binding_size.min(MAX_BINDING)
    }

    /// The target for which plans must be made.
    pub fn target(&self) -> Target {
        Target {
            alignment: self.limits.min_storage_buffer_offset_alignment.max(64) as usize,
            max_binding: self.max_binding() as usize,
            max_buffer: self.limits.max_buffer_size as usize,
            max_memory: usize::MAX,
            device: Some(self.capabilities()),
        }
    }

    /// Bytes between two rows of a table of uniforms.
    pub(super) fn uniform_stride(&self) -> usize {
        self.limits.min_uniform_buffer_offset_alignment.max(256) as usize
    }

    pub(super) fn buffer(&self, label: &str, bytes: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        Counters::add(&self.counters.buffers);
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes.next_multiple_of(4).max(16) as u64,
            usage: usage | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        })
    }

    /// Writes in pieces. All but the last are submitted at once, so that wgpu can free their memory early.
    pub(super) fn write(&self, buffer: &wgpu::Buffer, offset: usize, bytes: &[u8]) {
        Counters::add(&self.counters.writes);
        let (whole, rest) = bytes.split_at(bytes.len() / 4 * 4);
        for (number, piece) in whole.chunks(UPLOAD).enumerate() {
            if number > 0 {
                self.queue.submit([]);
                let _ = self.device.poll(wgpu::PollType::Poll);
            }
            self.queue.write_buffer(buffer, (offset + number * UPLOAD) as u64, piece);
        }
        if !rest.is_empty() {
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            self.queue.write_buffer(buffer, (offset + whole.len()) as u64, &last);
        }
    }

    /// Submits work. The future completes when this work and all earlier work is done.
    pub(super) fn submit(&self, encoder: wgpu::CommandEncoder) -> Completion<()> {
        Counters::add(&self.counters.submits);
        let index = self.queue.submit([encoder.finish()]);
        self.done_after(Some(index))
    }

    /// A future that completes when all work submitted so far is done.
    pub(super) fn all_submitted(&self) -> Completion<()> {
        self.done_after(None)
    }

    fn done_after(&self, index: Option<wgpu::SubmissionIndex>) -> Completion<()> {
        let (completion, complete) = Completion::new(&self.waiting, index);
        self.queue.on_submitted_work_done(move || complete.with(Ok(())));
        completion
    }

    /// Waits for submitted work.
    pub(super) async fn wait_for<T>(&self, completion: impl Future<Output = Result<T, String>>) -> Result<T> {
        Counters::add(&self.counters.waits);
        let result = completion.await;
        let failed = result.map_err(|reason| Error::Device(format!("{} {reason}", self.description())));
        match self.failure() {
            // Its own error names the time limit.
            Some(Failure::Hung) if failed.is_err() => failed,
            _ => self.check().and(failed),
        }
    }

    /// Lets wgpu free the resources of finished work, without waiting.
    pub(super) fn free_finished(&self) -> Result<()> {
        let _ = self.device.poll(wgpu::PollType::Poll);
        self.check()
    }

    /// An error if the device refused a kernel that was just compiled. The device stays usable: nothing has run yet.
    pub(super) fn compiled(&self) -> Result<()> {
        match self.failures.take_refused() {
            Some(error) => Err(refused(&self.description(), &error)),
            None => self.check(),
        }
    }

    /// An error if the device cannot go on, or refused something.
    pub(super) fn check(&self) -> Result<()> {
        self.failures.check(&self.description())
    }

    /// Why it cannot go on, if so.
    pub fn failure(&self) -> Option<Failure> {
        self.failures.gravest()
    }

    /// A function that makes the device fail: for tests. It loses the device as the reset of a driver does; of a hang or of missing
    /// memory there is only the note.
    pub fn breaker(&self) -> impl Fn(Failure) + 'static {
        let (device, failures) = (self.device.clone(), self.failures.clone());
        move |failure| {
            failures.note(failure);
            if failure == Failure::Lost {
                device.destroy();
            }
        }
    }

    /// Reads a range of a buffer.
    pub(super) async fn read(&self, buffer: &wgpu::Buffer, offset: usize, bytes: usize) -> Result<Vec<u8>> {
        let whole = bytes.next_multiple_of(4);
        let usage = wgpu::BufferUsages::MAP_READ;
        Counters::add(&self.counters.buffers);
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read back"),
            size: whole.max(4) as u64,
            usage: usage | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, offset as u64, &staging, 0, whole as u64);
        Counters::add(&self.counters.submits);
        let index = self.queue.submit([encoder.finish()]);
        Counters::add(&self.counters.maps);
        let (completion, complete) = Completion::new(&self.waiting, Some(index));
        staging.map_async(wgpu::MapMode::Read, .., move |mapped| {
            complete.with(mapped.map_err(|error| format!("cannot return its results: {error}")));
        });
        self.wait_for(completion).await?;
        let view = staging.get_mapped_range(..).map_err(|error| Error::Device(format!("cannot read back: {error}")))?;
        Ok(view[..bytes].to_vec())
    }
}

/// wgpu's queue waits for its work when it is dropped. The work of a hung device never ends, so the queue is kept.
impl Drop for Device {
    fn drop(&mut self) {
        if self.failure() == Some(Failure::Hung) {
            std::mem::forget((self.device.clone(), self.queue.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_discrete_gpu_is_taken_for_one() {
        use wgpu::DeviceType::{Cpu, DiscreteGpu, IntegratedGpu, Other, VirtualGpu};
        assert_eq!((class(DiscreteGpu), class(Cpu)), (DeviceClass::Discrete, DeviceClass::Software));
        assert_eq!([IntegratedGpu, VirtualGpu, Other].map(class), [DeviceClass::Integrated; 3]);
    }
}
