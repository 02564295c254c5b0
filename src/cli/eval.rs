//! `gpunn eval`.

use std::process::ExitCode;

use crate::Result;
use crate::data::{LabelSets, Split, SplitName};
use crate::train::{Checkpoint, Evaluation, ImagePrediction, Measures, TagMeasures, evaluate_ensemble, is_given};

use super::flags::{ComputeArgs, EnsembleArgs, EvaluatedArgs, RunArgs, ViewArgs, held_out_otherwise};
use super::working::Working;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  gpunn eval runs/glyphs-mlp-20260101-1 --split test --json\n  \
    gpunn eval runs/a --ensemble runs/b --ensemble runs/c")]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    data: EvaluatedArgs,
    #[command(flatten)]
    ensemble: EnsembleArgs,
    #[command(flatten)]
    views: ViewArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let output = evaluated(&args)?;
    let other = args.data.other_dataset().is_some();
    args.compute.output.print(&output, |output| print(output, other))?;
    Ok(ExitCode::SUCCESS)
}

/// Evaluates as the arguments say.
pub fn evaluated(args: &Args) -> Result<EvalOutput> {
    args.compute.device.set_threads()?;
    let asked = args.data.split()?;
    let members = args.ensemble.with(args.run.checkpoint()?, &args.run.epoch)?;
    let members = members.into_iter().map(|member| args.views.with(member)).collect::<Result<Vec<_>>>()?;
    let checkpoint = &members[0];
    let order = [SplitName::Test, SplitName::Val, SplitName::Train];
    let (dataset, split) = args.data.load(&args.run, checkpoint, asked, order)?;
    if !args.compute.quiet && args.data.other_dataset().is_none() {
        members[1..].iter().filter_map(|other| seen_by(checkpoint, other, split)).for_each(|note| eprintln!("{note}"));
    }
    let mut engine = args.compute.open()?;
    let images = dataset.split(split)?;
    let mut mistakes = Vec::new();
    let what = format!("evaluating {split}");
    let work = Working::new(&what, args.compute.quiet);
    let mut note = |number: usize, logits: &[f32]| {
        mistakes.extend(mistake((images, dataset.sets.as_ref()), number, logits, &checkpoint.classes));
        work.at(&what, number + 1, images.len());
    };
    let evaluation = evaluate_ensemble(&mut engine, &members, &dataset, split, &mut note);
    let evaluation = crate::blocking::block_on(evaluation)?;
    drop(work);
    let (dataset, epoch) = (dataset.name.clone(), checkpoint.counters.epoch);
    let (networks, classes) = (members.len(), checkpoint.classes.clone());
    Ok(EvalOutput { dataset, evaluation, epoch, networks, mistakes, classes })
}

/// A note if another run was trained on images that the first one held out.
fn seen_by(first: &Checkpoint, other: &Checkpoint, split: SplitName) -> Option<String> {
    (split == SplitName::Val && held_out_otherwise(first, other)).then(|| {
        format!(
            "warning: the run {} with the seed {} held out other images than the first one, so it was probably trained on some of those \
             that are evaluated; use images that none of them saw",
            other.recipe.name, other.recipe.seed
        )
    })
}

/// What `--json` prints.
#[derive(serde::Serialize)]
pub struct EvalOutput {
    /// The name of the dataset.
    dataset: String,
    #[serde(flatten)]
    evaluation: Evaluation,
    /// The epoch of the weights; 0 for imported ones.
    epoch: u32,
    /// The number of networks whose probabilities were averaged.
    networks: usize,
    /// The images that were classified wrongly, or of which a label is wrong. Empty for an autoencoder.
    mistakes: Vec<Mistake>,
    /// The names of the classes, in index order.
    #[serde(skip)]
    classes: Vec<String>,
}

/// An image that was classified wrongly.
#[derive(serde::Serialize)]
struct Mistake {
    /// The number of the image in the split, from 0.
    number: usize,
    /// The file in the dataset's folder, if the image is in a file of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    /// The class, or the labels with `;` between them.
    class: String,
    predicted: String,
    /// The probability of the predicted class. None for several labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f32>,
}

/// The mistake in an image, if its largest logit is not that of its class, or it is not given exactly its labels.
fn mistake(
    (images, sets): (&Split, Option<&LabelSets>),
    number: usize,
    logits: &[f32],
    classes: &[String],
) -> Option<Mistake> {
    if let Some(sets) = sets {
        let given: Vec<u32> =
            (0..).zip(logits).filter(|&(_, &logit)| is_given(logit)).map(|(class, _)| class).collect();
        let set = images.labels[number];
        let names =
            |set: &[u32]| set.iter().map(|&class| classes[class as usize].as_str()).collect::<Vec<_>>().join(";");
        return (sets.get(set) != given).then(|| Mistake {
            number,
            image: images.file(number).map(str::to_owned),
            class: names(sets.get(set)),
            predicted: names(&given),
            confidence: None,
        });
    }
    let ImagePrediction { label, guess, guess_score, .. } = ImagePrediction::of(images.labels[number] as usize, logits);
    (guess != label).then(|| Mistake {
        number,
        image: images.file(number).map(str::to_owned),
        class: classes[label].clone(),
        predicted: classes[guess].clone(),
        confidence: Some(guess_score),
    })
}

/// What is printed beside the accuracy.
fn beside(measures: &Measures) -> String {
    let [low, high] = measures.accuracy_interval.map(|end| 100.0 * end);
    let top5 = measures.top5_accuracy.map_or_else(String::new, |top5| format!(", top-5 {}", super::percent(top5)));
    let f1 = super::percent(measures.class_means.f1);
    format!(" (95 % interval {low:.1} to {high:.1} %){top5}, macro F1 {f1}")
}

/// Prints the result. `other` says that the images are not of the run's dataset.
fn print(output: &EvalOutput, other: bool) {
    let classes = &output.classes;
    let Evaluation { split, images, loss, accuracy, psnr, per_class, measures, .. } = &output.evaluation;
    let evaluation = &output.evaluation;
    let weights = match (output.networks, output.epoch) {
        (1, 0) => String::new(),
        (1, epoch) => format!(", weights of epoch {epoch}"),
        (networks, _) => format!(", mean of {networks} networks"),
    };
    // A folder without splits is read as one for training, but its images were not trained on.
    let of = match other {
        true if *split == SplitName::Train.to_string() => output.dataset.clone(),
        true => format!("{} ({split})", output.dataset),
        false => split.clone(),
    };
    super::print_line(&format!("{of}: {images} images, loss {loss:.4}{weights}"));
    if let Some(accuracy) = accuracy {
        super::print_line(&format!(
            "accuracy {}{}",
            super::percent(*accuracy),
            measures.as_ref().map_or_else(String::new, beside)
        ));
    }
    if let Some(tags) = &output.evaluation.tags {
        print_tags(tags);
    }
    if let Some(psnr) = psnr {
        super::print_line(&format!("PSNR {psnr:.2} dB"));
    }
    for (index, (class, accuracy)) in classes.iter().zip(per_class.iter().flatten()).enumerate() {
        let Some(accuracy) = accuracy else { continue };
        let row = evaluation.confusion.as_ref().map_or(&[][..], |confusion| &confusion[index]);
        let others = row.iter().enumerate().filter(|&(other, &count)| other != index && count > 0);
        let most = others.max_by_key(|&(_, count)| count);
        let most = most
            .map_or(String::new(), |(other, count)| format!("  most often confused with {} ({count})", classes[other]));
        super::print_line(&format!("  {class:<12} {:>8}{most}", super::percent(*accuracy)));
    }
}

/// Prints the measures of images with any number of labels.
fn print_tags(tags: &TagMeasures) {
    let percent = super::percent;
    let average = |precision: Option<f64>| precision.map_or_else(|| "none".into(), percent);
    super::print_line(&format!(
        "mAP {}, micro F1 {}, macro F1 {}, all labels of an image right {}",
        average(tags.mean_average_precision),
        percent(tags.micro.f1),
        percent(tags.class_means.f1),
        percent(tags.exact_match)
    ));
    for label in &tags.classes {
        super::print_line(&format!(
            "  {:<12} AP {:>8}  precision {:>8}  recall {:>8}  F1 {:>8}  {} images, given to {}",
            label.class,
            average(label.average_precision),
            percent(label.scores.precision),
            percent(label.scores.recall),
            percent(label.scores.f1),
            label.images,
            label.predicted
        ));
    }
}
