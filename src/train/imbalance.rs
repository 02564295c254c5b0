//! Classes of unequal size: weights of their losses, and batches with the same number of images of each class.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::random::{CounterRng, Purpose};
use crate::{Error, Result};

/// The factor of the losses of each class. If an image has any number of classes, it is the factor of the losses of those images that have
/// the class.
///
/// The loss of a batch is the sum of its weighted losses, divided by the number of images, not by the sum of their weights. So it does not
/// depend on which images meet in a batch. PyTorch's weighted mean divides by the sum of the weights.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum ClassWeights {
    /// Weights by a rule.
    Rule(WeightRule),
    /// The weight of each class by its name. Classes that are not named have 1.
    Named(BTreeMap<String, f32>),
}

/// A rule for the weights of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightRule {
    /// All training images / (classes x training images of the class), as in scikit-learn: the classes have equal parts in the loss, and
    /// the mean weight of an image is 1.
    Balanced,
}

impl ClassWeights {
    /// The weights by the rule [`WeightRule::Balanced`].
    pub const BALANCED: Self = Self::Rule(WeightRule::Balanced);

    /// The weight of each class, for the labels of the training images.
    ///
    /// # Errors
    /// [`Error::Usage`] when a class is named that does not exist.
    pub fn of(&self, classes: &[String], labels: &[u32]) -> Result<Vec<f32>> {
        match self {
            Self::Rule(WeightRule::Balanced) => {
                let counts = counts(labels, classes.len());
                let present = counts.iter().filter(|&&count| count > 0).count();
                let weight = |&count: &usize| labels.len() as f64 / (present * count.max(1)) as f64;
                Ok(counts.iter().map(|count| weight(count) as f32).collect())
            }
            Self::Named(named) => by_name(named, classes),
        }
    }

    /// The weight of the positive part of each class's loss, if an image has any number of classes: `counts` has the number of the
    /// training images that have each class. By the rule it is the number of images that do not have the class for each one that has it,
    /// as PyTorch's documentation of `pos_weight` suggests.
    ///
    /// # Errors
    /// As [`ClassWeights::of`].
    pub fn of_positives(&self, classes: &[String], (counts, images): (&[usize], usize)) -> Result<Vec<f32>> {
        match self {
            Self::Rule(WeightRule::Balanced) => {
                let weight = |&count: &usize| (images - count).max(1) as f64 / count.max(1) as f64;
                Ok(counts.iter().map(|count| weight(count) as f32).collect())
            }
            Self::Named(named) => by_name(named, classes),
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        let Self::Named(named) = self else { return Ok(()) };
        match named.iter().find(|(_, weight)| !(0.0..=1e6).contains(*weight)) {
            Some((class, weight)) => {
                let what = format!("The weight of the class {class} (class_weights)");
                Err(Error::out_of_range(&what, weight, "from 0 to 1000000"))
            }
            None => Ok(()),
        }
    }
}

/// The weights of classes by their names.
fn by_name(named: &BTreeMap<String, f32>, classes: &[String]) -> Result<Vec<f32>> {
    let known: Vec<&str> = classes.iter().map(String::as_str).collect();
    if let Some(name) = named.keys().find(|name| !classes.contains(name)) {
        return Err(crate::error::unknown("class of [training] class_weights", name, &known));
    }
    Ok(classes.iter().map(|class| named.get(class).copied().unwrap_or(1.0)).collect())
}

/// How the training images of an epoch are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampler {
    /// Each image once.
    #[default]
    Shuffled,
    /// The same number of images of each class. Images of small classes are shown several times in an epoch, and some of those of
    /// large classes in another one. An epoch has as many images as the training split.
    Balanced,
}

impl Sampler {
    /// Whether each image is shown once.
    pub fn is_shuffled(&self) -> bool {
        *self == Self::Shuffled
    }

    /// The order of the training images with these labels in an epoch, from 0, of a run with this seed.
    pub fn order(self, labels: &[u32], seed: u64, epoch: u32) -> Vec<u32> {
        match self {
            Self::Shuffled => crate::data::epoch_order(labels.len(), seed, epoch),
            Self::Balanced => balanced_order(labels, seed, epoch),
        }
    }
}

impl FromStr for Sampler {
    type Err = Error;
    /// Reads `shuffled` or `balanced`. Other words give an [`Error::Usage`] with the nearest name.
    fn from_str(word: &str) -> Result<Self> {
        let known = [("shuffled", Self::Shuffled), ("balanced", Self::Balanced)];
        crate::error::named("sampler", &word.to_lowercase(), &known)
    }
}

/// The number of images of each class.
fn counts(labels: &[u32], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    labels.iter().for_each(|&label| counts[label as usize] += 1);
    counts
}

/// The stream of the order of a class's images. Stream 0 is that of the whole split.
const CLASS: u32 = 1;

fn balanced_order(labels: &[u32], seed: u64, epoch: u32) -> Vec<u32> {
    let classes = labels.iter().max().map_or(0, |&last| last as usize + 1);
    let mut images = vec![Vec::new(); classes];
    labels.iter().zip(0..).for_each(|(&label, image)| images[label as usize].push(image));
    let present: Vec<(u32, Vec<u32>)> = (CLASS..).zip(images).filter(|(_, images)| !images.is_empty()).collect();
    let (each, rest) = (labels.len() / present.len().max(1), labels.len() % present.len().max(1));
    let mut chosen = Vec::with_capacity(labels.len());
    for (number, (stream, images)) in present.iter().enumerate() {
        // What does not divide goes to other classes in each epoch.
        let turn = (number + present.len() - epoch as usize % present.len()) % present.len();
        let wanted = each + usize::from(turn < rest);
        let rounds = (0..).flat_map(|round: u32| {
            let stream = stream + round * classes as u32;
            CounterRng::new(seed, Purpose::Shuffle, stream, epoch).permutation(images.len() as u32)
        });
        chosen.extend(rounds.take(wanted).map(|place| images[place as usize]));
    }
    let order = crate::data::epoch_order(chosen.len(), seed, epoch);
    order.into_iter().map(|place| chosen[place as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Classes of 4, 0, 1 and 9 images.
    fn labels() -> Vec<u32> {
        vec![3, 0, 3, 3, 2, 0, 3, 3, 0, 3, 3, 0, 3, 3]
    }

    fn names() -> Vec<String> {
        ["a", "b", "c", "d"].map(String::from).to_vec()
    }

    /// scikit-learn: `compute_class_weight("balanced", classes=[0, 2, 3], y=labels)`.
    #[test]
    fn balanced_weights_are_those_of_scikit_learn() {
        let weights = ClassWeights::BALANCED.of(&names(), &labels()).expect("weights");
        let right = [14.0 / 12.0, 14.0 / 3.0, 14.0 / 27.0];
        assert!(
            [0, 2, 3].iter().zip(right).all(|(&class, right)| (weights[class] - right).abs() < 1e-6),
            "{weights:?}"
        );
    }

    #[test]
    fn weights_by_name_are_for_classes_that_exist() {
        let named = |name: &str| ClassWeights::Named([(name.to_owned(), 2.5)].into());
        assert_eq!(named("c").of(&names(), &labels()).expect("weights"), [1.0, 1.0, 2.5, 1.0]);
        let sentence = named("e").of(&names(), &labels()).expect_err("refused").to_string();
        assert!(sentence.contains('e') && sentence.contains("class_weights"), "{sentence}");
        assert!(ClassWeights::Named([("c".to_owned(), -1.0)].into()).validate().is_err());
    }

    #[test]
    fn positives_weigh_as_much_as_negatives() {
        let weights = ClassWeights::BALANCED.of_positives(&names(), (&[25, 0, 100, 1], 100)).expect("weights");
        assert_eq!(weights, [3.0, 100.0, 0.01, 99.0]);
        let named = ClassWeights::Named([("c".to_owned(), 2.5)].into());
        assert_eq!(named.of_positives(&names(), (&[1; 4], 9)).expect("weights"), [1.0, 1.0, 2.5, 1.0]);
    }

    #[test]
    fn a_balanced_epoch_has_as_many_images_of_each_class() {
        let labels = labels();
        let of = |epoch| Sampler::Balanced.order(&labels, 5, epoch);
        let mut seen = [0; 14];
        let mut of_class = [0; 4];
        for epoch in 0..30 {
            let order = of(epoch);
            assert_eq!(order.len(), 14);
            let mut counts = [0; 4];
            order.iter().for_each(|&image| counts[labels[image as usize] as usize] += 1);
            assert!(counts[1] == 0 && [0, 2, 3].iter().all(|&class| (4..=5).contains(&counts[class])), "{counts:?}");
            order.iter().for_each(|&image| seen[image as usize] += 1);
            (0..4).for_each(|class| of_class[class] += counts[class]);
        }
        // Over epochs the classes are equal, and so are the images of a class.
        assert_eq!(of_class, [140, 0, 140, 140]);
        assert!((0..14).filter(|&image| labels[image] == 3).all(|image| (8..=24).contains(&seen[image])), "{seen:?}");
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
        assert_eq!(Sampler::Shuffled.order(&labels, 5, 2), crate::data::epoch_order(14, 5, 2));
    }
}
