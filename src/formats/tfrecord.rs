//! TFRecord, TensorFlow's format for a sequence of records (tensorflow.org, "TFRecord and tf.train.Example"). Each record is
//! its length as a little-endian 64-bit number, a masked CRC-32C of these eight bytes, the data, and a masked CRC-32C of
//! the data.

use crc::{CRC_32_ISCSI, Crc, Table};

use crate::{Error, Result};

/// CRC-32C (Castagnoli), which the crate calls iSCSI.
const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);

/// A masked checksum. The format masks it because a CRC of data that contain CRCs is unreliable.
fn masked(bytes: &[u8]) -> [u8; 4] {
    CRC.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// Encodes a record.
pub fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length, &masked(&length)[..], data, &masked(data)].concat()
}

/// Parses the records in the bytes of a file. Error messages call it `name`.
///
/// # Errors
/// [`Error::Data`] when a record is truncated or its checksum is wrong.
pub fn parse<'a>(mut bytes: &'a [u8], name: &str) -> Result<Vec<&'a [u8]>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (data, rest) = first(bytes)
            .ok_or_else(|| Error::data(format!("{name}: record {} was cut short or changed.", records.len() + 1)))?;
        records.push(data);
        bytes = rest;
    }
    Ok(records)
}

/// The first record and the bytes after it. `None` when the record is damaged.
fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let whole = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (data, rest) = rest.split_at_checked(whole)?;
    let (data_sum, rest) = rest.split_first_chunk::<4>()?;
    (*sum == masked(length) && *data_sum == masked(data)).then_some((data, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_castagnolis_and_masked() {
        // The check value of the catalogue of CRCs, and a vector of RFC 3720, B.4.
        assert_eq!(CRC.checksum(b"123456789"), 0xe306_9283);
        assert_eq!(CRC.checksum(&[0; 32]), 0x8a91_36aa);
        // As TensorFlow writes the record "abc".
        let wanted = [3, 0, 0, 0, 0, 0, 0, 0, 0xb0, 0x99, 0x49, 0x0e, b'a', b'b', b'c', 0x6e, 0x57, 0xf1, 0x21];
        assert_eq!(record(b"abc"), wanted);
    }

    #[test]
    fn records_survive_and_damage_is_an_error() {
        let whole = [record(b"one"), record(b""), record(&[7; 300])].concat();
        assert_eq!(parse(&whole, "x").expect("whole"), [&b"one"[..], b"", &[7; 300]]);
        assert!(parse(&[], "x").expect("none").is_empty());
        for place in [0, 9, 13, 16, 30, 40, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            assert!(parse(&changed, "x").expect_err("damaged").to_string().contains("record"), "{place}");
        }
        let sentence = parse(&whole[..whole.len() - 5], "x").expect_err("short").to_string();
        assert!(sentence.contains("x: record 3"), "{sentence}");
        crate::formats::damage::each(&whole, |bytes| drop(parse(bytes, "x")));
    }
}
