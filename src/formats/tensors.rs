//! Weights in safetensors files: a JSON header with the dtype, shape and offsets of each tensor, and then the bytes.
//!
//! Files are memory-mapped, so that tensors that are not used cost nothing. The crate `safetensors` checks every length in
//! the header against the file before anything is allocated.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

use crate::{Error, Result};

/// The first bytes of a zip archive, which `torch.save` writes.
const ZIP: &[u8] = b"PK\x03\x04";
/// The first bytes of a pickle, which old versions of `torch.save` wrote.
const PICKLE: &[u8] = b"\x80\x02";

/// A safetensors file, open for reading.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    bytes: Mmap,
    /// The offset of the tensors in the file.
    start: usize,
    tensors: BTreeMap<String, TensorEntry>,
    metadata: BTreeMap<String, String>,
}

/// The header entry of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TensorEntry {
    /// The dtype: `F32`, `F16`, `BF16`, `I64`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// The shape.
    pub shape: Vec<usize>,
    #[serde(skip)]
    dtype: Dtype,
    /// The first byte and the end after the header.
    #[serde(skip)]
    offsets: (usize, usize),
}

impl TensorEntry {
    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
    /// Whether the dtype is a floating-point type that weights can be read from.
    pub fn is_float(&self) -> bool {
        matches!(self.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16)
    }
}

/// As in `64x3x3x3`. A tensor without axes is `a single number`.
impl std::fmt::Display for TensorEntry {
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
    /// [`Error::File`] when the file cannot be opened; [`Error::Data`] when it is not a safetensors file, is truncated, or has
    /// an inconsistent header. For a file of `torch.save`, the message has the Python line that converts it.
    pub fn open(path: &Path) -> Result<Self> {
        let cannot = || Error::file("cannot read the weights", path);
        let file = File::open(path).map_err(cannot())?;
        if file.metadata().map_err(cannot())?.is_dir() {
            return Err(Error::usage(format!("{} is a folder, not a file of weights.", path.display())));
        }
        // SAFETY: the map is only read. Another program that truncates the file meanwhile would crash this one. This program
        // never does so: `files::write_atomic` replaces a file and leaves the mapped one intact.
        let bytes = unsafe { Mmap::map(&file) }.map_err(cannot())?;
        if bytes.starts_with(ZIP) || bytes.starts_with(PICKLE) {
            return Err(Error::data(pickled(path)));
        }
        let wrong =
            |error| Error::data(format!("{} is not a valid safetensors file: {}.", path.display(), reason(error)));
        let (header, found) = SafeTensors::read_metadata(&bytes).map_err(wrong)?;
        let of = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
            let kind = format!("{:?}", info.dtype);
            (name, TensorEntry { kind, shape: info.shape.clone(), dtype: info.dtype, offsets: info.data_offsets })
        };
        let tensors = found.tensors().into_iter().map(of).collect();
        let metadata = found.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(Self { path: path.to_owned(), start: header + 8, bytes, tensors, metadata })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, TensorEntry> {
        &self.tensors
    }
    /// The metadata of the header.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The values of a tensor of dtype F32, F16 or BF16.
    ///
    /// # Errors
    /// [`Error::Data`] when there is no tensor of that name or it has another dtype.
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(Error::data(format!("{} has no tensor `{name}`.", self.path.display())));
        };
        let bytes = &self.bytes[self.start + tensor.offsets.0..self.start + tensor.offsets.1];
        let halves = || bytes.chunks_exact(2).map(|word| [word[0], word[1]]);
        match tensor.dtype {
            Dtype::F32 => {
                let words = bytes.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]);
                Ok(words.map(f32::from_le_bytes).collect())
            }
            Dtype::F16 => Ok(halves().map(|word| f16::from_le_bytes(word).to_f32()).collect()),
            Dtype::BF16 => Ok(halves().map(|word| bf16::from_le_bytes(word).to_f32()).collect()),
            _ => Err(Error::data(format!(
                "The tensor `{name}` of {} has dtype {}, but weights must be F32, F16 or BF16.",
                self.path.display(),
                tensor.kind
            ))),
        }
    }
}

/// The message for a file of `torch.save`.
fn pickled(path: &Path) -> String {
    let (from, to) = (path.display(), path.with_extension("safetensors"));
    format!(
        "{from} is a PyTorch pickle, which can run code when it is loaded. Convert it once: python -c \"import \
         torch, safetensors.torch as s; s.save_file(torch.load('{from}', weights_only=True), '{}')\"",
        to.display()
    )
}

/// What is wrong with a header, as a clause.
fn reason(error: SafeTensorError) -> String {
    use SafeTensorError as E;
    match error {
        E::HeaderTooSmall => "it has fewer than 8 bytes".into(),
        E::HeaderTooLarge => "its header claims to be longer than the limit of 100 MB".into(),
        E::InvalidHeaderLength => "its header claims to be longer than the file; it may have been cut short".into(),
        E::InvalidHeader(_) => "its header is not valid UTF-8".into(),
        E::InvalidHeaderDeserialization(error) | E::JsonError(error) => {
            format!("its header cannot be parsed ({error})")
        }
        E::InvalidOffset(name) => {
            format!("the tensor `{name}` does not begin where the one before it ends: they overlap or leave a gap")
        }
        E::MetadataIncompleteBuffer => {
            "its tensors do not end at the end of the file; it may have been cut short or extended".into()
        }
        E::TensorInvalidInfo => "a tensor's length does not match its dtype and shape".into(),
        E::ValidationOverflow => "a tensor's shape is larger than any file".into(),
        other => other.to_string(),
    }
}

/// The values of a tensor that will be written.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorValues {
    /// Written as F32.
    F32(Vec<f32>),
    /// Written as F16, rounded from these values.
    F16(Vec<f32>),
    /// Written as I64, as PyTorch stores counters.
    I64(Vec<i64>),
}

/// Encodes tensors as a safetensors file. `note` is the only key and value of the metadata. The same content gives the same
/// bytes: the order of the tensors depends on names and dtypes only.
///
/// # Errors
/// [`Error::Data`] when a value is too large for F16, or a shape does not match its values.
pub fn bytes(tensors: &BTreeMap<String, (Vec<usize>, TensorValues)>, note: Option<(&str, String)>) -> Result<Vec<u8>> {
    let cannot = |error: &dyn std::fmt::Display| Error::data(format!("The tensors cannot be written: {error}."));
    let mut encoded = Vec::new();
    for (name, (shape, numbers)) in tensors {
        let (dtype, bytes) = match numbers {
            TensorValues::F32(values) => (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            TensorValues::F16(values) => (Dtype::F16, halves(name, values)?),
            TensorValues::I64(values) => (Dtype::I64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
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
            false => {
                Err(Error::data(format!("`{name}` holds {value}, but F16 ends at 65504; export it without --f16.")))
            }
        }
    };
    Ok(values.iter().map(half).collect::<Result<Vec<_>>>()?.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let tensors = BTreeMap::from([
            ("a.weight".to_owned(), (vec![2, 2], TensorValues::F32(vec![1.0, -0.0, 1e-40, 4.5]))),
            ("b.weight".to_owned(), (vec![3], TensorValues::F16(vec![1.0, 0.333_333_34, -65504.0]))),
            ("c.count".to_owned(), (vec![], TensorValues::I64(vec![7]))),
        ]);
        bytes(&tensors, Some(("key", "value".into()))).expect("bytes")
    }

    fn open(bytes: &[u8]) -> Result<TensorFile> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        TensorFile::open(file.path())
    }

    #[test]
    fn written_files_are_read_back_and_have_the_same_bytes() {
        let file = open(&sample()).expect("read");
        assert_eq!(file.values("a.weight").expect("values"), [1.0, -0.0, 1e-40, 4.5]);
        assert_eq!(file.values("b.weight").expect("values"), [1.0, 0.333_251_95, -65504.0]);
        assert_eq!(file.metadata().get("key").map(String::as_str), Some("value"));
        let sentence = file.values("c.count").expect_err("refused").to_string();
        assert!(sentence.contains("`c.count`") && sentence.contains("I64"), "{sentence}");
        assert_eq!(sample(), sample());
    }

    #[test]
    fn damage_is_an_error() {
        crate::formats::damage::each(&sample(), |bytes| match open(bytes) {
            Ok(file) => drop(file.tensors().keys().map(|name| file.values(name)).collect::<Vec<_>>()),
            Err(error) => assert!(error.to_string().contains("safetensors"), "{error}"),
        });
    }

    #[test]
    fn numbers_too_large_for_halves_are_named() {
        let tensors = BTreeMap::from([("big".to_owned(), (vec![1], TensorValues::F16(vec![7e4])))]);
        assert!(bytes(&tensors, None).expect_err("refused").to_string().contains("`big`"));
    }
}
