//! Decoded images on the disk, all of one size, so that a set is decoded once: a file that can be read row by row.
//!
//! The file is `MAGIC`, the images' bytes one after another (the training split's, then the validation's, then the
//! test's), the index as JSON, the index's length as 64 bits and `MAGIC` again. The index says what the images were made
//! from; a store that was made from something else is as good as none.

use super::listing::Listing;
use crate::data::{Dataset, ImageStore, Pixels, Split, SplitName, Stored};
use crate::files::Whole;
use crate::images::Rule;
use crate::{Error, Result};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What a store begins and ends with; the version of its form is in it.
const MAGIC: &[u8; 16] = b"gpunn pictures 1";
/// The length of an index and a magic at the end of the file.
const FOOTER: u64 = 8 + MAGIC.len() as u64;

/// What a store is made from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Key {
    path: String,
    rule: Rule,
    skip_bad: bool,
    fingerprint: String,
}

impl Key {
    pub fn new(path: &Path, rule: Rule, skip_bad: bool, listing: &Listing) -> Self {
        Self { path: path.to_string_lossy().into_owned(), rule, skip_bad, fingerprint: listing.fingerprint() }
    }

    /// The file of the store in the folder `cache`: one for each path and rule, so that a changed set takes the place of
    /// what it was.
    pub fn file(&self, cache: &Path) -> PathBuf {
        let Self { path, rule: Rule { size: [height, width], fit, channels }, skip_bad, .. } = self;
        let name = format!("{path}\n{channels} {height} {width} {fit:?} {skip_bad}");
        cache.join("pictures").join(format!("{:x}.store", md5::compute(name)))
    }
}

/// What the end of a store says of its images.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Index {
    pub key: Key,
    pub classes: Vec<String>,
    /// The classes of each split's images, in their order.
    pub labels: [Vec<u32>; 3],
    pub skipped: Vec<String>,
}

/// A store under way.
#[derive(Debug)]
pub(super) struct Writer(Whole);

impl Writer {
    pub fn create(path: &Path) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(Error::file("cannot make the folder", folder))?;
        let mut file = Whole::create(path)?;
        file.write_all(MAGIC).map_err(Error::file("cannot write", path))?;
        Ok(Self(file))
    }

    pub fn images(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    pub fn finish(mut self, index: &Index) -> Result<()> {
        let json = serde_json::to_vec(index).map_err(|error| Error::data(format!("no JSON: {error}")))?;
        let end = [&json[..], &(json.len() as u64).to_le_bytes(), MAGIC].concat();
        self.0.write_all(&end).map_err(Error::file("cannot write", "the images' index"))?;
        self.0.keep()
    }
}

/// A set's decoded images on the disk.
#[derive(Debug)]
pub struct Store {
    file: File,
    path: PathBuf,
    index: Index,
}

impl Store {
    /// The store at `path` where it is whole and made from what `key` says; `None` otherwise.
    pub(super) fn open(path: &Path, key: &Key) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.checked_sub(FOOTER)?)).ok()?;
        let mut footer = [0; FOOTER as usize];
        file.read_exact(&mut footer).ok()?;
        let (json_length, magic) = footer.split_first_chunk::<8>()?;
        let json_length = u64::from_le_bytes(*json_length);
        if magic != MAGIC {
            return None;
        }
        let start = length.checked_sub(FOOTER)?.checked_sub(json_length)?;
        file.seek(SeekFrom::Start(start)).ok()?;
        let mut json = Vec::new();
        (&mut file).take(json_length).read_to_end(&mut json).ok()?;
        let index: Index = serde_json::from_slice(&json).ok()?;
        let store = Self { file, path: path.to_owned(), index };
        let images: usize = store.index.labels.iter().map(Vec::len).sum();
        let whole = MAGIC.len() as u64 + images as u64 * store.image_bytes() as u64 == start;
        let named = |label: &u32| (*label as usize) < store.index.classes.len();
        (whole && store.index.key == *key && store.index.labels.iter().flatten().all(named)).then_some(store)
    }

    /// An image's channels, height and width.
    pub fn input(&self) -> [usize; 3] {
        self.index.key.rule.input()
    }
    /// The bytes of an image.
    pub fn image_bytes(&self) -> usize {
        self.input().iter().product()
    }
    /// The classes' names, in the order of their numbers.
    pub fn classes(&self) -> &[String] {
        &self.index.classes
    }
    /// The classes of a split's images, in their order.
    pub fn labels(&self, part: SplitName) -> &[u32] {
        &self.index.labels[slot(part)]
    }
    /// The files that were left out, each with its reason.
    pub fn skipped(&self) -> &[String] {
        &self.index.skipped
    }

    /// Reads the split's images from number `first` on into `bytes`, which is as long as so many images
    /// ([`Store::image_bytes`] each: channels x height x width).
    ///
    /// # Errors
    /// [`Error::Usage`] for images that the split does not have, [`Error::File`] when the system refuses.
    pub fn read(&mut self, part: SplitName, first: usize, bytes: &mut [u8]) -> Result<()> {
        let (size, count) = (self.image_bytes(), self.labels(part).len());
        if !bytes.len().is_multiple_of(size) || first > count || bytes.len() / size > count - first {
            return Err(Error::usage(format!(
                "{} bytes were asked for from image {first} of the {part} split on, but it has {count} images of {size}.",
                bytes.len()
            )));
        }
        let before: usize = self.index.labels[..slot(part)].iter().map(Vec::len).sum();
        let at = MAGIC.len() as u64 + (before + first) as u64 * size as u64;
        let read = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.read_exact(bytes));
        read.map_err(Error::file("cannot read", &self.path))
    }

    /// All of it in memory.
    pub(super) fn dataset(&mut self, name: &str, folder: Option<PathBuf>) -> Result<Dataset> {
        let mut split = |part| {
            let labels = self.labels(part).to_vec();
            let mut pixels = super::room(labels.len(), self.index.key.rule, name)?;
            pixels.resize(labels.len() * self.image_bytes(), 0);
            self.read(part, 0, &mut pixels)?;
            Ok::<_, Error>(Split { pixels: Pixels::U8(pixels), labels })
        };
        let splits = [split(SplitName::Train)?, split(SplitName::Val)?, split(SplitName::Test)?];
        Ok(self.with_splits(splits, name, folder))
    }

    /// The data set whose images stay where they are.
    pub(super) fn left_on_disk(self, name: &str, folder: Option<PathBuf>) -> Dataset {
        let set = self.with_splits([(); 3].map(|()| Split::empty()), name, folder);
        let labels = [SplitName::Train, SplitName::Val, SplitName::Test].map(|part| self.labels(part).to_vec());
        let width = self.image_bytes();
        let store: Arc<dyn ImageStore> = Arc::new(Mutex::new(self));
        let split = |part: SplitName| {
            let labels = labels[slot(part)].clone();
            Split { pixels: Pixels::Stored(Stored::all(&store, part, labels.len(), width)), labels }
        };
        let some = |part: SplitName| Some(split(part)).filter(|split| !split.is_empty());
        Dataset { train: split(SplitName::Train), val: some(SplitName::Val), test: some(SplitName::Test), ..set }
    }

    fn with_splits(&self, [train, val, test]: [Split; 3], name: &str, folder: Option<PathBuf>) -> Dataset {
        Dataset {
            name: name.into(),
            input: self.input(),
            classes: self.classes().to_vec(),
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

/// Where a split stands among the three.
fn slot(part: SplitName) -> usize {
    match part {
        SplitName::Train => 0,
        SplitName::Val => 1,
        SplitName::Test => 2,
    }
}
