//! Numbers compared within a tolerance.

/// Asserts that numbers are those that are wanted, within an absolute error and a relative one together.
///
/// # Panics
/// When one is not, with its place.
#[track_caller]
pub fn assert_close<T: Copy + Into<f64>>(found: &[T], wanted: &[f64], absolute: f64, relative: f64) {
    assert_eq!(found.len(), wanted.len());
    for (index, (&found, &wanted)) in found.iter().zip(wanted).enumerate() {
        let found: f64 = found.into();
        let error = (found - wanted).abs();
        assert!(error <= absolute + relative * wanted.abs(), "element {index} is {found}, must be {wanted}");
    }
}
