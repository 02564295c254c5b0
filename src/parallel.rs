//! Loops over pieces of work. With the feature `threads` they run on rayon's threads, without it one piece after
//! another.
//!
//! Results never depend on the feature or on the number of threads: the sizes of pieces depend only on the shapes, or each
//! result is computed in the same order in a piece of any size.
//!
//! ```
//! assert!(gpunn::parallel::threads() >= 1);
//! ```

#[cfg(feature = "threads")]
pub(crate) use rayon::prelude::*;
#[cfg(not(feature = "threads"))]
pub(crate) use serial::*;

/// The maximum number of compute threads.
pub fn threads() -> usize {
    #[cfg(feature = "threads")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "threads"))]
    1
}

/// Runs `work` on a compute thread. From any other thread, each parallel loop in it would wake two threads and wait
/// for both.
pub(crate) fn within<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "threads")]
    return rayon::scope(|_| work());
    #[cfg(not(feature = "threads"))]
    work()
}

/// Single-threaded loops under the names that rayon uses.
#[cfg(not(feature = "threads"))]
mod serial {
    /// Loops over a slice.
    pub(crate) trait Slices<T> {
        fn par_iter(&self) -> std::slice::Iter<'_, T>;
        fn par_iter_mut(&mut self) -> std::slice::IterMut<'_, T>;
        fn par_chunks(&self, size: usize) -> std::slice::Chunks<'_, T>;
        fn par_chunks_mut(&mut self, size: usize) -> std::slice::ChunksMut<'_, T>;
    }
    impl<T> Slices<T> for [T] {
        fn par_iter(&self) -> std::slice::Iter<'_, T> {
            self.iter()
        }
        fn par_iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
            self.iter_mut()
        }
        fn par_chunks(&self, size: usize) -> std::slice::Chunks<'_, T> {
            self.chunks(size)
        }
        fn par_chunks_mut(&mut self, size: usize) -> std::slice::ChunksMut<'_, T> {
            self.chunks_mut(size)
        }
    }

    /// Loops over the elements of a list.
    pub(crate) trait List<T> {
        fn into_par_iter(self) -> std::vec::IntoIter<T>;
    }
    impl<T> List<T> for Vec<T> {
        fn into_par_iter(self) -> std::vec::IntoIter<T> {
            self.into_iter()
        }
    }

    /// Methods that rayon's iterators have in addition to those of the standard library.
    pub(crate) trait Loops: Iterator + Sized {
        fn par_bridge(self) -> Self {
            self
        }
        fn with_min_len(self, _: usize) -> Self {
            self
        }
    }
    impl<I: Iterator> Loops for I {}
}
