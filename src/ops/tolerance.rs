//! Tolerances between a GPU and the oracle: |gpu - reference| <= absolute + relative |reference|, each with its
//! reason. The op table assigns them to ops.

use super::table::{INTERNAL_OPS, TABLE};

/// An allowed error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// The absolute part.
    pub absolute: f64,
    /// The part relative to the size of the reference.
    pub relative: f64,
    /// The reason for its size.
    pub reason: &'static str,
}

/// How many times the error of a sum of 128 numbers near 1 that of a sum of so many may be, and how many times as large their
/// sum is at most then.
pub(crate) fn growth(summands: usize) -> f64 {
    (summands as f64 / 128.0).max(1.0)
}

impl Tolerance {
    /// The tolerance for sums of n terms near 1. Each of the n roundings is as large as the partial sum, about
    /// sqrt(n) / 3 times 2^-24. The roundings add up like sqrt(n), so the error grows with n.
    #[must_use]
    pub fn for_sums_of(self, summands: usize) -> Self {
        Self { absolute: self.absolute * growth(summands), ..self }
    }

    /// The error divided by the allowed error. At most 1 passes.
    pub fn excess(&self, value: f64, reference: f64) -> f64 {
        if !value.is_finite() {
            return f64::INFINITY;
        }
        let allowed = self.absolute + self.relative * reference.abs();
        let error = (value - reference).abs();
        if error == 0.0 { 0.0 } else { error / allowed }
    }
}

/// For ops that move values.
pub const EXACT: Tolerance = Tolerance { absolute: 0.0, relative: 0.0, reason: "moves values without computing" };
/// For ops that add, multiply or compare a few numbers.
pub const ROUNDED: Tolerance =
    Tolerance { absolute: 1e-6, relative: 1e-6, reason: "a few roundings of 2^-24, and cancellation in a sum" };
/// For ops with an exponential or a logarithm.
pub const TRANSCENDENTAL: Tolerance = Tolerance {
    absolute: 2e-6,
    relative: 2e-5,
    reason: "Vulkan allows exp and log errors of 3 + 2|x| units in the last place, and drivers use it",
};
/// For sums of squares.
pub const SQUARED: Tolerance = Tolerance {
    absolute: 2e-6,
    relative: 2e-5,
    reason: "sums of up to a thousand numbers of one sign: rounding errors are relative to the sum",
};
/// For ops with a quotient or a root.
pub const DIVIDED: Tolerance = Tolerance {
    absolute: 2e-6,
    relative: 2e-5,
    reason: "Vulkan allows errors of 2 to 2.5 units in the last place for quotients and inverse roots, and \
             cancellation adds to them",
};
/// For sums and matrix products.
pub const SUMMED: Tolerance = Tolerance {
    absolute: 1e-5,
    relative: 1e-5,
    reason: "sums of up to a few thousand products of numbers near 1, in an order other than the oracle's",
};
/// For ops that move images by fractions of pixels.
pub const MAPPED: Tolerance = Tolerance {
    absolute: 2e-5,
    relative: 1e-5,
    reason: "coordinates of tens of pixels are rounded at about 2^-20, and neighbouring pixels differ by up to \
             1 / standard deviation",
};
/// For batch norm.
pub const NORMALISED: Tolerance = Tolerance {
    absolute: 2e-5,
    relative: 2e-5,
    reason: "differences from a mean, divided by the root of a sum of squares; the mean is a sum too",
};
/// For the gradient of any op, in the middle of a graph.
pub const GRADIENT: Tolerance = Tolerance {
    absolute: 3e-5,
    relative: 5e-5,
    reason: "a chain of several ops, including sums and exponentials, each within its own tolerance",
};

/// The tolerance of an op by its name, from the op table or the list of internal ops.
///
/// # Panics
/// When the name is in neither list. No tolerance would suit every op.
pub fn tolerance(op: &str) -> Tolerance {
    let row = TABLE.iter().find(|entry| entry.name == op).map(|entry| entry.tolerance);
    let part = || INTERNAL_OPS.iter().find(|(name, _)| *name == op).map(|&(_, tolerance)| tolerance);
    row.or_else(part).unwrap_or_else(|| panic!("the op '{op}' has no tolerance in the op table (src/ops/table.rs)"))
}
