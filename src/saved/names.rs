//! The names of tensors in the files of other programs. Models here have the names of torchvision.

use std::collections::BTreeMap;

use crate::Result;
use crate::formats::tensors::{TensorEntry, TensorFile};
use crate::nn::Model;
use crate::train::checkpoint::weight_in_use;

use super::checkpoint::KEY as CHECKPOINT;

/// What wrappers of modules put before all names: `DataParallel`, `torch.compile`, and modules with a network as `self.model`.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];
/// Functions that give torchvision's names for those of another library. One applies if it knows all names of a file.
const TRANSLATIONS: [fn(&str) -> Option<String>; 2] = [transformers_resnet, timm_mobilenet_v2];
/// The number of the first block of each stage of MobileNetV2 in torchvision's list.
const STAGES: [usize; 7] = [1, 2, 4, 7, 11, 14, 17];

/// The tensors of a file under the names of torchvision.
pub(crate) struct NamedTensors<'a> {
    file: &'a TensorFile,
    /// The names in the file.
    names: BTreeMap<String, &'a str>,
}

impl<'a> NamedTensors<'a> {
    /// Translates the names of a file.
    pub fn of(file: &'a TensorFile) -> Self {
        let mut names = weights_of(file);
        while let Some(prefix) = PREFIXES.into_iter().find(|prefix| all_begin(&names, prefix)) {
            names = names.into_iter().map(|(name, own)| (name[prefix.len()..].to_owned(), own)).collect();
        }
        let translated = TRANSLATIONS.into_iter().find_map(|translate| {
            names.iter().map(|(name, own)| Some((translate(name)?, *own))).collect::<Option<BTreeMap<_, _>>>()
        });
        Self { file, names: translated.unwrap_or(names) }
    }

    /// As [`of`](Self::of), but keeps the names of a file that has some of the model's.
    pub fn for_model(file: &'a TensorFile, model: &Model) -> Self {
        let parameters = model.parameters();
        let mut all = parameters.iter().chain(parameters.statistics().iter());
        match all.any(|parameter| file.tensors().contains_key(&parameter.name)) {
            true => Self { file, names: weights_of(file) },
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

/// The names of all tensors; of a run's checkpoint only those of the weights with which it predicts.
fn weights_of(file: &TensorFile) -> BTreeMap<String, &str> {
    let all = || file.tensors().keys().map(String::as_str);
    if !file.metadata().contains_key(CHECKPOINT) {
        return all().map(|name| (name.to_owned(), name)).collect();
    }
    let averaged = all().any(|name| weight_in_use(name, true).is_some());
    all().filter_map(|name| Some((weight_in_use(name, averaged)?.to_owned(), name))).collect()
}

fn all_begin(names: &BTreeMap<String, &str>, prefix: &str) -> bool {
    !names.is_empty() && names.keys().all(|name| name.starts_with(prefix))
}

/// The name of a tensor of a ResNet with basic blocks in Hugging Face's `transformers`.
fn transformers_resnet(name: &str) -> Option<String> {
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

/// The name of a tensor of timm's `mobilenetv2_100`.
fn timm_mobilenet_v2(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('.').collect();
    Some(match parts[..] {
        ["conv_stem", what] => format!("features.0.0.{what}"),
        ["bn1", what] => format!("features.0.1.{what}"),
        ["conv_head", what] => format!("features.18.0.{what}"),
        ["bn2", what] => format!("features.18.1.{what}"),
        ["classifier", what] => format!("classifier.1.{what}"),
        ["blocks", stage, block, layer, what] => {
            let (stage, block): (usize, usize) = (stage.parse().ok()?, block.parse().ok()?);
            // The first stage does not expand its channels.
            let layer = match (stage, layer) {
                (0, "conv_dw") | (1.., "conv_pw") => "0.0",
                (_, "bn1") => "0.1",
                (0, "conv_pw") => "1",
                (0, "bn2") | (1.., "conv_pwl") => "2",
                (1.., "conv_dw") => "1.0",
                (1.., "bn2") => "1.1",
                (1.., "bn3") => "3",
                _ => return None,
            };
            format!("features.{}.conv.{layer}.{what}", STAGES.get(stage)?.checked_add(block)?)
        }
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
        let bytes = bytes(&names.iter().enumerate().map(tensor).collect(), None).expect("bytes");
        TensorFile::parse(bytes, std::path::Path::new("it")).expect("parsed")
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
    fn names_of_other_libraries_become_those_of_torchvision() {
        for (theirs, ours) in [
            ("resnet.embedder.embedder.convolution.weight", "conv1.weight"),
            ("resnet.embedder.embedder.normalization.running_var", "bn1.running_var"),
            ("resnet.encoder.stages.0.layers.1.layer.0.convolution.weight", "layer1.1.conv1.weight"),
            ("resnet.encoder.stages.3.layers.0.layer.1.normalization.bias", "layer4.0.bn2.bias"),
            ("resnet.encoder.stages.2.layers.0.shortcut.convolution.weight", "layer3.0.downsample.0.weight"),
            ("resnet.encoder.stages.1.layers.0.shortcut.normalization.weight", "layer2.0.downsample.1.weight"),
            ("classifier.1.bias", "fc.bias"),
            ("conv_stem.weight", "features.0.0.weight"),
            ("bn2.running_mean", "features.18.1.running_mean"),
            ("blocks.0.0.conv_pw.weight", "features.1.conv.1.weight"),
            ("blocks.0.0.bn2.bias", "features.1.conv.2.bias"),
            ("blocks.1.0.conv_pw.weight", "features.2.conv.0.0.weight"),
            ("blocks.3.3.conv_dw.weight", "features.10.conv.1.0.weight"),
            ("blocks.6.0.bn3.weight", "features.17.conv.3.weight"),
            ("classifier.weight", "classifier.1.weight"),
        ] {
            assert!(NamedTensors::of(&file(&[theirs])).get(ours).is_some(), "{theirs}");
        }
        // A file with a name that the library does not have.
        let other = file(&["conv_stem.weight", "blocks.0.0.se.weight"]);
        assert!(NamedTensors::of(&other).get("conv_stem.weight").is_some());
    }
}
