//! Weights in files: safetensors, with a JSON header and then the bytes, and the files of PyTorch's `torch.save`. The content
//! of a file tells which it is, not its name.
//!
//! Files on the disk are memory-mapped, so that tensors that are not used cost nothing. The crate `safetensors` checks every length in
//! the header against the file before anything is allocated. `pth.rs` does the same for PyTorch's files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
#[cfg(feature = "files")]
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorInfo, TensorView};

use super::pth;
use crate::{Error, Result};

/// A file of weights, open for reading.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    bytes: Content,
    tensors: BTreeMap<String, TensorEntry>,
    metadata: BTreeMap<String, String>,
}

/// The bytes of a file, or of tensors that another reader has found in one.
#[derive(Debug)]
enum Content {
    #[cfg(feature = "files")]
    Mapped(Mmap),
    Own(Vec<u8>),
}

impl std::ops::Deref for Content {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            #[cfg(feature = "files")]
            Self::Mapped(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// A tensor in a file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TensorEntry {
    /// The dtype: `F32`, `F16`, `BF16`, `I64`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// The shape.
    pub shape: Vec<usize>,
    #[serde(skip)]
    dtype: Dtype,
    /// The place of the first element in the file.
    #[serde(skip)]
    start: usize,
    /// The distance in bytes between neighbours along each axis.
    #[serde(skip)]
    strides: Vec<usize>,
}

impl TensorEntry {
    /// A tensor at this place, which must be inside of the file. Strides are in bytes.
    pub(super) fn new(dtype: Dtype, shape: Vec<usize>, start: usize, strides: Vec<usize>) -> Self {
        Self { kind: format!("{dtype:?}"), shape, dtype, start, strides }
    }

    /// A tensor whose elements follow each other.
    fn contiguous(dtype: Dtype, shape: Vec<usize>, start: usize) -> Self {
        let mut strides = vec![dtype.bitsize() / 8; shape.len()];
        for axis in (1..shape.len()).rev() {
            // The length of the file was checked, so that only a tensor without elements can be too large.
            strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
        }
        Self::new(dtype, shape, start, strides)
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values in the bytes of the file, in row-major order. `None` for a dtype that is not floating-point.
    pub(super) fn values(&self, bytes: &[u8]) -> Option<Vec<f32>> {
        match self.dtype {
            Dtype::F64 => Some(self.gather(bytes, |word| f64::from_le_bytes(word) as f32)),
            Dtype::F32 => Some(self.gather(bytes, f32::from_le_bytes)),
            Dtype::F16 => Some(self.gather(bytes, |word| f16::from_le_bytes(word).to_f32())),
            Dtype::BF16 => Some(self.gather(bytes, |word| bf16::from_le_bytes(word).to_f32())),
            _ => None,
        }
    }

    fn gather<const N: usize>(&self, bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.elements());
        let (mut index, mut at) = (vec![0; self.shape.len()], self.start);
        for _ in 0..self.elements() {
            let mut word = [0; N];
            word.copy_from_slice(&bytes[at..at + N]);
            values.push(number(word));
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= self.strides[axis] * self.shape[axis];
                index[axis] = 0;
            }
        }
        values
    }

    /// Whether the dtype is a floating-point type that weights can be read from.
    pub fn is_float(&self) -> bool {
        matches!(self.dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16)
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
    /// Opens a safetensors file, or a file of `torch.save` with a state dict. No code in it is run. A checkpoint's tensors are
    /// those under its key `state_dict`, `model_state_dict` or `model`. With the feature `files`.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be opened; else as [`TensorFile::parse`].
    #[cfg(feature = "files")]
    pub fn open(path: &Path) -> Result<Self> {
        let cannot = || Error::file("cannot read the weights", path);
        let file = std::fs::File::open(path).map_err(cannot())?;
        if file.metadata().map_err(cannot())?.is_dir() {
            return Err(Error::usage(format!("{} is a folder, not a file of weights.", path.display())));
        }
        Self::of_content(Content::Mapped(crate::files::map(&file).map_err(cannot())?), path)
    }

    /// Reads the bytes of a file, as [`TensorFile::open`] does. Errors call it `name`.
    ///
    /// # Errors
    /// [`Error::Data`] when it is of another format, is truncated, has an inconsistent header, or asks for classes that tensors do not
    /// need.
    pub fn parse(bytes: Vec<u8>, name: &Path) -> Result<Self> {
        Self::of_content(Content::Own(bytes), name)
    }

    fn of_content(bytes: Content, path: &Path) -> Result<Self> {
        let (tensors, metadata) = match pth::recognised(&bytes) {
            true => (pth::read(&bytes, path)?, BTreeMap::new()),
            false => header(&bytes, path)?,
        };
        Ok(Self { path: path.to_owned(), bytes, tensors, metadata })
    }

    /// Tensors that were read from a file of another format, each with its shape and values.
    pub fn of_floats(
        path: &Path,
        tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
        metadata: BTreeMap<String, String>,
    ) -> Self {
        let (mut bytes, mut entries) = (Vec::new(), BTreeMap::new());
        for (name, (shape, values)) in tensors {
            entries.insert(name, TensorEntry::contiguous(Dtype::F32, shape, bytes.len()));
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        Self { path: path.to_owned(), bytes: Content::Own(bytes), tensors: entries, metadata }
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

    /// The values of a tensor of dtype F64, F32, F16 or BF16, in row-major order. F64 is rounded to F32.
    ///
    /// # Errors
    /// [`Error::Data`] when there is no tensor of that name or it has another dtype.
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(Error::data(format!("{} has no tensor `{name}`.", self.path.display())));
        };
        tensor.values(&self.bytes).ok_or_else(|| {
            Error::data(format!(
                "The tensor `{name}` of {} has dtype {}, but weights must be F64, F32, F16 or BF16.",
                self.path.display(),
                tensor.kind
            ))
        })
    }
}

/// The tensors and the metadata in the header of a safetensors file.
fn header(bytes: &[u8], path: &Path) -> Result<(BTreeMap<String, TensorEntry>, BTreeMap<String, String>)> {
    let wrong = |error| Error::data(format!("{} is not a valid safetensors file: {}.", path.display(), reason(error)));
    let (length, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
    let entry = |(name, info): (String, &TensorInfo)| {
        (name, TensorEntry::contiguous(info.dtype, info.shape.clone(), length + 8 + info.data_offsets.0))
    };
    let tensors = header.tensors().into_iter().map(entry).collect();
    let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok((tensors, metadata))
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
        TensorFile::parse(bytes.to_vec(), Path::new("it"))
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
