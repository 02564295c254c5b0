//! The cache of decoded images: a file of images of one size that can be read image by image.
//!
//! The file is `MAGIC`, the images' bytes (train split, then validation, then test), the index as JSON, the index's SHA-256 digest, its
//! length as a 64-bit number, and `MAGIC` again. The index has a key of the source images. A store with another key is ignored, and so
//! is one that others could have written.

use super::listing::Listing;
use crate::data::{Dataset, ImageFile, ImageStore, LabelSets, Pixels, Split, SplitName, Stored};
use crate::datasets::LoadOptions;
use crate::files::AtomicFile;
use crate::files::kept::{make_own_folder, own};
use crate::files::sha256::Sha256;
use crate::images::Preprocessing;
use crate::{Error, Result};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The first and last bytes of a store. They include the version of the format.
const MAGIC: &[u8; 16] = b"gpunn pictures 3";
/// The length of the index's digest.
const DIGEST: usize = 32;
/// The length of the footer: the index's digest, its length and `MAGIC`.
const FOOTER: u64 = DIGEST as u64 + 8 + MAGIC.len() as u64;

/// Identifies the source images of a store and their preprocessing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct StoreKey {
    path: String,
    #[serde(rename = "rule")]
    preprocessing: Preprocessing,
    skip_bad: bool,
    /// The file of labels, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<String>,
    fingerprint: String,
}

impl StoreKey {
    pub fn new(path: &Path, preprocessing: Preprocessing, options: &LoadOptions, listing: &Listing) -> Self {
        Self {
            path: path.to_string_lossy().into_owned(),
            preprocessing,
            skip_bad: options.skip_bad,
            labels: options.labels.as_ref().map(|labels| labels.file.to_string_lossy().into_owned()),
            fingerprint: listing.fingerprint(),
        }
    }

    /// The file of the store in the folder `cache`. There is one for each path and preprocessing, so a changed dataset replaces
    /// its old store.
    pub fn file(&self, cache: &Path) -> PathBuf {
        let Self { path, preprocessing: Preprocessing { size: [height, width], fit, channels }, skip_bad, .. } = self;
        // With another limit, other images may have been skipped.
        let limit = match crate::images::most_pixels() {
            crate::images::MOST_PIXELS => String::new(),
            limit => format!(" {limit}"),
        };
        let labels = self.labels.as_ref().map_or_else(String::new, |labels| format!("\n{labels}"));
        let name = format!("{path}\n{channels} {height} {width} {fit:?} {skip_bad}{limit}{labels}");
        cache.join("pictures").join(format!("{:x}.store", md5::compute(name)))
    }
}

/// The index of a store.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct StoreIndex {
    pub key: StoreKey,
    pub classes: Vec<String>,
    /// As [`Listing::sets`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sets: Option<LabelSets>,
    /// The class of each image, or the number of its set of classes, by split.
    pub labels: [Vec<u32>; 3],
    /// The file of each image, by split.
    pub files: [Vec<ImageFile>; 3],
    pub skipped: Vec<String>,
}

/// A store that is being written.
#[derive(Debug)]
pub(super) struct StoreWriter(AtomicFile);

impl StoreWriter {
    pub fn create(path: &Path) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        make_own_folder(folder)?;
        let mut file = AtomicFile::create(path)?;
        file.write_all(MAGIC).map_err(Error::file("cannot write", path))?;
        Ok(Self(file))
    }

    pub fn images(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    pub fn finish(mut self, index: &StoreIndex) -> Result<()> {
        let json = serde_json::to_vec(index).map_err(|error| Error::data(format!("no JSON: {error}")))?;
        let end = [&json[..], &Sha256::of(&json).bytes(), &(json.len() as u64).to_le_bytes(), MAGIC].concat();
        self.0.write_all(&end).map_err(Error::file("cannot write", "the images' index"))?;
        self.0.commit()
    }
}

/// The decoded images of a folder, in a file of the cache.
#[derive(Debug)]
pub struct Store {
    file: File,
    path: PathBuf,
    index: StoreIndex,
}

impl Store {
    /// Opens the store that an earlier run left at `path`. `None` when it is incomplete, has another key, or others could have
    /// written it.
    pub(super) fn kept(path: &Path, key: &StoreKey) -> Option<Self> {
        own(path).is_ok().then(|| Self::open(path, key))?
    }

    /// Opens the store at `path`. `None` when it is incomplete or has another key.
    pub(super) fn open(path: &Path, key: &StoreKey) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.checked_sub(FOOTER)?)).ok()?;
        let mut footer = [0; FOOTER as usize];
        file.read_exact(&mut footer).ok()?;
        let (stated, rest) = footer.split_first_chunk::<DIGEST>()?;
        let (json_length, magic) = rest.split_first_chunk::<8>()?;
        let json_length = u64::from_le_bytes(*json_length);
        if magic != MAGIC {
            return None;
        }
        let start = length.checked_sub(FOOTER)?.checked_sub(json_length)?;
        file.seek(SeekFrom::Start(start)).ok()?;
        let mut json = Vec::new();
        (&mut file).take(json_length).read_to_end(&mut json).ok()?;
        if Sha256::of(&json).bytes() != *stated {
            return None;
        }
        let index: StoreIndex = serde_json::from_slice(&json).ok()?;
        let store = Self { file, path: path.to_owned(), index };
        let images: usize = store.index.labels.iter().map(Vec::len).sum();
        let whole = MAGIC.len() as u64 + images as u64 * store.image_bytes() as u64 == start;
        let most = store.index.sets.as_ref().map_or(store.index.classes.len(), LabelSets::len);
        let named = |label: &u32| (*label as usize) < most;
        let has_files = |(labels, files): (&Vec<u32>, &Vec<ImageFile>)| labels.len() == files.len();
        let whole = whole && store.index.labels.iter().zip(&store.index.files).all(has_files);
        (whole && store.index.key == *key && store.index.labels.iter().flatten().all(named)).then_some(store)
    }

    /// An image's channels, height and width.
    pub fn input(&self) -> [usize; 3] {
        self.index.key.preprocessing.input()
    }
    /// The number of bytes of an image.
    pub fn image_bytes(&self) -> usize {
        self.input().iter().product()
    }
    /// The class names in index order.
    pub fn classes(&self) -> &[String] {
        &self.index.classes
    }
    /// The class of each image of a split.
    pub fn labels(&self, split: SplitName) -> &[u32] {
        &self.index.labels[split.slot()]
    }
    /// The errors of the files that were skipped.
    pub fn skipped(&self) -> &[String] {
        &self.index.skipped
    }

    /// Reads images of a split into `bytes`, beginning with image `first`. The length of `bytes` must be a multiple of
    /// [`Store::image_bytes`]. An image is channels x height x width.
    ///
    /// # Errors
    /// [`Error::Usage`] when the split has fewer images, [`Error::File`] when reading fails.
    pub fn read(&mut self, split: SplitName, first: usize, bytes: &mut [u8]) -> Result<()> {
        let (size, count) = (self.image_bytes(), self.labels(split).len());
        if !bytes.len().is_multiple_of(size) || first > count || bytes.len() / size > count - first {
            return Err(Error::usage(format!(
                "{} bytes were requested from image {first} of the {split} split on, but it has {count} images of {size} bytes.",
                bytes.len()
            )));
        }
        let before: usize = self.index.labels[..split.slot()].iter().map(Vec::len).sum();
        let at = MAGIC.len() as u64 + (before + first) as u64 * size as u64;
        let read = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.read_exact(bytes));
        read.map_err(Error::file("cannot read", &self.path))
    }

    /// Reads the whole store into memory.
    pub(super) fn dataset(&mut self, name: &str, folder: Option<PathBuf>) -> Result<Dataset> {
        let mut read_split = |split| {
            let labels = self.labels(split).to_vec();
            let mut pixels = allocate(labels.len(), self.index.key.preprocessing, name)?;
            pixels.resize(labels.len() * self.image_bytes(), 0);
            self.read(split, 0, &mut pixels)?;
            let files = self.index.files[split.slot()].clone();
            Ok::<_, Error>(Split { pixels: Pixels::U8(pixels), labels, files })
        };
        let splits = [read_split(SplitName::Train)?, read_split(SplitName::Val)?, read_split(SplitName::Test)?];
        Ok(self.with_splits(splits, name, folder))
    }

    /// The dataset, with its images left on disk.
    pub(super) fn left_on_disk(self, name: &str, folder: Option<PathBuf>) -> Dataset {
        let set = self.with_splits([(); 3].map(|()| Split::empty()), name, folder);
        let labels = [SplitName::Train, SplitName::Val, SplitName::Test].map(|split| self.labels(split).to_vec());
        let files = self.index.files.clone();
        let width = self.image_bytes();
        let store: Arc<dyn ImageStore> = Arc::new(Mutex::new(self));
        let stored = |split: SplitName| {
            let labels = labels[split.slot()].clone();
            let files = files[split.slot()].clone();
            Split { pixels: Pixels::Stored(Stored::all(&store, split, labels.len(), width)), labels, files }
        };
        let some = |split: SplitName| Some(stored(split)).filter(|split| !split.is_empty());
        Dataset { train: stored(SplitName::Train), val: some(SplitName::Val), test: some(SplitName::Test), ..set }
    }

    fn with_splits(&self, [train, val, test]: [Split; 3], name: &str, folder: Option<PathBuf>) -> Dataset {
        Dataset {
            name: name.into(),
            input: self.input(),
            classes: self.classes().to_vec(),
            sets: self.index.sets.clone(),
            train,
            val: Some(val).filter(|split| !split.is_empty()),
            test: Some(test).filter(|split| !split.is_empty()),
            folder,
            skipped: self.skipped().to_vec(),
            absent: Vec::new(),
        }
    }
}

impl ImageStore for Mutex<Store> {
    fn read(&self, split: SplitName, number: usize, bytes: &mut [u8]) -> Result<()> {
        self.lock().unwrap_or_else(PoisonError::into_inner).read(split, number, bytes)
    }
}

/// Allocates an empty buffer for the bytes of `images` images.
pub(super) fn allocate(images: usize, preprocessing: Preprocessing, name: &str) -> Result<Vec<u8>> {
    let [channels, height, width] = preprocessing.input();
    let mut bytes = Vec::new();
    let wanted = images.saturating_mul(channels * height * width);
    match bytes.try_reserve_exact(wanted) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Error::Memory(format!(
            "The {images} images of a split of {name} need {wanted} bytes at {channels} x {height} x {width}, more \
             than is available; use a smaller size."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_large_allocations_are_errors() {
        assert_eq!(allocate(2, Preprocessing::DEFAULT, "x").expect("little").capacity(), 2 * 3 * 64 * 64);
        let sentence = allocate(usize::MAX / 2, Preprocessing::DEFAULT, "x").expect_err("too much").to_string();
        assert!(sentence.contains("3 x 64 x 64") && sentence.contains("smaller size"), "{sentence}");
    }
}
