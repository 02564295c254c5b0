//! The names of tensors in the files of other programs. Models here have the names of torchvision.

use std::collections::BTreeMap;

use crate::Result;
use crate::formats::tensors::{TensorEntry, TensorFile};
use crate::nn::Model;

/// What wrappers of modules put before all names: `DataParallel`, `torch.compile`, and modules with a network as `self.model`.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];
/// A tensor that only the ResNets of Hugging Face's `transformers` have.
const TRANSFORMERS_RESNET: &str = "resnet.embedder.embedder.convolution.weight";

/// The tensors of a file under the names of torchvision.
pub(super) struct NamedTensors<'a> {
    file: &'a TensorFile,
    /// The names in the file.
    names: BTreeMap<String, &'a str>,
}

impl<'a> NamedTensors<'a> {
    /// Translates the names of a file.
    pub fn of(file: &'a TensorFile) -> Self {
        let mut names: BTreeMap<String, &str> =
            file.tensors().keys().map(|name| (name.clone(), name.as_str())).collect();
        while let Some(prefix) = PREFIXES.into_iter().find(|prefix| all_begin(&names, prefix)) {
            names = names.into_iter().map(|(name, own)| (name[prefix.len()..].to_owned(), own)).collect();
        }
        if names.contains_key(TRANSFORMERS_RESNET) {
            names = names.into_iter().map(|(name, own)| (resnet_name(&name).unwrap_or(name), own)).collect();
        }
        Self { file, names }
    }

    /// As [`of`](Self::of), but keeps the names of a file that has some of the model's.
    pub fn for_model(file: &'a TensorFile, model: &Model) -> Self {
        let parameters = model.parameters();
        let mut all = parameters.iter().chain(parameters.statistics().iter());
        match all.any(|parameter| file.tensors().contains_key(&parameter.name)) {
            true => Self { file, names: file.tensors().keys().map(|name| (name.clone(), name.as_str())).collect() },
            false => Self::of(file),
        }
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// All tensors with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a TensorEntry)> {
        self.names.iter().map(|(name, own)| (name.as_str(), &self.file.tensors()[*own]))
    }

    /// The tensor with this name.
    pub fn get(&self, name: &str) -> Option<&'a TensorEntry> {
        self.names.get(name).map(|own| &self.file.tensors()[*own])
    }

    /// The values of the tensor with this name.
    ///
    /// # Errors
    /// As [`TensorFile::values`].
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        self.file.values(self.names.get(name).copied().unwrap_or(name))
    }
}

fn all_begin(names: &BTreeMap<String, &str>, prefix: &str) -> bool {
    !names.is_empty() && names.keys().all(|name| name.starts_with(prefix))
}

/// torchvision's name of a tensor of a ResNet with basic blocks in `transformers`.
fn resnet_name(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('.').collect();
    Some(match parts[..] {
        ["resnet", "embedder", "embedder", "convolution", what] => format!("conv1.{what}"),
        ["resnet", "embedder", "embedder", "normalization", what] => format!("bn1.{what}"),
        ["resnet", "encoder", "stages", stage, "layers", block, "shortcut", kind, what] => {
            let number = if kind == "convolution" { 0 } else { 1 };
            format!("layer{}.{block}.downsample.{number}.{what}", one_more(stage)?)
        }
        ["resnet", "encoder", "stages", stage, "layers", block, "layer", layer, kind, what] => {
            let kind = if kind == "convolution" { "conv" } else { "bn" };
            format!("layer{}.{block}.{kind}{}.{what}", one_more(stage)?, one_more(layer)?)
        }
        ["classifier", "1", what] => format!("fc.{what}"),
        _ => return None,
    })
}

fn one_more(number: &str) -> Option<u32> {
    number.parse().ok().and_then(|number: u32| number.checked_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tensors::{TensorValues, bytes};
    use crate::nn::models::ModelConfig;

    fn file(names: &[&str]) -> TensorFile {
        let tensor =
            |(number, name): (usize, &&str)| (name.to_string(), (vec![1], TensorValues::F32(vec![number as f32])));
        let file = tempfile::NamedTempFile::new().expect("a file");
        let bytes = bytes(&names.iter().enumerate().map(tensor).collect(), None).expect("bytes");
        std::fs::write(file.path(), bytes).expect("written");
        TensorFile::open(file.path()).expect("opened")
    }

    #[test]
    fn prefixes_that_all_names_have_are_taken_off() {
        for prefix in ["", "module.", "_orig_mod.", "model.", "module._orig_mod.", "_orig_mod.module.model."] {
            let file = file(&[&format!("{prefix}fc.weight"), &format!("{prefix}module.bias")]);
            let names = NamedTensors::of(&file);
            assert_eq!(names.names().collect::<Vec<_>>(), ["fc.weight", "module.bias"]);
            assert_eq!(names.values("module.bias").expect("values"), [1.0]);
        }
        let file = file(&["module.fc.weight", "fc.bias"]);
        assert_eq!(NamedTensors::of(&file).names().collect::<Vec<_>>(), ["fc.bias", "module.fc.weight"]);
    }

    #[test]
    fn a_file_with_names_of_the_model_keeps_them() {
        let model = ModelConfig::named("mlp").build([1, 2, 2], 2).expect("a model");
        let own = model.parameters().iter().next().expect("a parameter").name.clone();
        assert!(NamedTensors::for_model(&file(&[&own]), &model).get(&own).is_some());
        let other = file(&[&format!("model.{own}")]);
        assert!(NamedTensors::for_model(&other, &model).get(&own).is_some());
    }

    #[test]
    fn the_resnet_of_transformers_has_the_names_of_torchvision() {
        for (theirs, ours) in [
            (TRANSFORMERS_RESNET, "conv1.weight"),
            ("resnet.embedder.embedder.normalization.running_var", "bn1.running_var"),
            ("resnet.encoder.stages.0.layers.1.layer.0.convolution.weight", "layer1.1.conv1.weight"),
            ("resnet.encoder.stages.3.layers.0.layer.1.normalization.bias", "layer4.0.bn2.bias"),
            ("resnet.encoder.stages.2.layers.0.shortcut.convolution.weight", "layer3.0.downsample.0.weight"),
            ("resnet.encoder.stages.1.layers.0.shortcut.normalization.weight", "layer2.0.downsample.1.weight"),
            ("classifier.1.bias", "fc.bias"),
        ] {
            let file = file(&[TRANSFORMERS_RESNET, "x", theirs]);
            assert!(NamedTensors::of(&file).get(ours).is_some(), "{theirs}");
        }
    }
}
