//! `gpunn devices`.

use std::path::Path;
use std::process::ExitCode;

use crate::gpu::Adapter;
use crate::graph::kernel::DeviceClass;
use crate::{Result, gpu};
use serde::Serialize;

use super::drivers::missing::{Machine, missing};
use super::drivers::{self, Usable};
use super::flags::JsonArgs;
use super::working::Working;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn devices --json\n\n\
    Drivers are tried in a process of their own, once for each version of them, so that one that crashes or hangs is left out. They get\n\
    30 seconds, or as many as GPUNN_DRIVER_SECONDS says.")]
pub struct Args {
    #[command(flatten)]
    output: JsonArgs,
}

/// An adapter and its limits.
#[derive(Serialize)]
struct AdapterOutput {
    index: usize,
    name: String,
    backend: String,
    driver: String,
    /// The numbers of the maker and the model, on PCI.
    ids: [u32; 2],
    class: &'static str,
    max_binding_bytes: u64,
    max_buffer_bytes: u64,
    max_workgroup_bytes: u32,
    max_invocations: u32,
    subgroup_sizes: Option<[u32; 2]>,
    timestamps: bool,
    pipeline_cache: bool,
    /// The side of the matrices that its matrix units multiply in half precision.
    matrix_units: Option<u32>,
}

#[derive(Serialize)]
struct DevicesOutput {
    devices: Vec<AdapterOutput>,
    /// The adapter that `--device auto` takes, by index; none for the CPU.
    auto: Option<usize>,
    why: &'static str,
    /// GPUs that are there, but whose driver cannot be used, and why.
    missing: Vec<String>,
    /// Drivers that crashed or hung when they were tried.
    left_out: Vec<String>,
    threads: usize,
}

fn device(adapter: &Adapter) -> AdapterOutput {
    let (info, limits, features) = (adapter.info(), adapter.limits(), adapter.features());
    let subgroups = features.contains(gpu::Features::SUBGROUP);
    AdapterOutput {
        index: adapter.index,
        ids: [info.vendor, info.device],
        name: info.name,
        backend: info.backend.to_string(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        class: match adapter.class() {
            DeviceClass::Software => "software",
            DeviceClass::Integrated => "integrated",
            DeviceClass::Discrete => "discrete",
        },
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_buffer_bytes: limits.max_buffer_size,
        max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
        max_invocations: limits.max_compute_invocations_per_workgroup,
        subgroup_sizes: subgroups.then_some([info.subgroup_min_size, info.subgroup_max_size]),
        timestamps: features.contains(gpu::Features::TIMESTAMP_QUERY),
        pipeline_cache: features.contains(gpu::Features::PIPELINE_CACHE),
        matrix_units: adapter.matrix_units(),
    }
}

pub fn run(args: Args) -> Result<ExitCode> {
    let work = Working::new("trying the GPU drivers", args.output.json);
    let Usable { adapters: found, left_out } = drivers::again();
    drop(work);
    let auto = found.iter().find(|adapter| adapter.class() != DeviceClass::Software).map(|adapter| adapter.index);
    let why = match (auto, found.is_empty()) {
        (Some(_), _) => "the first hardware GPU (gpunn train takes the CPU if a step is faster there)",
        (None, true) => "no adapter was found",
        (None, false) => "there is no hardware GPU, and the CPU is faster than a software adapter",
    };
    let devices = found.iter().map(device).collect();
    let vendors: Vec<u32> = found.iter().map(|adapter| adapter.info().vendor).collect();
    let machine = Machine { root: Path::new("/"), variable: &|name| std::env::var(name).ok() };
    // The GPU of a driver that is left out is not missing.
    let missing =
        if left_out.is_empty() && cfg!(target_os = "linux") { missing(&machine, &vendors) } else { Vec::new() };
    let report = DevicesOutput { devices, auto, why, missing, left_out, threads: rayon::current_num_threads() };
    args.output.print(&report, print)?;
    Ok(ExitCode::SUCCESS)
}

fn print(report: &DevicesOutput) {
    for device in &report.devices {
        super::print_line(&format!("{}  {} ({}, {})", device.index, device.name, device.backend, device.class));
        super::print_line(&format!("   driver      {}", device.driver));
        super::print_line(&format!(
            "   limits      bindings to {}, buffers to {}, workgroups to {} and {} invocations",
            super::bytes(device.max_binding_bytes as usize),
            super::bytes(device.max_buffer_bytes as usize),
            super::bytes(device.max_workgroup_bytes as usize),
            device.max_invocations
        ));
        let subgroups = match device.subgroup_sizes {
            Some([least, most]) if least == most => format!("subgroups of {least}"),
            Some([least, most]) => format!("subgroups of {least} to {most}"),
            None => "no subgroups".into(),
        };
        let has = |there: bool, what: &str| if there { what.to_owned() } else { format!("no {what}") };
        let (timestamps, cache) = (has(device.timestamps, "timestamps"), has(device.pipeline_cache, "pipeline cache"));
        let units = match device.matrix_units {
            Some(side) => format!("{side}x{side} matrix units in f16"),
            None => "no matrix units".into(),
        };
        super::print_line(&format!("   features    {subgroups}, {timestamps}, {cache}, {units}"));
    }
    super::print_line(&format!("cpu  {} threads", report.threads));
    let auto = report.auto.map_or("cpu".to_owned(), |index| index.to_string());
    super::print_line(&format!("--device auto takes {auto}: {}", report.why));
    report.left_out.iter().chain(&report.missing).for_each(|sentence| super::print_line(sentence));
    if report.devices.is_empty() && report.left_out.is_empty() && cfg!(target_os = "linux") {
        super::print_line("The package mesa-vulkan-drivers installs a software adapter, for testing.");
    }
}
