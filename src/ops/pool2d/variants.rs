//! Which max-pool kernel for which shape; any device runs all of them. A variant that is asked for and cannot compute a shape
//! gives way to the table's choice.

use super::PoolShape;
use crate::graph::kernel::Capabilities;
use crate::ops::variant::Variant;

/// A kernel of the max-pool. The names are those of the op table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxPool2dVariant {
    /// Two windows of 2 x 2 side by side in vectors of four pixels.
    Pairs,
    /// One invocation a window: the definition.
    Windows,
}

impl Variant for MaxPool2dVariant {
    const NAMED: &'static [(&'static str, Self)] = &[("pairs", Self::Pairs), ("windows", Self::Windows)];
}

impl MaxPool2dVariant {
    pub(super) fn choose(device: &Capabilities, sizes: &PoolShape) -> Self {
        let table = if sizes.pairs() { Self::Pairs } else { Self::Windows };
        Self::forced(device, "max_pool2d").filter(|&variant| variant == Self::Windows || sizes.pairs()).unwrap_or(table)
    }
}

/// A kernel of the max-pool's gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxPool2dBackwardVariant {
    /// Two windows of 2 x 2 side by side in vectors of four pixels, which write all of the image.
    Pairs,
    /// An invocation a window, which writes all of its patch: where no pixel is under two windows.
    Patches,
    /// An invocation a window notes its winner's place, and one a pixel gathers from the windows that it won.
    Gather,
}

impl Variant for MaxPool2dBackwardVariant {
    const NAMED: &'static [(&'static str, Self)] =
        &[("pairs", Self::Pairs), ("patches", Self::Patches), ("gather", Self::Gather)];
}

impl MaxPool2dBackwardVariant {
    pub(super) fn choose(device: &Capabilities, sizes: &PoolShape) -> Self {
        let pairs = sizes.pairs() && sizes.image[0].is_multiple_of(2);
        let runs = |variant: &Self| match variant {
            Self::Pairs => pairs,
            Self::Patches => sizes.apart(),
            Self::Gather => true,
        };
        let table = [Self::Pairs, Self::Patches, Self::Gather];
        let mut wanted = Self::forced(device, "max_pool2d_backward").into_iter().chain(table);
        wanted.find(runs).expect("gathering runs everywhere")
    }
}
