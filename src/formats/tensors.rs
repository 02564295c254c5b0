//! Weights as safetensors files: a header of JSON that names each tensor, its type, shape and place, and then the bytes.
//!
//! A file is mapped into memory rather than read: what is not asked for costs nothing. The crate that reads the header holds
//! every length in it against the file before anything is allocated.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

use crate::{Error, Result};

/// How a zip archive begins, which is what PyTorch writes.
const ZIP: &[u8] = b"PK\x03\x04";
/// How a pickle begins, which is what PyTorch wrote before it wrote zip archives.
const PICKLE: &[u8] = b"\x80\x02";

/// A file of tensors, open for reading.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    bytes: Mmap,
    /// Where the tensors begin in the file.
    start: usize,
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
}

/// What a file says of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Tensor {
    /// Its type: `F32`, `F16`, `BF16`, `I64`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// Its axis sizes.
    pub shape: Vec<usize>,
    #[serde(skip)]
    dtype: Dtype,
    /// First and end byte after the header.
    #[serde(skip)]
    place: (usize, usize),
}

impl Tensor {
    /// How many numbers it holds.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
    /// Whether it holds numbers that weights are made of.
    pub fn is_float(&self) -> bool {
        matches!(self.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16)
    }
}

/// `64x3x3x3`; in words for a tensor without axes.
impl std::fmt::Display for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.shape.is_empty() {
            true => f.write_str("a single number"),
            false => f.write_str(&self.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")),
        }
    }
}

impl TensorFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be opened; [`Error::Data`] when it is no safetensors file, is cut short, or its header
    /// contradicts itself; for a file of PyTorch's own format, with the line of Python that converts it.
    pub fn open(path: &Path) -> Result<Self> {
        let cannot = || Error::file("cannot read the weights", path);
        let file = File::open(path).map_err(cannot())?;
        if file.metadata().map_err(cannot())?.is_dir() {
            return Err(Error::usage(format!("{} is a folder, not a file of weights.", path.display())));
        }
        // SAFETY: the map is only read. Whoever cuts the file short while it is read ends the program, as whoever kills it
        // does; nothing here writes weights in place (`files::write_whole` replaces a file and leaves the old one to its map).
        let bytes = unsafe { Mmap::map(&file) }.map_err(cannot())?;
        if bytes.starts_with(ZIP) || bytes.starts_with(PICKLE) {
            return Err(Error::data(pickled(path)));
        }
        let wrong = |error| Error::data(format!("{} is no sound safetensors file: {}.", path.display(), reason(error)));
        let (header, found) = SafeTensors::read_metadata(&bytes).map_err(wrong)?;
        let of = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
            let kind = format!("{:?}", info.dtype);
            (name, Tensor { kind, shape: info.shape.clone(), dtype: info.dtype, place: info.data_offsets })
        };
        let tensors = found.tensors().into_iter().map(of).collect();
        let metadata = found.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(Self { path: path.to_owned(), start: header + 8, bytes, tensors, metadata })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Its tensors, by name.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }
    /// What else its writer said.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// A tensor's numbers, from f32, f16 or bf16.
    ///
    /// # Errors
    /// [`Error::Data`] that names the tensor when there is none of that name or it holds other numbers.
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(Error::data(format!("{} has no tensor `{name}`.", self.path.display())));
        };
        let bytes = &self.bytes[self.start + tensor.place.0..self.start + tensor.place.1];
        let halves = || bytes.chunks_exact(2).map(|word| [word[0], word[1]]);
        match tensor.dtype {
            Dtype::F32 => {
                let words = bytes.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]);
                Ok(words.map(f32::from_le_bytes).collect())
            }
            Dtype::F16 => Ok(halves().map(|word| f16::from_le_bytes(word).to_f32()).collect()),
            Dtype::BF16 => Ok(halves().map(|word| bf16::from_le_bytes(word).to_f32()).collect()),
            _ => Err(Error::data(format!(
                "The tensor `{name}` of {} is {}, but weights are read from F32, F16 and BF16.",
                self.path.display(),
                tensor.kind
            ))),
        }
    }
}

/// Why a file of PyTorch's own format is not read, and what to do.
fn pickled(path: &Path) -> String {
    let (from, to) = (path.display(), path.with_extension("safetensors"));
    format!(
        "{from} is of PyTorch's own format, whose objects run code when they are read. Convert it once: python -c \"import \
         torch, safetensors.torch as s; s.save_file(torch.load('{from}', weights_only=True), '{}')\"",
        to.display()
    )
}

/// What is wrong with a header, as part of a sentence.
fn reason(error: SafeTensorError) -> String {
    use SafeTensorError as E;
    match error {
        E::HeaderTooSmall => "it has fewer than the 8 bytes that every such file begins with".into(),
        E::HeaderTooLarge => "its header claims to be longer than the 100 MB that a header may have".into(),
        E::InvalidHeaderLength => "its header claims to be longer than the file; it may have been cut short".into(),
        E::InvalidHeader(_) => "its header is no text".into(),
        E::InvalidHeaderDeserialization(error) | E::JsonError(error) => {
            format!("its header cannot be understood ({error})")
        }
        E::InvalidOffset(name) => {
            format!(
                "the tensor `{name}` does not begin where the one before it ends, so that they overlap or leave a gap"
            )
        }
        E::MetadataIncompleteBuffer => {
            "its tensors do not end where the file does; it may have been cut short or continued".into()
        }
        E::TensorInvalidInfo => "a tensor has another length than its type and shape make".into(),
        E::ValidationOverflow => "a tensor's shape is larger than any file".into(),
        other => other.to_string(),
    }
}

/// The numbers of a tensor to be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Singles.
    F32(Vec<f32>),
    /// Halves, rounded from these.
    F16(Vec<f32>),
    /// Whole numbers, as PyTorch keeps counts.
    I64(Vec<i64>),
}

/// The bytes of a file with these tensors, in an order of its own that depends on names and types alone; `note` is its
/// metadata's one key and value, so that the same content has the same bytes.
///
/// # Errors
/// [`Error::Data`] that names the tensor when a number is too large for a half, or a shape does not fit its numbers.
pub fn bytes(tensors: &BTreeMap<String, (Vec<usize>, Numbers)>, note: Option<(&str, String)>) -> Result<Vec<u8>> {
    let cannot = |error: &dyn std::fmt::Display| Error::data(format!("The tensors cannot be written: {error}."));
    let mut encoded = Vec::new();
    for (name, (shape, numbers)) in tensors {
        let (dtype, bytes) = match numbers {
            Numbers::F32(values) => (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            Numbers::F16(values) => (Dtype::F16, halves(name, values)?),
            Numbers::I64(values) => (Dtype::I64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        };
        encoded.push((name, dtype, shape, bytes));
    }
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in &encoded {
        let view = TensorView::new(*dtype, shape.to_vec(), bytes);
        views.push((name.as_str(), view.map_err(|error| cannot(&format!("`{name}`: {error}")))?));
    }
    let note = note.map(|(key, value)| HashMap::from([(key.to_owned(), value)]));
    safetensors::serialize(views, note).map_err(|error| cannot(&error))
}

fn halves(name: &str, values: &[f32]) -> Result<Vec<u8>> {
    let half = |&value: &f32| {
        let half = f16::from_f32(value);
        match half.is_finite() || !value.is_finite() {
            true => Ok(half.to_le_bytes()),
            false => Err(Error::data(format!(
                "`{name}` holds {value}, which is beyond the 65504 that f16 reaches; export it without --f16."
            ))),
        }
    };
    Ok(values.iter().map(half).collect::<Result<Vec<_>>>()?.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let tensors = BTreeMap::from([
            ("a.weight".to_owned(), (vec![2, 2], Numbers::F32(vec![1.0, -0.0, 1e-40, 4.5]))),
            ("b.weight".to_owned(), (vec![3], Numbers::F16(vec![1.0, 0.333_333_34, -65504.0]))),
            ("c.count".to_owned(), (vec![], Numbers::I64(vec![7]))),
        ]);
        bytes(&tensors, Some(("key", "value".into()))).expect("bytes")
    }

    fn open(bytes: &[u8]) -> Result<TensorFile> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        TensorFile::open(file.path())
    }

    #[test]
    fn what_is_written_is_read_and_has_the_same_bytes() {
        let file = open(&sample()).expect("read");
        assert_eq!(file.values("a.weight").expect("values"), [1.0, -0.0, 1e-40, 4.5]);
        assert_eq!(file.values("b.weight").expect("values"), [1.0, 0.333_251_95, -65504.0]);
        assert_eq!(file.metadata().get("key").map(String::as_str), Some("value"));
        let sentence = file.values("c.count").expect_err("refused").to_string();
        assert!(sentence.contains("`c.count`") && sentence.contains("I64"), "{sentence}");
        assert_eq!(sample(), sample());
    }

    #[test]
    fn damage_is_a_sentence() {
        crate::formats::damage::each(&sample(), |bytes| match open(bytes) {
            Ok(file) => drop(file.tensors().keys().map(|name| file.values(name)).collect::<Vec<_>>()),
            Err(error) => assert!(error.to_string().contains("safetensors"), "{error}"),
        });
    }

    #[test]
    fn numbers_too_large_for_halves_are_named() {
        let tensors = BTreeMap::from([("big".to_owned(), (vec![1], Numbers::F16(vec![7e4])))]);
        assert!(bytes(&tensors, None).expect_err("refused").to_string().contains("`big`"));
    }
}
