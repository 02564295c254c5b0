//! Tolerances between an executor (f32) and the definition in double precision: |value - reference| <= absolute + relative
//! |reference|, each with its reason. The op table assigns them to ops. They are for the op's value; gradients of any op are
//! compared with [`GRADIENT`].

use super::half::PRODUCTS;
use super::table::{INTERNAL_OPS, TABLE};
use crate::graph::Target;

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

/// Declares tolerances. The numbers and the reason also become part of the documentation.
macro_rules! tolerances {
    ($($(#[doc = $what:literal])+ $name:ident: $absolute:literal, $relative:literal, $reason:literal;)+) => {$(
        $(#[doc = $what])+
        ///
        #[doc = concat!("Absolute ", $absolute, ", relative ", $relative, ". The reason: ", $reason, ".")]
        pub const $name: Tolerance = Tolerance { absolute: $absolute, relative: $relative, reason: $reason };
    )+};
}

tolerances! {
    /// For ops that move values.
    EXACT: 0.0, 0.0, "moves values without computing";
    /// For ops that add, multiply or compare a few numbers.
    ROUNDED: 1e-6, 1e-6, "a few roundings of 2^-24, and cancellation in a sum";
    /// For bytes made of floats.
    TO_BYTES: 1.0, 0.0, "a value in the middle between two bytes may become either";
    /// For values from 0 to 255.
    OF_BYTES: 1e-4, 1e-6, "numbers up to 255 are rounded at 2^-17, and a contrast subtracts several of them";
    /// For ops with an exponential or a logarithm.
    TRANSCENDENTAL: 2e-6, 2e-5,
        "Vulkan allows exp and log errors of 3 + 2|x| units in the last place, and drivers use it";
    /// For sums of squares.
    SQUARED: 2e-6, 2e-5,
        "sums of up to a thousand numbers of one sign: rounding errors are relative to the sum";
    /// For ops with a quotient or a root.
    DIVIDED: 2e-6, 2e-5,
        "Vulkan allows errors of 2 to 2.5 units in the last place for quotients and inverse roots, and \
         cancellation adds to them";
    /// For sums and matrix products.
    SUMMED: 1e-5, 1e-5,
        "sums of up to a few thousand products of numbers near 1, in an order other than the oracle's";
    /// For ops that move images by fractions of pixels.
    MAPPED: 2e-5, 1e-5,
        "coordinates of tens of pixels are rounded at about 2^-20, and neighbouring pixels differ by up to \
         1 / standard deviation";
    /// For batch norm.
    NORMALISED: 2e-5, 2e-5,
        "differences from a mean, divided by the root of a sum of squares; the mean is a sum too";
    /// For matrix products and convolutions by matrix units.
    HALF: 5e-3, 1e-3,
        "both operands are rounded to 11 bits, so that each product has an error of up to 2^-10";
    /// For the gradients of matrix products and convolutions by matrix units.
    HALF_GRADIENT: 5e-2, 5e-3,
        "products of products, each with the error of half precision, of gradients up to ten times as large as the values";
    /// For the gradient of any op, in the middle of a graph. [`check_op`](crate::check::check_op) always compares gradients
    /// with it.
    GRADIENT: 3e-5, 5e-5,
        "a chain of several ops, including sums and exponentials, each within its own tolerance";
}

impl Tolerance {
    /// The tolerance of an op on a device: `half` for a product that matrix units may compute.
    #[must_use]
    pub(crate) fn on(self, target: &Target, op: &str, half: Self) -> Self {
        let units = target.device.as_ref().is_some_and(|device| device.matrix_units.is_some());
        if units && PRODUCTS.contains(&op) { half } else { self }
    }
}

/// The tolerance of an op by its name, from the op table or the list of internal ops.
///
/// # Panics
/// When the name is in neither list. No tolerance would suit every op.
pub fn tolerance(op: &str) -> Tolerance {
    let row = TABLE.iter().find(|entry| entry.name == op).map(|entry| entry.tolerance);
    let part = || INTERNAL_OPS.iter().find(|(name, _)| *name == op).map(|&(_, tolerance)| tolerance);
    row.or_else(part).unwrap_or_else(|| panic!("the op '{op}' has no tolerance in the op table (src/ops/table.rs)"))
}
