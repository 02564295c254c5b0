//! How good a classifier's answers are, from its prediction for each image: measures of each class, an interval of the accuracy,
//! and how far probabilities can be trusted.

use super::evaluation::largest;
use super::metrics::softmax;

/// Images whose class is among this many most probable classes count for the top-5 accuracy.
const TOP: usize = 5;
/// The number of equal ranges of the confidence, from 0 to 1, for the calibration error.
pub const CALIBRATION_BINS: usize = 15;
/// Half the width of the interval of a standard normal variable that holds it with a probability of 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// The prediction for one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(into = "StoredPrediction", from = "StoredPrediction")]
pub struct ImagePrediction {
    /// The true class.
    pub label: usize,
    /// The predicted class; for an autoencoder the true class.
    pub guess: usize,
    /// The probability of the true class; for an autoencoder the PSNR in dB.
    pub label_score: f32,
    /// The probability of the predicted class; for an autoencoder the same as `label_score`.
    pub guess_score: f32,
    /// The number of classes that are more probable than the true class; for an autoencoder 0.
    pub rank: usize,
}

/// The fields in the order of a file.
type StoredPrediction = (usize, usize, f32, f32, usize);

impl From<ImagePrediction> for StoredPrediction {
    fn from(ImagePrediction { label, guess, label_score, guess_score, rank }: ImagePrediction) -> Self {
        (label, guess, label_score, guess_score, rank)
    }
}

impl From<StoredPrediction> for ImagePrediction {
    fn from((label, guess, label_score, guess_score, rank): StoredPrediction) -> Self {
        Self { label, guess, label_score, guess_score, rank }
    }
}

impl ImagePrediction {
    /// The prediction of a classifier for an image of class `label`. Of equal logits, the one of the lowest class counts as the
    /// largest.
    pub fn of(label: usize, logits: &[f32]) -> Self {
        let guess = largest(logits);
        let probabilities = softmax(logits);
        let probability = |class: usize| probabilities[class] as f32;
        let before =
            |&(class, &logit): &(usize, &f32)| logit > logits[label] || (logit == logits[label] && class < label);
        let rank = logits.iter().enumerate().filter(before).count();
        Self { label, guess, label_score: probability(label), guess_score: probability(guess), rank }
    }
}

/// Precision, recall and F1, each from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ClassScores {
    /// The fraction of the images predicted as the class that are of the class.
    pub precision: f64,
    /// The fraction of the images of the class that were predicted as the class.
    pub recall: f64,
    /// The harmonic mean of precision and recall.
    pub f1: f64,
}

/// The measures of one class. A fraction of no images is 0, as in scikit-learn.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ClassMeasures {
    /// The class's name.
    pub class: String,
    /// The number of images of the class.
    pub images: u64,
    /// The number of images predicted as the class.
    pub predicted: u64,
    /// Precision, recall and F1.
    #[serde(flatten)]
    pub scores: ClassScores,
}

/// The images whose confidence, the probability of the predicted class, is in one of [`CALIBRATION_BINS`] ranges.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CalibrationBin {
    /// The number of images.
    pub images: u64,
    /// Their mean confidence, from 0 to 1; 0 without images.
    pub confidence: f64,
    /// The fraction of them that were classified correctly; 0 without images.
    pub accuracy: f64,
}

/// Measures of a classifier on a split. All fractions are from 0 to 1.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Measures {
    /// The number of images.
    pub images: u64,
    /// The fraction of images that were classified correctly.
    pub accuracy: f64,
    /// The 95 % confidence interval of the accuracy (Wilson): its ends.
    pub accuracy_interval: [f64; 2],
    /// The fraction of images whose class is among the five most probable classes. `None` with at most five classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top5_accuracy: Option<f64>,
    /// The means over all classes that have images or were predicted.
    #[serde(rename = "macro")]
    pub class_means: ClassScores,
    /// The expected calibration error: the mean distance between confidence and accuracy over the bins of `calibration`, weighted
    /// by their images.
    pub calibration_error: f64,
    /// Ranges of the confidence, each with its lower end excluded and its upper end included.
    pub calibration: Vec<CalibrationBin>,
    /// The measures of each class, in index order.
    pub classes: Vec<ClassMeasures>,
}

impl Measures {
    /// The measures of a classifier's predictions. `classes` are the class names.
    pub fn of(predictions: &[ImagePrediction], classes: &[String]) -> Self {
        let images = predictions.len() as u64;
        let count =
            |fits: &dyn Fn(&ImagePrediction) -> bool| predictions.iter().filter(|each| fits(each)).count() as u64;
        let correct = count(&|each| each.guess == each.label);
        let calibration = calibration(predictions);
        let gap = |bin: &CalibrationBin| bin.images as f64 * (bin.accuracy - bin.confidence).abs();
        let classes = class_measures(predictions, classes);
        Self {
            images,
            accuracy: fraction(correct, images),
            accuracy_interval: wilson_interval(correct, images),
            top5_accuracy: (classes.len() > TOP).then(|| fraction(count(&|each| each.rank < TOP), images)),
            class_means: class_means(&classes),
            calibration_error: calibration.iter().map(gap).sum::<f64>() / images.max(1) as f64,
            calibration,
            classes,
        }
    }
}

/// The 95 % confidence interval of a fraction that was measured as `successes` of `trials` (E. Wilson, "Probable inference, the law of
/// succession, and statistical inference", 1927): its ends, from 0 to 1. Without trials it is 0 to 1.
pub fn wilson_interval(successes: u64, trials: u64) -> [f64; 2] {
    if trials == 0 {
        return [0.0, 1.0];
    }
    let (trials, share) = (trials as f64, successes as f64 / trials as f64);
    let whole = 1.0 + Z * Z / trials;
    let middle = share + Z * Z / (2.0 * trials);
    let half = Z * (share * (1.0 - share) / trials + Z * Z / (4.0 * trials * trials)).sqrt();
    [((middle - half) / whole).max(0.0), ((middle + half) / whole).min(1.0)]
}

pub(super) fn fraction(part: u64, whole: u64) -> f64 {
    if whole > 0 { part as f64 / whole as f64 } else { 0.0 }
}

fn class_measures(predictions: &[ImagePrediction], classes: &[String]) -> Vec<ClassMeasures> {
    let mut counts = vec![[0_u64; 3]; classes.len()];
    for each in predictions {
        counts[each.label][0] += 1;
        counts[each.guess][1] += 1;
        counts[each.label][2] += u64::from(each.guess == each.label);
    }
    let class = |(class, [images, predicted, correct]): (&String, [u64; 3])| ClassMeasures {
        class: class.clone(),
        images,
        predicted,
        scores: ClassScores {
            precision: fraction(correct, predicted),
            recall: fraction(correct, images),
            f1: fraction(2 * correct, images + predicted),
        },
    };
    classes.iter().zip(counts).map(class).collect()
}

fn class_means(classes: &[ClassMeasures]) -> ClassScores {
    let there: Vec<&ClassScores> =
        classes.iter().filter(|class| class.images + class.predicted > 0).map(|class| &class.scores).collect();
    let mean =
        |of: fn(&ClassScores) -> f64| there.iter().map(|&scores| of(scores)).sum::<f64>() / there.len().max(1) as f64;
    ClassScores {
        precision: mean(|scores| scores.precision),
        recall: mean(|scores| scores.recall),
        f1: mean(|scores| scores.f1),
    }
}

fn calibration(predictions: &[ImagePrediction]) -> Vec<CalibrationBin> {
    let mut bins = vec![CalibrationBin::default(); CALIBRATION_BINS];
    for each in predictions {
        let confidence = f64::from(each.guess_score);
        let bin = ((confidence * CALIBRATION_BINS as f64).ceil() as usize).clamp(1, CALIBRATION_BINS) - 1;
        let bin = &mut bins[bin];
        bin.images += 1;
        bin.confidence += confidence;
        bin.accuracy += f64::from(u8::from(each.guess == each.label));
    }
    for bin in bins.iter_mut().filter(|bin| bin.images > 0) {
        bin.confidence /= bin.images as f64;
        bin.accuracy /= bin.images as f64;
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels and logits: `python3 scripts/sklearn_measures.py`, NumPy's random numbers of seed 3.
    const TABLE: [(usize, [f32; 7]); 24] = [
        (4, [-0.34, -0.8, -1.27, -0.47, -0.82, -0.29, -5.85]),
        (0, [0.86, 0.03, 1.85, 0.65, -3.11, -0.22, -6.35]),
        (0, [3.42, -0.32, -0.29, 1.2, -3.56, -0.35, -5.94]),
        (1, [0.7, 1.21, 0.8, -3.39, -1.27, -1.15, -9.0]),
        (0, [1.43, 0.84, -0.53, -1.29, -2.47, -0.06, -5.31]),
        (4, [0.9, 0.23, 1.33, -0.25, -2.51, 0.7, -6.3]),
        (4, [-0.26, -0.94, 0.27, -2.99, -0.57, 0.59, -8.97]),
        (2, [0.07, -1.16, 2.01, -2.44, -3.6, 0.85, -5.61]),
        (0, [-1.49, -0.6, 0.39, -0.73, -0.59, -1.43, -6.57]),
        (0, [-0.16, 1.69, -0.03, -0.45, -4.56, 2.02, -6.1]),
        (1, [0.9, 2.47, 0.42, -0.77, -3.46, -0.96, -5.36]),
        (2, [-1.75, -0.72, 0.71, 0.27, -1.81, -1.5, -9.08]),
        (3, [-0.01, 1.46, 0.91, 1.36, -2.88, 0.35, -7.29]),
        (2, [0.98, -0.95, 1.26, -0.13, -1.85, 0.27, -3.94]),
        (1, [1.8, 2.9, -2.45, -0.41, -3.23, 0.64, -9.73]),
        (0, [2.51, 1.28, -1.56, -1.17, -3.46, 0.05, -6.23]),
        (3, [2.46, -0.24, 0.92, 1.29, -0.39, 0.89, -5.36]),
        (3, [-1.29, -0.23, -0.98, 2.91, -1.71, -0.37, -7.54]),
        (0, [1.68, -0.84, -1.12, 0.58, 0.46, -0.3, -7.67]),
        (0, [-0.31, -1.6, 0.63, 1.02, -2.49, 0.4, -6.86]),
        (2, [0.17, -1.83, 0.55, 0.13, -3.44, -0.57, -7.98]),
        (1, [-0.4, 2.12, -0.49, -0.18, -1.52, 0.77, -4.97]),
        (4, [-2.51, 1.03, -0.58, 0.16, -0.39, 1.3, -5.75]),
        (2, [0.19, 1.93, 0.76, -0.17, -1.54, -0.66, -4.41]),
    ];

    #[track_caller]
    fn close(found: impl IntoIterator<Item = f64>, wanted: &[f64]) {
        let found: Vec<f64> = found.into_iter().collect();
        assert_eq!(found.len(), wanted.len());
        // Probabilities are kept in single precision.
        assert!(found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-7), "{found:?} {wanted:?}");
    }

    /// The expected values are those of scikit-learn 1.9.1 and SciPy 1.17.1: `python3 scripts/sklearn_measures.py`.
    #[test]
    fn measures_are_those_of_scikit_learn() {
        let predictions = TABLE.map(|(label, logits)| ImagePrediction::of(label, &logits));
        let measures = Measures::of(&predictions, &["a", "b", "c", "d", "e", "f", "g"].map(String::from));
        let each = |of: fn(&ClassMeasures) -> f64| measures.classes.iter().map(of).collect::<Vec<_>>();
        close(each(|class| class.scores.precision), &[0.8, 2.0 / 3.0, 4.0 / 7.0, 0.5, 0.0, 0.0, 0.0]);
        close(each(|class| class.scores.recall), &[0.5, 1.0, 0.8, 1.0 / 3.0, 0.0, 0.0, 0.0]);
        close(each(|class| class.scores.f1), &[0.615_384_615_384_615_4, 0.8, 2.0 / 3.0, 0.4, 0.0, 0.0, 0.0]);
        close(each(|class| class.images as f64), &[8.0, 4.0, 5.0, 3.0, 4.0, 0.0, 0.0]);
        let ClassScores { precision, recall, f1 } = measures.class_means;
        close([precision, recall, f1], &[0.423_015_873_015_873, 0.438_888_888_888_888_9, 0.413_675_213_675_213_7]);
        close(measures.top5_accuracy, &[0.916_666_666_666_666_6]);
        close([measures.accuracy], &[13.0 / 24.0]);
        close(measures.accuracy_interval, &[0.350_748_653_589_194_95, 0.721_086_662_687_890_1]);

        let images: Vec<u64> = measures.calibration.iter().map(|bin| bin.images).collect();
        assert_eq!(images, [0, 0, 0, 1, 1, 5, 4, 4, 2, 2, 3, 0, 1, 1, 0]);
        let filled = || measures.calibration.iter().filter(|bin| bin.images > 0);
        close(filled().map(|bin| bin.accuracy), &[0.0, 0.0, 0.4, 0.5, 0.5, 0.0, 1.0, 1.0, 1.0, 1.0]);
        let confidences = [
            0.229_633_776_902_050_64,
            0.327_389_397_212_376_7,
            0.374_929_341_908_947_33,
            0.424_713_226_929_811_17,
            0.504_717_358_107_385_5,
            0.560_404_804_410_336_2,
            0.654_581_097_318_684_1,
            0.695_587_594_388_327_7,
            0.846_805_152_266_215_4,
            0.887_915_164_102_125_5,
        ];
        close(filled().map(|bin| bin.confidence), &confidences);
        close([measures.calibration_error], &[0.166_356_554_205_415_37]);
    }

    /// The expected values are those of SciPy's `binomtest(successes, trials).proportion_ci(0.95, "wilson")`.
    #[test]
    fn intervals_are_those_of_scipy() {
        close(wilson_interval(0, 10), &[0.0, 0.277_532_799_862_889_26]);
        close(wilson_interval(10, 10), &[0.722_467_200_137_110_9, 1.0]);
        close(wilson_interval(93, 102), &[0.840_755_414_460_485_7, 0.952_884_440_242_426_9]);
        close(wilson_interval(0, 0), &[0.0, 1.0]);
    }

    #[test]
    fn five_classes_have_no_top_5_accuracy_and_no_images_no_figures() {
        let classes = |count: usize| (0..count).map(|class| class.to_string()).collect::<Vec<_>>();
        assert_eq!(Measures::of(&[], &classes(5)).top5_accuracy, None);
        let nothing = Measures::of(&[], &classes(6));
        assert_eq!((nothing.top5_accuracy, nothing.calibration_error, nothing.class_means.f1), (Some(0.0), 0.0, 0.0));
    }

    #[test]
    fn probabilities_are_those_of_softmax_and_ties_go_to_the_first() {
        let prediction = ImagePrediction::of(1, &[2.0, 1.0, 2.0]);
        assert_eq!((prediction.guess, prediction.label, prediction.rank), (0, 1, 2));
        let whole = 2.0 * 2.0_f64.exp() + 1.0_f64.exp();
        assert!((f64::from(prediction.label_score) - 1.0_f64.exp() / whole).abs() < 1e-7);
        assert!((f64::from(prediction.guess_score) - 2.0_f64.exp() / whole).abs() < 1e-7);
        assert_eq!(ImagePrediction::of(2, &[2.0, 1.0, 2.0]).rank, 1);
    }
}
