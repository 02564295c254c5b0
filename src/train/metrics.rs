//! The metrics of a run.

use crate::nn::models::Task;

/// The metrics of a pass over a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Measured {
    /// The mean loss per image.
    pub loss: f64,
    /// The fraction of images that were classified correctly, from 0 to 1. `None` for an autoencoder, and with several labels an image.
    pub accuracy: Option<f64>,
    /// With several labels an image: the fraction of images whose answers are right for every class, at a probability of one half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_match: Option<f64>,
    /// With several labels an image: the mean of the classes' average precisions. `None` in training, and if no image has a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_average_precision: Option<f64>,
    /// The mean peak signal-to-noise ratio of the images in dB. `None` for a classifier.
    pub psnr: Option<f64>,
    /// The number of images.
    pub images: u64,
}

impl Measured {
    /// The metrics from the sums that the device keeps: the sum of the losses, the number of correctly classified images (or
    /// the sum of the ratios in dB), and the number of images. The average precision is not among them.
    pub fn from_sums(task: Task, sums: &[f32]) -> Self {
        let at = |index: usize| sums.get(index).copied().map_or(0.0, f64::from);
        let mean = |sum: f64| if at(2) > 0.0 { sum / at(2) } else { 0.0 };
        let score = mean(at(1));
        let only = |of: Task| (task == of).then_some(score);
        Self {
            loss: mean(at(0)),
            accuracy: only(Task::Classify),
            exact_match: only(Task::Tag),
            mean_average_precision: None,
            psnr: only(Task::Reconstruct),
            images: at(2) as u64,
        }
    }
}

/// The class probabilities of an image from its logits.
pub(crate) fn softmax(logits: &[f32]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::MIN, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - highest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|value| value / sum).collect()
}

/// The ratio in dB for an image that is reconstructed without any error.
pub const PERFECT: f64 = 100.0;

/// The peak signal-to-noise ratio of a reconstructed image, in dB: -10 log10 of the mean squared error, for values from 0
/// to 1. It equals scikit-image's `peak_signal_noise_ratio` with a data range of 1, but is at most [`PERFECT`] instead of
/// infinity.
pub fn psnr(original: &[f32], given_back: &[f32]) -> f64 {
    let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    let error = original.iter().zip(given_back).map(square).sum::<f64>() / original.len().max(1) as f64;
    (-10.0 * error.log10()).min(PERFECT)
}

/// The mean of [`psnr`] over concatenated images of `values` values each. `None` if there are no images.
pub fn mean_psnr(originals: &[f32], given_back: &[f32], values: usize) -> Option<f64> {
    let pairs = originals.chunks_exact(values.max(1)).zip(given_back.chunks_exact(values.max(1)));
    let count = pairs.len();
    (count > 0).then(|| pairs.map(|(original, back)| psnr(original, back)).sum::<f64>() / count as f64)
}

/// The metrics of an epoch. In a run directory they are a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EpochLine {
    /// The epoch, from 1.
    pub epoch: u32,
    /// The mean loss per training image, each computed in its step of the epoch.
    pub train_loss: f64,
    /// The fraction of training images that were classified correctly, each in its step. `None` for an autoencoder, and with several
    /// labels an image.
    pub train_accuracy: Option<f64>,
    /// As [`Measured::exact_match`], of the training images, each in its step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_exact_match: Option<f64>,
    /// The loss on the validation split after the epoch. `None` without a validation split.
    pub val_loss: Option<f64>,
    /// The accuracy on the validation split after the epoch, from 0 to 1. `None` for an autoencoder.
    pub val_accuracy: Option<f64>,
    /// As [`Measured::exact_match`], on the validation split after the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_exact_match: Option<f64>,
    /// As [`Measured::mean_average_precision`], on the validation split after the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_map: Option<f64>,
    /// The mean peak signal-to-noise ratio on the validation split after the epoch, in dB. `None` for a classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_psnr: Option<f64>,
    /// The learning rate of the epoch's first step.
    pub lr: f64,
    /// The duration of the epoch in seconds, with the evaluation of the validation split.
    pub seconds: f64,
    /// Training images per second, without the time of the evaluation.
    pub images_per_second: f64,
    /// The time in seconds that the training steps waited for streamed images. `None` if images are not streamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loader_wait: Option<f64>,
}

impl std::fmt::Display for EpochLine {
    /// One readable line, without times.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let accuracy = |accuracy: Option<f64>, exact: Option<f64>| match (accuracy, exact) {
            (Some(part), _) => format!(" ({:.2} %)", 100.0 * part),
            (None, Some(part)) => format!(" ({:.2} % exact)", 100.0 * part),
            (None, None) => String::new(),
        };
        let own = accuracy(self.train_accuracy, self.train_exact_match);
        write!(f, "epoch {}: loss {:.4}{own}", self.epoch, self.train_loss)?;
        if let Some(loss) = self.val_loss {
            write!(f, ", validation loss {loss:.4}{}", accuracy(self.val_accuracy, self.val_exact_match))?;
        }
        self.val_map.map_or(Ok(()), |map| write!(f, ", mAP {:.2} %", 100.0 * map))?;
        self.val_psnr.map_or(Ok(()), |psnr| write!(f, ", {psnr:.2} dB"))
    }
}

/// The summary of a run on the disk: its names, last and best metrics, and sizes. It is the file `summary.json` of a run
/// directory. With `--json`, `gpunn train` prints it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// The version of the program. `None` in summaries of versions that did not store it.
    #[serde(default)]
    pub version: Option<String>,
    /// The run directory.
    pub run: String,
    /// The recipe's name.
    pub recipe: String,
    /// The model's name.
    pub model: String,
    /// The dataset's name.
    pub dataset: String,
    /// `gpu` or `cpu`.
    pub executor: String,
    /// The device's name.
    pub device: String,
    /// The number of complete epochs.
    pub epochs: u32,
    /// Whether the run ended before the recipe's last epoch, because no epoch was better for as long as the patience.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped_early: bool,
    /// The duration of all epochs together, in seconds.
    pub seconds: f64,
    /// [`EpochLine::train_loss`] of the last epoch.
    pub train_loss: f64,
    /// [`EpochLine::train_accuracy`] of the last epoch. `None` for an autoencoder.
    pub train_accuracy: Option<f64>,
    /// The loss on the validation split after the last epoch, with the averaged weights if the run has them. `None` without a
    /// validation split.
    pub val_loss: Option<f64>,
    /// The accuracy on the validation split after the last epoch. `None` for an autoencoder.
    pub val_accuracy: Option<f64>,
    /// The loss on the test split after the last epoch. `None` without a test split.
    pub test_loss: Option<f64>,
    /// The accuracy on the test split after the last epoch. `None` for an autoencoder.
    pub test_accuracy: Option<f64>,
    /// The accuracy on the validation split after the best epoch. `None` for an autoencoder, or without a validation split.
    pub best_val_accuracy: Option<f64>,
    /// The best epoch, counted from 1. Its weights are in `best.safetensors`.
    pub best_epoch: Option<u32>,
    /// The mean peak signal-to-noise ratio on the validation split after the last epoch, in dB. `None` for a classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_psnr: Option<f64>,
    /// The mean peak signal-to-noise ratio on the test split after the last epoch, in dB. `None` for a classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_psnr: Option<f64>,
    /// A hash of the names, shapes and bits of the last weights, which are not averaged.
    pub weights_hash: String,
    /// As [`Measured::exact_match`], on the validation split after the last epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_exact_match: Option<f64>,
    /// As [`Measured::mean_average_precision`], on the validation split after the last epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_map: Option<f64>,
    /// As [`Measured::exact_match`], on the test split after the last epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_exact_match: Option<f64>,
    /// As [`Measured::mean_average_precision`], on the test split after the last epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_map: Option<f64>,
    /// As [`Measured::mean_average_precision`], on the validation split after the best epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_val_map: Option<f64>,
    /// The number of parameters, including frozen ones.
    pub parameters: usize,
    /// The bytes of all buffers: parameters, optimizer state, dataset and tensors of a step.
    pub planned_bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn psnr_is_that_of_its_definition_and_never_infinite() {
        // A mean squared error of 0.01.
        assert!((psnr(&[0.5; 8], &[0.6; 8]) - 20.0).abs() < 1e-5);
        assert_eq!(psnr(&[0.25; 8], &[0.25; 8]), PERFECT);
        let mean = mean_psnr(&[0.5; 16], &[[0.6_f32; 8], [0.5; 8]].concat(), 8).expect("a figure");
        assert!((mean - 60.0).abs() < 1e-5, "{mean}");
        assert_eq!(mean_psnr(&[], &[], 8), None);
    }
}
