//! What is possible, but probably not meant: settings before a training, and a result like guessing after it.

use super::Recipe;
use crate::optim::Method;

impl Recipe {
    /// Sentences about settings with which a training probably fails. Each says what to change.
    pub fn warnings(&self) -> Vec<String> {
        [self.rate_warning(), self.warmup_warning()].into_iter().flatten().collect()
    }

    /// For a learning rate above what the optimizer can use with any network.
    fn rate_warning(&self) -> Option<String> {
        let (most, usual) = match self.optimizer.name {
            Method::Sgd => (10.0, "0.001 to 1"),
            Method::Adam | Method::AdamW | Method::RmsProp | Method::Lamb => (1.0, "0.0001 to 0.01"),
        };
        let rate = self.optimizer.learning_rate;
        (rate > most).then(|| {
            format!(
                "a learning rate of {rate} is too large for almost every network; {usual} are usual, and --lr sets it"
            )
        })
    }

    /// For a warm-up that does not end.
    fn warmup_warning(&self) -> Option<String> {
        let (warmup, epochs) = (self.schedule.warmup, self.training.epochs);
        (warmup > epochs).then(|| {
            format!(
                "the warm-up of {warmup} epochs is longer than the training ({epochs}), so the learning rate reaches only {:.2} % \
                 of its value; choose a shorter --warmup or more --epochs",
                100.0 * epochs / warmup
            )
        })
    }
}

/// The share of the most frequent class, if the accuracy on images with these labels is not better than always answering with
/// that class: within three standard deviations.
pub fn guessing(accuracy: f64, labels: &[u32]) -> Option<f64> {
    let mut counts = std::collections::BTreeMap::new();
    labels.iter().for_each(|label| *counts.entry(label).or_insert(0_usize) += 1);
    let images = labels.len() as f64;
    let share = *counts.values().max()? as f64 / images;
    let deviation = (share * (1.0 - share) / images).sqrt();
    // With one class every answer is right.
    (counts.len() > 1 && accuracy <= share + 3.0 * deviation).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Optimizer;
    use crate::train::recipe::names;

    #[test]
    fn large_rates_and_long_warmups_are_warned_of() {
        for name in names() {
            assert_eq!(Recipe::built_in(name).expect("a recipe").warnings(), [""; 0], "{name}");
        }
        let mut recipe = Recipe::built_in("glyphs-mlp").expect("a recipe");
        let cases = [
            (Optimizer::sgd(10.0), 0),
            (Optimizer::sgd(10.5), 1),
            (Optimizer::adam(1.0), 0),
            (Optimizer::adamw(1.5), 1),
        ];
        for (optimizer, count) in cases {
            recipe.optimizer = optimizer;
            assert_eq!(recipe.warnings().len(), count, "{:?}", recipe.optimizer);
        }
        recipe.training.epochs = 5.0;
        for (warmup, count) in [(5.0, 1), (5.1, 2)] {
            recipe.schedule.warmup = warmup;
            assert_eq!(recipe.warnings().len(), count, "{warmup}");
        }
    }

    #[test]
    fn guessing_is_told_from_learning() {
        let even: Vec<u32> = (0..1000).map(|image| image % 10).collect();
        assert_eq!(
            [0.05, 0.1, 0.128, 0.13, 0.9].map(|accuracy| guessing(accuracy, &even).is_some()),
            [true, true, true, false, false]
        );
        let uneven: Vec<u32> = (0..100).map(|image| u32::from(image < 80)).collect();
        assert_eq!(guessing(0.85, &uneven), Some(0.8));
        assert_eq!((guessing(1.0, &[0, 0]), guessing(0.0, &[])), (None, None));
    }
}
