//! Using a trained model on images from outside.

use image::{DynamicImage, GrayImage, imageops};

use super::buffers::write_weights;
use super::checkpoint::Checkpoint;
use super::evaluation::largest;
use super::graphs::{self, INPUT, INPUT_ORDER, SCORES};
use super::memory;
use crate::graph::PlanOptions;
use crate::nn::models::Task;
use crate::ops::Step;
use crate::{Engine, Error, Program, Result};

/// The side of the square that a character is centred in, over the longer side of its ink, as in the training data.
const MARGIN: f32 = 1.35;
/// A pixel is ink when it is that far above the background, of the whole range.
const INK: f32 = 0.25;

/// What an image was taken for.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Prediction {
    /// The class's name.
    pub class: String,
    /// Its number.
    pub index: usize,
    /// Its probability as the network has it.
    pub confidence: f64,
    /// The probabilities of all classes, in their order.
    #[serde(skip)]
    pub probabilities: Vec<f32>,
}

impl Prediction {
    /// The likeliest `count` classes, the likeliest first, by the classes' names.
    #[must_use]
    pub fn likeliest(&self, count: usize, classes: &[String]) -> Vec<Self> {
        let mut order: Vec<usize> = (0..self.probabilities.len().min(classes.len())).collect();
        order.sort_by(|&a, &b| self.probabilities[b].total_cmp(&self.probabilities[a]));
        let of = |&index: &usize| Self {
            class: classes[index].clone(),
            index,
            confidence: f64::from(self.probabilities[index]),
            probabilities: Vec::new(),
        };
        order.iter().take(count).map(of).collect()
    }
}

/// A classifier that is ready for images, some at a time.
#[derive(Debug)]
pub struct Predictor {
    engine: Engine,
    program: Program,
    input: [usize; 3],
    batch: usize,
    classes: Vec<String>,
}

impl Predictor {
    /// From a checkpoint, for images that come one by one.
    ///
    /// # Errors
    /// When it is no classifier's, or the device refuses.
    pub fn new(engine: Engine, checkpoint: &Checkpoint) -> Result<Self> {
        Self::with_batch(engine, checkpoint, 1)
    }

    /// From a checkpoint, for images of which `batch` go through the network together.
    ///
    /// # Errors
    /// As [`Predictor::new`].
    pub fn with_batch(mut engine: Engine, checkpoint: &Checkpoint, batch: usize) -> Result<Self> {
        let task = checkpoint.recipe.model.task()?;
        if task != Task::Classify {
            let name = &checkpoint.recipe.model.name;
            return Err(Error::usage(format!("The run trained {name}, which gives images back and names no class.")));
        }
        let model = checkpoint.recipe.build_model(checkpoint.input, checkpoint.classes.len())?;
        let weights = checkpoint.weights_in_use(model.parameters())?;
        let graph = graphs::using(&model, &checkpoint.recipe, checkpoint.input, batch)?;
        let plan = memory::plan(&graph, &engine.target(), PlanOptions::default())?;
        let ordered = plan.buffers.iter().any(|buffer| buffer.name == INPUT_ORDER);
        let program = engine.load(plan)?;
        write_weights(&mut engine, model.parameters(), &weights)?;
        if ordered {
            let order: Vec<u32> = (0..batch as u32).collect();
            engine.write(INPUT_ORDER, 0, &order)?;
        }
        engine.schedule(program, &[Step::new(0, batch as u32, 0)])?;
        Ok(Self { engine, program, input: checkpoint.input, batch, classes: checkpoint.classes.clone() })
    }

    /// An image's channels, height and width.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// The classes' names, in the order of their numbers.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What an image, as [`prepare`] makes it, is taken for.
    ///
    /// # Errors
    /// When it has another number of values than the network's input, or the device is lost.
    pub async fn predict(&mut self, image: &[f32]) -> Result<Prediction> {
        let probabilities = self.probabilities(&[image]).await?.pop().unwrap_or_default();
        let index = largest(&probabilities);
        let confidence = probabilities.get(index).copied().map_or(0.0, f64::from);
        Ok(Prediction { class: self.classes[index].clone(), index, confidence, probabilities })
    }

    /// The probabilities of all classes for each of several images, of the network's input's values each.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    pub async fn probabilities(&mut self, images: &[impl AsRef<[f32]>]) -> Result<Vec<Vec<f32>>> {
        let wanted: usize = self.input.iter().product();
        let mut all = Vec::with_capacity(images.len());
        for chunk in images.chunks(self.batch) {
            for (place, image) in chunk.iter().map(AsRef::as_ref).enumerate() {
                if image.len() != wanted {
                    let message =
                        format!("an image of {} values was given, but the network takes {wanted}", image.len());
                    return Err(Error::Shape(message));
                }
                self.engine.write(INPUT, place * wanted, image)?;
            }
            // Rows that hold no image keep an earlier one; what becomes of it is not looked at.
            self.engine.run(self.program, 0..1)?;
            let scores = self.engine.read_output(self.program, SCORES).await?;
            all.extend(scores.chunks_exact(self.classes.len()).take(chunk.len()).map(<[f32]>::to_vec));
        }
        Ok(all)
    }
}

/// Brings an image into a network's input: channels x height x width values from 0 to 1.
///
/// For one channel it becomes grey; where its edge is light it is inverted, so that ink is light on dark as in the training
/// data; and the box around its ink is centred in a square of 1.35 times the box's longer side. For three channels it is
/// scaled as it is.
pub fn prepare(image: &DynamicImage, input: [usize; 3]) -> Vec<f32> {
    let [channels, height, width] = input;
    let (to_width, to_height) = (width as u32, height as u32);
    if channels != 1 {
        let resized = image.resize_exact(to_width, to_height, imageops::FilterType::Triangle).to_rgb8();
        let plane = |channel: usize| resized.pixels().map(move |pixel| f32::from(pixel.0[channel.min(2)]) / 255.0);
        return (0..channels).flat_map(plane).collect();
    }
    let mut grey = grey_on_white(image);
    if edge_mean(&grey) > 127.5 {
        imageops::invert(&mut grey);
    }
    let resized = match ink_box(&grey) {
        Some([left, top, right, bottom]) => {
            let (ink_width, ink_height) = (right - left, bottom - top);
            let side = ((ink_width.max(ink_height) as f32 * MARGIN).round() as u32).max(1);
            let mut square = GrayImage::new(side, side);
            let cut = imageops::crop_imm(&grey, left, top, ink_width, ink_height).to_image();
            let (x, y) = ((side - ink_width.min(side)) / 2, (side - ink_height.min(side)) / 2);
            imageops::replace(&mut square, &cut, i64::from(x), i64::from(y));
            imageops::resize(&square, to_width, to_height, imageops::FilterType::Triangle)
        }
        None => imageops::resize(&grey, to_width, to_height, imageops::FilterType::Triangle),
    };
    resized.pixels().map(|pixel| f32::from(pixel.0[0]) / 255.0).collect()
}

/// Grey; what is transparent is white, as it is on a page.
fn grey_on_white(image: &DynamicImage) -> GrayImage {
    let mut pixels = image.to_luma_alpha8();
    for pixel in pixels.pixels_mut() {
        let [luma, alpha] = pixel.0.map(u32::from);
        pixel.0[0] = ((luma * alpha + 255 * (255 - alpha)) / 255) as u8;
    }
    let values = pixels.pixels().map(|pixel| pixel.0[0]).collect();
    GrayImage::from_raw(pixels.width(), pixels.height(), values).unwrap_or_default()
}

/// The mean of the pixels at the image's edge.
fn edge_mean(grey: &GrayImage) -> f32 {
    let (width, height) = grey.dimensions();
    let at_edge = |x: u32, y: u32| x == 0 || y == 0 || x + 1 == width || y + 1 == height;
    let edge = grey.enumerate_pixels().filter(|(x, y, _)| at_edge(*x, *y)).map(|(.., pixel)| f32::from(pixel.0[0]));
    let (sum, count) = edge.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// Left, top, right and bottom (exclusive) of what is clearly lighter than the darkest; `None` for a blank image.
fn ink_box(grey: &GrayImage) -> Option<[u32; 4]> {
    let (low, high) = grey.pixels().fold((255, 0), |(low, high), pixel| (pixel.0[0].min(low), pixel.0[0].max(high)));
    // Less contrast than paper has by itself is no ink.
    if high.saturating_sub(low) < 16 {
        return None;
    }
    let threshold = f32::from(low) + INK * f32::from(high - low);
    let ink = grey.enumerate_pixels().filter(|(.., pixel)| f32::from(pixel.0[0]) > threshold);
    ink.fold(None, |found: Option<[u32; 4]>, (x, y, _)| {
        let [left, top, right, bottom] = found.unwrap_or([x, y, x + 1, y + 1]);
        Some([left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dark_ink_on_light_paper_becomes_a_centred_light_character() {
        let mut page = GrayImage::from_pixel(90, 60, image::Luma([250]));
        for y in 5..45 {
            for x in 10..14 {
                page.put_pixel(x, y, image::Luma([20]));
            }
        }
        let values = prepare(&DynamicImage::ImageLuma8(page), [1, 32, 32]);
        assert_eq!(values.len(), 1024);
        let column = |x: usize| (0..32).map(|y| values[y * 32 + x]).sum::<f32>();
        assert!(column(16) > 15.0 && column(4) < 1.0 && column(28) < 1.0, "{} {}", column(16), column(4));
        let top: f32 = values[..96].iter().sum();
        assert!(top < 0.5, "{top}");
    }

    #[test]
    fn a_blank_page_is_no_ink() {
        assert_eq!(ink_box(&GrayImage::from_pixel(9, 9, image::Luma([7]))), None);
        assert_eq!(prepare(&DynamicImage::new_luma8(5, 5), [1, 28, 28]).len(), 784);
    }
}
