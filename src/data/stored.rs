//! Images of a split that stay on the disk, decoded, and are read when they are needed.

use std::fmt::Debug;
use std::sync::Arc;

use super::SplitName;
use crate::{Error, Result};

/// What decoded images are read from.
pub trait ImageStore: Debug + Send + Sync {
    /// Reads image `number` of a split into `bytes`, which is as long as it.
    ///
    /// # Errors
    /// When there is no such image, or the system refuses.
    fn read(&self, split: SplitName, number: usize, bytes: &mut [u8]) -> Result<()>;
}

/// Some of a store's images, in an order of their own; a byte a value.
#[derive(Clone, Debug)]
pub struct Stored {
    store: Arc<dyn ImageStore>,
    split: SplitName,
    /// Their numbers in the store's split.
    rows: Vec<u32>,
    /// Bytes of an image.
    width: usize,
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.store), Arc::as_ptr(&other.store))
            && self.split == other.split
            && self.rows == other.rows
    }
}

impl Stored {
    /// All images of a store's split: `count` of `width` bytes each.
    pub fn all(store: &Arc<dyn ImageStore>, split: SplitName, count: usize, width: usize) -> Self {
        Self { store: store.clone(), split, rows: (0..count as u32).collect(), width }
    }

    /// How many bytes there are, of all images together.
    pub fn len(&self) -> usize {
        self.rows.len() * self.width
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The images of the given numbers, in that order; nothing is read.
    pub(super) fn select(&self, numbers: &[u32]) -> Self {
        Self { rows: numbers.iter().map(|&number| self.rows[number as usize]).collect(), ..self.clone() }
    }

    /// Reads the images of the given numbers, one after another, into `bytes`, which is as long as they are.
    ///
    /// # Errors
    /// [`Error::Usage`] for an image that is not there, [`Error::File`] when the system refuses.
    pub fn read(&self, numbers: impl IntoIterator<Item = u32>, bytes: &mut [u8]) -> Result<()> {
        for (number, to) in numbers.into_iter().zip(bytes.chunks_mut(self.width.max(1))) {
            let row = self.rows.get(number as usize).copied().ok_or_else(|| {
                let count = self.rows.len();
                Error::usage(format!("Image {number} was asked for, but there are {count}, counted from 0."))
            })?;
            self.store.read(self.split, row as usize, to)?;
        }
        Ok(())
    }
}
