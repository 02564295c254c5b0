//! Memory for intermediate numbers. Each thread keeps what it has used, because new memory costs more than the writes to it.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// The most floats that a thread keeps, and the most pieces of memory.
const KEPT: [usize; 2] = [8 << 20, 16];

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
        if len == 0 {
            return Self { values: Vec::new(), len };
        }
        let kept = FREE.with_borrow_mut(|free| {
            let fitting = (0..free.len()).filter(|&at| free[at].len() >= len);
            fitting.min_by_key(|&at| free[at].len()).map(|at| free.swap_remove(at))
        });
        Self { values: kept.unwrap_or_else(|| vec![0.0; len]), len }
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
        if values.is_empty() {
            return;
        }
        // A thread that ends has freed what it kept.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            free.push(values);
            // The last ones are those that are used now.
            while free.len() > KEPT[1] || free.iter().map(Vec::len).sum::<usize>() > KEPT[0] {
                free.remove(0);
            }
        });
    }
}
