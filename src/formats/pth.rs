//! Weights in files of PyTorch's `torch.save`: state dicts, and checkpoints that contain one.
//!
//! Since version 1.6, PyTorch writes a zip archive: `data.pkl` describes the tensors, and `data/0`, `data/1`, ... are the
//! numbers. Earlier versions wrote five pickles, and then the numbers. [`pickle`](super::pickle) reads the pickles without
//! running code. Every tensor is checked against the bytes of its storage.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use safetensors::tensor::Dtype;

use super::pickle::{Object, Pickle, Refusal, Storage, Tensor, Value};
use super::tensors::TensorEntry;
use super::zip::Archive;
use crate::{Error, Result};

/// The number in the first pickle of an old file, in little-endian order.
const MAGIC: Value = Value::Long(&[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]);
/// The version of old files.
const VERSION: Value = Value::Int(1001);
/// The keys under which checkpoints have their state dict, in the order in which they are tried.
const WRAPPERS: [&str; 3] = ["state_dict", "model_state_dict", "model"];
/// The maximum number of dictionaries around a state dict.
const MAX_WRAPPERS: usize = 4;
/// The maximum number of elements of a tensor that repeats elements of a smaller storage.
const MAX_REPEATED: usize = 1 << 24;
/// The maximum number of keys in an error message.
const NAMED: usize = 6;

/// Why a file is not read.
enum Problem {
    Pickle(Refusal),
    /// A clause.
    Wrong(String),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Pickle(refusal)
    }
}

impl From<String> for Problem {
    fn from(clause: String) -> Self {
        Self::Wrong(clause)
    }
}

/// Whether a file is one of PyTorch's, by its first bytes.
pub(super) fn recognised(bytes: &[u8]) -> bool {
    // The header of a safetensors file may have the length that looks like a pickle's beginning, but then `{` follows.
    let pickle = matches!(bytes, [0x80, 2..=5, ..]) && bytes.get(8) != Some(&b'{');
    pickle || Archive::begins(bytes)
}

/// The tensors of a file by name.
///
/// # Errors
/// [`Error::Data`] when the file is damaged, asks for a class that tensors do not need, or has no state dict.
pub(super) fn read(bytes: &[u8], path: &Path) -> Result<BTreeMap<String, TensorEntry>> {
    let found = if Archive::begins(bytes) { zipped(bytes) } else { old(bytes) };
    found.map_err(|problem| Error::data(sentence(&problem, bytes, path)))
}

/// Reads a file of PyTorch 1.6 or later.
fn zipped(bytes: &[u8]) -> Result<BTreeMap<String, TensorEntry>, Problem> {
    let archive = Archive::read(bytes)?;
    let main = archive.names().find(|name| name.split_once('/').is_some_and(|(_, file)| file == "data.pkl"));
    let Some(folder) = main.and_then(|main| main.strip_suffix("data.pkl")) else {
        return Err("it is a zip archive without the data.pkl of torch.save".to_owned().into());
    };
    let order = format!("{folder}byteorder");
    if archive.names().any(|name| name == order) && archive.checked(&order)? != b"little" {
        return Err(foreign());
    }
    let pickle = Pickle::read(archive.checked(&format!("{folder}data.pkl"))?)?;
    entries(&pickle, |storage| archive.place(&format!("{folder}data/{}", storage.key)))
}

/// Reads a file of a PyTorch before 1.6.
fn old(bytes: &[u8]) -> Result<BTreeMap<String, TensorEntry>, Problem> {
    let mut at = 0;
    let mut next = || -> Result<Pickle, Problem> {
        let pickle = Pickle::read(&bytes[at..])?;
        at += pickle.length;
        Ok(pickle)
    };
    let (magic, version) = (next()?, next().map(|pickle| pickle.value));
    if magic.value != MAGIC || version.is_ok_and(|version| version != VERSION) {
        return Err("it is a pickle that torch.save did not write".to_owned().into());
    }
    let system = next()?;
    let little = |&(key, value): &(Value, Value)| key == Value::Text("little_endian") && value != Value::Bool(true);
    if system.dict(system.value).unwrap_or_default().iter().any(little) {
        return Err(foreign());
    }
    let (object, keys) = (next()?, next()?);
    let places = old_storages(&object, &keys, bytes, at)?;
    entries(&object, |storage| places.get(storage.key).cloned().ok_or_else(|| missing_storage(storage.key)))
}

/// The places of the storages of an old file, which begin at `at`. Each is a length and the numbers.
fn old_storages<'a>(
    object: &Pickle<'a>,
    keys: &Pickle<'a>,
    bytes: &[u8],
    mut at: usize,
) -> Result<HashMap<&'a str, Range<usize>>, Problem> {
    let dtypes: HashMap<&str, Dtype> = object.storages().map(|storage| (storage.key, storage.dtype)).collect();
    let Some(Object::List(keys)) = keys.object(keys.value) else {
        return Err("it has no list of its storages".to_owned().into());
    };
    let mut places = HashMap::new();
    for key in keys {
        let Value::Text(key) = *key else { return Err("a storage's name is not text".to_owned().into()) };
        let size = dtypes.get(key).map(|dtype| dtype.bitsize() / 8).ok_or_else(|| missing_storage(key))?;
        let place = || {
            let elements = i64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?);
            let length = usize::try_from(elements).ok()?.checked_mul(size)?;
            let end = (at + 8).checked_add(length)?;
            (end <= bytes.len()).then_some(at + 8..end)
        };
        let place = place().ok_or_else(|| format!("its storage `{key}` is cut short"))?;
        at = place.end;
        places.insert(key, place);
    }
    Ok(places)
}

fn missing_storage(key: &str) -> String {
    format!("it does not have the storage `{key}`, or not its type")
}

fn foreign() -> Problem {
    Problem::Wrong(
        "it was written on a machine with big-endian numbers; load and save it again on another machine".into(),
    )
}

/// The entries of the tensors in a pickle. `place` finds the bytes of a storage.
fn entries(
    pickle: &Pickle,
    place: impl Fn(&Storage) -> Result<Range<usize>, String>,
) -> Result<BTreeMap<String, TensorEntry>, Problem> {
    let mut entries = BTreeMap::new();
    for (name, tensor) in named_tensors(pickle)? {
        let place = place(&tensor.storage)?;
        entries
            .insert(name.to_owned(), entry(tensor, &place).map_err(|clause| format!("the tensor `{name}` {clause}"))?);
    }
    Ok(entries)
}

/// The tensors of the state dict with their names.
fn named_tensors<'p, 'a>(pickle: &'p Pickle<'a>) -> Result<Vec<(&'a str, &'p Tensor<'a>)>, String> {
    let mut dict = pickle.dict(pickle.value).ok_or("it does not hold a dictionary of tensors")?;
    for _ in 0..MAX_WRAPPERS {
        let inner = |key: &str| {
            let item = dict.iter().rev().find(|(name, _)| *name == Value::Text(key))?;
            pickle.dict(item.1)
        };
        match WRAPPERS.into_iter().find_map(inner) {
            Some(inner) => dict = inner,
            None => break,
        }
    }
    let texts = dict.iter().filter_map(|&(key, value)| match key {
        Value::Text(name) => Some((name, value)),
        _ => None,
    });
    let tensor = |(name, value)| match pickle.object(value) {
        Some(Object::Tensor(tensor)) => Some((name, &**tensor)),
        _ => None,
    };
    let tensors: Vec<_> = texts.clone().filter_map(tensor).collect();
    if tensors.is_empty() {
        let keys: Vec<String> = texts.take(NAMED).map(|(name, _)| format!("`{name}`")).collect();
        let keys = if keys.is_empty() { "has no names".into() } else { format!("begins with {}", keys.join(", ")) };
        return Err(format!("it has no state dict: its dictionary {keys}, and has no tensors"));
    }
    Ok(tensors)
}

/// The entry of a tensor in the bytes of its storage. The error is a predicate.
fn entry(tensor: &Tensor, place: &Range<usize>) -> Result<TensorEntry, String> {
    let Storage { dtype, first, .. } = tensor.storage;
    let size = dtype.bitsize() / 8;
    let outside = || "lies outside of its storage; the file is damaged".to_owned();
    let elements =
        tensor.shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)).ok_or_else(outside)?;
    // PyTorch allows any stride for an axis of size 1.
    let strides: Vec<usize> =
        tensor.shape.iter().zip(&tensor.strides).map(|(&size, &stride)| if size > 1 { stride } else { 0 }).collect();
    let begin = first.checked_add(tensor.offset).and_then(|begin| begin.checked_mul(size)).ok_or_else(outside)?;
    if elements == 0 {
        let strides = vec![0; strides.len()];
        return Ok(TensorEntry::new(dtype, tensor.shape.clone(), place.start, strides));
    }
    let last = tensor.shape.iter().zip(&strides).try_fold(begin, |last, (&length, &stride)| {
        (length - 1).checked_mul(stride)?.checked_mul(size)?.checked_add(last)
    });
    if last.and_then(|last| last.checked_add(size)).is_none_or(|end| end > place.len()) {
        return Err(outside());
    }
    if elements > MAX_REPEATED.max(place.len() / size) {
        return Err("repeats the elements of a smaller storage; save a contiguous copy of it".into());
    }
    let strides = strides.into_iter().map(|stride| stride * size).collect();
    Ok(TensorEntry::new(dtype, tensor.shape.clone(), place.start + begin, strides))
}

/// The message for a file that is not read.
fn sentence(problem: &Problem, bytes: &[u8], path: &Path) -> String {
    let path = path.display();
    match problem {
        Problem::Wrong(clause) | Problem::Pickle(Refusal::Damaged(clause)) => {
            format!("{path} is not a valid PyTorch file: {clause}.")
        }
        Problem::Pickle(Refusal::Global(name)) if is_module(name, bytes) => format!(
            "{path} holds a whole PyTorch module and asks for the class `{name}`, whose code gpunn does not run. Save the \
             module's tensors instead, in PyTorch: torch.save(model.state_dict(), FILE)."
        ),
        Problem::Pickle(Refusal::Global(name)) => format!(
            "{path} asks for `{name}`, which tensors do not need. Reading it could run code, so gpunn refuses the file. Save only \
             the tensors, in PyTorch: torch.save(model.state_dict(), FILE)."
        ),
    }
}

/// Whether the file that asks for this class has the attributes of a module, or a program of TorchScript.
fn is_module(name: &str, bytes: &[u8]) -> bool {
    let has = |attribute: &[u8]| bytes.windows(attribute.len()).any(|window| window == attribute);
    name.starts_with("__torch__.") || has(b"_parameters") && has(b"_modules")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value as Json;

    use crate::Result;
    use crate::formats::tensors::TensorFile;

    /// Files that `scripts/make_pth_tests.py` made with PyTorch.
    const ZIP: &[u8] = include_bytes!("../../tests/weights/zip.pth");
    const OLD: &[u8] = include_bytes!("../../tests/weights/old.pth");
    const PROTOCOL4: &[u8] = include_bytes!("../../tests/weights/protocol4.pth");
    const CHECKPOINT: &[u8] = include_bytes!("../../tests/weights/checkpoint.pth");
    const MODEL_KEY: &[u8] = include_bytes!("../../tests/weights/model-key.pth");
    const MODULE: &[u8] = include_bytes!("../../tests/weights/module.pth");
    const HOSTILE: &[u8] = include_bytes!("../../tests/weights/hostile.pth");
    const COMPRESSED: &[u8] = include_bytes!("../../tests/weights/compressed.pth");
    const PLAIN: &[u8] = include_bytes!("../../tests/weights/plain.pth");
    /// What PyTorch read from them.
    const VALUES: &str = include_str!("../../tests/weights/values.json");

    fn open(bytes: &[u8]) -> Result<TensorFile> {
        TensorFile::parse(bytes.to_vec(), Path::new("it"))
    }

    /// Reads a file and all its tensors, if it is sound.
    fn read_all(bytes: &[u8]) -> bool {
        let tensors = super::read(bytes, Path::new("a file"));
        tensors.iter().flat_map(|tensors| tensors.values()).for_each(|tensor| drop(tensor.values(bytes)));
        tensors.is_ok()
    }

    #[test]
    fn values_are_those_that_pytorch_reads() {
        let known: Json = serde_json::from_str(VALUES).expect("JSON");
        let files = [("zip.pth", ZIP), ("old.pth", OLD), ("protocol4.pth", PROTOCOL4)];
        for (name, bytes) in files.into_iter().chain([("checkpoint.pth", CHECKPOINT), ("model-key.pth", MODEL_KEY)]) {
            let file = open(bytes).expect("opened");
            let expected = known[name].as_str().map_or(&known[name], |same| &known[same]);
            let expected = expected.as_object().expect("tensors");
            assert_eq!(file.tensors().len(), expected.len(), "{name}");
            for (tensor, expected) in expected {
                let entry = &file.tensors()[tensor];
                let (kind, shape) = (expected["type"].as_str(), serde_json::json!(entry.shape));
                assert_eq!((Some(entry.kind.as_str()), &shape), (kind, &expected["shape"]), "{name}: {tensor}");
                match (&expected["values"], file.values(tensor)) {
                    (Json::Array(values), Ok(found)) => {
                        let values: Vec<f32> = values.iter().map(|v| v.as_f64().expect("a number") as f32).collect();
                        assert_eq!(found, values, "{name}: {tensor}");
                    }
                    (Json::Null, Err(error)) => {
                        let sentence = error.to_string();
                        assert!(
                            sentence.contains(&format!("`{tensor}`")) && sentence.contains("F64, F32"),
                            "{sentence}"
                        );
                    }
                    (expected, found) => panic!("{name}: {tensor}: {found:?} instead of {expected}"),
                }
            }
        }
    }

    #[test]
    fn files_that_could_run_code_are_refused_by_the_name_of_what_they_ask_for() {
        let old = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.cbuiltins\nexec\n.";
        for (file, parts) in [
            // The function that Python calls os.system.
            (HOSTILE, ["`posix.system`", "could run code", "state_dict()"]),
            (old, ["`builtins.exec`", "could run code", "state_dict()"]),
            (MODULE, ["whole PyTorch module", "`torch.nn.modules.linear.Linear`", "state_dict()"]),
        ] {
            let sentence = open(file).expect_err("refused").to_string();
            parts.into_iter().for_each(|part| assert!(sentence.contains(part), "{part}: {sentence}"));
        }
    }

    #[test]
    fn files_of_other_programs_are_refused() {
        let foreign = replaced(ZIP, b"little", b"bigger");
        let damaged = replaced(ZIP, b"f32.part", b"f32.Part");
        for (file, part) in [
            (COMPRESSED, "compressed"),
            (PLAIN, "torch.save did not write"),
            (&foreign, "checksum"),
            (&damaged, "checksum"),
            (b"PK\x03\x04 and so on", "cut short"),
            (b"\x80\x02}.", "torch.save did not write"),
        ] {
            let sentence = open(file).expect_err("refused").to_string();
            assert!(sentence.contains(part) && sentence.contains("not a valid PyTorch file"), "{part}: {sentence}");
        }
        let none = replaced(CHECKPOINT, b"state_dict", b"other_dict");
        let sentence = open(&none).expect_err("refused").to_string();
        assert!(sentence.contains("no state dict") && sentence.contains("`other_dict`"), "{sentence}");
    }

    #[test]
    fn damage_is_an_error() {
        for file in [ZIP, OLD, PROTOCOL4, CHECKPOINT] {
            (0..file.len()).for_each(|length| assert!(!read_all(&file[..length]), "{length} bytes"));
            crate::formats::damage::each(file, |bytes| _ = read_all(bytes));
        }
        // Without a checksum, damage reaches the pickle of a new file.
        let place = ZIP.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
        let mut unchecked = ZIP.to_vec();
        unchecked[place + 16..place + 20].fill(0);
        crate::formats::damage::each(&unchecked, |bytes| _ = read_all(bytes));
    }

    fn replaced(file: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        let mut file = file.to_vec();
        let place = file.windows(from.len()).position(|part| part == from).expect("there");
        file[place..place + to.len()].copy_from_slice(to);
        file
    }
}
