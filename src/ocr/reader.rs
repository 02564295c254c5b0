//! The network that reads: the one in the program, or one of a run.

use rayon::prelude::*;

use super::components::Component;
use super::crop;
use super::orientation::Orientation;
use crate::datasets;
use crate::inference::Predictor;
use crate::train::Checkpoint;
use crate::{Engine, Error, Result};

/// The network that ships with the program; `data/README.md` says how it was trained.
const SHIPPED: &[u8] = include_bytes!("../../data/reader.safetensors");
/// Characters that go through the network together.
const BATCH: usize = 32;

/// Characters that are written alike.
pub(super) const ALIKE: [&str; 4] = ["O0", "I1L", "S5", "Z2"];

/// A network that tells characters, ready for those of a page.
#[derive(Debug)]
pub struct Reader {
    predictor: Predictor,
    /// The classes' characters, in the order of their numbers.
    characters: Vec<char>,
    /// For each class the number of the first of those that its form alone does not tell from it.
    alike: Vec<usize>,
    side: usize,
    /// Whether its training data are dark on light.
    dark: bool,
}

impl Reader {
    /// The network that ships with the program.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn new(engine: Engine) -> Result<Self> {
        Self::of(engine, &Self::shipped()?)
    }

    /// The checkpoint that ships with the program.
    ///
    /// # Errors
    /// [`Error::Data`] when the program was built with a damaged one.
    pub fn shipped() -> Result<Checkpoint> {
        Checkpoint::parse(SHIPPED, "The reader inside the program")
    }

    /// A network of one's own: a classifier of square images of one channel, whose classes are single characters.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is another network, and when the device refuses.
    pub fn of(engine: Engine, checkpoint: &Checkpoint) -> Result<Self> {
        let [channels, height, side] = checkpoint.input;
        let name = &checkpoint.recipe.name;
        if channels != 1 || height != side {
            return Err(Error::usage(format!(
                "The run trained {name} on images of {channels}x{height}x{side}, but characters are read in square images of \
                 one channel, as those of emnist36; name another run."
            )));
        }
        let character = |class: &String| {
            let mut characters = class.chars();
            let one = characters.next().filter(|_| characters.next().is_none());
            one.ok_or_else(|| {
                Error::usage(format!(
                    "The run trained {name} to tell `{class}` from others, which is no single character; to read, name a run \
                     that was trained on characters, as those of emnist36."
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

    /// The classes' characters, in the order of their numbers.
    pub fn characters(&self) -> &[char] {
        &self.characters
    }

    /// How sure it is of a letter, from 0 to 1: the share of the likeliest character and of those that its form alone does not
    /// tell from it.
    pub(super) fn certainty(&self, probabilities: &[f32]) -> f32 {
        let of_group = |group: usize| {
            let members = self.alike.iter().zip(probabilities).filter(move |(other, _)| **other == group);
            members.map(|(_, probability)| probability).sum::<f32>()
        };
        (0..self.characters.len()).map(of_group).fold(0.0, f32::max)
    }

    /// How sure it is of pieces of ink on the mean when they are turned.
    pub(super) async fn confidence(&mut self, components: &[Component], orientation: Orientation) -> Result<f32> {
        let (side, dark) = (self.side, self.dark);
        let images = components.par_iter().map(|part| orientation.square(&crop::draw(part, side, dark), side));
        let all = self.predictor.probabilities(&images.collect::<Vec<_>>()).await?;
        let sum: f32 = all.iter().map(|probabilities| self.certainty(probabilities)).sum();
        Ok(sum / all.len().max(1) as f32)
    }

    /// The probabilities of all characters for each piece of ink.
    pub(super) async fn probabilities(&mut self, components: &[Component]) -> Result<Vec<Vec<f32>>> {
        let (side, dark) = (self.side, self.dark);
        let images: Vec<Vec<f32>> = components.par_iter().map(|part| crop::draw(part, side, dark)).collect();
        self.predictor.probabilities(&images).await
    }
}
