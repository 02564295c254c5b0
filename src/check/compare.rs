//! Values compared with references, element by element.

use crate::ops::tolerance::Tolerance;

/// The worst element of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// Which element.
    pub index: usize,
    /// The device's value.
    pub value: f64,
    /// The oracle's.
    pub reference: f64,
    /// How many times the allowance; at most 1 passes.
    pub excess: f64,
}

/// Compares values with references, element by element.
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
