//! The report of one run: evaluates the network, times a training step, and writes the page and its plots.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::content::{PageContent, ReconstructionExamples};
use super::draw::{self, Drawing};
use super::heat::HeatMaps;
use super::loaded_run::LoadedRun;
use super::nearest::NearestImages;
use super::page::HtmlPage;
use super::predictions::{self, Predictions};
use super::reliability::ReliabilityDiagram;
use super::step::{self, TimedStep};
use super::weights::{self, WeightSheets};
use super::{confusion::ConfusionMatrix, embed, examples, sections, tags};
use crate::data::{Dataset, SplitName};
use crate::files::write_atomic;
use crate::nn::models::Task;
use crate::runs::{PLOTS, REPORT};
use crate::train::{Checkpoint, Explainer, Measures, TagMeasures, Tagged};
use crate::{Engine, Error, Result};

/// Number of images with the worst predictions, and of images with the best.
const WORST_OR_BEST: usize = 24;

/// Options of a report.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReportOptions<'a> {
    /// The folder for `report.html` and `plots`; default: the run directory.
    pub out: Option<&'a Path>,
    /// The run's dataset, if it is loaded already.
    pub dataset: Option<&'a Dataset>,
    /// The folder that holds datasets; default: the one that the run used.
    pub data_dir: Option<&'a Path>,
    /// The split to evaluate; default: test, else val, else train.
    pub split: Option<SplitName>,
    /// Evaluate all of its images, even if that takes long.
    pub all_images: bool,
    /// Use the last epoch's weights instead of the best epoch's.
    pub last: bool,
}

/// A report that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenReport {
    /// The file of the page.
    pub page: PathBuf,
    /// What is missing on the page, each as a sentence.
    pub left_out: Vec<String>,
    /// What changed in the files of the run's images since the run began, in a sentence. `None` if nothing changed.
    pub changed: Option<String>,
}

/// Writes `report.html` and `plots` for the run in a directory. The engine evaluates and times; programs that it held are
/// dropped. If the dataset is missing or the device fails, the sections that need it are left out.
///
/// # Errors
/// When the directory is not a run, the run was interrupted in its first epoch, a file in it is damaged or from a newer
/// version, or the report cannot be written.
pub async fn write(run: &Path, engine: &mut Engine, options: ReportOptions<'_>) -> Result<WrittenReport> {
    let loaded = LoadedRun::read(run, options.last)?;
    let folder = options.out.unwrap_or(run);
    let plots = folder.join(PLOTS);
    std::fs::create_dir_all(&plots).map_err(Error::file("cannot create the folder for plots", &plots))?;
    let content = gather(loaded, engine, options).await?;
    write_plots(&content, &plots)?;
    let page = folder.join(REPORT);
    let html = HtmlPage {
        title: content.loaded.name(),
        about: sections::about(&content),
        tiles: sections::tiles(&content),
        left_out: content.left_out.clone(),
        sections: sections::all(&content)?,
    }
    .html();
    write_atomic(&page, html.as_bytes())?;
    Ok(WrittenReport { page, left_out: content.left_out, changed: content.changed })
}

/// Evaluates the network and times its training step; what fails is noted in `left_out`.
async fn gather(loaded: LoadedRun, engine: &mut Engine, options: ReportOptions<'_>) -> Result<PageContent> {
    engine.forget();
    let mut content = PageContent::new(loaded, engine.device_name());
    let Some(checkpoint) = content.loaded.checkpoint.clone() else { return Ok(content) };
    let loaded = match options.dataset {
        None => match content.loaded.dataset(options.data_dir) {
            Ok((dataset, changed)) => {
                content.changed = changed;
                Some(dataset)
            }
            Err(reason) => {
                content.left_out.push(format!("Everything that needs images of the dataset is left out: {reason}"));
                None
            }
        },
        Some(_) => None,
    };
    let dataset = options.dataset.or(loaded.as_ref());
    let model = checkpoint.model()?;
    if let Some(dataset) = dataset {
        let evaluated = content.evaluate(engine, &checkpoint, dataset, options).await;
        content.note_error("The evaluation", evaluated);
    }
    let sheets = weights::sheets(&model, &checkpoint, dataset, content.loaded.imported);
    let drawn = sheets.map(|sheets| content.add_sheets(sheets));
    content.note_error("The first layer's weights", drawn);
    content.model = Some(model);
    let timed = content.time_step(engine, &checkpoint, dataset).await;
    content.note_error("Memory and kernel times of a step", timed);
    engine.forget();
    Ok(content)
}

impl PageContent {
    async fn evaluate(
        &mut self,
        engine: &mut Engine,
        checkpoint: &Checkpoint,
        dataset: &Dataset,
        options: ReportOptions<'_>,
    ) -> Result<()> {
        let file = self.loaded.run.outcomes();
        // A report in another folder does not change the run directory.
        let kept = (file.as_path(), options.out.is_none());
        let predictions =
            predictions::predict_split(engine, checkpoint, dataset, (options.split, options.all_images), kept).await?;
        self.training_images = dataset.training_images_of_each();
        match checkpoint.recipe.task()? {
            Task::Reconstruct => self.reconstruct(engine, checkpoint, &predictions).await?,
            Task::Tag => self.tag(checkpoint, &predictions, dataset),
            Task::Classify => self.classify(engine, checkpoint, &predictions, (dataset, options.all_images)).await,
        }
        self.predictions = Some(predictions);
        Ok(())
    }

    async fn reconstruct(
        &mut self,
        engine: &mut Engine,
        checkpoint: &Checkpoint,
        predictions: &Predictions,
    ) -> Result<()> {
        let chosen = examples::reconstruction_examples(predictions, &checkpoint.classes);
        let [worst, best] = examples::worst_and_best(predictions, WORST_OR_BEST / 2);
        let mut reconstructions = Vec::new();
        for numbers in [chosen, worst, best] {
            let selected = numbers.iter().map(|&number| number as u32).collect::<Vec<_>>();
            let back =
                predictions::reconstruct_images(engine, checkpoint, &predictions.split.select(&selected)).await?;
            reconstructions.push((numbers, back));
        }
        if let Ok([chosen, worst, best]) = <[_; 3]>::try_from(reconstructions) {
            self.reconstructed = Some(ReconstructionExamples { chosen, worst, best });
        }
        Ok(())
    }

    fn tag(&mut self, checkpoint: &Checkpoint, predictions: &Predictions, dataset: &Dataset) {
        let Some(sets) = &dataset.sets else { return };
        let tagged = Tagged { logits: &predictions.logits, labels: &predictions.split.labels, sets };
        self.tags = Some(TagMeasures::of(tagged, &checkpoint.classes));
        let [worst, _] = examples::worst_and_best(predictions, WORST_OR_BEST);
        self.worst_tags = tags::worst(tagged, &worst, &checkpoint.classes);
    }

    async fn classify(
        &mut self,
        engine: &mut Engine,
        checkpoint: &Checkpoint,
        predictions: &Predictions,
        (dataset, all_images): (&Dataset, bool),
    ) {
        self.worst_and_best = examples::worst_and_best(predictions, WORST_OR_BEST);
        let counts = predictions.counts(checkpoint.classes.len());
        self.measures = Some(Measures::of(&predictions.each, &checkpoint.classes));
        self.matrix = Some(ConfusionMatrix { classes: checkpoint.classes.clone(), counts });
        let explained = self.explain(engine, checkpoint, predictions, all_images).await;
        self.note_error("The heat maps of mistakes", explained);
        let mistakes = self.worst_mistakes(predictions);
        let shown = (&mistakes[..], all_images);
        let nearest = NearestImages::of(engine, checkpoint, predictions, &dataset.train, shown).await;
        let nearest = nearest.map(|nearest| self.nearest = nearest);
        self.note_error("The training images beside mistakes", nearest);
    }

    /// The mistakes among the worst predictions.
    fn worst_mistakes(&self, predictions: &Predictions) -> Vec<usize> {
        let wrong = |&number: &usize| predictions.each[number].label != predictions.each[number].guess;
        self.worst_and_best[0].iter().copied().filter(wrong).collect()
    }

    /// Computes the heat maps of the mistakes that the page shows: of all with `all`, else of as many as take about half a second.
    async fn explain(
        &mut self,
        engine: &mut Engine,
        checkpoint: &Checkpoint,
        predictions: &Predictions,
        all: bool,
    ) -> Result<()> {
        if !Explainer::can_explain(checkpoint)? {
            return Ok(());
        }
        let mut mistakes = self.worst_mistakes(predictions);
        for pair in self.matrix.iter().flat_map(|matrix| matrix.pairs().into_iter().take(sections::PAIRS)) {
            let shown = examples::mistakes_of_pair(predictions, pair);
            mistakes.extend(shown.iter().flat_map(|side| side.images.iter().map(|(number, _)| *number)));
        }
        let mut seen = HashSet::new();
        mistakes.retain(|number| seen.insert(*number));
        if !all {
            mistakes.truncate(predictions::affordable_images(engine, checkpoint, predictions::MAX_OPERATIONS)?.max(1));
        }
        self.heat_maps = HeatMaps::of(engine, checkpoint, predictions, &mistakes).await?;
        Ok(())
    }

    fn add_sheets(&mut self, sheets: WeightSheets) {
        if let (Err(reason), false) = (&sheets.before, self.loaded.imported) {
            self.left_out.push(format!("The first layer's weights before training are left out: {reason}"));
        }
        self.sheets = Some(sheets);
    }

    async fn time_step(
        &mut self,
        engine: &mut Engine,
        checkpoint: &Checkpoint,
        dataset: Option<&Dataset>,
    ) -> Result<()> {
        self.device = engine.device_name();
        let step = TimedStep::new(checkpoint, dataset);
        self.memory = Some(step::memory(&step.plan(engine)?));
        self.timings = step.time(engine).await.map_err(|error| error.to_string());
        Ok(())
    }
}

/// Writes the plots as SVG and PNG, and the weight sheets as PNG.
fn write_plots(content: &PageContent, folder: &Path) -> Result<()> {
    for (name, curves) in &content.curves {
        write_plot(folder, name, curves)?;
    }
    if let Some(matrix) = &content.matrix {
        write_plot(folder, "confusion", matrix)?;
    }
    if let Some(measures) = &content.measures {
        write_plot(folder, "reliability", &ReliabilityDiagram::of(measures))?;
    }
    if let Some(memory) = &content.memory {
        write_plot(folder, "memory", memory)?;
    }
    if let Some(sheets) = &content.sheets {
        let sheet = |name: &str, sheet| write_atomic(&folder.join(name), &embed::png(sheet)?);
        sheet("weights_after.png", &sheets.after.0)?;
        if let Ok(Some((before, _))) = &sheets.before {
            sheet("weights_before.png", before)?;
        }
    }
    Ok(())
}

/// Writes one plot as SVG and as PNG.
pub(super) fn write_plot(folder: &Path, name: &str, drawing: &impl Drawing) -> Result<()> {
    write_atomic(&folder.join(format!("{name}.svg")), draw::svg(drawing)?.as_bytes())?;
    write_atomic(&folder.join(format!("{name}.png")), &draw::png(drawing)?)
}
