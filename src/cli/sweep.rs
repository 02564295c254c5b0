//! `gpunn sweep`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gpunn::data::Dataset;
use gpunn::report;
use gpunn::runs::{Experiment, RunDirectory, RunOutcome};
use gpunn::train::{Recipe, Summary, Trainer, TrainerOptions};
use gpunn::{Engine, Error, Result, gpu};

use super::engine::DeviceArgs;
use super::images::say_skipped;
use super::progress::Stop;
use super::recipe::{Point, RecipeArgs};
use super::train::{RUN, TellingArgs, announce, watched};

/// Runs that a sweep may have at most: more are a mistake of typing.
const MOST_RUNS: usize = 1000;

/// Trains a run for every combination of the values given, each in a folder of its own in --out. Called again with the same
/// flags it goes on where it stopped: runs that ended are read, one that was interrupted is resumed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    gpunn sweep --recipe nist36-mlp --dataset emnist36 --data-dir DIR --lr 0.1,0.01,0.001\n  \
    gpunn sweep --hidden 64/128,64 --seed 1,2,3 --epochs 10\n\n\
    The second tries one hidden layer of 64 and two of 128 and 64, each with three seeds: six runs.")]
pub struct Args {
    #[command(flatten)]
    asked: RecipeArgs,
    /// Learning rates
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "X,...",
        allow_negative_numbers = true,
        help_heading = "Values to try"
    )]
    lr: Vec<f64>,
    /// Numbers of images of a step
    #[arg(long, value_delimiter = ',', value_name = "N,...", help_heading = "Values to try")]
    batch_size: Vec<usize>,
    /// Hidden layers: alternatives apart by slashes, each as `gpunn train` takes it
    #[arg(long, value_delimiter = '/', value_name = "N,.../N,...", value_parser = layers, help_heading = "Values to try")]
    hidden: Vec<Layers>,
    /// Seeds
    #[arg(long, value_delimiter = ',', value_name = "N,...", help_heading = "Values to try")]
    seed: Vec<u64>,
    #[command(flatten, next_help_heading = RUN)]
    device: DeviceArgs,
    /// The folder for the runs, for the table, as sweep.csv and sweep.json, and for what compares them, as sweep.html [default: runs/sweep-RECIPE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    telling: TellingArgs,
}

/// The hidden layers of one alternative.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layers(Vec<usize>);

fn layers(text: &str) -> Result<Layers, String> {
    let sizes: Result<Vec<usize>, _> = text.split(',').map(|size| size.trim().parse()).collect();
    sizes
        .map(Layers)
        .map_err(|_| format!("`{text}` is no list of sizes as in 128,64; put slashes between alternatives"))
}

/// A row of the table.
#[derive(Clone, Debug, serde::Serialize)]
struct Row {
    run: PathBuf,
    lr: f64,
    batch_size: usize,
    hidden: Option<Vec<usize>>,
    seed: u64,
    epochs: u32,
    train_loss: Option<f64>,
    train_accuracy: Option<f64>,
    val_loss: Option<f64>,
    val_accuracy: Option<f64>,
    /// In dB, for an autoencoder.
    val_psnr: Option<f64>,
    test_accuracy: Option<f64>,
    seconds: Option<f64>,
    /// Whether the loss or a weight was no longer a finite number; then there are no figures.
    diverged: bool,
}

/// What `--json` prints and `sweep.json` holds.
#[derive(serde::Serialize)]
struct Table<'a> {
    recipe: &'a str,
    dataset: &'a str,
    out: &'a Path,
    /// The best first.
    runs: &'a [Row],
}

/// What is to be run, or was.
struct Job {
    recipe: Recipe,
    path: PathBuf,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.device.set_threads()?;
    let points = args.points()?;
    // One says for all what is taken where flags leave it open.
    let recipe = |(number, point): (usize, &Point)| args.asked.recipe(point, args.telling.quiet || number > 0);
    let recipes: Vec<Recipe> = points.iter().enumerate().map(recipe).collect::<Result<_>>()?;
    recipes.iter().try_for_each(Recipe::validate)?;
    let name = recipes.first().map_or("", |recipe| recipe.name.as_str()).to_owned();
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(format!("sweep-{name}")));
    let paths = points.iter().map(|point| out.join(args.folder(point)));
    let jobs: Vec<Job> = recipes.into_iter().zip(paths).map(|(recipe, path)| Job { recipe, path }).collect();
    let mut sweep = Sweep {
        args: &args,
        stop: Stop::on_ctrl_c(),
        engine: args.device.open(gpu::DeviceOptions::default(), args.telling.quiet)?,
        data: None,
    };
    let count = jobs.len();
    let mut rows = Vec::new();
    for (number, job) in (1..).zip(jobs) {
        if !args.telling.quiet {
            eprintln!("run {number} of {count}: {}", job.path.display());
        }
        let (row, returned) = match sweep.one(job)? {
            Some(done) => done,
            None => {
                eprintln!("the sweep stopped; the same command goes on with it");
                return Ok(ExitCode::from(130));
            }
        };
        sweep.engine = returned;
        rows.push(row);
    }
    finish(&args, &name, &out, rows)
}

/// Writes the table down and prints it.
fn finish(args: &Args, name: &str, out: &Path, mut rows: Vec<Row>) -> Result<ExitCode> {
    // What cannot be compared comes last.
    rows.sort_by(|a, b| b.figure().total_cmp(&a.figure()));
    let dataset = RunDirectory::open(&rows[0].run)?.recipe()?.data.name;
    let table = Table { recipe: name, dataset: &dataset, out, runs: &rows };
    let text =
        serde_json::to_string_pretty(&table).map_err(|error| Error::data(format!("a sweep's table: {error}")))?;
    gpunn::files::write_atomic(&out.join("sweep.json"), format!("{text}\n").as_bytes())?;
    gpunn::files::write_atomic(&out.join("sweep.csv"), csv(&rows).as_bytes())?;
    let compared: Vec<PathBuf> = rows.iter().filter(|row| !row.diverged).map(|row| row.run.clone()).collect();
    let page = out.join("sweep.html");
    if !compared.is_empty() {
        report::compare(&compared, &page)?;
    }
    if args.telling.json {
        super::print_json(&table)?;
    } else {
        print(&rows);
        super::print_line(&format!("table: {}", out.join("sweep.csv").display()));
        if !compared.is_empty() {
            super::print_line(&format!("report: {}", page.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A sweep under way: one engine serves all runs, and runs of one seed share their data.
struct Sweep<'a> {
    args: &'a Args,
    stop: Stop,
    engine: Engine,
    /// The data of a seed, and their name and folder as a run writes them down.
    data: Option<(u64, Dataset, gpunn::train::recipe::Data)>,
}

impl Sweep<'_> {
    /// Trains a run, or what is left of it; nothing where it was interrupted. The engine comes back with the row.
    fn one(&mut self, Job { mut recipe, path }: Job) -> Result<Option<(Row, Engine)>> {
        let engine = std::mem::replace(&mut self.engine, Engine::cpu());
        let (args, stop) = (self.args, self.stop.clone());
        let dataset = self.data(&mut recipe)?;
        let begun = begun(&path, &recipe)?;
        if let Some(summary) = begun.as_ref().map(RunDirectory::summary).transpose()?.flatten() {
            if !args.telling.quiet {
                eprintln!("it has ended already");
            }
            return Ok(Some((Row::new(path, &recipe, Some(&summary)), engine)));
        }
        let mut trainer = Trainer::new(
            engine,
            recipe.clone(),
            dataset,
            TrainerOptions { clock: Some(gpunn::runs::clock), ..TrainerOptions::default() },
        )?;
        if !args.telling.quiet {
            announce(&trainer);
        }
        let mut experiment = match begun.filter(RunDirectory::has_last) {
            Some(run) => {
                let checkpoint = run.last()?;
                Experiment::resumed(trainer, run, &checkpoint)?
            }
            // One without a checkpoint was cut off in its first epoch.
            None => {
                if let Some(file) = recipe.open_pretrained(args.asked.data_dir.as_deref())? {
                    gpunn::blocking::block_on(trainer.load_pretrained(&file))?;
                }
                Experiment { trainer, run: RunDirectory::create(&path, &recipe, true)?, events: None }
            }
        };
        if args.telling.tensorboard {
            experiment.events = Some(experiment.run.events()?);
        }
        let row = match watched(&mut experiment, args.telling.quiet, &stop) {
            Ok(RunOutcome::Finished(summary)) => Row::new(path, &recipe, Some(&summary)),
            Ok(RunOutcome::Interrupted { .. }) => return Ok(None),
            Err(Error::Diverged(sentence)) => {
                eprintln!("{sentence}");
                Row::new(path, &recipe, None)
            }
            Err(other) => return Err(other),
        };
        let mut engine = experiment.trainer.into_engine();
        engine.forget();
        Ok(Some((row, engine)))
    }

    /// The recipe's data, which it then names as a run writes them down.
    fn data(&mut self, recipe: &mut Recipe) -> Result<&Dataset> {
        let directory = self.args.asked.data_dir.as_deref();
        // What is held out or left out depends on the seed.
        let (_, dataset, named) = match self.data.take() {
            Some(there) if there.0 == recipe.seed => self.data.insert(there),
            _ => {
                let dataset = recipe.load_data(directory)?;
                say_skipped(&dataset);
                self.data.insert((recipe.seed, dataset, recipe.data.clone()))
            }
        };
        recipe.data.clone_from(named);
        Ok(dataset)
    }
}

/// The run that a folder holds, where it is this recipe's.
fn begun(path: &Path, recipe: &Recipe) -> Result<Option<RunDirectory>> {
    if RunDirectory::check(path, false).is_ok() {
        return Ok(None);
    }
    let run = RunDirectory::open(path)?;
    match run.recipe()? == *recipe {
        true => Ok(Some(run)),
        false => Err(Error::usage(format!(
            "{} holds a run of another recipe than this sweep's; name another folder by --out, or remove it.",
            path.display()
        ))),
    }
}

impl Args {
    /// Every combination, the last flag's values in turn the fastest.
    fn points(&self) -> Result<Vec<Point>> {
        fn each<T: Clone>(values: &[T]) -> Vec<Option<T>> {
            if values.is_empty() { vec![None] } else { values.iter().cloned().map(Some).collect() }
        }
        let hidden = each(&self.hidden).into_iter().map(|layers| layers.map(|Layers(sizes)| sizes));
        let mut points: Vec<Point> = hidden.map(|hidden| Point { hidden, ..Point::default() }).collect();
        let mut cross = |change: &dyn Fn(&Point) -> Vec<Point>| points = points.iter().flat_map(change).collect();
        cross(&|point| {
            each(&self.batch_size).into_iter().map(|batch_size| Point { batch_size, ..point.clone() }).collect()
        });
        cross(&|point| each(&self.lr).into_iter().map(|lr| Point { lr, ..point.clone() }).collect());
        cross(&|point| each(&self.seed).into_iter().map(|seed| Point { seed, ..point.clone() }).collect());
        if points.len() > MOST_RUNS {
            return Err(Error::usage(format!("{} runs are asked for; a sweep has {MOST_RUNS} at most.", points.len())));
        }
        let names: std::collections::BTreeSet<String> = points.iter().map(|point| self.folder(point)).collect();
        match names.len() == points.len() {
            true => Ok(points),
            false => Err(Error::usage("A value is named twice; a sweep tries each once.")),
        }
    }

    /// The folder of a run: the flags that the sweep was given, and its values.
    fn folder(&self, point: &Point) -> String {
        let hidden = point.hidden.as_deref().map(|sizes| format!("hidden-{}", joined(sizes)));
        let batch = point.batch_size.map(|size| format!("batch-{size}"));
        let rate = point.lr.map(|rate| format!("lr-{rate}"));
        let seed = point.seed.map(|seed| format!("seed-{seed}"));
        let parts: Vec<String> = [hidden, batch, rate, seed].into_iter().flatten().collect();
        if parts.is_empty() { "run".into() } else { parts.join("-") }
    }
}

/// Sizes of layers in a word.
fn joined(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

impl Row {
    fn new(run: PathBuf, recipe: &Recipe, summary: Option<&Summary>) -> Self {
        Self {
            run,
            lr: recipe.optimizer.learning_rate,
            batch_size: recipe.training.batch_size,
            hidden: recipe.model.hidden.clone(),
            seed: recipe.seed,
            epochs: summary.map_or(recipe.training.epochs, |summary| summary.epochs),
            train_loss: summary.map(|summary| summary.train_loss),
            train_accuracy: summary.and_then(|summary| summary.train_accuracy),
            val_loss: summary.and_then(|summary| summary.val_loss),
            val_accuracy: summary.and_then(|summary| summary.val_accuracy),
            val_psnr: summary.and_then(|summary| summary.val_psnr),
            test_accuracy: summary.and_then(|summary| summary.test_accuracy),
            seconds: summary.map(|summary| summary.seconds),
            diverged: summary.is_none(),
        }
    }

    /// What rows are sorted by: validation accuracy, or dB, or minus the loss where there is neither.
    fn figure(&self) -> f64 {
        let loss = self.val_loss.or(self.train_loss);
        self.val_accuracy.or(self.val_psnr).or(loss.map(|loss| -loss)).unwrap_or(f64::NEG_INFINITY)
    }

    /// Its cells, as [`COLUMNS`] names them.
    fn cells(&self, fraction: impl Fn(f64) -> String) -> [String; 10] {
        let share = |value: Option<f64>| value.map_or_else(String::new, &fraction);
        let number =
            |value: Option<f64>, digits: usize| value.map_or_else(String::new, |value| format!("{value:.digits$}"));
        [
            self.lr.to_string(),
            self.batch_size.to_string(),
            self.hidden.as_deref().map_or_else(String::new, joined),
            self.seed.to_string(),
            if self.diverged { "diverged".into() } else { number(self.train_loss, 4) },
            share(self.train_accuracy),
            number(self.val_loss, 4),
            share(self.val_accuracy),
            number(self.val_psnr, 2),
            number(self.seconds, 1),
        ]
    }
}

const COLUMNS: [&str; 10] = [
    "lr",
    "batch_size",
    "hidden",
    "seed",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "val_psnr",
    "seconds",
];

/// The table for spreadsheets; fractions stay fractions, and the run comes last.
fn csv(rows: &[Row]) -> String {
    let head = format!("{},run\n", COLUMNS.join(","));
    let quoted = |run: &Path| format!("\"{}\"", run.display().to_string().replace('"', "\"\""));
    let line =
        |row: &Row| format!("{},{}\n", row.cells(|fraction| format!("{fraction:.6}")).join(","), quoted(&row.run));
    std::iter::once(head).chain(rows.iter().map(line)).collect()
}

/// Prints the table, without columns that are empty; each is as wide as what stands in it.
fn print(rows: &[Row]) {
    let cells: Vec<[String; 10]> = rows.iter().map(|row| row.cells(super::percent)).collect();
    let filled = |&column: &usize| cells.iter().any(|row| !row[column].is_empty());
    let shown: Vec<usize> = (0..COLUMNS.len()).filter(filled).collect();
    let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0).max(COLUMNS[column].len());
    let line = |text: &dyn Fn(usize) -> String, run: &str| {
        let cells: Vec<String> = shown.iter().map(|&column| format!("{:>1$}", text(column), width(column))).collect();
        super::print_line(&format!("{}  {run}", cells.join("  ")));
    };
    line(&|column| COLUMNS[column].replace('_', " "), "run");
    for (row, cells) in rows.iter().zip(&cells) {
        line(&|column| cells[column].clone(), &row.run.display().to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &str) -> Args {
        Line::try_parse_from(words.split(' ')).expect("right").args
    }

    #[test]
    fn a_grid_has_every_combination_once() {
        let args = args("sweep --lr 0.1,0.01 --hidden 64/128,64 --seed 1,2,3");
        let points = args.points().expect("points");
        let folders: Vec<String> = points.iter().map(|point| args.folder(point)).collect();
        assert_eq!(folders.len(), 12);
        assert_eq!(folders[0], "hidden-64-lr-0.1-seed-1");
        assert_eq!(folders[11], "hidden-128x64-lr-0.01-seed-3");
        assert_eq!(points[11].hidden.as_deref(), Some(&[128, 64][..]));
        assert_eq!(super::tests::args("sweep").points().expect("one").len(), 1);
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        let sentence = args("sweep --lr 0.1,0.1").points().expect_err("twice").to_string();
        assert!(sentence.contains("twice"), "{sentence}");
        let seeds = (0..1001).map(|seed| seed.to_string()).collect::<Vec<_>>().join(",");
        let sentence = args(&format!("sweep --seed {seeds}")).points().expect_err("many").to_string();
        assert!(sentence.contains("1001 runs"), "{sentence}");
        assert!(Line::try_parse_from(["sweep", "--hidden", "64;32"]).is_err());
    }

    #[test]
    fn rows_are_compared_by_what_they_have() {
        let recipe = Recipe::find("glyphs-mlp").expect("a recipe");
        let diverged = Row::new("a,\"b\"".into(), &recipe, None);
        let row =
            |accuracy: Option<f64>, loss: f64| Row { val_accuracy: accuracy, val_loss: Some(loss), ..diverged.clone() };
        assert!(row(Some(0.3), 9.0).figure() > row(Some(0.2), 0.1).figure());
        assert!(row(None, 0.1).figure() > row(None, 0.2).figure());
        assert!(row(None, 1e30).figure() > diverged.figure());
        let csv = csv(&[row(Some(0.25), 1.5), diverged]);
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[1].contains(",1.5000,0.250000,,,\"a,\"\"b\"\"\""), "{csv}");
        assert!(lines[2].contains("diverged"), "{csv}");
        assert!(lines.iter().take(1).all(|line| line.split(',').count() == 11), "{csv}");
    }
}
