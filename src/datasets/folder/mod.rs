//! Folders of images: one folder a class, JPEG, PNG, WebP or BMP of any size, brought to one size by a rule, decoded in
//! parallel and kept decoded in the user's cache.

mod listing;
mod store;

pub use listing::Listing;
pub use store::Store;

use super::LoadOptions;
use crate::data::{Dataset, Pixels, Split, SplitName};
use crate::images::{Rule, open};
use crate::{Error, Result};
use listing::Image;
use rayon::prelude::*;
use std::path::PathBuf;
use store::{Index, Key, Writer};

/// Images that are decoded at a time: enough for every thread, few enough to stay small.
const CHUNK: usize = 256;

/// Where a folder of images is and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The name that the set is asked for by.
    pub name: String,
    /// The folder itself, canonical.
    pub path: PathBuf,
    /// The data directory that it is found in by its name; `None` where the name is its path.
    pub directory: Option<PathBuf>,
}

/// Loads a folder into memory: from the cache where it has what the folder holds, else by decoding, which fills the cache. What
/// is too large for memory stays in the cache.
pub(super) fn load(place: &Place, rule: Rule, options: &LoadOptions) -> Result<Dataset> {
    let listing = Listing::scan(&place.path)?;
    let images: usize = listing.splits.iter().map(Vec::len).sum();
    let bytes = images.saturating_mul(rule.input().iter().product());
    if bytes > options.most_in_memory && options.cache.is_some() {
        match store(place, rule, options) {
            // A disk that refuses is no reason not to try without it.
            Err(Error::File { .. }) => {}
            opened => return Ok(opened?.left_on_disk(&place.name, place.directory.clone())),
        }
    }
    let key = Key::new(&place.path, rule, options.skip_bad, &listing);
    let file = options.cache.as_ref().map(|cache| key.file(cache));
    if let Some(mut store) = file.as_ref().and_then(|file| Store::open(file, &key)) {
        // A store that cannot be read is as good as none.
        if let Ok(set) = store.dataset(&place.name, place.directory.clone()) {
            return Ok(set);
        }
    }
    // The run goes on without the cache: a full or read-only disk is no reason not to train.
    let mut writer = file.and_then(|file| Writer::create(&file).ok());
    let mut splits = [Vec::new(), Vec::new(), Vec::new()];
    for (split, images) in splits.iter_mut().zip(&listing.splits) {
        *split = room(images.len(), rule, &place.name)?;
    }
    let (labels, skipped) = decode_all(&listing, rule, options.skip_bad, |slot, bytes| {
        splits[slot].extend_from_slice(bytes);
        if writer.as_mut().is_some_and(|writer| writer.images(bytes).is_err()) {
            writer = None;
        }
        Ok(())
    })?;
    let index = Index { key, classes: listing.classes, labels, skipped };
    if let Some(writer) = writer {
        let _ = writer.finish(&index);
    }
    let Index { classes, labels, skipped, .. } = index;
    let mut parts = splits.into_iter().zip(labels);
    let mut next = || parts.next().map(|(pixels, labels)| Split { pixels: Pixels::U8(pixels), labels });
    let train = next().unwrap_or_else(Split::empty);
    Ok(Dataset {
        name: place.name.clone(),
        input: rule.input(),
        classes,
        train,
        val: next().filter(|split| !split.is_empty()),
        test: next().filter(|split| !split.is_empty()),
        folder: place.directory.clone(),
        skipped,
        absent: Vec::new(),
    })
}

/// Room for the bytes of so many images.
fn room(images: usize, rule: Rule, name: &str) -> Result<Vec<u8>> {
    let [channels, height, width] = rule.input();
    let mut bytes = Vec::new();
    let wanted = images.saturating_mul(channels * height * width);
    match bytes.try_reserve_exact(wanted) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Error::Memory(format!(
            "The {images} images of a split of {name} take {wanted} bytes at {channels} x {height} x {width}, more than \
             there is; ask for a smaller size."
        ))),
    }
}

/// Opens a folder's decoded images on the disk, decoding them first where the cache has not what the folder holds. The
/// memory that it takes does not grow with the set.
pub(super) fn store(place: &Place, rule: Rule, options: &LoadOptions) -> Result<Store> {
    let Some(cache) = &options.cache else {
        return Err(Error::usage(format!(
            "The decoded images of {} have to be kept in a cache folder, but none is known: set HOME.",
            place.name
        )));
    };
    let listing = Listing::scan(&place.path)?;
    let key = Key::new(&place.path, rule, options.skip_bad, &listing);
    let file = key.file(cache);
    if let Some(store) = Store::open(&file, &key) {
        return Ok(store);
    }
    let mut writer = Writer::create(&file)?;
    let (labels, skipped) = decode_all(&listing, rule, options.skip_bad, |_, bytes| {
        writer.images(bytes).map_err(Error::file("cannot write", &file))
    })?;
    writer.finish(&Index { key: key.clone(), classes: listing.classes, labels, skipped })?;
    Store::open(&file, &key)
        .ok_or_else(|| Error::data(format!("{} was changed while it was written; try again.", file.display())))
}

/// The class of each image, split by split; the files left out, each with its reason.
type Decoded = ([Vec<u32>; 3], Vec<String>);

/// Decodes all images in parallel and hands their bytes over in order, with the number of their split.
fn decode_all(
    listing: &Listing,
    rule: Rule,
    skip_bad: bool,
    mut take: impl FnMut(usize, &[u8]) -> Result<()>,
) -> Result<Decoded> {
    let (mut labels, mut skipped) = <Decoded>::default();
    for (slot, images) in listing.splits.iter().enumerate() {
        for chunk in images.chunks(CHUNK) {
            let decoded: Vec<Result<Vec<u8>>> =
                chunk.par_iter().map(|image| Ok(rule.apply(&open(&image.path)?))).collect();
            for (Image { class, .. }, bytes) in chunk.iter().zip(decoded) {
                match bytes {
                    Ok(bytes) => {
                        take(slot, &bytes)?;
                        labels[slot].push(*class);
                    }
                    Err(error) if skip_bad => skipped.push(error.to_string()),
                    Err(error) => {
                        let reason = error.to_string();
                        return Err(Error::data(format!(
                            "{}. Mend or remove it, or go on without it by --skip-bad.",
                            reason.trim_end_matches('.')
                        )));
                    }
                }
            }
        }
        let part = [SplitName::Train, SplitName::Val, SplitName::Test][slot];
        let bare = |class: &usize| !labels[slot].contains(&(*class as u32));
        if let Some(class) = (0..listing.classes.len()).find(bare).filter(|_| !images.is_empty()) {
            return Err(Error::data(format!(
                "No image of the class {} in the {part} split can be read, so that nothing of it is left.",
                listing.classes[class]
            )));
        }
    }
    Ok((labels, skipped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_no_machine_has_is_a_sentence() {
        assert_eq!(room(2, Rule::DEFAULT, "x").expect("little").capacity(), 2 * 3 * 64 * 64);
        let sentence = room(usize::MAX / 2, Rule::DEFAULT, "x").expect_err("too much").to_string();
        assert!(sentence.contains("3 x 64 x 64") && sentence.contains("smaller size"), "{sentence}");
    }
}
