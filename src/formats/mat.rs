//! MATLAB's MAT files, version 5: numeric arrays, compressed (`-v7`) or not, of either byte order. The format is described
//! in "MAT-File Format" by The MathWorks.
//!
//! The crate `matfile` 0.5 is not used for these reasons:
//! - It prints to standard output and standard error, which breaks `--json`.
//! - It accepts a truncated file as a complete one with fewer arrays.
//! - It decompresses without a limit.
//! - It multiplies dimensions in `i32`, which overflows.
//! - It rejects every int32 array, because its type table is wrong there.

use crate::{Error, Result};
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use std::io::Write;
use std::path::Path;

/// A real numeric array.
#[derive(Clone, Debug, PartialEq)]
pub struct MatArray {
    /// The variable's name.
    pub name: String,
    /// At least two dimensions. The first one varies fastest in `values`.
    pub dims: Vec<usize>,
    /// The elements in column-major order, as MATLAB stores them. All element types are converted to `f32`.
    pub values: Vec<f32>,
}

/// Reads all real numeric arrays of the MAT file at `path`. Other content (text, cells, structures, sparse or complex
/// arrays) is ignored.
///
/// # Errors
/// [`Error::File`] when the file cannot be read, and the errors of [`parse`].
pub fn read(path: &Path) -> Result<Vec<MatArray>> {
    let bytes = std::fs::read(path).map_err(Error::file("cannot read", path))?;
    parse(&bytes, &path.display().to_string())
}

/// Parses all real numeric arrays in the bytes of a MAT file. Error messages call it `name`.
///
/// # Errors
/// [`Error::Data`] when the file is not a MAT file of version 5, or is truncated or damaged.
pub fn parse(bytes: &[u8], name: &str) -> Result<Vec<MatArray>> {
    parse_all(bytes).map_err(|reason| Error::data(format!("{name} {reason}")))
}

/// The error text follows the file's name, as in "NAME is damaged".
type Parsed<T> = std::result::Result<T, String>;

const CUT_SHORT: &str = "is cut short or damaged: an element extends beyond its end. Copy or download the file again.";

/// Element types of the format.
mod kind {
    pub const INT8: u32 = 1;
    pub const UINT8: u32 = 2;
    pub const INT16: u32 = 3;
    pub const UINT16: u32 = 4;
    pub const INT32: u32 = 5;
    pub const UINT32: u32 = 6;
    pub const SINGLE: u32 = 7;
    pub const DOUBLE: u32 = 9;
    pub const INT64: u32 = 12;
    pub const UINT64: u32 = 13;
    pub const MATRIX: u32 = 14;
    pub const COMPRESSED: u32 = 15;
    pub const UTF8: u32 = 16;
}

fn parse_all(bytes: &[u8]) -> Parsed<Vec<MatArray>> {
    if bytes.starts_with(b"\x89HDF") || bytes.starts_with(b"MATLAB 7.3") {
        return Err("is a MAT file of version 7.3 (HDF5); save it with MATLAB's option -v7.".into());
    }
    let (Some(order), Some(version)) = (bytes.get(126..128), bytes.get(124..126)) else {
        return Err(format!("is not a MAT file of version 5: it has {} bytes, less than its header.", bytes.len()));
    };
    let big_endian = match order {
        b"IM" => false,
        b"MI" => true,
        _ => {
            return Err("is not a MAT file of version 5: its header lacks the mark IM. Save it with option -v7.".into());
        }
    };
    let version = if big_endian { [version[0], version[1]] } else { [version[1], version[0]] };
    if version != [1, 0] {
        return Err(format!(
            "is a MAT file of version {}.{}, not 1.0; save it with option -v7.",
            version[0], version[1]
        ));
    }
    let mut rest = ElementReader { bytes: &bytes[128..], big_endian };
    let mut arrays = Vec::new();
    while !rest.bytes.is_empty() {
        let (kind, body) = rest.element(kind::COMPRESSED)?;
        let array = match kind {
            kind::COMPRESSED => matrix(ElementReader { bytes: &unpack(body, big_endian)?, big_endian })?,
            kind::MATRIX => matrix(ElementReader { bytes: body, big_endian })?,
            _ => None,
        };
        arrays.extend(array);
    }
    Ok(arrays)
}

/// Decompresses the one array of a compressed element.
fn unpack(packed: &[u8], big_endian: bool) -> Parsed<Vec<u8>> {
    let damaged =
        |error| format!("is damaged: a compressed array cannot be decompressed ({error}). Copy or download it again.");
    let mut stream = ZlibDecoder::new(packed);
    let mut tag = Vec::new();
    super::read_up_to(&mut stream, 8, &mut tag).map_err(damaged)?;
    let mut tag = ElementReader { bytes: &tag, big_endian };
    let (kind, length) = (tag.word()?, u64::from(tag.word()?));
    if kind != kind::MATRIX || length > super::MAX_UNPACKED {
        return Err(format!("is damaged: a compressed element has type {kind} and {length} bytes. Download it again."));
    }
    let mut body = Vec::new();
    // One more byte: the checksum is verified only at the end of the stream.
    super::read_up_to(&mut stream, length + 1, &mut body).map_err(damaged)?;
    if body.len() as u64 != length {
        return Err(CUT_SHORT.into());
    }
    Ok(body)
}

/// Parses an array from its element's body. `None` for ignored array classes.
fn matrix(mut body: ElementReader) -> Parsed<Option<MatArray>> {
    let damaged =
        |what: &str| format!("is damaged: an array's {what} cannot be read. Copy or download the file again.");
    let (kind, flags) = body.element(0)?;
    let mut flags = ElementReader { bytes: flags, big_endian: body.big_endian };
    if kind != kind::UINT32 || flags.bytes.len() != 8 {
        return Err(damaged("flags"));
    }
    let flags = flags.word()?;
    // Classes 6 to 15 are numeric. Bit 11 marks complex numbers.
    if !(6..=15).contains(&(flags & 0xff)) || flags & 0x800 != 0 {
        return Ok(None);
    }
    let (kind, dims) = body.element(0)?;
    if kind != kind::INT32 || dims.len() < 8 || dims.len() % 4 != 0 {
        return Err(damaged("dimensions"));
    }
    let mut words = ElementReader { bytes: dims, big_endian: body.big_endian };
    let mut dims = Vec::new();
    while !words.bytes.is_empty() {
        dims.push(words.word()? as usize);
    }
    let (kind, name) = body.element(0)?;
    if ![kind::INT8, kind::UINT8, kind::UTF8].contains(&kind) {
        return Err(damaged("name"));
    }
    let name = String::from_utf8_lossy(name).into_owned();
    let (kind, data) = body.element(0)?;
    let values = numbers(kind, data, body.big_endian)
        .ok_or_else(|| format!("is damaged: `{name}` has {} bytes of elements of type {kind}.", data.len()))?;
    let wanted = dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
    if wanted != Some(values.len()) {
        return Err(format!(
            "is damaged: `{name}` says {dims:?} but has {} elements. Download it again.",
            values.len()
        ));
    }
    Ok(Some(MatArray { name, dims, values }))
}

/// Converts elements of a type to `f32`. `None` when the type is not numeric or the length is not a multiple of its size.
fn numbers(kind: u32, data: &[u8], big_endian: bool) -> Option<Vec<f32>> {
    macro_rules! of {
        ($number:ty) => {{
            let (whole, rest) = data.as_chunks::<{ size_of::<$number>() }>();
            if !rest.is_empty() {
                return None;
            }
            Some(if big_endian {
                whole.iter().map(|&bytes| <$number>::from_be_bytes(bytes) as f32).collect()
            } else {
                whole.iter().map(|&bytes| <$number>::from_le_bytes(bytes) as f32).collect()
            })
        }};
    }
    match kind {
        kind::INT8 => of!(i8),
        kind::UINT8 => of!(u8),
        kind::INT16 => of!(i16),
        kind::UINT16 => of!(u16),
        kind::INT32 => of!(i32),
        kind::UINT32 => of!(u32),
        kind::SINGLE => of!(f32),
        kind::DOUBLE => of!(f64),
        kind::INT64 => of!(i64),
        kind::UINT64 => of!(u64),
        _ => None,
    }
}

/// Encodes arrays as a compressed MAT file of singles, as `-v7` saves them. [`parse`] reads it.
///
/// # Errors
/// [`Error::Data`] when an array is too large for the format.
pub fn write(arrays: &[MatArray]) -> Result<Vec<u8>> {
    let too_large = |name: &str| Error::data(format!("The array `{name}` is too large for a MAT file."));
    let mut file = header();
    for MatArray { name, dims, values } in arrays {
        let dims: Vec<i32> = dims
            .iter()
            .map(|&d| i32::try_from(d))
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| too_large(name))?;
        if u32::try_from(size_of_val(values.as_slice())).is_err() {
            return Err(too_large(name));
        }
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        file.extend(compressed(&array(SINGLE_CLASS, name, &dims, kind::SINGLE, &data))?);
    }
    Ok(file)
}

/// MATLAB's number for arrays of singles.
const SINGLE_CLASS: u8 = 7;

/// The file header: 124 bytes of text, the version and the byte-order mark.
fn header() -> Vec<u8> {
    let mut file = vec![b' '; 124];
    file.extend([0, 1, b'I', b'M']);
    file
}

/// Compresses an element.
fn compressed(element: &[u8]) -> Result<Vec<u8>> {
    let mut zlib = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    let packed = zlib.write_all(element).and_then(|()| zlib.finish());
    let body = packed.map_err(|error| Error::data(format!("A MAT file's array cannot be compressed: {error}.")))?;
    let mut out = kind::COMPRESSED.to_le_bytes().to_vec();
    out.extend((body.len() as u32).to_le_bytes());
    out.extend(body);
    Ok(out)
}

/// Encodes an element: its tag and its body, padded to eight bytes. Bodies of up to four bytes are stored in the tag.
fn element(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if body.len() <= 4 {
        out.extend((kind | (body.len() as u32) << 16).to_le_bytes());
        out.extend(body);
    } else {
        out.extend(kind.to_le_bytes());
        out.extend((body.len() as u32).to_le_bytes());
        out.extend(body);
    }
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

/// Encodes a numeric array of MATLAB's `class`. The stored element type `kind` may be smaller than the class.
fn array(class: u8, name: &str, dims: &[i32], kind: u32, data: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|d| d.to_le_bytes()).collect();
    let mut body = element(kind::UINT32, &[class, 0, 0, 0, 0, 0, 0, 0]);
    body.extend(element(kind::INT32, &dims));
    body.extend(element(kind::INT8, name.as_bytes()));
    body.extend(element(kind, data));
    element(kind::MATRIX, &body)
}

/// The bytes that have not been read yet.
struct ElementReader<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl<'a> ElementReader<'a> {
    fn take(&mut self, count: usize) -> Parsed<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(CUT_SHORT)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn word(&mut self) -> Parsed<u32> {
        let word = self.take(4)?.try_into().map_err(|_| CUT_SHORT)?;
        Ok(if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }

    /// Reads the next element's type and body. Elements are padded to eight bytes, except those of type `unpadded`. Up to
    /// four bytes are stored in the tag itself, whose upper half is then their count.
    fn element(&mut self, unpadded: u32) -> Parsed<(u32, &'a [u8])> {
        let first = self.word()?;
        if first >> 16 != 0 {
            let body = self.take(4)?.get(..(first >> 16) as usize).ok_or(CUT_SHORT)?;
            return Ok((first & 0xffff, body));
        }
        let length = self.word()? as usize;
        let body = self.take(length)?;
        if first != unpadded {
            // Some writers omit the padding of the last element.
            let padding = (8 - length % 8) % 8;
            self.bytes = self.bytes.get(padding..).unwrap_or_default();
        }
        Ok((first, body))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A MAT v5 file of matrices of doubles, given column by column.
    pub fn write_doubles(arrays: &[(&str, [i32; 2], &[f64])], packed: bool) -> Vec<u8> {
        let mut file = header();
        for (name, dims, values) in arrays {
            let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let array = array(6, name, dims, kind::DOUBLE, &data);
            file.extend(if packed { compressed(&array).expect("packed") } else { array });
        }
        file
    }

    fn with_header(arrays: &[Vec<u8>]) -> Vec<u8> {
        [header(), arrays.concat()].concat()
    }

    #[test]
    fn packed_and_plain_read_alike() {
        let arrays =
            [("a", [2, 3], [0.0, 1.0, 2.0, 3.0, 4.0, 5.5].as_slice()), ("long_name", [1, 1], [-7.0].as_slice())];
        let plain = parse(&write_doubles(&arrays, false), "x").expect("whole");
        assert_eq!(
            plain[0],
            MatArray { name: "a".into(), dims: vec![2, 3], values: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.5] }
        );
        assert_eq!(plain[1], MatArray { name: "long_name".into(), dims: vec![1, 1], values: vec![-7.0] });
        assert_eq!(parse(&write_doubles(&arrays, true), "x").expect("whole"), plain);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let arrays = [
            MatArray { name: "train_data".into(), dims: vec![2, 3], values: vec![0.0, -1.5, 2.0, 3.0, 1e-9, 0.1] },
            MatArray { name: "n".into(), dims: vec![1, 1], values: vec![7.0] },
            MatArray { name: "none".into(), dims: vec![0, 4], values: Vec::new() },
        ];
        assert_eq!(parse(&write(&arrays).expect("small"), "x").expect("whole"), arrays);
    }

    #[test]
    fn every_numeric_kind_is_read() {
        let cases: [(u8, u32, Vec<u8>); 10] = [
            (6, kind::UINT8, vec![3, 250]), // doubles that fit a byte are stored as such, packed into the tag
            (8, kind::INT8, vec![3, 250]),
            (10, kind::INT16, [3_i16, -6].iter().flat_map(|v| v.to_le_bytes()).collect()),
            (11, kind::UINT16, [3_u16, 250].iter().flat_map(|v| v.to_le_bytes()).collect()),
            (12, kind::INT32, [3_i32, -6].iter().flat_map(|v| v.to_le_bytes()).collect()),
            (13, kind::UINT32, [3_u32, 250].iter().flat_map(|v| v.to_le_bytes()).collect()),
            (14, kind::INT64, [3_i64, -6].iter().flat_map(|v| v.to_le_bytes()).collect()),
            (15, kind::UINT64, [3_u64, 250].iter().flat_map(|v| v.to_le_bytes()).collect()),
            (7, kind::SINGLE, [3_f32, -6.0].iter().flat_map(|v| v.to_le_bytes()).collect()),
            (6, kind::DOUBLE, [3_f64, -6.0].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ];
        for (class, kind, data) in cases {
            let read = parse(&with_header(&[array(class, "v", &[1, 2], kind, &data)]), "x").expect("whole");
            assert_eq!(read[0].values[0], 3.0, "kind {kind}");
            assert!([250.0, -6.0].contains(&read[0].values[1]), "kind {kind}");
        }
    }

    #[test]
    fn other_kinds_of_array_are_passed_over() {
        let text = array(4, "t", &[1, 2], kind::UINT16, &[65, 0, 66, 0]);
        let number = array(6, "n", &[1, 1], kind::UINT8, &[9]);
        let read = parse(&with_header(&[text, number]), "x").expect("whole");
        assert_eq!((read.len(), read[0].name.as_str()), (1, "n"));
    }

    #[test]
    fn damage_is_an_error() {
        let says = |bytes: &[u8]| parse(bytes, "x").expect_err("damaged").to_string();
        let whole = write_doubles(&[("a", [2, 2], &[1.0, 2.0, 3.0, 4.0])], true);
        assert!(says(b"").contains("less than its header"));
        assert!(says(&[b'x'; 200]).contains("lacks the mark IM"));
        assert!(says(b"MATLAB 7.3 MAT-file, Platform").contains("-v7"));
        assert!(says(&whole[..whole.len() - 10]).contains("cut short"));
        let mut flipped = whole.clone();
        *flipped.last_mut().expect("not empty") ^= 1; // the checksum
        assert!(says(&flipped).contains("cannot be decompressed"));
        assert!(says(&write_doubles(&[("a", [2, 3], &[1.0])], false)).contains("says [2, 3] but has 1"));
        assert!(says(&write_doubles(&[("a", [-1, -1], &[1.0])], false)).contains("but has 1"));
        assert!(says(&with_header(&[array(6, "a", &[1, 1], kind::DOUBLE, &[0; 7])])).contains("7 bytes"));
    }

    #[test]
    fn no_damage_panics() {
        for packed in [false, true] {
            let whole = write_doubles(&[("a", [2, 3], &[0.5; 6]), ("labels", [8, 1], &[1.0; 8])], packed);
            crate::formats::damage::each(&whole, |bytes| drop(parse(bytes, "x")));
        }
    }
}
