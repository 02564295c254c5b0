//! The sections of a run's page that say how good a classifier is: measures, each class, the confusion matrix.

use maud::{Markup, html};

use super::content::PageContent;
use super::curves::Unit;
use super::draw;
use super::page::{facts, table};
use super::reliability::ReliabilityDiagram;
use crate::Result;
use crate::train::{CALIBRATION_BINS, ClassScores, Measures};

/// A sentence that says which images were evaluated.
pub fn evaluated_images(content: &PageContent) -> String {
    let Some(predictions) = &content.predictions else { return String::new() };
    let (split, seen, all) = (predictions.split_name, predictions.each.len(), predictions.split_images);
    let epoch = content.loaded.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.counters.epoch);
    let weights = if epoch == 0 { "the imported weights".into() } else { format!("the weights of epoch {epoch}") };
    let alike = if content.tags.is_some() { ", chosen at random" } else { ", the same number of each class" };
    match seen == all {
        true => format!("All {all} images of the {split} split, evaluated with {weights}."),
        false => format!(
            "{seen} of the {all} images of the {split} split{alike}, evaluated with {weights}. \
             gpunn report --all evaluates all images."
        ),
    }
}

/// The measures, the reliability diagram, and a table of the classes.
///
/// # Errors
/// When the diagram cannot be drawn.
pub fn measures(content: &PageContent) -> Result<Option<Markup>> {
    let Some(measures) = &content.measures else { return Ok(None) };
    let drawn = draw::inline(&ReliabilityDiagram::of(measures))?;
    let bins = format!("{CALIBRATION_BINS} equal ranges of the confidence");
    Ok(Some(html! {
        p { (evaluated_images(content)) }
        (facts(&figures(measures)))
        p.faint { "If the evaluation were repeated with other images of the same kind, 95 % of such intervals (Wilson) would contain the \
                   accuracy. A macro mean counts each class the same, whatever the number of its images." }
        h3 { "Calibration" }
        p { "The confidence is the probability of the predicted class. Of the answers with a confidence of 80 %, 80 % should be right: on \
             the line. Each bar and dot is one of " (bins) ". The expected calibration error is the mean distance of the dots from the line, \
             weighted by images. Point at a bar for its images." }
        (drawn)
        details { summary { "Class by class" } (classes(content, measures)) }
    }))
}

/// The confusion matrix.
///
/// # Errors
/// When it cannot be drawn.
pub fn confusion(content: &PageContent) -> Result<Option<Markup>> {
    let Some(matrix) = &content.matrix else { return Ok(None) };
    let drawn = draw::inline(matrix)?;
    Ok(Some(html! {
        p { "Blue is correct, orange is wrong. A stronger color means a larger share of the row. Point at a cell for its counts." }
        div.wide.matrix { (drawn) }
    }))
}

fn figures(measures: &Measures) -> Vec<(&'static str, String)> {
    let percent = |fraction| Unit::Percent.show(fraction);
    let [low, high] = measures.accuracy_interval.map(percent);
    let ClassScores { precision, recall, f1 } = measures.class_means;
    let mut rows = vec![("accuracy", format!("{} (95 % interval {low} to {high})", percent(measures.accuracy)))];
    rows.extend(measures.top5_accuracy.map(|top5| ("top-5 accuracy", percent(top5))));
    rows.extend([
        ("macro precision", percent(precision)),
        ("macro recall", percent(recall)),
        ("macro F1", percent(f1)),
        ("expected calibration error", percent(measures.calibration_error)),
    ]);
    rows
}

fn classes(content: &PageContent, measures: &Measures) -> Markup {
    let percent = |fraction| Unit::Percent.show(fraction);
    let confused = |class: usize| {
        let row = content.matrix.as_ref().map_or(&[][..], |matrix| &matrix.counts[class]);
        let others = row.iter().enumerate().filter(|&(other, &count)| other != class && count > 0);
        let most = others.max_by_key(|&(_, &count)| count);
        most.map_or_else(String::new, |(other, count)| format!("{} ({count})", measures.classes[other].class))
    };
    let row = |(number, class): (usize, &crate::train::ClassMeasures)| {
        let ClassScores { precision, recall, f1 } = class.scores;
        let training = content.training_images.get(number).map_or_else(String::new, usize::to_string);
        let [precision, recall, f1] = [precision, recall, f1].map(percent);
        vec![class.class.clone(), confused(number), training, class.images.to_string(), precision, recall, f1]
    };
    let rows: Vec<_> = measures.classes.iter().enumerate().map(row).collect();
    let head =
        ["class", "most often confused with", "training images", "images evaluated", "precision", "recall", "F1"];
    html! {
        p.faint { "Precision: the share of the answers with this class that are right. Recall: the share of the images of this class that \
                   were recognized. F1: their harmonic mean." }
        (table(&head, 2, &rows))
    }
}
