//! The files in which the makers of torchvision and timm publish ImageNet weights.

use crate::{Result, error};
use std::path::{Path, PathBuf};

/// A published file of ImageNet weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishedWeights<'a> {
    /// The model's name.
    pub model: &'a str,
    /// The name of torchvision's or timm's function that makes the network.
    pub function: &'a str,
    /// The folder in a data directory.
    pub folder: &'a str,
    /// The name of the file, both at the source and on disk. Before its ending are the first digits of its SHA-256 digest.
    pub file: &'a str,
    /// Its SHA-256 digest in hexadecimal, or the beginning of it, as the file's name has it.
    pub sha256: &'a str,
    /// The length in MiB, as its makers state it.
    pub mebibytes: f64,
    /// The base addresses, tried in this order. The file's name is appended to them.
    pub addresses: &'a [&'a str],
}

const ADDRESSES: &[&str] = &["https://download.pytorch.org/models/"];
const TIMM: &[&str] = &["https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-rsb-weights/"];

/// The weights that torchvision takes by default, or timm, for those of their networks that are known here.
pub const PUBLISHED: [PublishedWeights<'static>; 12] = [
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
    PublishedWeights {
        model: "resnet34",
        function: "resnet34",
        folder: "resnet",
        file: "resnet34-b627a593.pth",
        sha256: "b627a593",
        mebibytes: 83.275,
        addresses: ADDRESSES,
    },
    PublishedWeights {
        model: "resnet50",
        function: "resnet50",
        folder: "resnet",
        file: "resnet50-11ad3fa6.pth",
        sha256: "11ad3fa6",
        mebibytes: 97.79,
        addresses: ADDRESSES,
    },
    PublishedWeights {
        model: "mobilenet_v3_small",
        function: "mobilenet_v3_small",
        folder: "mobilenet",
        file: "mobilenet_v3_small-047dcff4.pth",
        sha256: "047dcff4",
        mebibytes: 9.829,
        addresses: ADDRESSES,
    },
    PublishedWeights {
        model: "mobilenet_v3_large",
        function: "mobilenet_v3_large",
        folder: "mobilenet",
        file: "mobilenet_v3_large-5c1a4163.pth",
        sha256: "5c1a4163",
        mebibytes: 21.107,
        addresses: ADDRESSES,
    },
    PublishedWeights {
        model: "efficientnet_b0",
        function: "efficientnet_b0",
        folder: "efficientnet",
        file: "efficientnet_b0_rwightman-7f5810bc.pth",
        sha256: "7f5810bc",
        mebibytes: 20.451,
        addresses: ADDRESSES,
    },
    PublishedWeights {
        model: "regnet_y_400mf",
        function: "regnet_y_400mf",
        folder: "regnet",
        file: "regnet_y_400mf-e6988f5f.pth",
        sha256: "e6988f5f",
        mebibytes: 16.806,
        addresses: ADDRESSES,
    },
    PublishedWeights {
        model: "convnext_tiny",
        function: "convnext_tiny",
        folder: "convnext",
        file: "convnext_tiny-983f1562.pth",
        sha256: "983f1562",
        mebibytes: 109.119,
        addresses: ADDRESSES,
    },
    PublishedWeights {
        model: "convnext_atto",
        function: "convnext_atto",
        folder: "convnext",
        file: "convnext_atto_d2-01bb0f51.pth",
        sha256: "01bb0f51",
        // The size of its tensors; timm states none.
        mebibytes: 14.1,
        addresses: TIMM,
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
            assert!([8, 64].contains(&weights.sha256.len()), "{}", weights.file);
            assert!(weights.addresses.iter().all(|address| address.starts_with("https://") && address.ends_with('/')));
            assert!(weights.file.starts_with(weights.function));
        }
        assert_eq!(PUBLISHED.len(), models::torchvision_models().len());
        assert_eq!(find("SqueezeNet1_1").expect("known").model, "squeezenet");
        let sentence = find("resnet19").expect_err("unknown").to_string();
        assert!(sentence.contains("`resnet18`"), "{sentence}");
    }
}
