//! The recipe for a folder of images of which nothing else is known.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::datasets::{Listing, list_folder, weights_file};
use crate::formats::tensors::TensorFile;
use crate::images;
use crate::nn::models;
use crate::runs::weights::architecture_of;
use crate::train::Recipe;
use crate::train::recipe::FOLDER;
use crate::{Error, Result};

/// The share of the training images that is held out for validation, if the folder has no validation split.
pub const VAL_FRACTION: f64 = 0.15;
/// Networks whose pretrained weights are looked for, the first one that is found is used. The order is by time of a training
/// step: SqueezeNet 1.1 trains in minutes on a CPU.
const PRETRAINED: [&str; 4] = ["squeezenet", "mobilenet_v2", "resnet18", "squeezenet1_0"];
/// Files whose size is read to tell small images from photos.
const SAMPLE: usize = 64;
/// Images with a shorter side below this are small.
const SMALL: u32 = 64;

/// A recipe that was chosen for a folder, with the reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The recipe. It is named after the folder.
    pub recipe: Recipe,
    /// Three sentences: what the folder holds, which network was chosen and why, and how to choose otherwise.
    pub reasons: [String; 3],
}

/// What a training on a folder starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// The ImageNet weights in a data directory, if there are some.
    WeightsAtHand,
    /// This file of weights.
    File(&'a Path),
    /// Random weights.
    Scratch,
}

/// How images of a training are counted to get a number of epochs.
struct Budget {
    /// Images to train on in all, each epoch's counted again.
    images: usize,
    /// The smallest and the largest number of epochs.
    epochs: [usize; 2],
}

impl Budget {
    fn epochs(&self, train: usize) -> u32 {
        let [least, most] = self.epochs;
        (self.images as f64 / train.max(1) as f64).round().clamp(least as f64, most as f64) as u32
    }
}

/// Chooses a recipe for a folder of images. `None` if the name is that of a known dataset.
///
/// With pretrained weights at hand, photos are trained on with them; without, a convolutional network is trained from scratch.
/// Images of fewer than 64 pixels get a network for small images. A file of weights is used for images of any size.
///
/// # Errors
/// As [`list_folder`], and when an image cannot be read.
pub fn for_folder(name: &str, data_dir: Option<&Path>, start: Start) -> Result<Option<Choice>> {
    let Some(listing) = list_folder(name, data_dir)? else { return Ok(None) };
    let size = typical_size(&listing)?;
    let weights = match start {
        Start::WeightsAtHand => pretrained(data_dir),
        Start::File(file) => Some((architecture(file)?, file.to_owned())),
        Start::Scratch => None,
    };
    let (found, budget, reason) = match (&weights, size < SMALL) {
        (_, true) if !matches!(start, Start::File(_)) => {
            let reason = format!("the images are small (the median of their shorter sides is {size} pixels)");
            ("small-images", Budget { images: 60_000, epochs: [8, 60] }, reason)
        }
        (Some((model, file)), _) => {
            let reason = format!("{model} with the weights in {}", file.display());
            ("photos", Budget { images: 30_000, epochs: [10, 30] }, reason)
        }
        (None, _) if start == Start::Scratch => {
            let reason = "without pretrained weights, as --scratch asks".to_owned();
            ("photos-scratch", Budget { images: 58_000, epochs: [12, 120] }, reason)
        }
        (None, _) => {
            let reason = "no ImageNet weights were found, with which fewer images give better results; \
                          `gpunn data get squeezenet` says how to get them"
                .to_owned();
            ("photos-scratch", Budget { images: 58_000, epochs: [12, 120] }, reason)
        }
    };
    let mut recipe = Recipe::built_in(found)?;
    if let Some((model, _)) = weights.filter(|(model, _)| found == "photos" && recipe.model.name != *model) {
        recipe.model = models::ModelConfig { name: model.into(), kernel: None, ..recipe.model };
    }
    let [train, val, test] = listing.splits.each_ref().map(Vec::len);
    recipe.data.name = name.into();
    recipe.data.val_fraction = (val == 0).then_some(VAL_FRACTION);
    let kept = if val == 0 { (train as f64 * (1.0 - VAL_FRACTION)) as usize } else { train };
    recipe.training.epochs = budget.epochs(kept);
    recipe.training.patience = Some((recipe.training.epochs / 2).max(3));
    recipe.name = run_name(name);
    let validation = match val {
        0 => format!("about {} of them are held out for validation", train - kept),
        _ => format!("and {val} images for validation"),
    };
    let tested = if test == 0 { String::new() } else { format!(", {test} images for the final test") };
    let reasons = [
        format!("{name}: {train} images of {} classes for training, {validation}{tested}", listing.classes.len()),
        format!("recipe {found}, {} epochs: {reason}", recipe.training.epochs),
        "--recipe, --model, --epochs and --val-fraction choose otherwise; `gpunn train --help` lists all flags"
            .to_owned(),
    ];
    Ok(Some(Choice { recipe, reasons }))
}

/// The name of runs on a folder: its last path component.
fn run_name(folder: &str) -> String {
    let last = Path::new(folder).file_name().and_then(|name| name.to_str());
    last.filter(|name| !name.is_empty()).unwrap_or(FOLDER).to_lowercase()
}

/// The first of the pretrained networks whose weights are in a data directory, with the file.
fn pretrained(data_dir: Option<&Path>) -> Option<(&'static str, PathBuf)> {
    PRETRAINED.into_iter().find_map(|model| {
        let file = models::published(model)?;
        Some((model, weights_file(model, file, data_dir).ok()?))
    })
}

/// The network whose tensors a file of weights has.
fn architecture(file: &Path) -> Result<&'static str> {
    architecture_of(&TensorFile::open(file)?).ok_or_else(|| {
        Error::usage(format!(
            "The tensors of {} are not those of a network that is known by its tensors ({}). Name the network with --model.",
            file.display(),
            PRETRAINED.join(", ")
        ))
    })
}

/// The median of the shorter sides of some images, in pixels.
fn typical_size(listing: &Listing) -> Result<u32> {
    let images = &listing.splits[0];
    let step = images.len().div_ceil(SAMPLE).max(1);
    let sides: Vec<Result<u32>> = images
        .par_iter()
        .step_by(step)
        .map(|image| images::size(&image.path).map(|[height, width]| height.min(width)))
        .collect();
    let mut sides: Vec<u32> = sides.into_iter().filter_map(Result::ok).collect();
    sides.sort_unstable();
    sides.get(sides.len() / 2).copied().ok_or_else(|| Error::data("No image of the folder can be read."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_images_get_more_epochs() {
        let budget = Budget { images: 6_000, epochs: [3, 30] };
        assert_eq!([10, 578, 1000, 100_000].map(|train| budget.epochs(train)), [30, 10, 6, 3]);
    }

    #[test]
    fn runs_are_named_after_the_folder() {
        assert_eq!(["pets", "photos/Pets/", "/home/me/pets"].map(run_name), ["pets"; 3]);
        assert_eq!(run_name(".."), "folder");
    }

    /// A folder with `count` images of this side in each of two classes.
    fn folder(side: u32, count: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for class in ["apples", "pears"] {
            std::fs::create_dir(folder.path().join(class)).expect("a class");
            for number in 0..count {
                let image = image::RgbImage::from_pixel(side, side, image::Rgb([number as u8; 3]));
                image.save(folder.path().join(class).join(format!("{number}.png"))).expect("an image");
            }
        }
        folder
    }

    #[test]
    fn the_size_of_the_images_and_the_weights_at_hand_decide() {
        let chosen = |side: u32, data: &Path| {
            let folder = folder(side, 10);
            let name = folder.path().display().to_string();
            let choice = for_folder(&name, Some(data), Start::WeightsAtHand).expect("chosen").expect("a folder");
            choice.recipe.validate().expect("sound");
            assert_eq!(choice.recipe.data.val_fraction, Some(VAL_FRACTION));
            assert!(choice.reasons[0].contains("20 images of 2 classes"), "{}", choice.reasons[0]);
            choice
        };
        let empty = tempfile::tempdir().expect("a folder");
        let small = chosen(28, empty.path());
        assert_eq!(small.recipe.model.name, "seven-convolutions");
        let photos = chosen(200, empty.path());
        // The user's own data directories may have weights.
        let scratch = photos.recipe.model.pretrained.is_none();
        assert_eq!(photos.reasons[1].contains("no ImageNet weights"), scratch);
        let weights = empty.path().join("squeezenet");
        std::fs::create_dir(&weights).expect("a folder");
        std::fs::write(weights.join("squeezenet1_1.safetensors"), b"not read here").expect("written");
        let tuned = chosen(200, empty.path());
        assert_eq!(tuned.recipe.model.pretrained.as_deref(), Some(models::IMAGENET));
        assert!(for_folder("glyphs", None, Start::Scratch).expect("known").is_none());
    }
}
