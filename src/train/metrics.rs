//! What a run reports.

use crate::nn::models::Task;

/// The mean figures of a pass over images.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Measured {
    /// Mean loss of an image.
    pub loss: f64,
    /// The fraction that was classified rightly, for a classifier.
    pub accuracy: Option<f64>,
    /// Mean peak signal-to-noise ratio of an image in dB, for an autoencoder.
    pub psnr: Option<f64>,
    /// Images.
    pub images: u64,
}

impl Measured {
    /// From the sums over images that the device keeps: losses, scores (rightly classified, or dB), images.
    pub fn from_sums(task: Task, sums: &[f32]) -> Self {
        let at = |index: usize| sums.get(index).copied().map_or(0.0, f64::from);
        let mean = |sum: f64| if at(2) > 0.0 { sum / at(2) } else { 0.0 };
        let score = mean(at(1));
        let (accuracy, psnr) = match task {
            Task::Classify => (Some(score), None),
            Task::Reconstruct => (None, Some(score)),
        };
        Self { loss: mean(at(0)), accuracy, psnr, images: at(2) as u64 }
    }
}

/// The ratio in dB that an image given back without any error counts with.
pub const PERFECT: f64 = 100.0;

/// Peak signal-to-noise ratio of an image given back, in dB: -10 log10 of the mean squared error, for values from 0 to 1,
/// as scikit-image's `peak_signal_noise_ratio` with a data range of 1; at most [`PERFECT`], where that gives infinity.
pub fn psnr(original: &[f32], given_back: &[f32]) -> f64 {
    let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    let error = original.iter().zip(given_back).map(square).sum::<f64>() / original.len().max(1) as f64;
    (-10.0 * error.log10()).min(PERFECT)
}

/// The mean of [`psnr`] over images of so many values, one after another; nothing where there are none.
pub fn mean_psnr(originals: &[f32], given_back: &[f32], values: usize) -> Option<f64> {
    let pairs = originals.chunks_exact(values.max(1)).zip(given_back.chunks_exact(values.max(1)));
    let count = pairs.len();
    (count > 0).then(|| pairs.map(|(original, back)| psnr(original, back)).sum::<f64>() / count as f64)
}

/// A line of `metrics.jsonl`: one epoch.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EpochLine {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Running mean over the epoch.
    pub train_loss: f64,
    /// Running mean over the epoch.
    pub train_accuracy: Option<f64>,
    /// After the epoch.
    pub val_loss: Option<f64>,
    /// After the epoch.
    pub val_accuracy: Option<f64>,
    /// After the epoch, in dB, for an autoencoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_psnr: Option<f64>,
    /// The learning rate of the epoch's first step.
    pub lr: f64,
    /// Seconds that the epoch took, validation included.
    pub seconds: f64,
    /// Training images a second, validation not counted.
    pub images_per_second: f64,
    /// Seconds in which the training steps waited for images, where these are streamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loader_wait: Option<f64>,
}

impl std::fmt::Display for EpochLine {
    /// One line for people, without the time.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let accuracy =
            |accuracy: Option<f64>| accuracy.map_or_else(String::new, |part| format!(" ({:.2} %)", 100.0 * part));
        write!(f, "epoch {}: loss {:.4}{}", self.epoch, self.train_loss, accuracy(self.train_accuracy))?;
        if let Some(loss) = self.val_loss {
            write!(f, ", validation loss {loss:.4}{}", accuracy(self.val_accuracy))?;
        }
        self.val_psnr.map_or(Ok(()), |psnr| write!(f, ", {psnr:.2} dB"))
    }
}

/// What `--json` prints and `summary.json` holds.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// The version of the program; none in summaries of before it was written down.
    #[serde(default)]
    pub version: Option<String>,
    /// The run directory.
    pub run: String,
    /// The recipe's name.
    pub recipe: String,
    /// The model's name.
    pub model: String,
    /// The data set's name.
    pub dataset: String,
    /// `gpu` or `cpu`.
    pub executor: String,
    /// The device's name.
    pub device: String,
    /// Epochs that were trained.
    pub epochs: u32,
    /// Whether the run ended before its last epoch because no epoch was better for as long as its patience.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped_early: bool,
    /// Seconds of all epochs together.
    pub seconds: f64,
    /// Mean loss of an image, running over the last epoch.
    pub train_loss: f64,
    /// Fraction, running over the last epoch; null for an autoencoder.
    pub train_accuracy: Option<f64>,
    /// With the last weights, averaged ones where the run keeps an average; null without a validation split.
    pub val_loss: Option<f64>,
    /// With the last weights.
    pub val_accuracy: Option<f64>,
    /// With the last weights; null without a test split.
    pub test_loss: Option<f64>,
    /// With the last weights.
    pub test_accuracy: Option<f64>,
    /// Of the best epoch.
    pub best_val_accuracy: Option<f64>,
    /// The epoch, from 1, that `best.safetensors` holds.
    pub best_epoch: Option<u32>,
    /// With the last weights, in dB, for an autoencoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_psnr: Option<f64>,
    /// With the last weights, in dB, for an autoencoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_psnr: Option<f64>,
    /// Hash of the last weights' names, shapes and bits.
    pub weights_hash: String,
    /// Numbers that are learned.
    pub parameters: usize,
    /// Bytes of all buffers: parameters, state, data and tensors.
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
