//! Kernel variants of an op by name. An op with several kernels has a table that selects one by device and shape.
//! Tests and comparisons can request a variant by its name instead.

use crate::graph::kernel::Capabilities;

/// An enum of the kernel variants of an op.
pub(crate) trait Variant: Copy + PartialEq + 'static {
    /// All variants with their names.
    const NAMED: &'static [(&'static str, Self)];

    /// The variant that the device's options request.
    fn forced(device: &Capabilities, op: &str) -> Option<Self> {
        let wanted = device.forced_variant(op)?;
        Self::NAMED.iter().find(|(name, _)| *name == wanted).map(|(_, variant)| *variant)
    }

    /// Whether the op's table may choose the variant: not where the device computes it wrongly.
    fn allowed(self, device: &Capabilities, op: &str) -> bool {
        !Self::NAMED.iter().any(|(name, variant)| *variant == self && device.avoids(op, name))
    }
}

/// The names of the variants, for the op table.
pub(crate) fn names<V: Variant>() -> Vec<&'static str> {
    V::NAMED.iter().map(|(name, _)| *name).collect()
}
