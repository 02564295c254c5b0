//! Folders of images, one folder for each class. Images have any size and one of [`FORMATS`](crate::images::FORMATS). They are decoded in parallel,
//! brought to one size, and stored in the user's cache.

mod inspect;
mod labels;
mod listing;
mod notes;
mod store;

pub use inspect::{FolderCheck, LeftOut, Place};
pub(super) use labels::find as find_labels;
pub use listing::Listing;
pub(super) use notes::notes;
pub use store::Store;

use super::options::LoadOptions;
use crate::data::{Dataset, ImageFile, LabelSets, Pixels, Split, SplitName};
use crate::hash::Fnv1a;
use crate::images::{Preprocessing, decode};
use crate::{Error, Result};
use listing::{Image, within};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use store::{StoreIndex, StoreKey, StoreWriter, allocate};

/// The number of images that are decoded at a time: enough for every thread, but little memory.
const CHUNK: usize = 256;

/// The location and the name of a folder of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImageFolder {
    /// The name that loads the dataset.
    pub name: String,
    /// The canonical path of the folder.
    pub path: PathBuf,
    /// The data directory in which the name finds it. `None` when the name is its path.
    pub directory: Option<PathBuf>,
}

/// Loads a folder of images into memory. If the cache is up to date, it is read; otherwise the images are decoded and the cache
/// is written. A dataset that exceeds the memory limit stays in the cache.
pub(super) fn load(image_folder: &ImageFolder, preprocessing: Preprocessing, options: &LoadOptions) -> Result<Dataset> {
    let listing = Listing::of(&image_folder.path, options.labels.as_ref())?;
    let images: usize = listing.splits.iter().map(Vec::len).sum();
    let bytes = images.saturating_mul(preprocessing.input().iter().product());
    if bytes > options.memory_limit && options.cache.is_some() {
        match store(image_folder, preprocessing, options) {
            // If the cache cannot be written, the images may still fit into memory.
            Err(Error::File { .. }) => {}
            opened => return Ok(opened?.left_on_disk(&image_folder.name, image_folder.directory.clone())),
        }
    }
    let key = StoreKey::new(&image_folder.path, preprocessing, options, &listing);
    let file = options.cache.as_ref().map(|cache| key.file(cache));
    if let Some(mut store) = file.as_ref().and_then(|file| Store::kept(file, &key)) {
        // If the store cannot be read, the images are decoded again.
        if let Ok(set) = store.dataset(&image_folder.name, image_folder.directory.clone()) {
            return Ok(set);
        }
    }
    // Errors of the cache are ignored: training works without it on a full or read-only disk.
    let mut writer = file.and_then(|file| StoreWriter::create(&file).ok());
    let mut splits = [Vec::new(), Vec::new(), Vec::new()];
    for (split, images) in splits.iter_mut().zip(&listing.splits) {
        *split = allocate(images.len(), preprocessing, &image_folder.name)?;
    }
    let source = (image_folder.path.as_path(), &listing);
    let Decoded { labels, files, skipped } = decode_all(source, preprocessing, options.skip_bad, |slot, bytes| {
        splits[slot].extend_from_slice(bytes);
        if writer.as_mut().is_some_and(|writer| writer.images(bytes).is_err()) {
            writer = None;
        }
        Ok(())
    })?;
    let index = StoreIndex { key, classes: listing.classes, sets: listing.sets, labels, files, skipped };
    if let Some(writer) = writer {
        let _ = writer.finish(&index);
    }
    let StoreIndex { classes, sets, labels, files, skipped, .. } = index;
    let mut parts = splits.into_iter().zip(labels).zip(files);
    let mut next = || parts.next().map(|((pixels, labels), files)| Split { pixels: Pixels::U8(pixels), labels, files });
    let train = next().unwrap_or_else(Split::empty);
    Ok(Dataset {
        name: image_folder.name.clone(),
        input: preprocessing.input(),
        classes,
        sets,
        train,
        val: next().filter(|split| !split.is_empty()),
        test: next().filter(|split| !split.is_empty()),
        folder: image_folder.directory.clone(),
        skipped,
        absent: Vec::new(),
    })
}

/// Opens the cache of a folder's decoded images. It decodes the images first if the cache is not up to date. The memory use
/// does not grow with the dataset.
pub(super) fn store(image_folder: &ImageFolder, preprocessing: Preprocessing, options: &LoadOptions) -> Result<Store> {
    let Some(cache) = &options.cache else {
        return Err(Error::usage(format!(
            "The decoded images of {} have to be kept in a cache folder, but none is known: set HOME.",
            image_folder.name
        )));
    };
    let listing = Listing::of(&image_folder.path, options.labels.as_ref())?;
    let key = StoreKey::new(&image_folder.path, preprocessing, options, &listing);
    let file = key.file(cache);
    if let Some(store) = Store::kept(&file, &key) {
        return Ok(store);
    }
    let mut writer = StoreWriter::create(&file)?;
    let source = (image_folder.path.as_path(), &listing);
    let Decoded { labels, files, skipped } = decode_all(source, preprocessing, options.skip_bad, |_, bytes| {
        writer.images(bytes).map_err(Error::file("cannot write", &file))
    })?;
    let Listing { classes, sets, .. } = listing;
    writer.finish(&StoreIndex { key: key.clone(), classes, sets, labels, files, skipped })?;
    Store::open(&file, &key)
        .ok_or_else(|| Error::data(format!("{} was changed while it was written; try again.", file.display())))
}

/// What is known of the decoded images.
#[derive(Default)]
struct Decoded {
    /// The class of each image, by split.
    labels: [Vec<u32>; 3],
    /// The file of each image, by split.
    files: [Vec<ImageFile>; 3],
    /// The errors of the skipped files.
    skipped: Vec<String>,
}

/// Reads an image file of a folder: its preprocessed bytes, and what identifies the file.
fn read_image(image: &Image, folder: &Path, preprocessing: Preprocessing) -> Result<(Vec<u8>, ImageFile)> {
    let bytes = std::fs::read(&image.path).map_err(Error::file("cannot read the image", &image.path))?;
    let mut hash = Fnv1a::new();
    hash.add(&bytes);
    let file = ImageFile { path: within(folder, &image.path), bytes: bytes.len() as u64, hash: hash.value() };
    Ok((preprocessing.apply(&decode(bytes, &image.path.display().to_string())?), file))
}

/// Decodes all images in parallel and passes their bytes to `take` in order, with the index of their split.
fn decode_all(
    (folder, listing): (&Path, &Listing),
    preprocessing: Preprocessing,
    skip_bad: bool,
    mut take: impl FnMut(usize, &[u8]) -> Result<()>,
) -> Result<Decoded> {
    let Decoded { mut labels, mut files, mut skipped } = Decoded::default();
    for (slot, images) in listing.splits.iter().enumerate() {
        for chunk in images.chunks(CHUNK) {
            let decoded: Vec<Result<(Vec<u8>, ImageFile)>> =
                chunk.par_iter().map(|image| read_image(image, folder, preprocessing)).collect();
            for (Image { class, .. }, image) in chunk.iter().zip(decoded) {
                match image {
                    Ok((bytes, file)) => {
                        take(slot, &bytes)?;
                        labels[slot].push(*class);
                        files[slot].push(file);
                    }
                    Err(error) if skip_bad => skipped.push(error.to_string()),
                    Err(error) => {
                        let reason = error.to_string();
                        return Err(Error::data(format!(
                            "{}. Repair or remove it, or use --skip-bad to skip such images.",
                            reason.trim_end_matches('.')
                        )));
                    }
                }
            }
        }
        every_class_is_left(listing, slot, &labels[slot])?;
    }
    Ok(Decoded { labels, files, skipped })
}

/// Checks that some image of each class of a split was decoded. A file of labels may give a class to training images only.
fn every_class_is_left(listing: &Listing, slot: usize, decoded: &[u32]) -> Result<()> {
    let split = [SplitName::Train, SplitName::Val, SplitName::Test][slot];
    let left = match &listing.sets {
        Some(sets) => sets.counts(decoded, listing.classes.len()),
        None => LabelSets::singles(listing.classes.len()).counts(decoded, listing.classes.len()),
    };
    let mut classes = listing.counts(slot).into_iter().zip(left).zip(&listing.classes);
    match classes.find(|&((before, left), _)| before > 0 && left == 0) {
        Some((_, class)) => Err(Error::data(format!(
            "No image of the class {class} in the {split} split can be decoded, so the class would be empty."
        ))),
        None => Ok(()),
    }
}
