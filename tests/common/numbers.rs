//! Comparison of numbers within a tolerance.

/// Asserts that numbers equal the expected numbers within the sum of an absolute and a relative tolerance.
///
/// # Panics
/// If a number differs by more; the message has its index.
#[track_caller]
pub fn assert_close<T: Copy + Into<f64>>(found: &[T], wanted: &[f64], absolute: f64, relative: f64) {
    assert_eq!(found.len(), wanted.len());
    for (index, (&found, &wanted)) in found.iter().zip(wanted).enumerate() {
        let found: f64 = found.into();
        let error = (found - wanted).abs();
        assert!(error <= absolute + relative * wanted.abs(), "element {index} is {found}, must be {wanted}");
    }
}
