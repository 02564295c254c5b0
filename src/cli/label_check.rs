//! `gpunn data check --run`: labels that are probably wrong.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use crate::blocking::block_on;
use crate::data::Dataset;
use crate::runs::RunDirectory;
use crate::train::{Folds, Recipe, Suspect, Trainer, TrainerOptions, cross_validate, suspects};
use crate::{Engine, Error, Result};
use indicatif::{ProgressBar, ProgressStyle};

use super::data_check::list;
use super::engine::options_to_train;
use super::flags::ComputeArgs;
use super::stop::StopFlag;

/// What `--json` prints.
#[derive(serde::Serialize)]
struct LabelCheck {
    /// The number of images.
    images: usize,
    /// The number of networks.
    folds: usize,
    /// The fraction of the images for which the networks that were not trained on them give the label.
    accuracy: f64,
    /// The images whose labels are probably wrong, those with the largest loss first.
    suspected: Vec<SuspectedLabel>,
}

#[derive(serde::Serialize)]
struct SuspectedLabel {
    /// The file in the dataset's folder, else the number of the image.
    image: String,
    label: String,
    /// The class that the image probably has.
    class: String,
    /// The probability of `class`.
    confidence: f64,
    loss: f64,
}

/// Checks the labels of a run's dataset, and prints the suspected ones: at most `most`, or all as JSON.
pub(super) fn run(
    path: &Path,
    folds: usize,
    data_dir: Option<&Path>,
    compute: &ComputeArgs,
    most: usize,
) -> Result<ExitCode> {
    compute.device.set_threads()?;
    let run = RunDirectory::open(path)?;
    let (mut recipe, dataset) = load(&run, data_dir)?;
    let pretrained = recipe.open_pretrained(data_dir)?;
    let device = options_to_train([&recipe]);
    let open = |quiet: bool| compute.device.open(device.clone(), quiet);
    let options = TrainerOptions { clock: Some(crate::runs::clock), ..TrainerOptions::default() };
    let epochs = recipe.training.epochs;
    let mut trainer = Trainer::new(open(compute.quiet)?, recipe, &dataset, options)?;
    if let Some(file) = &pretrained {
        block_on(trainer.load_pretrained(file))?;
    }
    if !compute.quiet {
        let seconds = run.metrics()?.iter().map(|epoch| epoch.seconds).sum::<f64>();
        eprintln!(
            "{} networks, each trained for {epochs} epochs on {} of the {} images; the run took {seconds:.0} s for one",
            folds,
            super::percent(1.0 - 1.0 / folds as f64),
            dataset.train.len()
        );
    }
    let stop = StopFlag::on_signals();
    let Some(probabilities) = probabilities((trainer, &dataset), folds, &mut || open(true), (compute.quiet, &stop))?
    else {
        return Ok(stop.exit_code());
    };
    let check = LabelCheck::of(&dataset, folds, &probabilities);
    compute.output.print(&check, |check| print(check, &dataset.name, most))?;
    Ok(ExitCode::SUCCESS)
}

/// The recipe of a run, and its dataset with all images in the training split.
fn load(run: &RunDirectory, data_dir: Option<&Path>) -> Result<(Recipe, Dataset)> {
    let checkpoint = run.best_or_last()?;
    let mut recipe = checkpoint.recipe;
    (recipe.data.val_fraction, recipe.data.fold, recipe.data.limit_train) = (None, None, None);
    let dataset = recipe.load_data(data_dir)?;
    if dataset.classes != checkpoint.classes {
        return Err(Error::usage(format!(
            "The classes of {} are not those of the run any more; `gpunn eval` says which changed. Train a new run.",
            dataset.name
        )));
    }
    super::images::print_skipped(&dataset);
    Ok((recipe, dataset.in_one_split()?))
}

/// The class probabilities of each image. `None` after Ctrl-C.
fn probabilities(
    (trainer, dataset): (Trainer, &Dataset),
    folds: usize,
    open: &mut dyn FnMut() -> Result<Engine>,
    (quiet, stop): (bool, &StopFlag),
) -> Result<Option<Vec<Vec<f64>>>> {
    let bar = if !quiet && std::io::stderr().is_terminal() { ProgressBar::new(1000) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg} {bar:20} {percent:>3} %  {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message("cross-validation");
    let mut progress = |trained: usize, part: f64| {
        bar.set_position(((trained as f64 + part) / folds as f64 * 1000.0) as u64);
        !stop.is_set()
    };
    let found = block_on(cross_validate(trainer, dataset, Folds { count: folds, open, progress: &mut progress }));
    bar.finish_and_clear();
    found
}

impl LabelCheck {
    fn of(dataset: &Dataset, folds: usize, probabilities: &[Vec<f64>]) -> Self {
        let labels = &dataset.train.labels;
        let right = |(&label, of_image): (&u32, &Vec<f64>)| {
            of_image.iter().all(|&probability| probability <= of_image[label as usize])
        };
        let right = labels.iter().zip(probabilities).filter(|&pair| right(pair)).count();
        let name = |Suspect { number, label, class, loss, confidence }: Suspect| SuspectedLabel {
            image: dataset.train.file(number).map_or_else(|| format!("image {number}"), str::to_owned),
            label: dataset.classes[label].clone(),
            class: dataset.classes[class].clone(),
            confidence,
            loss,
        };
        Self {
            images: labels.len(),
            folds,
            accuracy: right as f64 / labels.len().max(1) as f64,
            suspected: suspects(labels, probabilities).into_iter().map(name).collect(),
        }
    }
}

fn print(check: &LabelCheck, dataset: &str, most: usize) {
    let LabelCheck { images, suspected, .. } = check;
    let say = |line: String| super::print_line(&line);
    say(format!("{dataset}: {images} images, cross-validated accuracy {}", super::percent(check.accuracy)));
    if suspected.is_empty() {
        say("no label is suspected to be wrong".into());
    }
    let line = |of: &SuspectedLabel| {
        let SuspectedLabel { image, label, class, confidence, loss } = of;
        format!("{image}: {class} instead of {label}? confidence {}, loss {loss:.2}", super::percent(*confidence))
    };
    list(&say, "labels that are probably wrong", suspected.iter().map(line).collect(), most);
}
