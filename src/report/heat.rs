//! Grad-CAM heat maps of the images that a page shows as mistakes.

use std::collections::HashMap;

use image::RgbImage;

use super::predictions::Predictions;
use crate::images::heat_over;
use crate::train::{Checkpoint, Explainer, HeatMap};
use crate::{Engine, Result};

/// The maps of some images of a split, each for the predicted class.
#[derive(Clone, Debug, Default)]
pub struct HeatMaps {
    /// The maps by image number.
    maps: HashMap<usize, HeatMap>,
    /// The height and width of the images' middle that the network sees, as fractions.
    seen: [f32; 2],
}

impl HeatMaps {
    /// Computes the maps of these images of the evaluated split.
    ///
    /// # Errors
    /// When the network has no convolution, or the device is lost.
    pub async fn of(
        engine: &mut Engine,
        checkpoint: &Checkpoint,
        predictions: &Predictions,
        numbers: &[usize],
    ) -> Result<Self> {
        let owned = std::mem::replace(engine, Engine::cpu());
        let mut explainer = Explainer::new(owned, checkpoint)?;
        let maps = Self::with(&mut explainer, checkpoint, predictions, numbers).await;
        *engine = explainer.into_engine();
        engine.forget();
        maps
    }

    async fn with(
        explainer: &mut Explainer,
        checkpoint: &Checkpoint,
        predictions: &Predictions,
        numbers: &[usize],
    ) -> Result<Self> {
        let [_, height, width] = checkpoint.input;
        let seen = explainer.seen();
        let seen = [seen[0] as f32 / height as f32, seen[1] as f32 / width as f32];
        let mut maps = HashMap::new();
        for &number in numbers {
            let Some(image) = predictions.split.image(number) else { continue };
            let explained = explainer.explain(&image, Some(predictions.each[number].guess)).await?;
            maps.insert(number, explained.map);
        }
        Ok(Self { maps, seen })
    }

    /// Whether there is no map.
    pub fn is_empty(&self) -> bool {
        self.maps.is_empty()
    }

    /// The image with its map over it, if it has one.
    pub fn over(&self, number: usize, image: &RgbImage) -> Option<RgbImage> {
        self.maps.get(&number).map(|map| heat_over(image, map, self.seen))
    }
}
