//! `gpunn sweep`, and the cross-validation of `gpunn train`.

pub mod folds;
mod halving;
mod keys;
mod points;
mod rows;
pub mod runner;
mod table;
mod values;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use crate::runs::RunDirectory;
use crate::train::Recipe;
use crate::{Error, Result};

use super::engine::DeviceArgs;
use super::numbers::{real, whole};
use super::ranks::Place;
use super::recipe::{GridPoint, OrAuto, RecipeArgs};
use super::train::{OutputArgs, RUN_HEADING};
use halving::Halving;
use points::{Drawn, Point};
use rows::SweepRow;
use runner::{Job, Runner, Tools};
use table::{Table, publish};
use values::{Tried, Values, checked};

const TRY_HEADING: &str = "Values to try";
const SEARCH_HEADING: &str = "Search";

/// Trains runs that differ in the given values, each in its own folder in --out, and compares them. An interrupted sweep is resumed
/// by the same command: finished runs are not trained again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    gpunn sweep --recipe nist36-mlp --dataset emnist36 --data-dir DIR --lr 0.1,0.01,0.001\n  \
    gpunn sweep --hidden 64/128,64 --seed 1,2,3 --epochs 10\n  \
    gpunn sweep --try optimizer.momentum=0.8,0.9 --try augment.flip=true,false\n  \
    gpunn sweep --search random --runs 20 --lr log:1e-3..1 --try training.batch_size=16,32,64\n  \
    gpunn sweep --search halving --lr 0.1,0.05,0.01 --hidden 32/64/128\n\n\
    The second example trains six runs: one hidden layer of 64 features, and two of 128 and 64, each with three seeds.")]
pub struct Args {
    #[command(flatten)]
    recipe_args: RecipeArgs,
    /// Values of a key of the recipe, separated by commas, as in optimizer.momentum=0.8,0.9; lists in brackets, `none` to leave the key
    /// out. For --search random and halving also a range: log:LOW..HIGH, uniform:LOW..HIGH or int:LOW..HIGH
    #[arg(long = "try", value_name = "KEY=VALUES", help_heading = TRY_HEADING)]
    tried: Vec<Tried>,
    /// Learning rates, separated by commas: optimizer.learning_rate
    #[arg(long, value_name = "X,...", value_parser = checked(real::<f64>), help_heading = TRY_HEADING)]
    lr: Option<Values>,
    /// Batch sizes, separated by commas: training.batch_size
    #[arg(long, value_name = "N,...", value_parser = checked(whole::<usize>(1)), help_heading = TRY_HEADING)]
    batch_size: Option<Values>,
    /// Hidden layers: alternatives separated by slashes, each as for `gpunn train`: model.hidden
    #[arg(long, value_name = "N,.../N,...", value_parser = values::hidden, help_heading = TRY_HEADING)]
    hidden: Option<Values>,
    /// Seeds, separated by commas; each setting is trained with each of them
    #[arg(long, value_name = "N,...", value_parser = checked(whole::<u64>(0)), help_heading = TRY_HEADING)]
    seed: Option<Values>,
    /// Train each setting on K divisions of the images (cross-validation): data.fold
    #[arg(long, value_name = "K", value_parser = folds::count, conflicts_with = "val_fraction", help_heading = TRY_HEADING)]
    folds: Option<usize>,
    /// The settings: grid, all combinations of the values; random, --runs settings drawn from values and ranges; or halving, which
    /// trains all for a few epochs and the best ones further [default: grid]
    #[arg(long, value_name = "NAME", help_heading = SEARCH_HEADING)]
    search: Option<Search>,
    /// The number of settings to draw, with --search random or halving
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1), help_heading = SEARCH_HEADING)]
    runs: Option<usize>,
    /// The seed with which settings are drawn [default: 1]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(0), requires = "runs", help_heading = SEARCH_HEADING)]
    sweep_seed: Option<u64>,
    /// With --search halving: one of so many settings goes on, for so many times the epochs [default: 3]
    #[arg(long, value_name = "N", value_parser = whole::<usize>(2), help_heading = SEARCH_HEADING)]
    eta: Option<usize>,
    /// With --search halving: the least number of epochs before settings are compared [default: 1]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1), help_heading = SEARCH_HEADING)]
    first_epochs: Option<u32>,
    #[command(flatten, next_help_heading = RUN_HEADING)]
    device: DeviceArgs,
    /// The folder for the runs, the tables sweep.csv and sweep.json, and the report sweep.html [default: runs/sweep-RECIPE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Train one of N shares of the runs, for job arrays: the share I, from 1. All parts share --out; the one that ends last writes
    /// the tables. Processes of mpirun or srun share the runs without it
    #[arg(long, value_name = "I/N")]
    part: Option<Part>,
    #[command(flatten)]
    output: OutputArgs,
}

/// How settings are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Search {
    #[default]
    Grid,
    Random,
    Halving,
}

impl FromStr for Search {
    type Err = Error;
    fn from_str(word: &str) -> Result<Self> {
        let all = [("grid", Self::Grid), ("random", Self::Random), ("halving", Self::Halving)];
        crate::error::named("search", word, &all)
    }
}

/// One of several shares of the runs, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    number: usize,
    of: usize,
}

impl FromStr for Part {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err("a part is written as I/N, from 1/N to N/N, as in 2/4".into()),
        }
    }
}

pub fn run(mut args: Args) -> Result<ExitCode> {
    if let Some(place) = Place::of_process() {
        args.be_one_of(place)?;
    }
    args.device.set_threads()?;
    let points = points::points(&args.tried(), args.drawn()?)?;
    let base = args.base()?;
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(format!("sweep-{}", base.name)));
    let job = |Point { candidate, settings, folder }: Point| {
        keys::changed(&base, &settings).map(|recipe| Job { recipe, path: out.join(folder), candidate, settings })
    };
    let jobs: Vec<Job> = points.into_iter().map(job).collect::<Result<_>>()?;
    let rungs = args.halving()?.map(|halving| halving.plan(&jobs)).transpose()?;
    let tools = Tools { data_dir: args.recipe_args.data_dir.path(), device: &args.device, output: &args.output };
    let mut runner = Runner::open(tools, &jobs)?;
    let rows = match &rungs {
        Some(rungs) => halving::run(&mut runner, &jobs, rungs, args.output.quiet)?,
        None => runner.train_all(&args.share(&jobs), None)?.then(|| ended(&jobs)).transpose()?,
    };
    let Some(rows) = rows else { return Ok(runner.stop.exit_code()) };
    runner.written()?;
    let missing = jobs.len() - rows.len();
    let table = Table::new(rows);
    let dataset = dataset(&jobs)?;
    let mut output = table.output(&base.name, &dataset, &out);
    (output.rungs, output.missing) = (rungs.as_deref(), missing);
    match (missing, args.output.format.json) {
        (0, json) => publish(&table, &output, ("sweep", json))?,
        (_, true) => super::print_json(&output)?,
        (_, false) => super::print_line(&format!(
            "this part is done; {missing} of {} runs have not ended, and the part that ends last writes the tables",
            jobs.len()
        )),
    }
    Ok(ExitCode::SUCCESS)
}

/// The rows of the runs that have ended.
fn ended(jobs: &[Job]) -> Result<Vec<SweepRow>> {
    jobs.iter().filter_map(|job| SweepRow::ended(job).transpose()).collect()
}

/// The name of the runs' dataset, as it was loaded.
fn dataset(jobs: &[Job]) -> Result<String> {
    let run = jobs.iter().find_map(|job| RunDirectory::open(&job.path).ok());
    run.map_or_else(|| Ok(String::new()), |run| Ok(run.recipe()?.data.name))
}

impl Args {
    /// Makes this process one of several that a launcher started together: each trains a share of the runs on a device of its own.
    fn be_one_of(&mut self, place: Place) -> Result<()> {
        if self.part.is_some() {
            return Err(Error::usage(format!(
                "{} processes were started together, which share the runs among them; leave --part out.",
                place.ranks
            )));
        }
        self.part = Some(Part { number: place.rank + 1, of: place.ranks });
        self.device = place.device(&self.device);
        Ok(())
    }

    /// The values of all flags, as keys of the recipe.
    fn tried(&self) -> Vec<Tried> {
        let flag = |key: &str, values: &Option<Values>| values.clone().map(|values| Tried { key: key.into(), values });
        let first = [(keys::HIDDEN, &self.hidden), (keys::BATCH, &self.batch_size), (keys::RATE, &self.lr)];
        let first = first.into_iter().filter_map(|(key, values)| flag(key, values));
        let last = [self.folds.map(folds::tried), flag(keys::SEED, &self.seed)].into_iter().flatten();
        first.chain(self.tried.iter().cloned()).chain(last).collect()
    }

    /// The recipe that the values are put into.
    fn base(&self) -> Result<Recipe> {
        // A learning rate that is tried is not the optimizer's usual one, of which a note would speak.
        let is_rate = self.tried().iter().any(|tried| tried.key == keys::RATE);
        let point = GridPoint { lr: is_rate.then_some(OrAuto::Of(1e-3)), ..GridPoint::default() };
        let recipe = self.recipe_args.recipe(&point, self.output.quiet)?;
        Ok(if self.folds.is_some() { folds::without_fraction(recipe) } else { recipe })
    }

    /// How settings are drawn. `None` for all combinations.
    fn drawn(&self) -> Result<Option<Drawn>> {
        let search = self.search.unwrap_or_default();
        match (search, self.runs) {
            (Search::Grid, Some(_)) => Err(Error::usage(
                "--runs is the number of settings to draw, but a grid has all combinations. Add --search random or --search halving.",
            )),
            (Search::Random, None) => {
                Err(Error::usage("--search random needs the number of settings to draw, as in --runs 20."))
            }
            (_, runs) => Ok(runs.map(|settings| Drawn { settings, seed: self.sweep_seed.unwrap_or(1) })),
        }
    }

    /// How settings are halved, if they are.
    fn halving(&self) -> Result<Option<Halving>> {
        let is_halving = self.search == Some(Search::Halving);
        if !is_halving && (self.eta.is_some() || self.first_epochs.is_some()) {
            return Err(Error::usage("--eta and --first-epochs are for --search halving. Add it, or leave them out."));
        }
        if is_halving && self.part.is_some() {
            return Err(Error::usage(
                "--search halving compares all runs of a rung before the next one, so processes cannot share them. Leave --part and mpirun out, \
                 or use --search grid or random.",
            ));
        }
        let halving = Halving { eta: self.eta.unwrap_or(3), first_epochs: self.first_epochs.unwrap_or(1) };
        Ok(is_halving.then_some(halving))
    }

    /// The runs that this process trains.
    fn share<'a>(&self, jobs: &'a [Job]) -> Vec<&'a Job> {
        let Part { number, of } = self.part.unwrap_or(Part { number: 1, of: 1 });
        jobs.iter().skip(number - 1).step_by(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct TestCommand {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &str) -> Result<Args, String> {
        TestCommand::try_parse_from(words.split(' ')).map(|command| command.args).map_err(|error| error.to_string())
    }

    fn folders(words: &str) -> Vec<String> {
        let args = args(words).expect("right");
        let points = points::points(&args.tried(), args.drawn().expect("right")).expect("points");
        points.into_iter().map(|point| point.folder).collect()
    }

    #[test]
    fn flags_are_keys_in_a_fixed_order() {
        let all =
            folders("sweep --seed 1,2 --lr 0.1,0.01 --try augment.flip=true,false --hidden 64/128,64 --batch-size 8");
        assert_eq!(all.len(), 16);
        assert_eq!(all[0], "hidden-64-batch-8-lr-0.1-flip-true-seed-1");
        assert_eq!(all[15], "hidden-128x64-batch-8-lr-0.01-flip-false-seed-2");
        assert_eq!(folders("sweep --try optimizer.lr=0.1 --try hidden=[64]"), ["lr-0.1-hidden-64"]);
        assert_eq!(folders("sweep --folds 2 --seed 3"), ["fold-1_2-seed-3", "fold-2_2-seed-3"]);
        assert_eq!(folders("sweep --search random --runs 3 --lr log:0.001..1 --seed 1,2").len(), 6);
    }

    #[test]
    fn wrong_flags_are_sentences() {
        let says = |words: &str| args(words).expect_err("refused");
        assert!(says("sweep --hidden 64;32").contains("not a list of sizes"));
        assert!(says("sweep --batch-size 8,0").contains("at least 1"));
        assert!(says("sweep --try epochs").contains("as in optimizer.momentum=0.8,0.9"));
        assert!(says("sweep --try optimizer.momentom=1").contains("did you mean `optimizer.momentum`?"));
        assert!(says("sweep --search halfing").contains("did you mean `halving`?"));
        assert!(says("sweep --part 0/4").contains("from 1/N to N/N"));
        assert!(says("sweep --folds 1").contains("at least 2"));
        let says = |words: &str| {
            let args = args(words).expect("words");
            args.drawn().and_then(|_| args.halving().map(|_| ())).expect_err("refused").to_string()
        };
        assert!(says("sweep --runs 3 --lr 1,2").contains("Add --search random"));
        assert!(says("sweep --search random --lr 1,2").contains("--runs 20"));
        assert!(says("sweep --eta 2 --lr 1,2").contains("--search halving"));
        assert!(says("sweep --search halving --part 1/2 --lr 1,2").contains("cannot share"));
    }

    #[test]
    fn parts_share_all_runs() {
        let jobs: Vec<Job> = (0..7)
            .map(|candidate| Job {
                recipe: Recipe::find("glyphs-mlp").expect("a recipe"),
                path: PathBuf::new(),
                candidate,
                settings: Vec::new(),
            })
            .collect();
        let share = |part: &str| -> Vec<usize> {
            let args = args(&format!("sweep --part {part}")).expect("right");
            args.share(&jobs).iter().map(|job| job.candidate).collect()
        };
        assert_eq!([share("1/3"), share("2/3"), share("3/3")], [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
        assert!(share("9/9").is_empty());
    }
}
