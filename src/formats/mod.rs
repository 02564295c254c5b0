//! Readers and writers of public file formats. A damaged file gives an error, never a panic. Memory is allocated only for
//! bytes that arrive, whatever lengths a file states.
//!
//! With the feature `formats`: weights and ONNX. The other formats come with the feature `files`.
//!
//! ```
//! use gpunn::formats::npy::{self, Npy};
//!
//! let array = Npy { dims: vec![2, 3], values: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0] };
//! assert_eq!(npy::parse(&array.to_bytes(), "array")?, array);
//! # Ok::<(), gpunn::Error>(())
//! ```

#[cfg(feature = "files")]
pub mod cifar;
#[cfg(feature = "files")]
pub mod idx;
#[cfg(feature = "files")]
pub mod mat;
#[cfg(feature = "files")]
pub mod npy;
pub mod onnx;
mod pickle;
mod pth;
#[cfg(feature = "files")]
pub mod tar_gz;
pub mod tensors;
#[cfg(feature = "files")]
pub mod tfrecord;
mod zip;

#[cfg(feature = "files")]
use std::io::Read;

/// The maximum size of one decompressed array in bytes. Deflate compresses by up to a factor of 1,000, so a small file
/// could otherwise fill the memory.
#[cfg(feature = "files")]
const MAX_UNPACKED: u64 = 1 << 31;

/// Appends the rest of `from` to `out`, at most `limit` bytes. Memory grows with the bytes that arrive, not with `limit`.
#[cfg(feature = "files")]
pub(crate) fn read_up_to(from: &mut (impl Read + ?Sized), limit: u64, out: &mut Vec<u8>) -> std::io::Result<()> {
    from.take(limit).read_to_end(out).map(drop)
}

#[cfg(test)]
pub(crate) mod damage {
    //! Deterministic damage to files, for the tests of the readers.

    /// Calls `read` with many damaged copies of `whole`: truncated, with changed bytes, and both.
    pub fn each(whole: &[u8], mut read: impl FnMut(&[u8])) {
        let mut state = 1_u64;
        let mut next = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % bound.max(1) as u64) as usize
        };
        for length in 0..whole.len().min(400) {
            read(&whole[..length]);
        }
        for round in 0..3000 {
            let mut bytes = whole.to_vec();
            for _ in 0..=round % 3 {
                // Two thirds of the damage goes into the header, which stores lengths and types.
                let place = if round % 3 == 0 { next(bytes.len()) } else { next(bytes.len().min(300)) };
                let value = [0, 1, 0x7f, 0x80, 0xff, next(256) as u8][next(6)];
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = value;
                }
            }
            if round % 5 == 0 {
                bytes.truncate(next(whole.len()));
            }
            read(&bytes);
        }
    }
}
