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
    /// Its SHA-256 digest in hexadecimal, or the beginning of it.
    pub sha256: &'a str,
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
        sha256: "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        mebibytes: 4.729,
        addresses: ADDRESSES,
    },
    PublishedWeights {
        model: "squeezenet1_0",
        function: "squeezenet1_0",
        folder: "squeezenet",
        file: "squeezenet1_0-b66bff10.pth",
        // More of it is not published.
        sha256: "b66bff10",
        mebibytes: 4.778,
        addresses: ADDRESSES,
    },
    PublishedWeights {
        model: "resnet18",
        function: "resnet18",
        folder: "resnet",
        file: "resnet18-f37072fd.pth",
        sha256: "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        mebibytes: 44.661,
        addresses: ADDRESSES,
    },
    PublishedWeights {
        model: "mobilenet_v2",
        function: "mobilenet_v2",
        folder: "mobilenet",
        file: "mobilenet_v2-7ebf99e0.pth",
        sha256: "7ebf99e03e254b273379b23edca7ec0da9f48273b23a332b93c1c99d49e86e8f",
        mebibytes: 13.598,
        addresses: ADDRESSES,
    },
];

impl<'a> PublishedWeights<'a> {
    /// The place of the file in a data directory.
    pub fn path(&self, directory: &Path) -> PathBuf {
        directory.join(self.folder).join(self.file)
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
            assert!(weights.file.ends_with(&format!("-{}.pth", &weights.sha256[..8])), "{}", weights.file);
            assert!(weights.sha256.len() == if model == "squeezenet1_0" { 8 } else { 64 }, "{}", weights.file);
            assert!(weights.addresses.iter().all(|address| address.starts_with("https://") && address.ends_with('/')));
            assert!(weights.file.starts_with(weights.function));
        }
        assert_eq!(PUBLISHED.len(), models::torchvision_models().len());
        assert_eq!(find("SqueezeNet1_1").expect("known").model, "squeezenet");
        let sentence = find("resnet19").expect_err("unknown").to_string();
        assert!(sentence.contains("`resnet18`"), "{sentence}");
    }
}
