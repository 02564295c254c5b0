//! `gpunn bench`.

use std::process::ExitCode;

use gpunn::bench::peak::{self, Peak};
use gpunn::bench::{self, Effort, Figure, Network};
use gpunn::ops::case::{Case, Sample};
use gpunn::ops::table::TABLE;
use gpunn::{Engine, Result, gpu};

use super::engine::DeviceArgs;

/// What can be timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Matrix products: 512 x 512 x 512 and those of a small network
    Matmul,
    /// The large cases of every op
    Ops,
    /// Training steps of the MLP 1024-64-36 at batch 64 and 8, and of a small CNN on 32x32 at batch 64
    Train,
    /// All of these
    All,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn bench matmul --device gpu\n\n\
    A time is the median of several measurements of many runs each. The share is of the peak that the same device reaches\n\
    in the same minute: multiply-adds in registers (on the CPU a product of 1024 x 1024 x 1024), or the sum of two\n\
    tensors, in caches or in memory, whichever the case comes nearer to. `auto` takes a software adapter where there is nothing better.")]
pub struct Args {
    /// What to time
    #[arg(value_enum, default_value = "matmul")]
    what: What,
    #[command(flatten)]
    device: DeviceArgs,
    /// Seconds of a measurement
    #[arg(long, default_value_t = 0.2, value_name = "S")]
    seconds: f64,
    /// Measurements of each case
    #[arg(long, default_value_t = 7, value_name = "N")]
    repeats: usize,
    /// Print one line of JSON last
    #[arg(long)]
    json: bool,
    /// Do not say which device computes
    #[arg(long, short)]
    quiet: bool,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Report {
    device: String,
    executor: &'static str,
    peak: Peak,
    cases: Vec<Figure>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.device.set_threads()?;
    if !(args.seconds > 0.0 && args.seconds <= 60.0) {
        return Err(gpunn::Error::usage(format!(
            "A measurement of {} seconds was asked for (--seconds), but it has to take more than 0 and at most 60.",
            args.seconds
        )));
    }
    if args.repeats == 0 {
        return Err(gpunn::Error::usage("0 measurements of each case were asked for (--repeats); ask for at least 1."));
    }
    let effort = Effort { seconds: args.seconds, repeats: args.repeats };
    let mut engine = args.device.open_any(gpu::Options::default(), args.quiet)?;
    let peak = peak::measure(&mut engine, effort)?;
    let mut report = Report { device: engine.device_name(), executor: engine.kind(), peak, cases: Vec::new() };
    let line = |text: &str| if args.json { eprintln!("{text}") } else { super::print_line(text) };
    line(&format!("peak: {:.1} GFLOP/s, {:.1} GB/s", peak.gflops, peak.gbytes));
    line(&format!("{:<44} {:>11} {:>21} {:>9} {:>8} {:>6}", "", "median", "min to max", "GFLOP/s", "GB/s", "share"));
    let mut add = |figure: Figure| {
        let figure = figure.of_peak(peak);
        line(&row(&figure));
        report.cases.push(figure);
    };
    if matches!(args.what, What::Matmul | What::All) {
        for case in products() {
            add(bench::case(&mut engine, format!("matmul {}", case.label), &case, effort)?);
        }
    }
    if matches!(args.what, What::Ops | What::All) {
        for entry in TABLE {
            for case in (entry.cases)().into_iter().filter(|case| case.timed) {
                add(bench::case(&mut engine, format!("{} {}", entry.name, case.label), &case, effort)?);
            }
        }
    }
    if matches!(args.what, What::Train | What::All) {
        steps(engine, effort, &mut add)?;
    }
    if args.json {
        super::print_json(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn steps(mut engine: Engine, effort: Effort, add: &mut impl FnMut(Figure)) -> Result<()> {
    for (network, batch) in [(Network::Mlp, 64), (Network::Mlp, 8), (Network::Cnn, 64)] {
        engine.forget();
        let (figure, back) = bench::step(engine, network, batch, effort)?;
        engine = back;
        add(figure);
    }
    Ok(())
}

/// M x N x K, and which operands stand transposed: a square one, then the MLP's forward, weight gradient, logits and input
/// gradient at batch 64, and forward and weight gradient at batch 8.
fn products() -> Vec<Case> {
    let shapes = [
        (512, 512, 512, false, false),
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
    shapes.into_iter().map(of).collect()
}

fn row(figure: &Figure) -> String {
    let time = |us: f64| if us < 1e4 { format!("{us:.1} us") } else { format!("{:.2} ms", us / 1e3) };
    let timing = figure.timing;
    format!(
        "{:<44} {:>11} {:>21} {:>9} {:>8.2} {:>6}",
        figure.name,
        time(timing.median_us),
        format!("{} to {}", time(timing.min_us), time(timing.max_us)),
        figure.gflops.map_or(String::new(), |rate| format!("{rate:.2}")),
        figure.gbytes,
        figure.share.map_or(String::new(), |share| format!("{:.0} %", 100.0 * share)),
    )
}
