//! The report of one run: what is measured once more, what is drawn, and what is written.

use std::path::{Path, PathBuf};

use super::curves::{self, Curves};
use super::draw::{self, Drawing};
use super::material::Material;
use super::page::Page;
use super::predictions::{self, Predictions};
use super::step::{self, Memory, Step, Timings};
use super::weights::{self, Sheets};
use super::{confusion::Matrix, embed, examples, sections};
use crate::data::{Dataset, SplitName};
use crate::files::write_atomic;
use crate::inference::Reconstruction;
use crate::nn::Model;
use crate::nn::models::Task;
use crate::runs::{PLOTS, REPORT};
use crate::train::Checkpoint;
use crate::{Engine, Error, Result};

/// Classified images among the worst, and among the best.
const EXTREMES: usize = 24;

/// What a report is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReportOptions<'a> {
    /// The folder that `report.html` and `plots` go into; without it the run directory.
    pub out: Option<&'a Path>,
    /// The run's data set, where it is loaded already.
    pub dataset: Option<&'a Dataset>,
    /// The folder that holds data sets, where it is not the one that the run used.
    pub data_dir: Option<&'a Path>,
    /// The split to measure; without it test, else val, else train.
    pub part: Option<SplitName>,
    /// Measure all of its images, however long it takes.
    pub whole: bool,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The page.
    pub page: PathBuf,
    /// What it lacks, each as a sentence.
    pub left_out: Vec<String>,
}

/// The images that an autoencoder's page shows: their numbers, and what was given back.
#[derive(Clone, Debug)]
pub(super) struct Reconstructed {
    /// Two of each of some classes.
    pub chosen: (Vec<usize>, Reconstruction),
    /// The worst.
    pub worst: (Vec<usize>, Reconstruction),
    /// The best.
    pub best: (Vec<usize>, Reconstruction),
}

/// All that a page is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub material: Material,
    pub model: Option<Model>,
    pub curves: Vec<(&'static str, Curves)>,
    pub outcomes: Option<Predictions>,
    pub matrix: Option<Matrix>,
    /// The numbers of the worst and the best classified images.
    pub extremes: [Vec<usize>; 2],
    pub reconstructed: Option<Reconstructed>,
    pub sheets: Option<Sheets>,
    pub memory: Option<Memory>,
    pub timings: std::result::Result<Timings, String>,
    /// What measured and timed.
    pub device: String,
    pub left_out: Vec<String>,
}

/// Writes `report.html` and `plots` for the run in a directory; the engine measures and times, and forgets what it held.
///
/// # Errors
/// As what it cannot do without: when the directory holds no run, or one that was cut off in its first epoch, a file in it
/// is damaged or of a newer version, or the report cannot be written. What a data set that is gone or a device that fails
/// would have shown is left out instead.
pub async fn write(run: &Path, engine: &mut Engine, options: ReportOptions<'_>) -> Result<Report> {
    let material = Material::read(run)?;
    let folder = options.out.unwrap_or(run);
    let plots = folder.join(PLOTS);
    std::fs::create_dir_all(&plots).map_err(Error::file("cannot make the folder of plots", &plots))?;
    let parts = gather(material, engine, options).await?;
    write_plots(&parts, &plots)?;
    let page = folder.join(REPORT);
    let html = Page {
        title: parts.material.name(),
        about: sections::about(&parts),
        tiles: sections::tiles(&parts),
        left_out: parts.left_out.clone(),
        sections: sections::all(&parts)?,
    }
    .html();
    write_atomic(&page, html.as_bytes())?;
    Ok(Report { page, left_out: parts.left_out })
}

/// Measures and times.
async fn gather(mut material: Material, engine: &mut Engine, options: ReportOptions<'_>) -> Result<Parts> {
    let mut left_out = std::mem::take(&mut material.left_out);
    let loaded = match (options.dataset, &material.checkpoint) {
        (None, Some(_)) => material.dataset(options.data_dir).map(Some).unwrap_or_else(|reason| {
            left_out.push(format!("Whatever shows images of the data set is left out: {reason}"));
            None
        }),
        _ => None,
    };
    let dataset = options.dataset.or(loaded.as_ref());
    let device = engine.device_name();
    engine.forget();
    let curves = curves::of_run(&material.metrics);
    let timings = Err("there is no checkpoint to time a step of".to_owned());
    let mut parts = Parts {
        material,
        model: None,
        curves,
        outcomes: None,
        matrix: None,
        extremes: Default::default(),
        reconstructed: None,
        sheets: None,
        memory: None,
        timings,
        device,
        left_out,
    };
    let Some(checkpoint) = parts.material.checkpoint.clone() else { return Ok(parts) };
    let model = Material::model(&checkpoint)?;
    if let Some(dataset) = dataset {
        let measured = parts.measure(engine, &checkpoint, dataset, options).await;
        parts.say("What the network makes of the images", measured);
    }
    match weights::sheets(&model, &checkpoint, dataset, parts.material.imported) {
        Ok(sheets) => {
            if let (Err(reason), false) = (&sheets.before, parts.material.imported) {
                parts.left_out.push(format!("The first layer's weights before training are left out: {reason}"));
            }
            parts.sheets = Some(sheets);
        }
        Err(reason) => parts.say("The first layer's weights", Err(reason)),
    }
    parts.model = Some(model);
    let stepped = parts.step(engine, &checkpoint, dataset).await;
    parts.say("Memory and timings of a step", stepped);
    engine.forget();
    Ok(parts)
}

impl Parts {
    /// The hash of the last weights.
    pub fn hash(&self) -> Option<String> {
        let written = || self.material.summary.as_ref().map(|summary| summary.weights_hash.clone());
        let (Some(model), Some(checkpoint)) = (&self.model, &self.material.checkpoint) else { return written() };
        let weights = checkpoint.weights("", model.parameters()).ok()?;
        Some(model.parameters().hash(&weights))
    }

    /// Notes why a part is not there.
    fn say(&mut self, what: &str, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.left_out.push(format!("{what}: left out, as {error}"));
        }
    }

    async fn measure(
        &mut self,
        engine: &mut Engine,
        checkpoint: &Checkpoint,
        dataset: &Dataset,
        options: ReportOptions<'_>,
    ) -> Result<()> {
        let file = self.material.run.outcomes();
        // A report that goes elsewhere leaves the run as it is.
        let kept = (file.as_path(), options.out.is_none());
        let outcomes = predictions::measure(engine, checkpoint, dataset, (options.part, options.whole), kept).await?;
        if checkpoint.recipe.model.task()? == Task::Reconstruct {
            let chosen = examples::to_reconstruct(&outcomes, &checkpoint.classes);
            let [worst, best] = examples::extremes(&outcomes, EXTREMES / 2);
            let mut given_back = Vec::new();
            for numbers in [chosen, worst, best] {
                let selected = numbers.iter().map(|&number| number as u32).collect::<Vec<_>>();
                let back = predictions::give_back(engine, checkpoint, &outcomes.split.select(&selected)).await?;
                given_back.push((numbers, back));
            }
            if let Ok([chosen, worst, best]) = <[_; 3]>::try_from(given_back) {
                self.reconstructed = Some(Reconstructed { chosen, worst, best });
            }
        } else {
            self.extremes = examples::extremes(&outcomes, EXTREMES);
            let counts = outcomes.counts(checkpoint.classes.len());
            self.matrix = Some(Matrix { classes: checkpoint.classes.clone(), counts });
        }
        self.outcomes = Some(outcomes);
        Ok(())
    }

    async fn step(&mut self, engine: &mut Engine, checkpoint: &Checkpoint, dataset: Option<&Dataset>) -> Result<()> {
        self.device = engine.device_name();
        let step = Step::new(checkpoint, dataset);
        self.memory = Some(step::memory(&step.plan(engine)?));
        self.timings = step.time(engine).await.map_err(|error| error.to_string());
        Ok(())
    }
}

/// The plots as files, SVG and PNG; sheets as PNG alone.
fn write_plots(parts: &Parts, folder: &Path) -> Result<()> {
    for (name, curves) in &parts.curves {
        write_plot(folder, name, curves)?;
    }
    if let Some(matrix) = &parts.matrix {
        write_plot(folder, "confusion", matrix)?;
    }
    if let Some(memory) = &parts.memory {
        write_plot(folder, "memory", memory)?;
    }
    if let Some(sheets) = &parts.sheets {
        let sheet = |name: &str, sheet| write_atomic(&folder.join(name), &embed::png(sheet)?);
        sheet("weights_after.png", &sheets.after.0)?;
        if let Ok((before, _)) = &sheets.before {
            sheet("weights_before.png", before)?;
        }
    }
    Ok(())
}

/// One plot as SVG and as PNG.
pub(super) fn write_plot(folder: &Path, name: &str, drawing: &impl Drawing) -> Result<()> {
    write_atomic(&folder.join(format!("{name}.svg")), draw::svg(drawing)?.as_bytes())?;
    write_atomic(&folder.join(format!("{name}.png")), &draw::png(drawing)?)
}
