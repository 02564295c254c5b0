//! Decoded images of a split that stay on the disk and are read when they are needed.

use std::fmt::Debug;
use std::sync::Arc;

use super::SplitName;
use crate::{Error, Result};

/// A store of decoded images.
pub trait ImageStore: Debug + Send + Sync {
    /// Reads image `number` of a split into `bytes`, which has the length of an image.
    ///
    /// # Errors
    /// When the image does not exist or cannot be read.
    fn read(&self, split: SplitName, number: usize, bytes: &mut [u8]) -> Result<()>;
}

/// Images of a store, in any order. Each value is a byte.
#[derive(Clone, Debug)]
pub struct Stored {
    store: Arc<dyn ImageStore>,
    /// The split of each image in the store, and its number there.
    rows: Vec<(SplitName, u32)>,
    /// The number of bytes of an image.
    width: usize,
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        self.has_store_of(other) && self.rows == other.rows
    }
}

impl Stored {
    /// All `count` images of a store's split, of `width` bytes each.
    pub fn all(store: &Arc<dyn ImageStore>, split: SplitName, count: usize, width: usize) -> Self {
        Self { store: store.clone(), rows: (0..count as u32).map(|row| (split, row)).collect(), width }
    }

    fn has_store_of(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.store), Arc::as_ptr(&other.store))
    }

    /// The number of bytes of all images together.
    pub fn len(&self) -> usize {
        self.rows.len() * self.width
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The images with the given numbers, in this order. Nothing is read.
    pub(super) fn select(&self, numbers: &[u32]) -> Self {
        Self { rows: numbers.iter().map(|&number| self.rows[number as usize]).collect(), ..self.clone() }
    }

    /// Appends the images of the same store. If the other images are of another store, nothing changes, and the result is false.
    pub(super) fn append(&mut self, other: &Self) -> bool {
        let same = self.has_store_of(other);
        if same {
            self.rows.extend(&other.rows);
        }
        same
    }

    /// The bytes of all images.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.len()];
        self.read(0..self.rows.len() as u32, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads the images with the given numbers and concatenates them in `bytes`, which has their total length.
    ///
    /// # Errors
    /// [`Error::Usage`] when an image does not exist. [`Error::File`] when an image cannot be read.
    pub fn read(&self, numbers: impl IntoIterator<Item = u32>, bytes: &mut [u8]) -> Result<()> {
        for (number, to) in numbers.into_iter().zip(bytes.chunks_mut(self.width.max(1))) {
            let (split, row) = self.rows.get(number as usize).copied().ok_or_else(|| {
                let count = self.rows.len();
                Error::usage(format!("Image {number} does not exist; there are {count} images, numbered from 0."))
            })?;
            self.store.read(split, row as usize, to)?;
        }
        Ok(())
    }
}
