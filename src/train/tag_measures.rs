//! How good the answers of a network are that gives images any number of labels: average precision of each class, and measures at a
//! threshold.

use super::measures::{ClassScores, fraction};
use crate::data::LabelSets;

/// The measures of one class. A fraction of no images is 0, as in scikit-learn.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TagClassMeasures {
    /// The class's name.
    pub class: String,
    /// The number of images that have the class.
    pub images: u64,
    /// The number of images that were given the class at a probability of one half.
    pub predicted: u64,
    /// The average precision. `None` if no image has the class.
    pub average_precision: Option<f64>,
    /// Precision, recall and F1 at a probability of one half.
    #[serde(flatten)]
    pub scores: ClassScores,
}

/// Measures of a network that gives images any number of labels, on a split. All fractions are from 0 to 1.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TagMeasures {
    /// The number of images.
    pub images: u64,
    /// The mean of the average precisions of all classes that some image has (mAP). `None` if no image has a class.
    pub mean_average_precision: Option<f64>,
    /// The fraction of images whose answers are right for every class, at a probability of one half.
    pub exact_match: f64,
    /// Precision, recall and F1 over all answers of all classes together, at a probability of one half.
    pub micro: ClassScores,
    /// The means over all classes that have images or were predicted, at a probability of one half.
    #[serde(rename = "macro")]
    pub class_means: ClassScores,
    /// The measures of each class, in index order.
    pub classes: Vec<TagClassMeasures>,
}

/// The logits of images, `[images, classes]`, and what they are held against.
#[derive(Clone, Copy, Debug)]
pub struct Tagged<'a> {
    /// The logits.
    pub logits: &'a [f32],
    /// The number of each image's set of classes.
    pub labels: &'a [u32],
    /// The sets.
    pub sets: &'a LabelSets,
}

impl Tagged<'_> {
    /// The logit of each image for a class, and whether the image has it.
    fn of_class(self, class: usize, classes: usize) -> Vec<(f32, bool)> {
        let rows = self.logits.chunks(classes).zip(self.labels);
        rows.map(|(row, &label)| (row[class], self.sets.has(label, class))).collect()
    }

    /// The mean of the average precisions of the classes that some image has. `None` if no image has a class.
    pub fn mean_average_precision(self, classes: usize) -> Option<f64> {
        mean((0..classes).map(|class| average_precision(self.of_class(class, classes))))
    }

    /// The mean loss of an image, which is a mean over the classes: binary cross-entropy.
    pub fn loss(self, classes: usize) -> f64 {
        let each = (0..classes).flat_map(|class| self.of_class(class, classes));
        let sum: f64 = each.map(|(logit, has)| softplus(if has { -logit } else { logit })).sum();
        sum / (self.labels.len() * classes).max(1) as f64
    }
}

impl TagMeasures {
    /// The measures of logits. `classes` are the class names.
    pub fn of(tagged: Tagged, classes: &[String]) -> Self {
        let images = tagged.labels.len() as u64;
        let mut right = vec![true; tagged.labels.len()];
        let mut counts = Vec::new();
        let mut each = Vec::new();
        for (class, name) in classes.iter().enumerate() {
            let answers = tagged.of_class(class, classes.len());
            let found = Counts::of(&answers);
            right.iter_mut().zip(&answers).for_each(|(right, &(logit, has))| *right &= is_given(logit) == has);
            each.push(TagClassMeasures {
                class: name.clone(),
                images: found.images,
                predicted: found.predicted,
                average_precision: average_precision(answers),
                scores: found.scores(),
            });
            counts.push(found);
        }
        Self {
            images,
            mean_average_precision: mean(each.iter().map(|class| class.average_precision)),
            exact_match: fraction(right.iter().filter(|right| **right).count() as u64, images),
            micro: Counts::total(&counts).scores(),
            class_means: class_means(&each),
            classes: each,
        }
    }
}

/// Whether a logit gives an image its class: its probability is at least one half.
pub fn is_given(logit: f32) -> bool {
    logit >= 0.0
}

/// The probability of a logit by the logistic sigmoid.
pub(crate) fn sigmoid(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// ln(1 + e^x), which cannot overflow.
fn softplus(x: f32) -> f64 {
    let x = f64::from(x);
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// How often a class is there, was given, and both.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    images: u64,
    predicted: u64,
    both: u64,
}

impl Counts {
    fn of(answers: &[(f32, bool)]) -> Self {
        let count = |fits: &dyn Fn(&(f32, bool)) -> bool| answers.iter().filter(|each| fits(each)).count() as u64;
        Self {
            images: count(&|&(_, has)| has),
            predicted: count(&|&(logit, _)| is_given(logit)),
            both: count(&|&(logit, has)| has && is_given(logit)),
        }
    }

    fn total(all: &[Self]) -> Self {
        let sum = |of: fn(&Self) -> u64| all.iter().map(of).sum();
        Self { images: sum(|one| one.images), predicted: sum(|one| one.predicted), both: sum(|one| one.both) }
    }

    fn scores(self) -> ClassScores {
        ClassScores {
            precision: fraction(self.both, self.predicted),
            recall: fraction(self.both, self.images),
            f1: fraction(2 * self.both, self.images + self.predicted),
        }
    }
}

fn class_means(classes: &[TagClassMeasures]) -> ClassScores {
    let there = || classes.iter().filter(|class| class.images + class.predicted > 0);
    let of = |of: fn(&ClassScores) -> f64| mean(there().map(|class| Some(of(&class.scores)))).unwrap_or(0.0);
    ClassScores {
        precision: of(|scores| scores.precision),
        recall: of(|scores| scores.recall),
        f1: of(|scores| scores.f1),
    }
}

/// The mean of the values that are there.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = values.flatten().fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// The average precision of logits, each with whether it is of an image that has the class: the sum over all thresholds of the precision
/// there times the recall that it adds, as scikit-learn's `average_precision_score`. `None` if no image has the class.
fn average_precision(mut answers: Vec<(f32, bool)>) -> Option<f64> {
    let all = answers.iter().filter(|(_, has)| *has).count();
    answers.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut found, mut sum) = (0_usize, 0.0);
    let mut seen = 0;
    for equal in answers.chunk_by(|a, b| a.0 == b.0) {
        let more = equal.iter().filter(|(_, has)| *has).count();
        seen += equal.len();
        found += more;
        sum += more as f64 * found as f64 / seen as f64;
    }
    (all > 0).then(|| sum / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits and labels of 20 images and 4 classes: `python3 scripts/sklearn_tag_measures.py`, NumPy's random numbers of seed 5. Some
    /// logits are equal, and no image has class 3.
    const TABLE: [([f32; 4], &[u32]); 20] = [
        ([-2.0, -2.25, -0.25, -2.0], &[]),
        ([-1.0, 0.0, -2.25, -1.25], &[0]),
        ([0.75, -1.25, -0.75, 1.0], &[0]),
        ([0.0, -2.5, -3.25, -1.0], &[0]),
        ([0.25, -0.5, -1.25, -1.25], &[0]),
        ([-1.75, 0.0, -0.5, -1.25], &[1]),
        ([-0.5, 1.75, 1.25, -2.75], &[2]),
        ([1.5, 1.25, -2.0, 0.5], &[1]),
        ([-0.75, -1.5, -0.0, -2.0], &[2]),
        ([-0.75, 0.75, 0.25, -0.25], &[2]),
        ([3.25, -2.25, 1.0, -1.25], &[0, 2]),
        ([-2.25, -2.0, -0.75, -0.25], &[]),
        ([0.0, -0.75, 1.75, -0.25], &[0, 2]),
        ([2.0, -0.25, 1.5, 1.5], &[0, 2]),
        ([0.0, 1.0, 0.25, -2.0], &[1]),
        ([-1.25, 0.25, 1.5, 1.25], &[2]),
        ([0.75, -2.75, 1.75, 0.75], &[0]),
        ([-2.25, 2.5, 0.75, -3.0], &[1, 2]),
        ([0.25, -1.5, 1.25, -1.75], &[0]),
        ([-1.0, -1.0, -1.25, -2.0], &[]),
    ];

    #[track_caller]
    fn close(found: impl IntoIterator<Item = f64>, wanted: &[f64]) {
        let found: Vec<f64> = found.into_iter().collect();
        assert_eq!(found.len(), wanted.len());
        assert!(found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-12), "{found:?} {wanted:?}");
    }

    fn measured(table: &[([f32; 4], &[u32])]) -> (TagMeasures, f64) {
        let (sets, labels) = LabelSets::of(table.iter().map(|(_, classes)| classes.to_vec()));
        let logits: Vec<f32> = table.iter().flat_map(|(logits, _)| *logits).collect();
        let tagged = Tagged { logits: &logits, labels: &labels, sets: &sets };
        let measures = TagMeasures::of(tagged, &["a", "b", "c", "d"].map(String::from));
        assert_eq!(measures.mean_average_precision, tagged.mean_average_precision(4));
        (measures, tagged.loss(4))
    }

    /// The expected values are those of scikit-learn 1.9.1 and NumPy: `python3 scripts/sklearn_tag_measures.py`.
    #[test]
    fn measures_are_those_of_scikit_learn() {
        let (measures, loss) = measured(&TABLE);
        let each = |of: fn(&TagClassMeasures) -> f64| measures.classes[..3].iter().map(of).collect::<Vec<_>>();
        close(
            measures.classes[..3].iter().filter_map(|class| class.average_precision),
            &[0.834_920_634_920_635_1, 0.729_166_666_666_666_6, 0.694_778_138_528_138_5],
        );
        assert_eq!((measures.classes[3].average_precision, measures.classes[3].images), (None, 0));
        close(measures.mean_average_precision, &[0.752_955_146_705_146_7]);
        close(each(|class| class.scores.precision), &[0.8, 0.5, 0.727_272_727_272_727_3]);
        close(each(|class| class.scores.recall), &[0.888_888_888_888_888_8, 1.0, 1.0]);
        close(
            each(|class| class.scores.f1),
            &[0.842_105_263_157_894_7, 0.666_666_666_666_666_6, 0.842_105_263_157_894_7],
        );
        let scores = |scores: ClassScores| [scores.precision, scores.recall, scores.f1];
        close(scores(measures.micro), &[0.588_235_294_117_647_1, 0.952_380_952_380_952_3, 0.727_272_727_272_727_3]);
        close(scores(measures.class_means), &[0.506_818_181_818_181_8, 0.722_222_222_222_222_2, 0.587_719_298_245_614]);
        close([measures.exact_match, loss], &[0.5, 0.479_146_476_416_810_5]);
    }

    #[test]
    fn perfect_and_missing_answers_have_the_figures_of_their_definitions() {
        // By hand: ranks 1 and 3 of 3 are right, so (1 + 2 / 3) / 2; all equal: the share of the class.
        assert_eq!(average_precision(vec![(2.0, true), (1.0, false), (0.0, true)]), Some((1.0 + 2.0 / 3.0) / 2.0));
        assert_eq!(average_precision(vec![(1.0, false), (1.0, true), (1.0, false), (1.0, false)]), Some(0.25));
        assert_eq!(average_precision(vec![(1.0, false)]), None);
        let (nothing, loss) = measured(&[]);
        assert_eq!((nothing.mean_average_precision, nothing.exact_match, loss), (None, 0.0, 0.0));
        let (right, loss) = measured(&[([9.0, -9.0, -9.0, -9.0], &[0]), ([-9.0, -9.0, -9.0, -9.0], &[])]);
        assert_eq!((right.mean_average_precision, right.exact_match, right.micro.f1), (Some(1.0), 1.0, 1.0));
        assert!((loss - (-9.0_f64).exp().ln_1p()).abs() < 1e-12);
        assert!((sigmoid(0.0) - 0.5).abs() < 1e-12 && is_given(0.0) && !is_given(-1e-6) && !is_given(f32::NAN));
    }
}
