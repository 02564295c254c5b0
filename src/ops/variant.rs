//! Variants of an op by name. An op with several kernels has a table that picks one for a device and a shape; each has a name,
//! by which tests and comparisons ask for it instead.

use crate::graph::kernel::Capabilities;

/// The kernels that an op chooses among.
pub(crate) trait Variant: Copy + PartialEq + 'static {
    /// Each with its name.
    const NAMED: &'static [(&'static str, Self)];

    /// The one that the device's options ask for.
    fn forced(device: &Capabilities, op: &str) -> Option<Self> {
        let wanted = device.forced_variant(op)?;
        Self::NAMED.iter().find(|(name, _)| *name == wanted).map(|(_, variant)| *variant)
    }
}

/// The names, for the op table.
pub(crate) fn names<V: Variant>() -> Vec<&'static str> {
    V::NAMED.iter().map(|(name, _)| *name).collect()
}
