//! Compares values with reference values, element by element.

use crate::ops::tolerance::Tolerance;

/// The element with the largest error of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// The index of the element.
    pub index: usize,
    /// The device's value.
    pub value: f64,
    /// The reference value.
    pub reference: f64,
    /// The error divided by the allowed error. At most 1 passes.
    pub excess: f64,
}

/// Finds the element with the largest error relative to the tolerance.
pub fn compare(values: &[f64], references: &[f64], tolerance: Tolerance) -> Worst {
    let mut worst = Worst { index: 0, value: 0.0, reference: 0.0, excess: 0.0 };
    for (index, (&value, &reference)) in values.iter().zip(references).enumerate() {
        let excess = tolerance.excess(value, reference);
        if index == 0 || excess > worst.excess {
            worst = Worst { index, value, reference, excess };
        }
    }
    if values.len() != references.len() {
        worst.excess = f64::INFINITY;
    }
    worst
}
