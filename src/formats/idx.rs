//! IDX, the format of MNIST (Y. LeCun, C. Cortes, C. Burges, "The MNIST database"): two zero bytes, the element type, the
//! number of dimensions, each dimension as a big-endian 32-bit number, then the elements in row-major order.
//!
//! Files may be compressed with gzip. The first two bytes decide, not the file name.

use crate::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::path::Path;

/// An array of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The dimensions, outermost first.
    pub dims: Vec<usize>,
    /// The elements in row-major order. Their number is the product of the dimensions.
    pub bytes: Vec<u8>,
}

/// Reads the IDX file at `path`, uncompressed or gzip.
///
/// # Errors
/// [`Error::File`] when the file cannot be read, and the errors of [`parse`].
pub fn read(path: &Path) -> Result<Idx> {
    let bytes = std::fs::read(path).map_err(Error::file("cannot read", path))?;
    parse(&bytes, &path.display().to_string())
}

/// Parses the bytes of an IDX file, uncompressed or gzip. Error messages call it `name`.
///
/// # Errors
/// [`Error::Data`] for another file format, elements that are not unsigned bytes, a length that does not match the
/// dimensions, and damaged gzip data.
pub fn parse(bytes: &[u8], name: &str) -> Result<Idx> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let unpacked = parse_stream(&mut MultiGzDecoder::new(bytes), name);
        return unpacked.map_err(|failure| failure.into_error(name, "gzip data"));
    }
    parse_stream(&mut { bytes }, name).map_err(|failure| failure.into_error(name, "file"))
}

/// Why reading failed: the stream or its content.
enum ReadFailure {
    Stream(std::io::Error),
    Content(Error),
}

impl ReadFailure {
    fn into_error(self, name: &str, what: &str) -> Error {
        match self {
            Self::Content(error) => error,
            Self::Stream(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Error::data(format!("{name}: the {what} ends too early; download the file again."))
            }
            Self::Stream(error) => {
                Error::data(format!("{name}: the {what} is damaged ({error}); download the file again."))
            }
        }
    }
}

fn parse_stream(from: &mut impl Read, name: &str) -> Result<Idx, ReadFailure> {
    let content = |sentence: String| ReadFailure::Content(Error::data(sentence));
    let mut magic = [0; 4];
    from.read_exact(&mut magic).map_err(ReadFailure::Stream)?;
    let [0, 0, kind, rank] = magic else {
        return Err(content(format!(
            "{name} is not an IDX file: it begins with {magic:02x?} instead of two zero bytes. Give a file in the format of MNIST."
        )));
    };
    if kind != 8 {
        return Err(content(format!(
            "{name} is an IDX file with element type 0x{kind:02x}, but images and labels are unsigned bytes (0x08)."
        )));
    }
    let mut dims = Vec::with_capacity(usize::from(rank));
    let mut total = 1_u64;
    for _ in 0..rank {
        let mut word = [0; 4];
        from.read_exact(&mut word).map_err(ReadFailure::Stream)?;
        let dim = u32::from_be_bytes(word);
        total = total.saturating_mul(u64::from(dim));
        dims.push(dim as usize);
    }
    if total > super::MAX_UNPACKED {
        return Err(content(format!(
            "{name} claims {total} elements ({dims:?}), which is too large; download the file again."
        )));
    }
    let mut bytes = Vec::new();
    // One more byte shows a file that is too long, and makes gzip verify its checksum at the end.
    super::read_up_to(from, total + 1, &mut bytes).map_err(ReadFailure::Stream)?;
    if bytes.len() as u64 != total {
        let found = if bytes.len() as u64 > total { "more".to_owned() } else { bytes.len().to_string() };
        return Err(content(format!(
            "{name} says that it holds {dims:?}, {total} bytes, but {found} follow; download the file again."
        )));
    }
    Ok(Idx { dims, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn sample() -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4];
        bytes.extend(0..24);
        bytes
    }

    fn packed() -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(&sample()).expect("writing to memory");
        gz.finish().expect("writing to memory")
    }

    #[test]
    fn plain_and_gzip_read_alike() {
        let plain = parse(&sample(), "x").expect("whole");
        assert_eq!((plain.dims.as_slice(), plain.bytes[23]), ([2, 3, 4].as_slice(), 23));
        assert_eq!(parse(&packed(), "x").expect("whole"), plain);
    }

    #[test]
    fn damage_is_an_error() {
        let says = |bytes: &[u8]| parse(bytes, "x").expect_err("damaged").to_string();
        assert!(says(b"hello").contains("not an IDX file"));
        assert!(says(&sample()[..30]).contains("but 14 follow"));
        assert!(says(&[sample(), vec![0]].concat()).contains("but more follow"));
        assert!(says(&[0, 0, 13, 1, 0, 0, 0, 0]).contains("type 0x0d"));
        assert!(says(&[0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255]).contains("too large"));
        assert!(says(&[0, 0, 8]).contains("ends too early"));
        let gz = packed();
        assert!(says(&gz[..gz.len() - 9]).contains("ends too early"));
        let mut flipped = gz.clone();
        flipped[gz.len() - 6] ^= 1; // the checksum
        assert!(says(&flipped).contains("damaged"));
    }

    #[test]
    fn no_damage_panics() {
        for whole in [sample(), packed()] {
            crate::formats::damage::each(&whole, |bytes| drop(parse(bytes, "x")));
        }
    }
}
