//! The tables that select max-pool kernels by shape. Every device can run all of them. If a requested variant cannot
//! compute a shape, the table chooses.

use super::PoolShape;
use crate::graph::kernel::Capabilities;
use crate::ops::variant::Variant;

/// A kernel variant of max-pool. The op table uses the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxPool2dVariant {
    /// Two adjacent windows of 2 x 2 as vectors of four pixels.
    Pairs,
    /// One invocation per window: the definition.
    Windows,
}

impl Variant for MaxPool2dVariant {
    const NAMED: &'static [(&'static str, Self)] = &[("pairs", Self::Pairs), ("windows", Self::Windows)];
}

impl MaxPool2dVariant {
    pub(super) fn choose(device: &Capabilities, sizes: &PoolShape) -> Self {
        let pairs = sizes.pairs() && Self::Pairs.allowed(device, "max_pool2d");
        let table = if pairs { Self::Pairs } else { Self::Windows };
        Self::forced(device, "max_pool2d").filter(|&variant| variant == Self::Windows || sizes.pairs()).unwrap_or(table)
    }
}

/// A kernel variant of the gradient of max-pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxPool2dBackwardVariant {
    /// Two adjacent windows of 2 x 2 as vectors of four pixels. Together the invocations write the whole image.
    Pairs,
    /// One invocation per window, which writes all pixels of the window. Windows must not overlap.
    Patches,
    /// First, one invocation per window stores the position of its maximum. Then one invocation per pixel sums over
    /// the windows whose maximum it is.
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
        let right = |variant: &Self| *variant == Self::Gather || variant.allowed(device, "max_pool2d_backward");
        let table = [Self::Pairs, Self::Patches, Self::Gather].into_iter().filter(right);
        let mut wanted = Self::forced(device, "max_pool2d_backward").into_iter().chain(table);
        wanted.find(runs).expect("gathering runs everywhere")
    }
}
