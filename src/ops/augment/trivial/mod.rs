//! TrivialAugment (S. G. Müller and F. Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation", ICCV 2021): each image
//! gets one change of fourteen, of random strength. Changes and strengths are those of torchvision's `TrivialAugmentWide`, with bilinear
//! interpolation; 0 lies beyond the image.
//!
//! Images become bytes first ([`bytes`]), as some changes are of bytes. Changes of a value by itself are a table of 256 values for each
//! image and channel ([`tables`]). The last op ([`apply`]) looks values up or computes them from their neighbours, and normalises.

pub mod apply;
pub mod bytes;
mod draw;
pub mod tables;

use crate::Result;
use crate::graph::{Graph, NodeId};
use apply::Trivial;
use bytes::ToBytes;
use tables::Tables;

/// The number of values of a byte.
pub(super) const VALUES: usize = 256;

/// The largest value of a byte.
pub(super) const WHITE: f64 = 255.0;

impl Graph {
    /// Changes images whose values go from 0 to 1, and normalises them. `levels` is the table of [`Augment`](super::Augment) for the normalisation.
    pub(super) fn change_trivially(&mut self, images: NodeId, levels: NodeId) -> Result<NodeId> {
        let bytes = self.apply(ToBytes, &[images])?;
        let tables = self.apply(Tables, &[bytes])?;
        self.apply(Trivial, &[bytes, tables, levels])
    }
}
