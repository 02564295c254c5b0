//! Images of a split that stay on the disk, decoded, and are read when they are needed.

use std::sync::{Arc, Mutex, PoisonError};

use super::SplitName;
use super::images::Store;
use crate::{Error, Result};

/// Some of a store's images, in an order of their own; a byte a value.
#[derive(Clone, Debug)]
pub struct Stored {
    store: Arc<Mutex<Store>>,
    part: SplitName,
    /// Their numbers in the store's split.
    rows: Vec<u32>,
    /// Bytes of an image.
    width: usize,
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.store, &other.store) && self.part == other.part && self.rows == other.rows
    }
}

impl Stored {
    /// All images of a store's split.
    pub(super) fn all(store: &Arc<Mutex<Store>>, part: SplitName) -> Self {
        let (rows, width) = {
            let store = store.lock().unwrap_or_else(PoisonError::into_inner);
            (0..store.labels(part).len() as u32, store.image_bytes())
        };
        Self { store: store.clone(), part, rows: rows.collect(), width }
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
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, to) in numbers.into_iter().zip(bytes.chunks_mut(self.width.max(1))) {
            let row = self.rows.get(number as usize).copied().ok_or_else(|| {
                let count = self.rows.len();
                Error::usage(format!("Image {number} was asked for, but there are {count}, counted from 0."))
            })?;
            store.read(self.part, row as usize, to)?;
        }
        Ok(())
    }
}
