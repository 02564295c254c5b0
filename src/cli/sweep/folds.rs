//! Cross-validation: `gpunn train --folds`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use toml::Value;

use super::super::percent;
use super::keys::{self, FOLD};
use super::points::points;
use super::rows::SweepRow;
use super::runner::{Job, Runner, Tools};
use super::table::{Table, print_columns, publish};
use super::values::{Tried, Values};
use crate::report::Sample;
use crate::train::Recipe;
use crate::{Error, Result};

/// The results of all folds together, by measure.
#[derive(serde::Serialize)]
#[serde(transparent)]
pub struct Means(BTreeMap<&'static str, Sample>);

/// A figure of a run, if it has it.
type Figure = fn(&SweepRow) -> Option<f64>;

/// The folds of a cross-validation as values of their key.
pub fn tried(count: usize) -> Tried {
    let fold = |part: usize| Some(Value::from(format!("{part}/{count}")));
    Tried { key: FOLD.into(), values: Values::Each((1..=count).map(fold).collect()) }
}

/// A recipe whose folds say what is held out.
pub fn without_fraction(mut recipe: Recipe) -> Recipe {
    recipe.data.val_fraction = None;
    recipe
}

/// Parses the number of folds.
pub fn count(word: &str) -> Result<usize, String> {
    super::super::numbers::whole::<usize>(2)(word)
}

/// Trains a recipe once for each fold, and prints the results.
///
/// # Errors
/// As a training.
pub fn run(recipe: Recipe, (count, out): (usize, Option<&Path>), tools: Tools) -> Result<ExitCode> {
    let recipe = without_fraction(recipe);
    let default = Path::new("runs").join(format!("folds-{}", recipe.name));
    let out = out.map_or(default, Path::to_owned);
    let job = |point: super::points::Point| {
        let path = out.join(&point.folder);
        keys::changed(&recipe, &point.settings).map(|recipe| Job {
            recipe,
            path,
            candidate: 0,
            settings: point.settings,
        })
    };
    let jobs: Vec<Job> = points(&[tried(count)], None)?.into_iter().map(job).collect::<Result<_>>()?;
    let mut runner = Runner::open(tools, &jobs)?;
    if !runner.train_all(&jobs.iter().collect::<Vec<_>>(), None)? {
        return Ok(runner.stop.exit_code());
    }
    runner.written()?;
    let row = |job: &Job| SweepRow::ended(job)?.ok_or_else(|| not_ended(job));
    let mut rows: Vec<SweepRow> = jobs.iter().map(row).collect::<Result<_>>()?;
    let means = Means::of(&rows);
    let table = Table::in_order(std::mem::take(&mut rows));
    let dataset = super::dataset(&jobs)?;
    let mut output = table.output(&recipe.name, &dataset, &out);
    output.means = Some(means);
    publish(&table, &output, ("folds", tools.output.format.json))?;
    Ok(ExitCode::SUCCESS)
}

/// The error for a run whose directory does not say how it ended.
pub fn not_ended(job: &Job) -> Error {
    Error::data(format!("The run {} has no summary. Give the same command again to write it.", job.path.display()))
}

impl Means {
    fn of(rows: &[SweepRow]) -> Self {
        let measures: [(&str, Figure); 9] = [
            ("train_loss", |row| row.train_loss),
            ("train_accuracy", |row| row.train_accuracy),
            ("val_loss", |row| row.val_loss),
            ("val_accuracy", |row| row.val_accuracy),
            ("val_map", |row| row.val_map),
            ("val_psnr", |row| row.val_psnr),
            ("test_accuracy", |row| row.test_accuracy),
            ("test_map", |row| row.test_map),
            ("test_psnr", |row| row.test_psnr),
        ];
        let mean = |(name, of): (&'static str, Figure)| {
            let values: Vec<f64> = rows.iter().filter_map(of).collect();
            Sample::of(&values).map(|sample| (name, sample))
        };
        Self(measures.into_iter().filter_map(mean).collect())
    }

    /// Prints them as a table.
    pub fn print(&self) {
        let show = |name: &str, value: f64| match name {
            _ if name.ends_with("accuracy") || name.ends_with("map") => percent(value),
            _ if name.ends_with("psnr") => format!("{value:.2} dB"),
            _ => format!("{value:.4}"),
        };
        let column = |title: &str, of: &dyn Fn(&Sample) -> Option<f64>| {
            let cell = |(name, sample): (&&'static str, &Sample)| {
                of(sample).map_or_else(String::new, |value| show(name, value))
            };
            (title.to_owned(), self.0.iter().map(cell).collect())
        };
        super::super::print_line("");
        print_columns(&[
            ("measure".to_owned(), self.0.keys().map(|name| name.replace('_', " ")).collect()),
            ("folds".to_owned(), self.0.values().map(|sample| sample.runs.to_string()).collect()),
            column("mean", &|sample| Some(sample.mean)),
            column("standard error", &|sample| sample.standard_error),
            column("smallest", &|sample| Some(sample.low)),
            column("largest", &|sample| Some(sample.high)),
        ]);
    }
}
