//! How far a GPU may be from the oracle: |gpu - reference| <= absolute + relative |reference|, with the reason. Which op has
//! which stands in the op table.

use super::table::{INTERNAL_OPS, TABLE};

/// An allowance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Absolute part.
    pub absolute: f64,
    /// Part of the reference's size.
    pub relative: f64,
    /// Why it is as large as it is.
    pub reason: &'static str,
}

impl Tolerance {
    /// For sums of so many numbers near 1: each of n roundings is as large as the partial sum, some sqrt(n) / 3 times
    /// 2^-24, and they add up like sqrt(n), so that the error grows with n.
    #[must_use]
    pub fn for_sums_of(self, summands: usize) -> Self {
        Self { absolute: self.absolute * (summands as f64 / 128.0).max(1.0), ..self }
    }

    /// How many times the allowance an error is; at most 1 passes.
    pub fn excess(&self, value: f64, reference: f64) -> f64 {
        if !value.is_finite() {
            return f64::INFINITY;
        }
        let allowed = self.absolute + self.relative * reference.abs();
        let error = (value - reference).abs();
        if error == 0.0 { 0.0 } else { error / allowed }
    }
}

/// Of ops that move values.
pub const EXACT: Tolerance = Tolerance { absolute: 0.0, relative: 0.0, reason: "moves values without computing" };
/// Of ops that add, multiply or compare a few numbers.
pub const ROUNDED: Tolerance =
    Tolerance { absolute: 1e-6, relative: 1e-6, reason: "a few roundings of 2^-24, and what cancels in a sum" };
/// Of ops with an exponential or a logarithm.
pub const TRANSCENDENTAL: Tolerance = Tolerance {
    absolute: 2e-6,
    relative: 2e-5,
    reason: "Vulkan allows exp and log errors of 3 + 2|x| units in the last place, and drivers use it",
};
/// Of sums of squares.
pub const SQUARED: Tolerance = Tolerance {
    absolute: 2e-6,
    relative: 2e-5,
    reason: "sums of up to a thousand numbers of one sign, so that their roundings are a part of the sum",
};
/// Of ops with a quotient or a root.
pub const DIVIDED: Tolerance = Tolerance {
    absolute: 2e-6,
    relative: 2e-5,
    reason: "Vulkan allows quotients and inverse roots errors of 2 to 2.5 units in the last place each, and what cancels",
};
/// Of sums and products of matrices.
pub const SUMMED: Tolerance = Tolerance {
    absolute: 1e-5,
    relative: 1e-5,
    reason: "sums of up to some thousand products of numbers near 1 in another order than the oracle's",
};
/// Of ops that move images by fractions of pixels.
pub const MAPPED: Tolerance = Tolerance {
    absolute: 2e-5,
    relative: 1e-5,
    reason: "coordinates of some tens of pixels are rounded at 2^-20 or so, and neighbours differ by up to 1 / deviation",
};
/// Of batch norm.
pub const NORMALISED: Tolerance = Tolerance {
    absolute: 2e-5,
    relative: 2e-5,
    reason: "differences from a mean over a root of squares, each of which is a sum",
};
/// Of the gradient of any op, in the middle of a graph.
pub const GRADIENT: Tolerance = Tolerance {
    absolute: 3e-5,
    relative: 5e-5,
    reason: "a chain of several ops, with sums and exponentials among them, each within its own allowance",
};

/// The allowance of an op by its name, which must be a line of the op table or of its list of parts.
///
/// # Panics
/// When it is in neither: there is no tolerance that would suit any op.
pub fn tolerance(op: &str) -> Tolerance {
    let row = TABLE.iter().find(|entry| entry.name == op).map(|entry| entry.tolerance);
    let part = || INTERNAL_OPS.iter().find(|(name, _)| *name == op).map(|&(_, tolerance)| tolerance);
    row.or_else(part).unwrap_or_else(|| panic!("the op '{op}' has no tolerance in the op table (src/ops/table.rs)"))
}
