//! `gpunn bench`.

use std::process::ExitCode;

use crate::bench::peak::{self, Peak};
use crate::bench::{self, BenchNetwork, BenchResult, Effort};
use crate::graph::kernel::{DeviceClass, ForcedVariant};
use crate::ops::case::{Case, Sample};
use crate::ops::conv2d::Geometry;
use crate::ops::table::{TABLE, force};
use crate::{Engine, Result, gpu};

use super::flags::ComputeArgs;
use super::ladder;
use super::numbers::{real, whole};
use super::ranks;

/// What can be timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum BenchTarget {
    /// Matrix products: 512 x 512 x 512 and those of a small network
    Matmul,
    /// Convolutions and their gradients: the layers of small networks
    Conv2d,
    /// The large cases of every op
    Ops,
    /// Training steps of the MLP 1024-64-36 at batch 64 and 8, and of a small CNN on 32x32 at batch 64
    Train,
    /// Classification of photos of 224x224 by SqueezeNet, ResNet-18 and MobileNetV2 at batch 32 and 1
    Predict,
    /// The sum of gradients among ranks: processes of `mpirun`, else two threads
    Exchange,
    /// All of these but exchange
    All,
}

impl BenchTarget {
    /// The ops whose kernel variants can be selected.
    fn ops(self) -> &'static [&'static str] {
        match self {
            Self::Matmul => &["matmul"],
            Self::Conv2d => &["conv2d", "conv2d_backward_input", "conv2d_backward_weight"],
            _ => &[],
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn bench matmul --device gpu\n\n\
    Each time is the median of --repeats measurements. The column `share` compares with the peak of the same device, measured\n\
    first: multiply-adds in registers (on the CPU a 1024 x 1024 x 1024 matrix product), and the sum of two tensors for memory.\n\
    The larger of the two shares is printed. `auto` takes a software adapter if there is no hardware GPU.")]
pub struct Args {
    /// What to time
    #[arg(value_enum, default_value = "matmul")]
    what: BenchTarget,
    /// Seconds per measurement
    #[arg(long, default_value_t = 0.2, value_name = "S", value_parser = real::<f64>)]
    seconds: f64,
    /// Number of measurements per case
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = whole::<usize>(1))]
    repeats: usize,
    /// Time this kernel variant of matmul or conv2d (plain, tiled, registers, prefetched, split, ...) where it can run [default: the op's choice]
    #[arg(long, value_name = "NAME", conflicts_with = "ladder")]
    variant: Option<String>,
    /// Time every kernel for hardware of matmul or conv2d, from the plain one up, side by side (docs/kernel-ladder.md)
    #[arg(long)]
    ladder: bool,
    /// With exchange: the number of values of a gradient [default: 2000000]
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1))]
    values: Option<usize>,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct BenchOutput {
    device: String,
    executor: &'static str,
    peak: Peak,
    cases: Vec<BenchResult>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    if !(args.seconds > 0.0 && args.seconds <= 60.0) {
        return Err(crate::Error::usage(format!(
            "--seconds is {}, but has to be more than 0 and at most 60.",
            args.seconds
        )));
    }
    if args.what == BenchTarget::Exchange {
        return exchange(&args);
    }
    if args.values.is_some() {
        return Err(crate::Error::usage("--values is for `gpunn bench exchange`."));
    }
    let effort = Effort { seconds: args.seconds, repeats: args.repeats };
    if args.ladder {
        return ladder(&args, effort);
    }
    let options = gpu::DeviceOptions { forced: forced(&args)?, ..gpu::DeviceOptions::default() };
    let mut engine = args.compute.device.open_any(options, args.compute.quiet)?;
    let peak = peak::measure(&mut engine, effort)?;
    let mut report = BenchOutput { device: engine.device_name(), executor: engine.kind(), peak, cases: Vec::new() };
    let line = |text: &str| if args.compute.output.json { eprintln!("{text}") } else { super::print_line(text) };
    line(&format!("peak: {:.1} GFLOP/s, {:.1} GB/s", peak.gflops, peak.gbytes));
    line(&format!("{:<44} {:>11} {:>21} {:>9} {:>8} {:>6}", "", "median", "min to max", "GFLOP/s", "GB/s", "share"));
    let mut add = |result: BenchResult| {
        let result = result.of_peak(peak);
        line(&row(&result));
        report.cases.push(result);
    };
    if matches!(args.what, BenchTarget::Matmul | BenchTarget::All) {
        for case in products(is_hardware(&engine)) {
            add(bench::time_case(&mut engine, format!("matmul {}", case.label), &case, effort)?);
        }
    }
    if matches!(args.what, BenchTarget::Conv2d | BenchTarget::All) {
        for (name, case) in convolutions() {
            add(bench::time_case(&mut engine, name, &case, effort)?);
        }
    }
    if matches!(args.what, BenchTarget::Ops | BenchTarget::All) {
        for entry in TABLE {
            for case in (entry.cases)().into_iter().filter(|case| case.timed) {
                add(bench::time_case(&mut engine, format!("{} {}", entry.name, case.label), &case, effort)?);
            }
        }
    }
    if matches!(args.what, BenchTarget::Train | BenchTarget::All) {
        engine = steps(engine, effort, &mut add)?;
    }
    if matches!(args.what, BenchTarget::Predict | BenchTarget::All) {
        for (network, batch) in
            ["squeezenet", "resnet18", "mobilenet_v2"].into_iter().flat_map(|name| [(name, 32), (name, 1)])
        {
            let (result, back) = bench::time_prediction(engine, network, batch, effort)?;
            engine = back;
            add(result);
        }
    }
    if args.compute.output.json {
        super::print_json(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The default of `--values`.
const VALUES: usize = 2_000_000;

/// Times the sum of gradients among the processes that were started together, or else among two threads.
fn exchange(args: &Args) -> Result<ExitCode> {
    let values = args.values.unwrap_or(VALUES);
    let time = |collective| bench::time_exchange(collective, values, args.repeats);
    let launched = ranks::join()?;
    let times = match &launched {
        Some(launched) => ranks::or_end_all(time(launched.collective()), launched)?,
        None => {
            let ranks = crate::collective::threads(2).into_iter();
            let times: Vec<_> = std::thread::scope(|scope| {
                let works: Vec<_> = ranks.map(|rank| scope.spawn(move || time(Box::new(rank)))).collect();
                works
                    .into_iter()
                    .map(|work| work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                    .collect()
            });
            times.into_iter().next().expect("two threads have times")?
        }
    };
    if launched.as_ref().is_some_and(|launched| launched.rank() > 0) {
        return Ok(ExitCode::SUCCESS);
    }
    args.compute.output.print(&times, |times| {
        let kind = if launched.is_some() { "processes" } else { "threads" };
        let (sent, list) = (times.sent as f64, 4.0 * times.values as f64);
        super::print_line(&format!(
            "{} {kind}: the sum of {} values takes {:.2} ms ({:.2} to {:.2}); rank 0 sends {}, {:.2} times a list",
            times.ranks,
            times.values,
            1e-3 * times.sum.median_us,
            1e-3 * times.sum.min_us,
            1e-3 * times.sum.max_us,
            super::bytes(times.sent as usize),
            sent / list
        ));
        super::print_line(&format!(
            "an exchange of one word takes {:.0} us ({:.0} to {:.0})",
            times.word.median_us, times.word.min_us, times.word.max_us
        ));
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The selected variant of each op that is timed.
fn forced(args: &Args) -> Result<Vec<ForcedVariant>> {
    let Some(variant) = &args.variant else { return Ok(Vec::new()) };
    if args.what.ops().is_empty() {
        return Err(crate::Error::usage(format!(
            "--variant {variant} was given, but only `bench matmul` and `bench conv2d` have variants."
        )));
    }
    // Not every op has every variant.
    let forced: Vec<_> = args.what.ops().iter().map(|op| force(op, variant)).collect();
    if forced.iter().any(Result::is_ok) {
        Ok(forced.into_iter().flatten().collect())
    } else {
        forced.into_iter().collect()
    }
}

/// Times every kernel of the ladder of an op.
fn ladder(args: &Args, effort: Effort) -> Result<ExitCode> {
    let engine = args.compute.device.open_any(gpu::DeviceOptions::default(), true)?;
    let (kernels, cases) = match args.what {
        BenchTarget::Matmul => {
            let cases = products(is_hardware(&engine)).into_iter();
            (ladder::MATMUL, cases.map(|case| (case.label.clone(), case)).collect::<Vec<_>>())
        }
        BenchTarget::Conv2d => (ladder::CONV2D, convolutions()),
        _ => {
            return Err(crate::Error::usage(
                "--ladder was given, but only `bench matmul` and `bench conv2d` have a ladder of kernels.",
            ));
        }
    };
    ladder::run(&args.compute, args.what.ops(), kernels, &cases, effort)
}

fn steps(mut engine: Engine, effort: Effort, add: &mut impl FnMut(BenchResult)) -> Result<Engine> {
    for (network, batch) in [(BenchNetwork::Mlp, 64), (BenchNetwork::Mlp, 8), (BenchNetwork::Cnn, 64)] {
        engine.forget();
        let (result, back) = bench::time_step(engine, network, batch, effort)?;
        engine = back;
        add(result);
    }
    Ok(engine)
}

/// Whether the engine's device is a real GPU.
fn is_hardware(engine: &Engine) -> bool {
    engine.target().device.is_some_and(|device| device.class != DeviceClass::Software)
}

/// Matrix products: M, N, K, and which operands are transposed. First square products, large ones only on hardware; then those of the
/// MLP: at batch 64 forward, weight gradient, logits and input gradient; at batch 8 forward and weight gradient.
fn products(hardware: bool) -> Vec<Case> {
    let square: &[usize] = if hardware { &[512, 1024, 2048, 4096] } else { &[512] };
    let square = square.iter().map(|&side| (side, side, side, false, false));
    let shapes = [
        (64, 64, 1024, false, true),
        (64, 1024, 64, true, false),
        (64, 36, 64, false, true),
        (64, 64, 36, false, false),
        (8, 64, 1024, false, true),
        (64, 1024, 8, true, false),
    ];
    let of = |(m, n, k, ta, tb): (usize, usize, usize, bool, bool)| {
        let (a, b) = (if ta { [k, m] } else { [m, k] }, if tb { [n, k] } else { [k, n] });
        let case = Case::new(vec![Sample::floats(&a), Sample::floats(&b)], move |graph, x| {
            graph.matmul_transposed(x[0], x[1], ta, tb)
        });
        Case { label: format!("{m}x{n}x{k}{}{}", if ta { " a'" } else { "" }, if tb { " b'" } else { "" }), ..case }
    };
    square.chain(shapes).map(of).collect()
}

/// Convolutions, each with both gradients: a middle layer, a first layer, deep layers with small feature maps, a 1x1
/// convolution, one with stride 2, one with an odd feature map, and a depthwise one.
fn convolutions() -> Vec<(String, Case)> {
    let padded = Geometry::padded(1);
    let halving = Geometry { stride: [2, 2], ..padded };
    let depthwise = Geometry { groups: 64, ..padded };
    let shapes = [
        ("3x3", [64, 32, 16, 16], [64, 3, 3], padded),
        ("3x3", [64, 3, 32, 32], [32, 3, 3], padded),
        ("3x3", [64, 128, 8, 8], [128, 3, 3], padded),
        ("3x3", [64, 256, 4, 4], [256, 3, 3], padded),
        ("1x1", [64, 64, 16, 16], [64, 1, 1], Geometry::default()),
        ("3x3 stride 2", [64, 64, 16, 16], [128, 3, 3], halving),
        ("4x4", [32, 32, 15, 15], [64, 4, 4], padded),
        ("3x3 depthwise", [64, 64, 16, 16], [64, 3, 3], depthwise),
    ];
    let mut cases = Vec::new();
    for (label, x, w, geometry) in shapes {
        let ([batch, channels, height, width], [outputs, kh, kw]) = (x, w);
        let size = |axis: usize| geometry.outputs(axis, x[2 + axis], w[1 + axis]).expect("the shapes fit");
        let dy = Sample::floats(&[batch, outputs, size(0), size(1)]);
        let weight = Sample::floats(&[outputs, channels / geometry.groups, kh, kw]);
        let image = Sample::floats(&x);
        let name = |direction| format!("{channels}-{outputs} {label} {height}x{width} b{batch} {direction}");
        let forward =
            Case::new(vec![image.clone(), weight.clone()], move |graph, x| graph.conv2d(x[0], x[1], geometry));
        let by_input = Case::new(vec![dy.clone(), weight], move |graph, x| {
            graph.conv2d_backward_input(x[0], x[1], [height, width], geometry)
        });
        let by_weight =
            Case::new(vec![image, dy], move |graph, x| graph.conv2d_backward_weight(x[0], x[1], [kh, kw], geometry));
        cases.extend([(name("y"), forward), (name("dx"), by_input), (name("dw"), by_weight)]);
    }
    cases
}

fn row(result: &BenchResult) -> String {
    let time = |us: f64| if us < 1e4 { format!("{us:.1} us") } else { format!("{:.2} ms", us / 1e3) };
    let timing = result.timing;
    format!(
        "{:<44} {:>11} {:>21} {:>9} {:>8.2} {:>6}",
        result.name,
        time(timing.median_us),
        format!("{} to {}", time(timing.min_us), time(timing.max_us)),
        result.gflops.map_or(String::new(), |rate| format!("{rate:.2}")),
        result.gbytes,
        result.share.map_or(String::new(), |share| format!("{:.0} %", 100.0 * share)),
    )
}
