//! Checkpoints as bytes: safetensors, with the recipe and the training progress in the metadata.

use std::collections::{BTreeMap, HashMap};

use half::f16;
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::train::Recipe;
use crate::train::checkpoint::{Checkpoint, Counters, weight_in_use};
use crate::{Error, Result};

/// The version of the metadata format.
pub const FORMAT: u32 = 1;
/// The only key of the metadata. With one key, the same checkpoint always gives the same bytes.
pub(super) const KEY: &str = "gpunn";
/// The content of the metadata.
#[derive(serde::Serialize, serde::Deserialize)]
struct Header {
    format: u32,
    recipe: String,
    counters: Counters,
    input: [usize; 3],
    classes: Vec<String>,
    checksum: String,
}

/// 64-bit FNV-1a over names and bytes, which detects damage that leaves the file format valid.
fn checksum<'a>(tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hash = crate::hash::Fnv1a::new();
    for (name, bytes) in tensors {
        hash.add(name.as_bytes());
        hash.add(bytes);
    }
    hash.hex()
}

impl Checkpoint {
    /// The bytes of a checkpoint file. With the feature `formats`.
    ///
    /// # Errors
    /// [`Error::Data`] when a tensor's shape does not match its values.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.encoded(Dtype::F32)
    }

    /// The bytes of a smaller checkpoint for inference: only [`Checkpoint::weights_in_use`] in F16, without the path of the data.
    /// [`Checkpoint::parse`] reads it. Training cannot be resumed from it. With the feature `formats`.
    ///
    /// # Errors
    /// As [`Checkpoint::to_bytes`].
    pub fn to_half_bytes(&self) -> Result<Vec<u8>> {
        let averaged = self.recipe.training.ema.is_some();
        let mut half = self.clone();
        half.tensors.retain(|name, _| weight_in_use(name, averaged).is_some());
        (half.recipe.data.folder, half.recipe.model.pretrained_file) = (None, None);
        half.encoded(Dtype::F16)
    }

    /// Encodes the checkpoint with tensors of dtype F16 or F32.
    fn encoded(&self, kind: Dtype) -> Result<Vec<u8>> {
        let says = |error: &dyn std::fmt::Display| Error::data(format!("The checkpoint cannot be written: {error}."));
        let bytes = |values: &[f32]| -> Vec<u8> {
            match kind {
                Dtype::F16 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
                _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            }
        };
        let tensors: Vec<(&str, &[usize], Vec<u8>)> =
            self.tensors.iter().map(|(name, (shape, values))| (name.as_str(), &shape[..], bytes(values))).collect();
        let header = Header {
            format: FORMAT,
            recipe: self.recipe.to_toml()?,
            counters: self.counters.clone(),
            input: self.input,
            classes: self.classes.clone(),
            checksum: checksum(tensors.iter().map(|(name, _, bytes)| (*name, &bytes[..]))),
        };
        let header = serde_json::to_string(&header).map_err(|error| says(&error))?;
        let mut views = Vec::new();
        for (name, shape, bytes) in &tensors {
            let view = TensorView::new(kind, shape.to_vec(), bytes).map_err(|error| says(&error))?;
            views.push((*name, view));
        }
        let metadata = HashMap::from([(KEY.to_owned(), header)]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| says(&error))
    }

    /// Parses the bytes of a checkpoint file. Error messages call it `origin`. With the feature `formats`.
    ///
    /// # Errors
    /// [`Error::Data`] when it is damaged or not a checkpoint.
    pub fn parse(bytes: &[u8], origin: &str) -> Result<Self> {
        Self::from_bytes(bytes)
            .map_err(|reason| Error::data(format!("{origin} is not a valid checkpoint of gpunn: {reason}.")))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let damaged = |error: &dyn std::fmt::Display| format!("{error}; it may have been cut short or changed");
        let file = SafeTensors::deserialize(bytes).map_err(|error| match error {
            // A file of another format: its first bytes are not the length of a header.
            SafeTensorError::HeaderTooLarge | SafeTensorError::HeaderTooSmall => {
                "it is not a safetensors file; name a run directory, or its last.safetensors".to_owned()
            }
            error => damaged(&error),
        })?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(&error))?;
        let header = metadata.metadata().as_ref().and_then(|map| map.get(KEY));
        let header = header.ok_or("it is a safetensors file without the metadata of a checkpoint")?;
        let version: serde_json::Value = serde_json::from_str(header).map_err(|error| damaged(&error))?;
        let version = version.get("format").and_then(serde_json::Value::as_u64);
        if version != Some(u64::from(FORMAT)) {
            let version = version.map_or("none".into(), |version| version.to_string());
            return Err(format!("its format is {version}, but this gpunn reads {FORMAT}"));
        }
        let header: Header = serde_json::from_str(header).map_err(|error| damaged(&error))?;
        let mut found: Vec<(String, TensorView<'_>)> = file.tensors();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        if checksum(found.iter().map(|(name, view)| (name.as_str(), view.data()))) != header.checksum {
            return Err("the checksum of its tensors is wrong; it was changed".into());
        }
        let mut tensors = BTreeMap::new();
        for (name, view) in &found {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => data.chunks_exact(4).map(|w| f32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect(),
                Dtype::F16 => {
                    data.chunks_exact(2).map(|half| f16::from_le_bytes([half[0], half[1]]).to_f32()).collect()
                }
                other => return Err(format!("its tensor `{name}` is {other:?} instead of F32 or F16")),
            };
            tensors.insert(name.clone(), (view.shape().to_vec(), values));
        }
        let recipe = Recipe::parse(&header.recipe, "in it").map_err(|error| error.to_string())?;
        let Header { counters, input, classes, .. } = header;
        Ok(Self { recipe, counters, input, classes, tensors })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::checkpoint::SUMS;

    fn sample() -> Checkpoint {
        let recipe = Recipe::built_in("glyphs-mlp").expect("a recipe");
        let tensors = BTreeMap::from([
            ("fc1.weight".to_owned(), (vec![2, 3], vec![1.0, -0.0, f32::MIN_POSITIVE, 4.5, 1e-40, -7.25])),
            (SUMS.to_owned(), (vec![3], vec![1.5, 2.0, 3.0])),
        ]);
        let counters = Counters { epoch: 3, seconds: 0.1 + 0.2, ..Counters::default() };
        Checkpoint { recipe, counters, input: [1, 32, 32], classes: vec!["A".into(), "B".into()], tensors }
    }

    #[test]
    fn a_checkpoint_is_read_back_and_has_the_same_bytes() {
        let bytes = sample().to_bytes().expect("bytes");
        assert_eq!(Checkpoint::parse(&bytes, "it").expect("read"), sample());
        assert_eq!(bytes, sample().to_bytes().expect("bytes"));
    }

    #[test]
    fn a_file_for_inference_has_only_the_weights_in_use() {
        let mut whole = sample();
        whole.recipe.data.folder = Some("/home/of/data".into());
        let read = |whole: &Checkpoint| Checkpoint::parse(&whole.to_half_bytes().expect("bytes"), "it").expect("read");
        let half = read(&whole);
        assert_eq!(half.recipe.data.folder, None);
        // Values too small for F16 become 0. Values that F16 can represent are unchanged.
        let values = vec![1.0, -0.0, 0.0, 4.5, 0.0, -7.25];
        assert_eq!(half.tensors, BTreeMap::from([("fc1.weight".to_owned(), (vec![2, 3], values))]));
        whole.recipe.training.ema = Some(0.9);
        whole.tensors.insert("ema/fc1.weight".into(), (vec![1], vec![0.5]));
        assert_eq!(read(&whole).tensors.keys().collect::<Vec<_>>(), ["ema/fc1.weight"]);
    }

    #[test]
    fn damage_is_noticed() {
        let whole = sample().to_bytes().expect("bytes");
        for length in 0..whole.len() {
            assert!(Checkpoint::from_bytes(&whole[..length]).is_err());
        }
        let mut changed = whole.clone();
        *changed.last_mut().expect("a byte") ^= 1;
        assert!(Checkpoint::from_bytes(&changed).expect_err("noticed").contains("checksum"));
    }
}
