//! The recipe for a folder of images of which nothing else is known.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::datasets::{Listing, weights_file};
use crate::formats::tensors::TensorFile;
use crate::images::{self, Preprocessing};
use crate::nn::models::{self, ModelConfig};
use crate::ops::augment::Flip;
use crate::runs::directory::weights_file as weights_file_of;
use crate::runs::onnx::OnnxFile;
use crate::runs::weights::architecture_of;
use crate::train::Recipe;
use crate::train::recipe::FOLDER;
use crate::{Error, Result};

/// The share of the training images that is held out for validation, if the folder has no validation split.
pub const VAL_FRACTION: f64 = 0.15;
/// Networks whose pretrained weights are looked for. The first one that is found is used. The first four are in the
/// order of their time for a training step; the others were not timed, so they come last.
const PRETRAINED: [&str; 12] = [
    "squeezenet",
    "mobilenet_v2",
    "resnet18",
    "squeezenet1_0",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "regnet_y_400mf",
    "convnext_atto",
    "resnet34",
    "efficientnet_b0",
    "resnet50",
    "convnext_tiny",
];
/// The size of all outputs of frozen layers, in bytes, above which they are not kept.
const MOST_KEPT: usize = 4 << 30;
/// The number of files whose size is read to tell small images from photos.
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
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// The ImageNet weights in a data directory, if there are some.
    WeightsAtHand,
    /// This file of weights.
    File(&'a Path),
    /// The network and the weights of this ONNX file.
    Onnx(&'a OnnxFile),
    /// Random weights.
    Scratch,
}

/// A built-in recipe for folders, and how its number of epochs depends on the number of training images.
struct FolderRecipe {
    name: &'static str,
    /// The number of training images in all epochs together.
    images: usize,
    /// The smallest and the largest number of epochs.
    epochs: [usize; 2],
}

const PHOTOS: FolderRecipe = FolderRecipe { name: "photos", images: 30_000, epochs: [10, 30] };
const PHOTOS_SCRATCH: FolderRecipe = FolderRecipe { name: "photos-scratch", images: 44_000, epochs: [12, 120] };
const SMALL_IMAGES: FolderRecipe = FolderRecipe { name: "small-images", images: 60_000, epochs: [8, 60] };

impl FolderRecipe {
    fn epochs(&self, train: usize) -> u32 {
        let [least, most] = self.epochs;
        (self.images as f64 / train.max(1) as f64).round().clamp(least as f64, most as f64) as u32
    }
}

/// Chooses a recipe for the folder of images `name`.
///
/// With pretrained weights, a new classifier is trained on them; without, photos get a convolutional network with random weights.
/// Images of fewer than 64 pixels get a network for small images, unless a file of weights is named.
///
/// # Errors
/// When no image can be read, or the named file is not one of weights of a known network.
pub fn for_folder(name: &str, listing: &Listing, data_dir: Option<&Path>, start: Start) -> Result<Choice> {
    let (found, weights, reason) = network(listing, data_dir, start)?;
    let mut recipe = Recipe::built_in(found.name)?;
    if let Some(model) = weights.filter(|model| recipe.model.name != *model) {
        recipe.model = ModelConfig { name: model.into(), kernel: None, ..recipe.model };
    }
    if let Start::Onnx(file) = start {
        file.put_into(&mut recipe);
    }
    let train = listing.splits[0].len();
    recipe.name = run_name(name);
    recipe.data.name = name.into();
    recipe.data.val_fraction = val_fraction(listing);
    let held_out = recipe.data.val_fraction.unwrap_or(0.0);
    recipe.training.epochs = found.epochs((train as f64 * (1.0 - held_out)) as usize).into();
    let kept = kept_bytes(&recipe, listing)?;
    let mut reason = reason;
    if kept > MOST_KEPT {
        // Without kept outputs, each photo is computed again in each epoch, so it can be mirrored.
        recipe.training.cache_features = None;
        recipe.augment.get_or_insert_default().flip = Flip::Random;
        reason =
            format!("{reason}; the frozen layers' outputs are not kept, because they would need {} GiB", kept >> 30);
    }
    let what = if listing.sets.is_some() { "labels" } else { "classes" };
    let reasons = [
        format!("{name}: {train} training images of {} {what}, {}", listing.classes.len(), of_each_class(listing)),
        format!("recipe {}: {reason}", found.name),
        "--recipe, --model, --epochs and --val-fraction choose otherwise; `gpunn train --help` lists all flags".into(),
    ];
    Ok(Choice { recipe, reasons })
}

/// How many training images the classes have.
fn of_each_class(listing: &Listing) -> String {
    let counts = listing.counts(0);
    let by_count = |class: &usize| counts[*class];
    let ends = ((0..counts.len()).min_by_key(by_count), (0..counts.len()).max_by_key(by_count));
    match ends {
        (Some(least), Some(most)) if counts[least] < counts[most] => {
            let of = |class: usize| format!("{} ({})", counts[class], listing.classes[class]);
            format!("{} to {} of each", of(least), of(most))
        }
        (Some(class), _) => format!("{} of each", counts[class]),
        _ => "none".into(),
    }
}

/// The number of bytes of the frozen layers' outputs for all images of a folder. 0 if the recipe does not keep them.
fn kept_bytes(recipe: &Recipe, listing: &Listing) -> Result<usize> {
    if recipe.training.cache_features != Some(true) {
        return Ok(0);
    }
    let input = Preprocessing::DEFAULT.with(&recipe.data.asked()).input();
    let model = recipe.build_model(input, listing.classes.len().max(2))?;
    let frozen = model.frozen_layers();
    let each: usize = model.without_first(frozen)?.input().iter().product();
    let images: usize = listing.splits.iter().map(Vec::len).sum();
    Ok(images.saturating_mul(each * size_of::<f32>()))
}

/// The recipe for the images of a folder, the pretrained network if it uses one, and the reason.
fn network(
    listing: &Listing,
    data_dir: Option<&Path>,
    start: Start,
) -> Result<(FolderRecipe, Option<&'static str>, String)> {
    if let Start::File(file) = start {
        let file = &weights_file_of(file);
        let model = architecture(file)?;
        return Ok((PHOTOS, Some(model), format!("{model} with the weights in {}", file.display())));
    }
    if let Start::Onnx(file) = start {
        let reason = format!("the network and its weights in {}", file.weights.path().display());
        return Ok((PHOTOS, None, reason));
    }
    let size = typical_size(listing)?;
    if size < SMALL {
        let reason = format!("the images are small (the median of their shorter sides is {size} pixels)");
        return Ok((SMALL_IMAGES, None, reason));
    }
    if matches!(start, Start::Scratch) {
        return Ok((PHOTOS_SCRATCH, None, "random weights, because of --scratch".into()));
    }
    Ok(match pretrained(data_dir) {
        Some((model, file)) => {
            (PHOTOS, Some(model), format!("{model} with the ImageNet weights in {}", file.display()))
        }
        None => {
            let reason = "no ImageNet weights were found, which give better results with few images; \
                          `gpunn weights get squeezenet` downloads them";
            (PHOTOS_SCRATCH, None, reason.into())
        }
    })
}

/// The fraction to hold out of a folder's training images: [`VAL_FRACTION`], or `None` if the folder has a validation split.
pub fn val_fraction(listing: &Listing) -> Option<f64> {
    listing.splits[1].is_empty().then_some(VAL_FRACTION)
}

/// The name of runs on a folder: its last path component.
pub fn run_name(folder: &str) -> String {
    Path::new(folder).file_name().map_or_else(|| FOLDER.into(), |name| name.to_string_lossy().into_owned())
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
            models::torchvision_models().join(", ")
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
        assert_eq!([10, 1000, 2000, 100_000].map(|train| PHOTOS.epochs(train)), [30, 30, 15, 10]);
    }

    #[test]
    fn runs_are_named_after_the_folder() {
        assert_eq!(["Pets", "photos/Pets/", "/home/me/Pets"].map(run_name), ["Pets"; 3]);
        assert_eq!(run_name(".."), FOLDER);
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
        let data = tempfile::tempdir().expect("a folder");
        let chosen = |side: u32, start: Start| {
            let folder = folder(side, 10);
            let listing = Listing::scan(folder.path()).expect("a folder of images");
            let choice = for_folder("pets", &listing, Some(data.path()), start).expect("chosen");
            choice.recipe.validate().expect("sound");
            assert_eq!((choice.recipe.name.as_str(), choice.recipe.data.val_fraction), ("pets", Some(VAL_FRACTION)));
            assert_eq!(choice.reasons[0], "pets: 20 training images of 2 classes, 10 of each");
            choice
        };
        let begins =
            |choice: &Choice, with: &str| assert!(choice.reasons[1].starts_with(with), "{}", choice.reasons[1]);
        begins(&chosen(28, Start::WeightsAtHand), "recipe small-images: the images are small");
        let scratch = chosen(200, Start::Scratch);
        begins(&scratch, "recipe photos-scratch: random weights");
        assert_eq!(scratch.recipe.model.pretrained, None);
        let weights = data.path().join("squeezenet");
        std::fs::create_dir(&weights).expect("a folder");
        std::fs::write(weights.join("squeezenet1_1.safetensors"), b"not read here").expect("written");
        let tuned = chosen(200, Start::WeightsAtHand);
        begins(&tuned, "recipe photos: squeezenet with the ImageNet weights");
        assert_eq!(tuned.recipe.model.pretrained.as_deref(), Some(models::IMAGENET));
        // SqueezeNet's last layer before its classifier has 512 channels of 17 x 17 values for an image of 288 x 288.
        let one = folder(200, 1);
        let listing = Listing::scan(one.path()).expect("a folder of images");
        assert_eq!(kept_bytes(&tuned.recipe, &listing).expect("known"), 2 * 512 * 17 * 17 * 4);
        assert_eq!(kept_bytes(&scratch.recipe, &listing).expect("known"), 0);
        let many = Listing { splits: [vec![listing.splits[0][0].clone(); 8000], Vec::new(), Vec::new()], ..listing };
        let large = for_folder("pets", &many, Some(data.path()), Start::WeightsAtHand).expect("chosen").recipe;
        assert_eq!(large.training.cache_features, None);
        assert!(large.augment.is_some_and(|augment| augment.flip == Flip::Random));
        let damaged =
            for_folder("pets", &Listing::scan(folder(200, 1).path()).expect("a folder"), None, Start::File(&weights));
        assert!(damaged.is_err());
    }

    #[test]
    fn a_validation_split_is_used_as_it_is() {
        let (folder, root) = (folder(28, 1), tempfile::tempdir().expect("a folder"));
        for split in ["train", "val"] {
            for class in ["apples", "pears"] {
                let to = root.path().join("set").join(split).join(class);
                std::fs::create_dir_all(&to).expect("a class");
                std::fs::copy(folder.path().join("pears/0.png"), to.join("0.png")).expect("copied");
            }
        }
        let listing = Listing::scan(&root.path().join("set")).expect("a folder of images");
        assert_eq!(val_fraction(&listing), None);
    }
}
