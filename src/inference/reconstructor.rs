//! Encoding and decoding images with a trained autoencoder, and evaluating its reconstructions.

use super::pca::Pca;
use crate::data::{Pixels, Split};
use crate::graph::PlanOptions;
use crate::nn::models::Task;
use crate::ops::Step;
use crate::ops::augment::AugmentMode;
use crate::train::graphs::{self, CODES, INPUT, INPUT_ORDER, SCORES};
use crate::train::{Checkpoint, EVALUATION_BATCH, inputs, mean_psnr, plan, write_weights};
use crate::{Engine, Error, Program, Result};

/// A trained autoencoder on an engine, split into encoder and decoder.
#[derive(Debug)]
pub struct Reconstructor {
    engine: Engine,
    encoder: Program,
    decoder: Program,
    checkpoint: Checkpoint,
    /// The shape of the network's input and output: that of the images after the recipe's augmentation.
    shape: [usize; 3],
    width: usize,
    batch: usize,
}

/// Images and their reconstructions by an autoencoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconstruction {
    /// Channels, height and width of each image.
    pub shape: [usize; 3],
    /// The concatenated images, as the network's input.
    pub originals: Vec<f32>,
    /// The concatenated reconstructions, with values from 0 to 1.
    pub reconstructed: Vec<f32>,
}

/// The reconstructions of the same images from principal components, as many as the bottleneck has values.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// The concatenated reconstructions, not clamped.
    pub reconstructed: Vec<f32>,
    /// Their mean PSNR in dB.
    pub psnr: f64,
    /// Their mean PSNR in dB when values are clamped to 0 to 1.
    pub clamped_psnr: f64,
}

impl Reconstructor {
    /// Loads a checkpoint. `images` is the number of images expected at once, which limits the batch size.
    ///
    /// # Errors
    /// When the checkpoint is not an autoencoder, or the device fails.
    pub fn new(mut engine: Engine, checkpoint: Checkpoint, images: usize) -> Result<Self> {
        let recipe = &checkpoint.recipe;
        let model = checkpoint.model()?;
        let (Task::Reconstruct, Some(bottleneck)) = (recipe.model.task()?, model.bottleneck()) else {
            let name = &recipe.model.name;
            return Err(Error::usage(format!("The run trained {name}, which is not an autoencoder.")));
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

    /// Returns the engine, for other uses.
    pub fn into_engine(self) -> Engine {
        self.engine
    }
    /// The number of values in the code of an image.
    pub fn width(&self) -> usize {
        self.width
    }
    /// Channels, height and width of the reconstructions.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }
    /// The checkpoint that was loaded.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Encodes n concatenated images `[channels, height, width]` into codes `[n, width]`.
    ///
    /// # Errors
    /// When the number of values is not a multiple of that of an image, or the device is lost.
    pub async fn encode(&mut self, images: &[f32]) -> Result<Vec<f32>> {
        let values = self.checkpoint.input.iter().product();
        self.pass(self.encoder, (INPUT, values, "images"), images, (CODES, self.width)).await
    }

    /// Decodes codes `[n, width]` into concatenated images with values from 0 to 1.
    ///
    /// # Errors
    /// When the number of values is not a multiple of that of a code, or the device is lost.
    pub async fn decode(&mut self, codes: &[f32]) -> Result<Vec<f32>> {
        let values = self.shape.iter().product();
        self.pass(self.decoder, (CODES, self.width, "codes"), codes, (SCORES, values)).await
    }

    /// Runs a program on rows, batch by batch. The last batch is padded with zeros.
    async fn pass(
        &mut self,
        program: Program,
        (leaf, from, what): (&str, usize, &str),
        rows: &[f32],
        (output, to): (&str, usize),
    ) -> Result<Vec<f32>> {
        if !rows.len().is_multiple_of(from.max(1)) {
            return Err(Error::Shape(format!("{} values do not make whole {what} of {from} values each", rows.len())));
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

    /// Reconstructs the images of a split.
    ///
    /// # Errors
    /// When the image shape of the split differs from the run's, or the device is lost.
    pub async fn reconstruct(&mut self, split: &Split) -> Result<Reconstruction> {
        let codes = self.encode(&images(split)).await?;
        let reconstructed = self.decode(&codes).await?;
        Ok(Reconstruction { shape: self.shape, originals: self.seen(split)?, reconstructed })
    }

    /// Fits principal components to the training images, and reconstructs the originals of a reconstruction with them.
    ///
    /// # Errors
    /// As [`Pca::fit`].
    pub fn baseline(&self, train: &Split, of: &Reconstruction) -> Result<Baseline> {
        let seen = Split::new(Pixels::F32(self.seen(train)?), train.labels.clone());
        let pca = Pca::fit(&seen, self.width)?;
        let reconstructed = pca.reconstruct(&of.originals);
        let clamped: Vec<f32> = reconstructed.iter().map(|value| value.clamp(0.0, 1.0)).collect();
        let psnr = |back: &[f32]| mean_psnr(&of.originals, back, self.shape.iter().product()).unwrap_or_default();
        Ok(Baseline { psnr: psnr(&reconstructed), clamped_psnr: psnr(&clamped), reconstructed })
    }

    /// The network's input for a split: its images after the augmentation without random choices.
    fn seen(&self, split: &Split) -> Result<Vec<f32>> {
        match &self.checkpoint.recipe.augment {
            None => Ok(images(split)),
            Some(augment) => inputs::seen(augment, split, self.checkpoint.input, AugmentMode::MIDDLE, 0),
        }
    }
}

impl Reconstruction {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.originals.len() / self.values()
    }
    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.originals.is_empty()
    }
    /// Image `number` and its reconstruction. `None` when there is no such image.
    pub fn pair(&self, number: usize) -> Option<(&[f32], &[f32])> {
        let range = number * self.values()..(number + 1) * self.values();
        Some((self.originals.get(range.clone())?, self.reconstructed.get(range)?))
    }
    /// The mean [`train::psnr`](crate::train::psnr) of the reconstructions in dB. `None` when there are no images.
    pub fn psnr(&self) -> Option<f64> {
        mean_psnr(&self.originals, &self.reconstructed, self.values())
    }

    fn values(&self) -> usize {
        self.shape.iter().product::<usize>().max(1)
    }
}

/// The concatenated images of a split. Bytes are divided by 255.
fn images(split: &Split) -> Vec<f32> {
    (0..split.len()).filter_map(|number| split.image(number)).flatten().collect()
}
