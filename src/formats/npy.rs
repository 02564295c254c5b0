//! NPY, the format of NumPy's arrays (NumPy Enhancement Proposal 1): eight bytes that name the format and its version, the
//! header's length, the header, and then the elements. The header is a Python dictionary with the dtype (`descr`), the
//! memory order and the shape. Only little-endian 32-bit floats in C order are supported.

use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::files::AtomicFile;
use crate::{Error, Result};

const MAGIC: &[u8] = b"\x93NUMPY";
/// The only supported `descr`.
const DTYPE: &str = "<f4";
/// The elements begin at a multiple of this many bytes.
const ALIGNMENT: usize = 64;

/// An array of floats.
#[derive(Clone, Debug, PartialEq)]
pub struct Npy {
    /// The shape, outermost axis first.
    pub dims: Vec<usize>,
    /// The elements in row-major order. Their number is the product of the shape.
    pub values: Vec<f32>,
}

impl Npy {
    /// Encodes the array as `numpy.save` does.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = header(&self.dims, 0);
        bytes.extend(self.values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    /// Writes the array to a file, as [`files::write_atomic`](crate::files::write_atomic) does.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        crate::files::write_atomic(path, &self.to_bytes())
    }
}

/// The bytes before the elements of an array with this shape, at least `room` of them.
fn header(dims: &[usize], room: usize) -> Vec<u8> {
    let dims: String = match dims {
        // A tuple of one element needs its comma in Python.
        [one] => format!("{one},"),
        _ => dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
    };
    let before = MAGIC.len() + 4;
    let mut header = format!("{{'descr': '{DTYPE}', 'fortran_order': False, 'shape': ({dims}), }}");
    let whole = (before + header.len() + 1).max(room).next_multiple_of(ALIGNMENT);
    header.extend(std::iter::repeat_n(' ', whole - before - header.len() - 1));
    header.push('\n');
    [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat()
}

/// A matrix that is written row by row, without a limit of their number: `[rows, width]`. The file appears when
/// [`NpyRows::finish`] is called.
#[derive(Debug)]
pub struct NpyRows {
    file: BufWriter<AtomicFile>,
    path: PathBuf,
    rows: usize,
    width: usize,
}

impl NpyRows {
    /// Begins the file, with rows of so many values.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    pub fn create(path: &Path, width: usize) -> Result<Self> {
        let mut file = BufWriter::new(AtomicFile::create(path)?);
        file.write_all(&Self::head(0, width)).map_err(Error::file("cannot write", path))?;
        Ok(Self { file, path: path.to_owned(), rows: 0, width })
    }

    /// The header has the same length for any number of rows, because it is written again at the end.
    fn head(rows: usize, width: usize) -> Vec<u8> {
        header(&[rows, width], header(&[usize::MAX, width], 0).len())
    }

    /// Appends a row.
    ///
    /// # Errors
    /// [`Error::Shape`] when it has another width; [`Error::File`] when it cannot be written.
    pub fn push(&mut self, row: &[f32]) -> Result<()> {
        if row.len() != self.width {
            return Err(Error::Shape(format!("a row has {} values instead of {}", row.len(), self.width)));
        }
        let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.file.write_all(&bytes).map_err(Error::file("cannot write", &self.path))?;
        self.rows += 1;
        Ok(())
    }

    /// Writes the number of rows, and ends the file.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written. An earlier file of that name is then unchanged.
    pub fn finish(self) -> Result<()> {
        let Self { mut file, path, rows, width } = self;
        let rewound = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&Self::head(rows, width)));
        rewound.map_err(Error::file("cannot write", &path))?;
        file.into_inner().map_err(|error| Error::file("cannot write", &path)(error.into_error()))?.commit()
    }
}

/// Reads the NPY file at `path`.
///
/// # Errors
/// [`Error::File`] when the file cannot be read, and the errors of [`parse`].
pub fn read(path: &Path) -> Result<Npy> {
    let bytes = std::fs::read(path).map_err(Error::file("cannot read", path))?;
    parse(&bytes, &path.display().to_string())
}

/// Parses the bytes of an NPY file. Error messages call it `name`.
///
/// # Errors
/// [`Error::Data`] for another file format, another dtype than little-endian float32, Fortran order, and a length that does
/// not match the shape.
pub fn parse(bytes: &[u8], name: &str) -> Result<Npy> {
    let says = |sentence: String| Error::data(format!("{name} {sentence}"));
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(says("is not an NPY file. Give a file that `gpunn encode` wrote.".into()));
    };
    let ends = || says("is an NPY file that ends inside its header; write it again.".into());
    // Version 1 has a length of two bytes, versions 2 and 3 of four.
    let (length, rest) = match *rest {
        [1, _, a, b, ref rest @ ..] => (usize::from(u16::from_le_bytes([a, b])), rest),
        [2 | 3, _, a, b, c, d, ref rest @ ..] => (u32::from_le_bytes([a, b, c, d]) as usize, rest),
        [1..=3, ..] | [] => return Err(ends()),
        [version, ..] => {
            return Err(says(format!("is an NPY file of version {version}; versions 1 to 3 are supported.")));
        }
    };
    let (header, elements) = rest.split_at_checked(length).ok_or_else(ends)?;
    let header = String::from_utf8_lossy(header);
    let field = |key: &str| {
        let found = after_key(&header, key);
        found.ok_or_else(|| says(format!("is an NPY file whose header does not say `{key}`; write it again.")))
    };
    let kind = field("descr")?;
    let quoted = kind.strip_prefix(['\'', '"']).and_then(|kind| kind.split(['\'', '"']).next());
    match quoted {
        Some(DTYPE) => {}
        other => {
            let other = other.unwrap_or("of several fields");
            return Err(says(format!(
                "holds elements of type {other}, but codes are 32-bit floats, {DTYPE} (numpy.float32)."
            )));
        }
    }
    if !field("fortran_order")?.starts_with("False") {
        return Err(says("is in Fortran order; convert it with numpy.ascontiguousarray before saving.".into()));
    }
    let shape = field("shape")?.strip_prefix('(').and_then(|shape| shape.split_once(')'));
    let dims = shape.map(|(shape, _)| shape.split(',').map(str::trim).filter(|dim| !dim.is_empty()));
    let dims: Option<Vec<usize>> = dims.and_then(|dims| dims.map(|dim| dim.parse().ok()).collect());
    let dims = dims.ok_or_else(|| says("is an NPY file whose header has no valid shape; write it again.".into()))?;
    let wanted = dims.iter().try_fold(4_usize, |bytes, &dim| bytes.checked_mul(dim));
    if wanted != Some(elements.len()) {
        return Err(says(format!(
            "has the shape {dims:?}, but {} bytes of elements; it was cut short or changed.",
            elements.len()
        )));
    }
    let values = elements.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    Ok(Npy { dims, values: values.collect() })
}

/// The text after `'key':` in a Python dictionary.
fn after_key<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let found = ['\'', '"'].iter().find_map(|quote| header.split_once(&format!("{quote}{key}{quote}")));
    found.and_then(|(_, rest)| rest.trim_start().strip_prefix(':')).map(str::trim_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Npy {
        Npy { dims: vec![2, 3], values: vec![1.0, -0.0, f32::MIN_POSITIVE, 4.5, 1e-40, -7.25] }
    }

    #[test]
    fn an_array_survives_and_has_numpys_bytes() {
        let bytes = sample().to_bytes();
        assert_eq!(parse(&bytes, "x").expect("whole"), sample());
        // As numpy 2 wrote it: a header of 118 bytes, so that the elements begin at 128.
        let head = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        assert!(bytes.starts_with(head) && bytes[127] == b'\n' && bytes.len() == 128 + 24);
        let flat = Npy { dims: vec![3], values: vec![1.0, 2.0, 3.0] };
        assert!(flat.to_bytes().windows(5).any(|part| part == b"(3,),"));
        assert_eq!(parse(&flat.to_bytes(), "x").expect("whole"), flat);
        let none = Npy { dims: vec![], values: vec![5.0] };
        assert_eq!(parse(&none.to_bytes(), "x").expect("whole"), none);
    }

    #[test]
    fn rows_are_the_array() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.npy");
        let mut rows = NpyRows::create(&path, 3).expect("begun");
        sample().values.chunks(3).for_each(|row| rows.push(row).expect("a row"));
        assert!(rows.push(&[1.0]).expect_err("refused").to_string().contains("1 values instead of 3"));
        assert!(!path.exists());
        rows.finish().expect("written");
        assert_eq!(read(&path).expect("whole"), sample());
        NpyRows::create(&path, 5).and_then(NpyRows::finish).expect("written");
        assert_eq!(read(&path).expect("whole"), Npy { dims: vec![0, 5], values: vec![] });
        // NumPy wants the elements at a multiple of 64 bytes.
        assert!([0, 1, 99_999_999].map(|rows| NpyRows::head(rows, 5).len()).iter().all(|&len| len == 128));
    }

    #[test]
    fn other_header_forms_are_read() {
        let header = b"{\"shape\": (1,2,), \"fortran_order\": False, \"descr\":\"<f4\"}\n";
        let bytes =
            [MAGIC, &[2, 0], &(header.len() as u32).to_le_bytes(), header, &1_f32.to_le_bytes(), &2_f32.to_le_bytes()];
        assert_eq!(parse(&bytes.concat(), "x").expect("whole"), Npy { dims: vec![1, 2], values: vec![1.0, 2.0] });
    }

    #[test]
    fn other_files_and_arrays_are_refused() {
        let says = |bytes: &[u8]| parse(bytes, "x").expect_err("refused").to_string();
        let changed = |from: &str, to: &str| {
            let bytes = sample().to_bytes();
            let (header, elements) = bytes.split_at(128);
            let header = String::from_utf8_lossy(&header[10..]).replace(from, to);
            [&bytes[..10], header.as_bytes(), elements].concat()
        };
        assert!(says(b"hello").contains("x is not an NPY file"));
        assert!(says(&sample().to_bytes()[..60]).contains("ends inside its header"));
        assert!(says(&sample().to_bytes()[..140]).contains("but 12 bytes of elements"));
        assert!(says(&changed("<f4", "<f8")).contains("elements of type <f8"));
        assert!(says(&changed("False", "True ")).contains("Fortran"));
        assert!(says(&changed("(2, 3)", "(2, z)")).contains("no valid shape"));
        assert!(says(&changed("shape", "share")).contains("does not say `shape`"));
        assert!(says(&changed("(2, 3)", "(2, 4)")).contains("[2, 4]"));
        assert!(says(b"\x93NUMPY\x09\x00").contains("version 9"));
    }

    #[test]
    fn no_damage_panics() {
        crate::formats::damage::each(&sample().to_bytes(), |bytes| drop(parse(bytes, "x")));
    }
}
