//! Download addresses of datasets, with the published lengths and digests of their files.

/// The download source of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// The dataset's name.
    pub name: &'a str,
    /// The base addresses, tried in this order. A file's name is appended to them.
    pub addresses: &'a [&'a str],
    /// The files.
    pub files: &'a [PublishedFile<'a>],
    /// What the files are.
    pub content: Content,
}

/// What the published files of a dataset are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The files of the dataset's folder.
    Files,
    /// An archive of the dataset's folder (tar, gzip).
    Folder,
    /// An archive of EMNIST (zip), from whose letters `emnist36` is made.
    Letters,
}

/// A published file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedFile<'a> {
    /// Its name, both at the source and on disk.
    pub name: &'a str,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its MD5 digest in hexadecimal. The authors publish no other digest.
    pub md5: &'a str,
}

/// The datasets that can be downloaded. The digests of CIFAR and Fashion-MNIST are published on their pages. The authors of
/// MNIST and EMNIST publish none; these are the ones that torchvision uses. MNIST's first address is often closed; the second one is
/// PyTorch's mirror.
pub const SOURCES: [Source<'static>; 5] = [
    Source {
        name: "cifar10",
        addresses: &["https://www.cs.toronto.edu/~kriz/"],
        files: &[PublishedFile {
            name: "cifar-10-binary.tar.gz",
            bytes: 170_052_171,
            md5: "c32a1d4ab5d03f1284b67883e8d87530",
        }],
        content: Content::Folder,
    },
    Source {
        name: "cifar100",
        addresses: &["https://www.cs.toronto.edu/~kriz/"],
        files: &[PublishedFile {
            name: "cifar-100-binary.tar.gz",
            bytes: 168_513_733,
            md5: "03b5dce01913d631647c71ecec9e9cb8",
        }],
        content: Content::Folder,
    },
    Source {
        name: "mnist",
        addresses: &["http://yann.lecun.com/exdb/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"],
        files: &[
            PublishedFile {
                name: "train-images-idx3-ubyte.gz",
                bytes: 9_912_422,
                md5: "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            },
            PublishedFile {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 28_881,
                md5: "d53e105ee54ea40749a09fcbcd1e9432",
            },
            PublishedFile {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 1_648_877,
                md5: "9fb629c4189551a2d022fa330f9573f3",
            },
            PublishedFile { name: "t10k-labels-idx1-ubyte.gz", bytes: 4_542, md5: "ec29112dd5afa0611ce80d1b7f02629c" },
        ],
        content: Content::Files,
    },
    Source {
        name: "fashion-mnist",
        addresses: &[
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ],
        files: &[
            PublishedFile {
                name: "train-images-idx3-ubyte.gz",
                bytes: 26_421_880,
                md5: "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            },
            PublishedFile {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 29_515,
                md5: "25c81989df183df01b3e8a0aad5dffbe",
            },
            PublishedFile {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 4_422_102,
                md5: "bef4ecab320f06d8554ea6380940ec79",
            },
            PublishedFile { name: "t10k-labels-idx1-ubyte.gz", bytes: 5_148, md5: "bb300cfdad3c16e7a12a480ee83cd310" },
        ],
        content: Content::Files,
    },
    Source {
        name: "emnist36",
        addresses: &["https://biometrics.nist.gov/cs_links/EMNIST/"],
        files: &[PublishedFile { name: "gzip.zip", bytes: 561_753_746, md5: "58c8d27c78d21e728a6bc7b3cc06412e" }],
        content: Content::Letters,
    },
];

/// The download source of a dataset. `None` when it has none.
pub fn source(name: &str) -> Option<&'static Source<'static>> {
    SOURCES.iter().find(|source| source.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::catalogue;

    #[test]
    fn every_source_is_a_known_dataset_and_has_its_files() {
        for source in &SOURCES {
            let info = catalogue::find(source.name).expect("a known set");
            assert_eq!(info.archive, (source.content == Content::Folder).then(|| source.files[0].name));
            assert!(source.addresses.iter().all(|address| address.starts_with("http") && address.ends_with('/')));
            for file in source.files {
                assert!(file.md5.len() == 32 && file.md5.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')));
                let plain = file.name.trim_end_matches(".gz");
                assert!(
                    source.content != Content::Files || info.files.iter().any(|expected| expected.starts_with(plain)),
                    "{plain}"
                );
            }
        }
    }
}
