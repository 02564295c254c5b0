//! The sections of a run's page for images with any number of labels: measures of each label, and the worst answers.

use maud::{Markup, html};

use super::content::PageContent;
use super::curves::Unit;
use super::examples::{CaptionedImages, captioned_images, percent};
use super::heat::HeatMaps;
use super::measured::evaluated_images;
use super::page::{facts, table};
use crate::Result;
use crate::train::{ClassScores, TagClassMeasures, TagMeasures, Tagged, is_given, sigmoid};

/// The images with these numbers, each with the labels that it has and those that it was wrongly given or not given.
pub fn worst(tagged: Tagged, numbers: &[usize], classes: &[String]) -> CaptionedImages {
    let caption = |&number: &usize| {
        let logits = &tagged.logits[number * classes.len()..][..classes.len()];
        let set = tagged.labels[number];
        let names = tagged.sets.names(set, classes);
        let wrong = |missed: bool| {
            let is_wrong = |class: usize| tagged.sets.has(set, class) == missed && is_given(logits[class]) != missed;
            let named = |class: usize| format!("{} {}", classes[class], percent(sigmoid(logits[class]) as f32));
            (0..classes.len()).filter(|&class| is_wrong(class)).map(named).collect::<Vec<_>>().join(", ")
        };
        let parts = [("missed", wrong(true)), ("wrongly given", wrong(false))];
        let parts = parts.into_iter().filter(|(_, labels)| !labels.is_empty());
        let says = parts.map(|(what, labels)| format!("; {what}: {labels}")).collect::<String>();
        (number, format!("{}{says}", if names.is_empty() { "no label" } else { &names }))
    };
    CaptionedImages { images: numbers.iter().map(caption).collect() }
}

/// The measures, and a table of the labels.
pub fn measures(content: &PageContent) -> Option<Markup> {
    let tags = content.tags.as_ref()?;
    Some(html! {
        p { (evaluated_images(content)) }
        (facts(&figures(tags)))
        p.faint { "The average precision of a label asks whether the images that have it are ranked before those that have not: 100 % if all \
                   are, whatever the threshold. All other figures are of the labels with a probability of at least 50 %. A micro figure counts \
                   all answers together; a macro mean counts each label the same, whatever the number of its images." }
        (labels(content, tags))
    })
}

/// The images with the largest loss.
///
/// # Errors
/// When an image cannot be written.
pub fn worst_answers(content: &PageContent) -> Result<Option<Markup>> {
    let (Some(_), Some(predictions), Some(checkpoint)) =
        (&content.tags, &content.predictions, &content.loaded.checkpoint)
    else {
        return Ok(None);
    };
    if content.worst_tags.images.is_empty() {
        return Ok(None);
    }
    let images = captioned_images(predictions, &content.worst_tags, checkpoint.input, &HeatMaps::default())?;
    Ok(Some(html! {
        p { "The images with the largest loss, each with the labels that it has. A label was missed if its probability is below 50 %. Look \
             here for labels that are wrong or were forgotten." }
        (images)
    }))
}

fn figures(tags: &TagMeasures) -> Vec<(&'static str, String)> {
    let percent = |fraction| Unit::Percent.show(fraction);
    let three = |ClassScores { precision, recall, f1 }| {
        format!("{} (precision {}, recall {})", percent(f1), percent(precision), percent(recall))
    };
    let map = tags.mean_average_precision.map(|map| ("mean average precision (mAP)", percent(map)));
    let rest = [
        ("images with all labels right", percent(tags.exact_match)),
        ("micro F1", three(tags.micro)),
        ("macro F1", three(tags.class_means)),
    ];
    map.into_iter().chain(rest).collect()
}

fn labels(content: &PageContent, tags: &TagMeasures) -> Markup {
    let percent = |fraction| Unit::Percent.show(fraction);
    let row = |(number, label): (usize, &TagClassMeasures)| {
        let ClassScores { precision, recall, f1 } = label.scores;
        let training = content.training_images.get(number).map_or_else(String::new, usize::to_string);
        let average = label.average_precision.map_or_else(String::new, percent);
        let [precision, recall, f1] = [precision, recall, f1].map(percent);
        let counts = [training, label.images.to_string(), label.predicted.to_string()];
        [vec![label.class.clone()], counts.to_vec(), vec![average, precision, recall, f1]].concat()
    };
    let rows: Vec<_> = tags.classes.iter().enumerate().map(row).collect();
    let head =
        ["label", "training images", "images evaluated", "given to", "average precision", "precision", "recall", "F1"];
    table(&head, 1, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::LabelSets;

    #[test]
    fn captions_say_what_was_missed_and_what_was_wrongly_given() {
        let classes = ["dog", "cat", "park"].map(String::from);
        let (sets, labels) = LabelSets::of([vec![0, 2], vec![], vec![1]]);
        let logits = [-3.0, 1.0, 2.0, 4.0, -4.0, -4.0, -1.0, 1.0, -1.0];
        let shown = worst(Tagged { logits: &logits, labels: &labels, sets: &sets }, &[1, 0, 2], &classes);
        let captions: Vec<&str> = shown.images.iter().map(|(_, caption)| caption.as_str()).collect();
        assert_eq!(
            captions,
            ["no label; wrongly given: dog 98.2 %", "dog;park; missed: dog 4.7 %; wrongly given: cat 73.1 %", "cat"]
        );
        assert_eq!(shown.images[0].0, 1);
    }
}
