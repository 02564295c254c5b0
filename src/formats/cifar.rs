//! The binary version of CIFAR-10 and CIFAR-100 (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images"):
//! records of label bytes and 3 x 32 x 32 pixel bytes. CIFAR-10 has one label byte, CIFAR-100 two: the coarse class, then
//! the fine one. Pixels are in planar order: red, green, blue, each plane in row-major order.

use crate::{Error, Result};

/// Pixel bytes of a record: three planes of 32 x 32.
pub const PIXELS: usize = 3 * 32 * 32;

/// The expected layout of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CifarLayout {
    /// Records in the file.
    pub records: usize,
    /// Label bytes of a record. The last one is the class.
    pub labels: usize,
    /// Classes, numbered from 0.
    pub classes: u8,
}

impl CifarLayout {
    /// The file's length in bytes.
    pub fn bytes(&self) -> usize {
        self.records * (self.labels + PIXELS)
    }
}

/// Appends a file's images to `pixels` and their classes to `classes`. Error messages call the file `name`.
///
/// # Errors
/// [`Error::Data`] when the length differs from the layout's or a label is out of range. Nothing is appended then.
pub fn parse(
    bytes: &[u8],
    layout: CifarLayout,
    name: &str,
    pixels: &mut Vec<u8>,
    classes: &mut Vec<u32>,
) -> Result<()> {
    let record = layout.labels + PIXELS;
    if bytes.len() != layout.bytes() {
        return Err(Error::data(format!(
            "{name} has {} bytes, but must have {}: {} records of {record}. It was cut short or is another file; download \
             it again.",
            bytes.len(),
            layout.bytes(),
            layout.records
        )));
    }
    let label = |record: &[u8]| record[layout.labels - 1];
    if let Some(number) = bytes.chunks_exact(record).position(|record| label(record) >= layout.classes) {
        return Err(Error::data(format!(
            "{name}: the label of record {} is {}, but the classes are numbered from 0 to {}. It is damaged or another file; \
             download it again.",
            number + 1,
            label(&bytes[number * record..]),
            layout.classes - 1
        )));
    }
    for record in bytes.chunks_exact(record) {
        classes.push(u32::from(label(record)));
        pixels.extend_from_slice(&record[layout.labels..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: CifarLayout = CifarLayout { records: 2, labels: 2, classes: 100 };

    /// Two records: coarse class 250 (ignored), fine classes 7 and 99, pixels counting up.
    fn sample() -> Vec<u8> {
        let pixels = || (0..PIXELS).map(|i| (i % 251) as u8);
        [250, 7].into_iter().chain(pixels()).chain([250, 99]).chain(pixels().map(|v| 255 - v)).collect()
    }

    #[test]
    fn records_are_read_in_order_with_the_last_label() {
        let (mut pixels, mut classes) = (vec![9], vec![3]);
        parse(&sample(), LAYOUT, "x", &mut pixels, &mut classes).expect("whole");
        assert_eq!((classes, pixels.len()), (vec![3, 7, 99], 1 + 2 * PIXELS));
        assert_eq!((pixels[1], pixels[251], pixels[1 + PIXELS], pixels[2 + PIXELS]), (0, 250, 255, 254));
    }

    #[test]
    fn wrong_lengths_and_labels_are_errors_and_append_nothing() {
        let says = |bytes: &[u8]| {
            let (mut pixels, mut classes) = (Vec::new(), Vec::new());
            let error = parse(bytes, LAYOUT, "x", &mut pixels, &mut classes).expect_err("refused").to_string();
            assert!(pixels.is_empty() && classes.is_empty());
            error
        };
        let whole = sample();
        assert!(says(&whole[..whole.len() - 1]).contains("has 6147 bytes, but must have 6148: 2 records of 3074"));
        assert!(says(&whole[..3074]).contains("has 3074 bytes"));
        assert!(says(&[whole.clone(), vec![0]].concat()).contains("has 6149 bytes"));
        assert!(says(&[]).contains("has 0 bytes"));
        let mut labelled = whole.clone();
        labelled[3074 + 1] = 100;
        assert!(says(&labelled).contains("label of record 2 is 100"));
    }
}
