//! The network that recognises characters: the embedded one, or one of a run.

use rayon::prelude::*;

use super::components::Component;
use super::crop;
use crate::datasets;
use crate::inference::Predictor;
use crate::train::Checkpoint;
use crate::{Engine, Error, Result};

/// The embedded network. `data/README.md` says how it was trained.
const SHIPPED: &[u8] = include_bytes!("../../data/reader.safetensors");
/// The batch size.
const BATCH: usize = 32;

/// Groups of characters with the same shape.
pub(super) const ALIKE: [&str; 4] = ["O0", "I1L", "S5", "Z2"];

/// A network that recognises characters, on an engine.
#[derive(Debug)]
pub struct Reader {
    predictor: Predictor,
    /// The characters of the classes, in index order.
    characters: Vec<char>,
    /// For each class, the index of the first class of its group in [`ALIKE`].
    alike: Vec<usize>,
    side: usize,
    /// Whether the training data are dark on light.
    dark: bool,
}

impl Reader {
    /// Loads the embedded network.
    ///
    /// # Errors
    /// When the device fails.
    pub fn new(engine: Engine) -> Result<Self> {
        Self::of(engine, &Self::shipped()?)
    }

    /// The checkpoint of the embedded network.
    ///
    /// # Errors
    /// [`Error::Data`] when the embedded file is damaged.
    pub fn shipped() -> Result<Checkpoint> {
        Checkpoint::parse(SHIPPED, "The embedded reader")
    }

    /// Loads another network: a classifier of square images of one channel, whose classes are single characters.
    ///
    /// # Errors
    /// [`Error::Usage`] when the network is of another kind, and when the device fails.
    pub fn of(engine: Engine, checkpoint: &Checkpoint) -> Result<Self> {
        let [channels, height, side] = checkpoint.input;
        let name = &checkpoint.recipe.name;
        if channels != 1 || height != side {
            return Err(Error::usage(format!(
                "The run trained {name} on images of {channels}x{height}x{side}, but reading needs square images of one \
                 channel, as in emnist36; name another run."
            )));
        }
        if checkpoint.recipe.data.is_multi_label() {
            return Err(Error::usage(format!(
                "The run trained {name} to give an image any number of labels; name a run that gives it one character."
            )));
        }
        let character = |class: &String| {
            let mut characters = class.chars();
            let one = characters.next().filter(|_| characters.next().is_none());
            one.ok_or_else(|| {
                Error::usage(format!(
                    "The run trained {name} on the class `{class}`, which is not a single character; name a run that was \
                     trained on characters, as in emnist36."
                ))
            })
        };
        let characters: Vec<char> = checkpoint.classes.iter().map(character).collect::<Result<_>>()?;
        let first = |character: &char| {
            let same = |other: &char| ALIKE.iter().any(|group| group.contains(*character) && group.contains(*other));
            characters.iter().position(|other| other == character || same(other)).unwrap_or(0)
        };
        let alike = characters.iter().map(first).collect();
        let dark = datasets::has_dark_ink(&checkpoint.recipe.data.name);
        let predictor = Predictor::with_batch(engine, checkpoint, BATCH)?;
        Ok(Self { predictor, characters, alike, side, dark })
    }

    /// The characters of the classes, in index order.
    pub fn characters(&self) -> &[char] {
        &self.characters
    }

    /// The confidence in a letter, from 0 to 1: the highest total probability of a group of characters with the same shape.
    pub(super) fn certainty(&self, probabilities: &[f32]) -> f32 {
        let of_group = |group: usize| {
            let members = self.alike.iter().zip(probabilities).filter(move |(other, _)| **other == group);
            members.map(|(_, probability)| probability).sum::<f32>()
        };
        (0..self.characters.len()).map(of_group).fold(0.0, f32::max)
    }

    /// The mean confidence in components, after `turn` has rotated the image of each (its values and its side).
    pub(super) async fn confidence(
        &mut self,
        components: &[Component],
        turn: impl Fn(&[f32], usize) -> Vec<f32> + Sync,
    ) -> Result<f32> {
        let (side, dark) = (self.side, self.dark);
        let images = components.par_iter().map(|component| turn(&crop::draw(component, side, dark), side));
        let all = self.predictor.probabilities(&images.collect::<Vec<_>>()).await?;
        let sum: f32 = all.iter().map(|probabilities| self.certainty(probabilities)).sum();
        Ok(sum / all.len().max(1) as f32)
    }

    /// The probabilities of all characters for each component.
    pub(super) async fn probabilities(&mut self, components: &[Component]) -> Result<Vec<Vec<f32>>> {
        let (side, dark) = (self.side, self.dark);
        let images: Vec<Vec<f32>> = components.par_iter().map(|component| crop::draw(component, side, dark)).collect();
        self.predictor.probabilities(&images).await
    }
}
