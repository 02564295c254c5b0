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
    /// Its SHA-256 digest in hexadecimal.
    pub sha256: &'a str,
}

/// The datasets that can be downloaded, over TLS only: MNIST from PyTorch's mirror and TensorFlow's, since the authors' page has no TLS.
/// The authors publish MD5 digests or none. These SHA-256 digests are the ones that TensorFlow Datasets checks
/// (`tensorflow_datasets/url_checksums` in its repository).
pub const SOURCES: [Source<'static>; 5] = [
    Source {
        name: "cifar10",
        addresses: &["https://www.cs.toronto.edu/~kriz/"],
        files: &[PublishedFile {
            name: "cifar-10-binary.tar.gz",
            bytes: 170_052_171,
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        }],
        content: Content::Folder,
    },
    Source {
        name: "cifar100",
        addresses: &["https://www.cs.toronto.edu/~kriz/"],
        files: &[PublishedFile {
            name: "cifar-100-binary.tar.gz",
            bytes: 168_513_733,
            sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        }],
        content: Content::Folder,
    },
    Source {
        name: "mnist",
        addresses: &[
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ],
        files: &[
            PublishedFile {
                name: "train-images-idx3-ubyte.gz",
                bytes: 9_912_422,
                sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            },
            PublishedFile {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 28_881,
                sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            },
            PublishedFile {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 1_648_877,
                sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            },
            PublishedFile {
                name: "t10k-labels-idx1-ubyte.gz",
                bytes: 4_542,
                sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            },
        ],
        content: Content::Files,
    },
    Source {
        name: "fashion-mnist",
        addresses: &["https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"],
        files: &[
            PublishedFile {
                name: "train-images-idx3-ubyte.gz",
                bytes: 26_421_880,
                sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            },
            PublishedFile {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 29_515,
                sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            },
            PublishedFile {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 4_422_102,
                sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            },
            PublishedFile {
                name: "t10k-labels-idx1-ubyte.gz",
                bytes: 5_148,
                sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            },
        ],
        content: Content::Files,
    },
    Source {
        name: "emnist36",
        addresses: &["https://biometrics.nist.gov/cs_links/EMNIST/"],
        files: &[PublishedFile {
            name: "gzip.zip",
            bytes: 561_753_746,
            sha256: "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
        }],
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
            assert!(source.addresses.iter().all(|address| address.starts_with("https://") && address.ends_with('/')));
            for file in source.files {
                assert!(file.sha256.len() == 64 && file.sha256.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')));
                let plain = file.name.trim_end_matches(".gz");
                assert!(
                    source.content != Content::Files || info.files.iter().any(|expected| expected.starts_with(plain)),
                    "{plain}"
                );
            }
        }
    }
}
