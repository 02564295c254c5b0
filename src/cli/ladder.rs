//! `gpunn bench --ladder`: the kernels for hardware side by side.

use std::process::ExitCode;

use crate::bench::peak::{self, Peak};
use crate::bench::{self, Effort};
use crate::graph::kernel::ForcedVariant;
use crate::ops::case::Case;
use crate::ops::table::force;
use crate::{Error, Result, gpu};

use super::flags::ComputeArgs;

/// The kernels of matrix products, from the plain one up.
pub const MATMUL: &[&str] = &["plain", "tiled", "registers", "prefetched", "prefetched_large", "split", "half"];
/// The kernels of convolutions.
pub const CONV2D: &[&str] = &[
    "plain",
    "tiled",
    "prefetched",
    "prefetched_tiny",
    "prefetched_narrow",
    "prefetched_wide",
    "prefetched_large",
    "half",
];
/// The column of the kernel that the op's own table chooses.
const CHOSEN: &str = "chosen";

/// The rates of a case by every kernel.
#[derive(serde::Serialize)]
struct LadderRow {
    name: String,
    /// None for a kernel that the device cannot run.
    gflops: Vec<Option<f64>>,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct LadderOutput {
    device: String,
    peak: Peak,
    kernels: Vec<&'static str>,
    cases: Vec<LadderRow>,
}

/// Times the cases by each of `kernels`, and by the kernel that the ops' own tables choose.
pub fn run(
    compute: &ComputeArgs,
    ops: &[&str],
    kernels: &[&'static str],
    cases: &[(String, Case)],
    effort: Effort,
) -> Result<ExitCode> {
    let kernels: Vec<&'static str> = kernels.iter().copied().chain([CHOSEN]).collect();
    let mut rows: Vec<LadderRow> =
        cases.iter().map(|(name, _)| LadderRow { name: name.clone(), gflops: Vec::new() }).collect();
    let mut measured: Option<(String, Peak)> = None;
    for &kernel in &kernels {
        let forced: Vec<ForcedVariant> = match kernel {
            CHOSEN => Vec::new(),
            _ => ops.iter().map(|op| force(op, kernel)).collect::<Result<_>>()?,
        };
        let needs_units = forced.iter().any(ForcedVariant::needs_matrix_units);
        let options = gpu::DeviceOptions { forced, ..gpu::DeviceOptions::default() };
        let mut engine = compute.device.open_any(options, compute.quiet || measured.is_some())?;
        if engine.kind() == "cpu" {
            return Err(Error::usage("--ladder compares the kernels of a GPU; `--device gpu` takes any adapter."));
        }
        if measured.is_none() {
            measured = Some((engine.device_name(), peak::measure(&mut engine, effort)?));
        }
        let units = engine.target().device.is_some_and(|device| device.matrix_units.is_some());
        for ((name, case), row) in cases.iter().zip(&mut rows) {
            if needs_units && !units {
                row.gflops.push(None);
                continue;
            }
            let result = bench::time_case(&mut engine, name.clone(), case, effort)?;
            row.gflops.push(result.gflops);
        }
    }
    let Some((device, peak)) = measured else { return Ok(ExitCode::SUCCESS) };
    let print = |text: &str| if compute.output.json { eprintln!("{text}") } else { super::print_line(text) };
    print(&format!("peak: {:.1} GFLOP/s, {:.1} GB/s", peak.gflops, peak.gbytes));
    let line = |name: &str, values: Vec<String>| {
        let padded = values.iter().zip(&kernels).map(|(value, kernel)| format!("{value:>0$}", kernel.len().max(8)));
        print(&format!("{name:<34} {}", padded.collect::<Vec<_>>().join(" ")));
    };
    line("GFLOP/s", kernels.iter().map(|kernel| (*kernel).to_owned()).collect());
    for row in &rows {
        line(&row.name, row.gflops.iter().map(|rate| rate.map_or("-".into(), |rate| format!("{rate:.1}"))).collect());
    }
    if compute.output.json {
        super::print_json(&LadderOutput { device, peak, kernels, cases: rows })?;
    }
    Ok(ExitCode::SUCCESS)
}
