//! Memory for intermediate numbers. Each thread keeps what it has used, because new memory costs more than the writes to it.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// The most floats that a thread keeps.
const KEPT: usize = 16 << 20;

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Floats, with values of earlier uses.
#[derive(Debug)]
pub(crate) struct Scratch {
    values: Vec<f32>,
    len: usize,
}

impl Scratch {
    /// Memory for `len` floats.
    pub fn new(len: usize) -> Self {
        let mut values = FREE.with_borrow_mut(|free| {
            let fits = free.iter().position(|values| values.len() >= len);
            fits.map(|at| free.swap_remove(at)).or_else(|| free.pop()).unwrap_or_default()
        });
        if values.len() < len {
            values.resize(len, 0.0);
        }
        Self { values, len }
    }
}

impl Deref for Scratch {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        // A thread that ends has freed what it kept.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.iter().map(Vec::len).sum::<usize>() + values.len() <= KEPT {
                free.push(values);
            }
        });
    }
}
