//! The files in which the makers of torchvision publish ImageNet weights.

use crate::{Result, error};
use std::path::{Path, PathBuf};

/// A published file of ImageNet weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishedWeights<'a> {
    /// The model's name.
    pub model: &'a str,
    /// The name of torchvision's function that makes the network.
    pub function: &'a str,
    /// The folder in a data directory.
    pub folder: &'a str,
    /// The name of the file, both at the source and on disk. Before its ending are the first digits of its SHA-256 digest.
    pub file: &'a str,
    /// The length in MiB, as torchvision states it.
    pub mebibytes: f64,
    /// The base addresses, tried in this order. The file's name is appended to them.
    pub addresses: &'a [&'a str],
}

const ADDRESSES: &[&str] = &["https://download.pytorch.org/models/"];

/// The weights that torchvision takes by default, for those of its networks that are known here.
pub const PUBLISHED: [PublishedWeights<'static>; 4] = [
    PublishedWeights {
        model: "squeezenet",
        function: "squeezenet1_1",
        folder: "squeezenet",
        file: "squeezenet1_1-b8a52dc0.pth",
        mebibytes: 4.729,
        addresses: ADDRESSES,
    },
    PublishedWeights {
        model: "squeezenet1_0",
        function: "squeezenet1_0",
        folder: "squeezenet",
        file: "squeezenet1_0-b66bff10.pth",
        mebibytes: 4.778,
        addresses: ADDRESSES,
    },
    PublishedWeights {
        model: "resnet18",
        function: "resnet18",
        folder: "resnet",
        file: "resnet18-f37072fd.pth",
        mebibytes: 44.661,
        addresses: ADDRESSES,
    },
    PublishedWeights {
        model: "mobilenet_v2",
        function: "mobilenet_v2",
        folder: "mobilenet",
        file: "mobilenet_v2-7ebf99e0.pth",
        mebibytes: 13.598,
        addresses: ADDRESSES,
    },
];

impl<'a> PublishedWeights<'a> {
    /// The place of the file in a data directory.
    pub fn path(&self, directory: &Path) -> PathBuf {
        directory.join(self.folder).join(self.file)
    }

    /// The first digits of the SHA-256 digest, from the file's name. `None` if the name has none.
    pub fn digest(&self) -> Option<&'a str> {
        let (_, digits) = self.file.strip_suffix(".pth")?.rsplit_once('-')?;
        (digits.len() >= 8 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))).then_some(digits)
    }
}

/// The published weights of a model, by its name here or by torchvision's.
///
/// # Errors
/// [`Error::Usage`](crate::Error::Usage) for other names. It suggests the most similar one.
pub fn find(name: &str) -> Result<&'static PublishedWeights<'static>> {
    let asked = name.to_lowercase();
    let found = PUBLISHED.iter().find(|weights| weights.model == asked || weights.function == asked);
    found.ok_or_else(|| error::unknown("network with published weights", name, &PUBLISHED.map(|weights| weights.model)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::models;

    #[test]
    fn every_model_of_torchvision_has_published_weights_beside_its_safetensors_file() {
        for model in models::torchvision_models() {
            let weights = find(model).expect("published");
            let file = models::published(model).expect("a file");
            assert_eq!(file, format!("{}/{}.safetensors", weights.folder, weights.function));
            assert_eq!(weights.digest().map(str::len), Some(8));
            assert!(weights.file.starts_with(weights.function));
        }
        assert_eq!(PUBLISHED.len(), models::torchvision_models().len());
        assert_eq!(find("SqueezeNet1_1").expect("known").model, "squeezenet");
        let sentence = find("resnet19").expect_err("unknown").to_string();
        assert!(sentence.contains("`resnet18`"), "{sentence}");
    }
}
