//! `gpunn sweep`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::data::Dataset;
use crate::report;
use crate::runs::{Experiment, RunDirectory, RunOutcome};
use crate::train::{Recipe, Summary, Trainer, TrainerOptions};
use crate::{Engine, Error, Result};

use super::engine::{DeviceArgs, options_to_train};
use super::images::print_skipped;
use super::numbers::{real, whole};
use super::recipe::{GridPoint, RecipeArgs, print_warnings};
use super::stop::StopFlag;
use super::train::{OutputArgs, RUN_HEADING, print_plan, train_with_progress};
use super::working::Working;

/// The largest number of runs of a sweep: more are probably a typing mistake.
const MAX_RUNS: usize = 1000;

/// Trains one run for every combination of the given values, each in its own folder in --out. An interrupted sweep is resumed by
/// the same command: finished runs are not trained again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    gpunn sweep --recipe nist36-mlp --dataset emnist36 --data-dir DIR --lr 0.1,0.01,0.001\n  \
    gpunn sweep --hidden 64/128,64 --seed 1,2,3 --epochs 10\n\n\
    The second example trains six runs: one hidden layer of 64 features, and two of 128 and 64, each with three seeds.")]
pub struct Args {
    #[command(flatten)]
    recipe_args: RecipeArgs,
    /// Learning rates, separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "X,...",
        value_parser = real::<f64>,
        help_heading = "Values to try"
    )]
    lr: Vec<f64>,
    /// Batch sizes, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "N,...", value_parser = whole::<usize>(1), help_heading = "Values to try")]
    batch_size: Vec<usize>,
    /// Hidden layers: alternatives separated by slashes, each as for `gpunn train`
    #[arg(long, value_delimiter = '/', value_name = "N,.../N,...", value_parser = layers, help_heading = "Values to try")]
    hidden: Vec<HiddenLayers>,
    /// Seeds, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "N,...", value_parser = whole::<u64>(0), help_heading = "Values to try")]
    seed: Vec<u64>,
    #[command(flatten, next_help_heading = RUN_HEADING)]
    device: DeviceArgs,
    /// The folder for the runs, the tables sweep.csv and sweep.json, and the report sweep.html [default: runs/sweep-RECIPE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// The hidden layers of one alternative.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HiddenLayers(Vec<usize>);

fn layers(text: &str) -> Result<HiddenLayers, String> {
    let sizes: Result<Vec<usize>, _> = text.split(',').map(|size| size.trim().parse()).collect();
    sizes
        .map(HiddenLayers)
        .map_err(|_| format!("`{text}` is not a list of sizes such as 128,64; separate alternatives by slashes"))
}

/// A row of the table: one run.
#[derive(Clone, Debug, serde::Serialize)]
struct SweepRow {
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
    /// Validation PSNR in dB, for an autoencoder.
    val_psnr: Option<f64>,
    test_accuracy: Option<f64>,
    seconds: Option<f64>,
    /// Whether the loss or a weight became infinite or NaN; then there are no results.
    diverged: bool,
}

/// What `--json` prints and `sweep.json` holds.
#[derive(serde::Serialize)]
struct SweepOutput<'a> {
    recipe: &'a str,
    dataset: &'a str,
    out: &'a Path,
    /// The runs, the best first.
    runs: &'a [SweepRow],
}

/// A run to train, or one that is already finished.
struct SweepJob {
    recipe: Recipe,
    path: PathBuf,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.device.set_threads()?;
    let points = args.points()?;
    // Notes about defaults are printed once, for the first run.
    let recipe = |(number, point): (usize, &GridPoint)| args.recipe_args.recipe(point, args.output.quiet || number > 0);
    let recipes: Vec<Recipe> = points.iter().enumerate().map(recipe).collect::<Result<_>>()?;
    recipes.iter().try_for_each(Recipe::validate)?;
    let name = recipes.first().map_or("", |recipe| recipe.name.as_str()).to_owned();
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(format!("sweep-{name}")));
    let paths = points.iter().map(|point| out.join(args.folder(point)));
    let jobs: Vec<SweepJob> = recipes.into_iter().zip(paths).map(|(recipe, path)| SweepJob { recipe, path }).collect();
    let options = options_to_train(jobs.iter().map(|job| &job.recipe));
    let mut sweep = Sweep {
        args: &args,
        stop: StopFlag::on_signals(),
        engine: args.device.open(options, args.output.quiet)?,
        data: None,
        lost: Vec::new(),
    };
    let count = jobs.len();
    let mut rows = Vec::new();
    for (number, job) in (1..).zip(jobs) {
        if !args.output.quiet {
            eprintln!("run {number} of {count}: {}", job.path.display());
            print_warnings(&job.recipe);
        }
        let (row, returned) = match sweep.one(job)? {
            Some(done) => done,
            None => {
                eprintln!("the sweep was stopped; run the same command again to resume it");
                return Ok(sweep.stop.exit_code());
            }
        };
        sweep.engine = returned;
        rows.push(row);
    }
    let lost = std::mem::take(&mut sweep.lost);
    let code = finish(&args, &name, &out, rows)?;
    match lost.is_empty() {
        true => Ok(code),
        false => Err(Error::data(format!("Not all of the runs is on the disk. {}", lost.join(" ")))),
    }
}

/// Writes the tables and the report, and prints the table.
fn finish(args: &Args, name: &str, out: &Path, mut rows: Vec<SweepRow>) -> Result<ExitCode> {
    // Diverged runs come last.
    rows.sort_by(|a, b| b.score().total_cmp(&a.score()));
    let dataset = RunDirectory::open(&rows[0].run)?.recipe()?.data.name;
    let table = SweepOutput { recipe: name, dataset: &dataset, out, runs: &rows };
    let text = serde_json::to_string_pretty(&table)
        .map_err(|error| Error::data(format!("The table cannot be written as JSON: {error}.")))?;
    crate::files::write_atomic(&out.join("sweep.json"), format!("{text}\n").as_bytes())?;
    crate::files::write_atomic(&out.join("sweep.csv"), csv(&rows).as_bytes())?;
    let compared: Vec<PathBuf> = rows.iter().filter(|row| !row.diverged).map(|row| row.run.clone()).collect();
    let page = out.join("sweep.html");
    if !compared.is_empty() {
        report::compare(&compared, &page)?;
    }
    if args.output.format.json {
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

/// The state of a sweep: all runs share one engine, and runs with the same seed share the dataset.
struct Sweep<'a> {
    args: &'a Args,
    stop: StopFlag,
    engine: Engine,
    /// Seed, dataset for that seed, and the recipe section that describes it.
    data: Option<(u64, Dataset, crate::train::recipe::Data)>,
    /// What could not be written, each as a sentence.
    lost: Vec<String>,
}

impl Sweep<'_> {
    /// Trains a run or the rest of it; none if it was interrupted. Returns the engine with the row.
    fn one(&mut self, SweepJob { mut recipe, path }: SweepJob) -> Result<Option<(SweepRow, Engine)>> {
        let engine = std::mem::replace(&mut self.engine, Engine::cpu());
        let (args, stop) = (self.args, self.stop.clone());
        let dataset = self.data(&mut recipe)?;
        let pretrained = recipe.open_pretrained(args.recipe_args.data_dir.path())?;
        let existing_run = existing_run(&path, &recipe)?;
        if let Some(summary) = existing_run.as_ref().map(RunDirectory::summary).transpose()?.flatten() {
            if !args.output.quiet {
                eprintln!("already finished");
            }
            return Ok(Some((SweepRow::new(path, &recipe, Some(&summary)), engine)));
        }
        let trainer_options = TrainerOptions { clock: Some(crate::runs::clock), ..TrainerOptions::default() };
        let work = Working::new("preparing the training", args.output.quiet);
        let mut trainer = Trainer::new(engine, recipe.clone(), dataset, trainer_options)?;
        drop(work);
        if !args.output.quiet {
            print_plan(&trainer);
        }
        let mut experiment = match existing_run.filter(RunDirectory::has_last) {
            Some(run) => {
                let checkpoint = run.last()?;
                Experiment::resumed(trainer, run, dataset, &checkpoint)?
            }
            // A run without a checkpoint was interrupted in its first epoch.
            None => {
                if let Some(file) = &pretrained {
                    crate::blocking::block_on(trainer.load_pretrained(file))?;
                }
                Experiment::new(trainer, RunDirectory::create(&path, &recipe, true)?, dataset)?
            }
        };
        if args.output.tensorboard {
            experiment.events = Some(experiment.run.events()?);
        }
        let options = options_to_train([&recipe]);
        let mut reopen = |failure, times| args.device.reopen(failure, times, options.clone());
        let told = (args.output.quiet, &stop, None);
        let row = match train_with_progress(&mut experiment, (dataset, trainer_options), told, &mut reopen) {
            Ok(RunOutcome::Finished(summary)) => {
                self.lost.extend(experiment.lost().map(|lost| format!("{}: {lost}", path.display())));
                SweepRow::new(path, &recipe, Some(&summary))
            }
            Ok(RunOutcome::Interrupted { .. }) => return Ok(None),
            Err(Error::Diverged(sentence)) => {
                eprintln!("{sentence}");
                SweepRow::new(path, &recipe, None)
            }
            Err(other) => return Err(other),
        };
        let mut engine = experiment.trainer.into_engine();
        engine.forget();
        Ok(Some((row, engine)))
    }

    /// The recipe's dataset; also completes the recipe's data section.
    fn data(&mut self, recipe: &mut Recipe) -> Result<&Dataset> {
        let directory = self.args.recipe_args.data_dir.path();
        // The seed decides which images are for validation, and which are left out.
        let (_, dataset, named) = match self.data.take() {
            Some(there) if there.0 == recipe.seed => self.data.insert(there),
            _ => {
                let dataset = recipe.load_data(directory)?;
                print_skipped(&dataset);
                self.data.insert((recipe.seed, dataset, recipe.data.clone()))
            }
        };
        recipe.data.clone_from(named);
        Ok(dataset)
    }
}

/// The run in a folder, if there is one with this recipe.
fn existing_run(path: &Path, recipe: &Recipe) -> Result<Option<RunDirectory>> {
    if RunDirectory::check(path, false).is_ok() {
        return Ok(None);
    }
    let run = RunDirectory::open(path)?;
    match run.recipe()? == *recipe {
        true if run.summary()?.is_some() => Ok(Some(run)),
        true => Ok(Some(RunDirectory::open_to_train(path)?)),
        false => Err(Error::usage(format!(
            "{} holds a run of another recipe than this sweep's. Give another folder with --out, or remove that run.",
            path.display()
        ))),
    }
}

impl Args {
    /// All combinations; the values of the last flag change fastest.
    fn points(&self) -> Result<Vec<GridPoint>> {
        fn each<T: Clone>(values: &[T]) -> Vec<Option<T>> {
            if values.is_empty() { vec![None] } else { values.iter().cloned().map(Some).collect() }
        }
        let hidden = each(&self.hidden).into_iter().map(|layers| layers.map(|HiddenLayers(sizes)| sizes));
        let mut points: Vec<GridPoint> = hidden.map(|hidden| GridPoint { hidden, ..GridPoint::default() }).collect();
        let mut cross =
            |change: &dyn Fn(&GridPoint) -> Vec<GridPoint>| points = points.iter().flat_map(change).collect();
        cross(&|point| {
            each(&self.batch_size).into_iter().map(|batch_size| GridPoint { batch_size, ..point.clone() }).collect()
        });
        cross(&|point| each(&self.lr).into_iter().map(|lr| GridPoint { lr, ..point.clone() }).collect());
        cross(&|point| each(&self.seed).into_iter().map(|seed| GridPoint { seed, ..point.clone() }).collect());
        if points.len() > MAX_RUNS {
            return Err(Error::usage(format!(
                "The flags give {} runs, but a sweep has at most {MAX_RUNS}. Give fewer values.",
                points.len()
            )));
        }
        let names: std::collections::BTreeSet<String> = points.iter().map(|point| self.folder(point)).collect();
        match names.len() == points.len() {
            true => Ok(points),
            false => Err(Error::usage("A flag has the same value twice. Remove the repeated value.")),
        }
    }

    /// The name of a run's folder: the flags that vary and their values.
    fn folder(&self, point: &GridPoint) -> String {
        let hidden = point.hidden.as_deref().map(|sizes| format!("hidden-{}", joined(sizes)));
        let batch = point.batch_size.map(|size| format!("batch-{size}"));
        let rate = point.lr.map(|rate| format!("lr-{rate}"));
        let seed = point.seed.map(|seed| format!("seed-{seed}"));
        let parts: Vec<String> = [hidden, batch, rate, seed].into_iter().flatten().collect();
        if parts.is_empty() { "run".into() } else { parts.join("-") }
    }
}

/// Layer sizes as one word, such as `128x64`.
fn joined(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

impl SweepRow {
    fn new(run: PathBuf, recipe: &Recipe, summary: Option<&Summary>) -> Self {
        Self {
            run,
            lr: recipe.optimizer.learning_rate,
            batch_size: recipe.training.batch_size,
            hidden: recipe.model.hidden.clone(),
            seed: recipe.seed,
            epochs: summary.map_or(recipe.training.begun_epochs(), |summary| summary.epochs),
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

    /// The value that rows are sorted by: validation accuracy, else PSNR, else the negative loss.
    fn score(&self) -> f64 {
        let loss = self.val_loss.or(self.train_loss);
        self.val_accuracy.or(self.val_psnr).or(loss.map(|loss| -loss)).unwrap_or(f64::NEG_INFINITY)
    }

    /// The cells of the columns in [`COLUMNS`].
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

/// The table as CSV; accuracies are fractions, and the run's path comes last.
fn csv(rows: &[SweepRow]) -> String {
    let head = format!("{},run\n", COLUMNS.join(","));
    let quoted = |run: &Path| format!("\"{}\"", run.display().to_string().replace('"', "\"\""));
    let line =
        |row: &SweepRow| format!("{},{}\n", row.cells(|fraction| format!("{fraction:.6}")).join(","), quoted(&row.run));
    std::iter::once(head).chain(rows.iter().map(line)).collect()
}

/// Prints the table without empty columns; each column is as wide as its content.
fn print(rows: &[SweepRow]) {
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
    struct TestCommand {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &str) -> Args {
        TestCommand::try_parse_from(words.split(' ')).expect("right").args
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
        assert!(TestCommand::try_parse_from(["sweep", "--hidden", "64;32"]).is_err());
    }

    #[test]
    fn rows_are_compared_by_what_they_have() {
        let recipe = Recipe::find("glyphs-mlp").expect("a recipe");
        let diverged = SweepRow::new("a,\"b\"".into(), &recipe, None);
        let row = |accuracy: Option<f64>, loss: f64| SweepRow {
            val_accuracy: accuracy,
            val_loss: Some(loss),
            ..diverged.clone()
        };
        assert!(row(Some(0.3), 9.0).score() > row(Some(0.2), 0.1).score());
        assert!(row(None, 0.1).score() > row(None, 0.2).score());
        assert!(row(None, 1e30).score() > diverged.score());
        let csv = csv(&[row(Some(0.25), 1.5), diverged]);
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[1].contains(",1.5000,0.250000,,,\"a,\"\"b\"\"\""), "{csv}");
        assert!(lines[2].contains("diverged"), "{csv}");
        assert!(lines.iter().take(1).all(|line| line.split(',').count() == 11), "{csv}");
    }
}
