//! Using a trained autoencoder: images to codes, codes to images, and how well a split comes back.

use super::pca::Pca;
use crate::data::{Pixels, Split};
use crate::graph::PlanOptions;
use crate::nn::models::Task;
use crate::ops::Step;
use crate::ops::augment::AugmentMode;
use crate::train::graphs::{self, CODES, INPUT, INPUT_ORDER, SCORES};
use crate::train::{Checkpoint, EVALUATION_BATCH, inputs, mean_psnr, plan, write_weights};
use crate::{Engine, Error, Program, Result};

/// An autoencoder cut at its bottleneck, both halves ready on an engine.
#[derive(Debug)]
pub struct Reconstructor {
    engine: Engine,
    encoder: Program,
    decoder: Program,
    checkpoint: Checkpoint,
    /// What the network sees and gives back: the images' shape, or what the recipe's augmentation makes of it.
    shape: [usize; 3],
    width: usize,
    batch: usize,
}

/// Images and what an autoencoder gave back.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconstruction {
    /// Channels, height and width of each.
    pub shape: [usize; 3],
    /// The images as the network sees them, one after another.
    pub originals: Vec<f32>,
    /// What it gives back, values from 0 to 1.
    pub given_back: Vec<f32>,
}

/// What principal components, as many as the bottleneck has numbers, make of the same images.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// The images given back, one after another, as they are.
    pub given_back: Vec<f32>,
    /// Mean [`super::psnr`] of these in dB.
    pub psnr: f64,
    /// The same where what is beyond 0 to 1 is clamped to it.
    pub clamped_psnr: f64,
}

impl Reconstructor {
    /// From a checkpoint, for about so many images at once.
    ///
    /// # Errors
    /// When it is no autoencoder's, or the device refuses.
    pub fn new(mut engine: Engine, checkpoint: Checkpoint, images: usize) -> Result<Self> {
        let recipe = &checkpoint.recipe;
        let model = recipe.build_model(checkpoint.input, checkpoint.classes.len())?;
        let (Task::Reconstruct, Some(bottleneck)) = (recipe.model.task()?, model.bottleneck()) else {
            let name = &recipe.model.name;
            return Err(Error::usage(format!(
                "The run trained {name}, which is no autoencoder and gives no image back."
            )));
        };
        let weights = checkpoint.weights_in_use(model.parameters())?;
        let batch = images.clamp(1, EVALUATION_BATCH);
        let (encoding, decoding) =
            (graphs::encoding(&model, recipe, checkpoint.input, batch)?, graphs::decoding(&model, batch)?);
        let mut load = |graph| engine.load(plan(&graph, &engine.target(), PlanOptions::default())?);
        let (encoder, decoder) = (load(encoding)?, load(decoding)?);
        write_weights(&mut engine, model.parameters(), &weights)?;
        if recipe.augment.is_some() {
            engine.write(INPUT_ORDER, 0, &(0..batch as u32).collect::<Vec<u32>>())?;
        }
        for program in [encoder, decoder] {
            engine.schedule(program, &[Step::new(0, batch as u32, 0)])?;
        }
        let shape = recipe.augment.as_ref().map_or(Ok(checkpoint.input), |augment| augment.output(checkpoint.input))?;
        Ok(Self { engine, encoder, decoder, shape, width: bottleneck.width, batch, checkpoint })
    }

    /// The engine, for other work.
    pub fn into_engine(self) -> Engine {
        self.engine
    }
    /// How many numbers stand for an image.
    pub fn width(&self) -> usize {
        self.width
    }
    /// Channels, height and width of the images given back.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }
    /// What the run trained, and how.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The codes `[n, width]` of n images `[channels, height, width]` of the run's data, one after another.
    ///
    /// # Errors
    /// When they are no whole images, or the device is lost.
    pub async fn encode(&mut self, images: &[f32]) -> Result<Vec<f32>> {
        let values = self.checkpoint.input.iter().product();
        self.pass(self.encoder, (INPUT, values, "images"), images, (CODES, self.width)).await
    }

    /// The images of codes `[n, width]`, one after another, values from 0 to 1.
    ///
    /// # Errors
    /// When they are no whole codes, or the device is lost.
    pub async fn decode(&mut self, codes: &[f32]) -> Result<Vec<f32>> {
        let values = self.shape.iter().product();
        self.pass(self.decoder, (CODES, self.width, "codes"), codes, (SCORES, values)).await
    }

    /// Takes rows through a program, a batch at a time; the rows that fill the last batch are 0.
    async fn pass(
        &mut self,
        program: Program,
        (leaf, from, what): (&str, usize, &str),
        rows: &[f32],
        (output, to): (&str, usize),
    ) -> Result<Vec<f32>> {
        if !rows.len().is_multiple_of(from.max(1)) {
            return Err(Error::Shape(format!("{} values are no whole {what} of {from} values each", rows.len())));
        }
        let mut found = Vec::with_capacity(rows.len() / from.max(1) * to);
        for rows in rows.chunks(self.batch * from) {
            let mut batch = rows.to_vec();
            batch.resize(self.batch * from, 0.0);
            self.engine.write(leaf, 0, &batch)?;
            self.engine.run(program, 0..1)?;
            let values = self.engine.read_output(program, output).await?;
            found.extend_from_slice(&values[..rows.len() / from * to]);
        }
        Ok(found)
    }

    /// A split's images as the network sees them, and what it gives back.
    ///
    /// # Errors
    /// When the split has other images than the run's, or the device is lost.
    pub async fn reconstruct(&mut self, split: &Split) -> Result<Reconstruction> {
        let codes = self.encode(&images(split)).await?;
        let given_back = self.decode(&codes).await?;
        Ok(Reconstruction { shape: self.shape, originals: self.seen(split)?, given_back })
    }

    /// What principal components, fitted to the run's training images, make of the originals of a reconstruction.
    ///
    /// # Errors
    /// As [`Pca::fit`].
    pub fn baseline(&self, train: &Split, of: &Reconstruction) -> Result<Baseline> {
        let seen = Split { pixels: Pixels::F32(self.seen(train)?), labels: train.labels.clone() };
        let pca = Pca::fit(&seen, self.width)?;
        let given_back = pca.reconstruct(&of.originals);
        let clamped: Vec<f32> = given_back.iter().map(|value| value.clamp(0.0, 1.0)).collect();
        let psnr = |back: &[f32]| mean_psnr(&of.originals, back, self.shape.iter().product()).unwrap_or_default();
        Ok(Baseline { psnr: psnr(&given_back), clamped_psnr: psnr(&clamped), given_back })
    }

    /// What the network sees of a split: its images, or what the augmentation makes of them when nothing is drawn.
    fn seen(&self, split: &Split) -> Result<Vec<f32>> {
        match &self.checkpoint.recipe.augment {
            None => Ok(images(split)),
            Some(augment) => inputs::seen(augment, split, self.checkpoint.input, AugmentMode::MIDDLE, 0),
        }
    }
}

impl Reconstruction {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.originals.len() / self.values()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.originals.is_empty()
    }
    /// Image `number` and what was given back of it; nothing where there is no such image.
    pub fn pair(&self, number: usize) -> Option<(&[f32], &[f32])> {
        let range = number * self.values()..(number + 1) * self.values();
        Some((self.originals.get(range.clone())?, self.given_back.get(range)?))
    }
    /// Mean [`super::psnr`] of the images in dB; nothing where there are none.
    pub fn psnr(&self) -> Option<f64> {
        mean_psnr(&self.originals, &self.given_back, self.values())
    }

    fn values(&self) -> usize {
        self.shape.iter().product::<usize>().max(1)
    }
}

/// A split's images, one after another, bytes divided by 255.
fn images(split: &Split) -> Vec<f32> {
    (0..split.len()).filter_map(|number| split.image(number)).flatten().collect()
}
