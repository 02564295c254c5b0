//! From which addresses the makers hand out their sets, with the lengths and digests that they publish.

/// Where a set's files are fetched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// The set's name.
    pub name: &'a str,
    /// The addresses that a file's name is appended to, tried one after another: the makers' own first.
    pub addresses: &'a [&'a str],
    /// The files.
    pub files: &'a [Published<'a>],
    /// Whether the one file is an archive (tar, gzip) that holds the set's folder.
    pub archive: bool,
}

/// A file as it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published<'a> {
    /// Its name, there and here.
    pub name: &'a str,
    /// Its length.
    pub bytes: u64,
    /// Its MD5 digest in hexadecimal: what the makers publish.
    pub md5: &'a str,
}

/// The sets that have an address. The digests of CIFAR stand on its page; Fashion-MNIST's on its own; MNIST's makers
/// publish none, so that these are the ones that all use who fetch it. MNIST's own address is often closed: the second is
/// the copy that PyTorch keeps.
pub const SOURCES: [Source<'static>; 4] = [
    Source {
        name: "cifar10",
        addresses: &["https://www.cs.toronto.edu/~kriz/"],
        files: &[Published {
            name: "cifar-10-binary.tar.gz",
            bytes: 170_052_171,
            md5: "c32a1d4ab5d03f1284b67883e8d87530",
        }],
        archive: true,
    },
    Source {
        name: "cifar100",
        addresses: &["https://www.cs.toronto.edu/~kriz/"],
        files: &[Published {
            name: "cifar-100-binary.tar.gz",
            bytes: 168_513_733,
            md5: "03b5dce01913d631647c71ecec9e9cb8",
        }],
        archive: true,
    },
    Source {
        name: "mnist",
        addresses: &["http://yann.lecun.com/exdb/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"],
        files: &[
            Published { name: "train-images-idx3-ubyte.gz", bytes: 9_912_422, md5: "f68b3c2dcbeaaa9fbdd348bbdeb94873" },
            Published { name: "train-labels-idx1-ubyte.gz", bytes: 28_881, md5: "d53e105ee54ea40749a09fcbcd1e9432" },
            Published { name: "t10k-images-idx3-ubyte.gz", bytes: 1_648_877, md5: "9fb629c4189551a2d022fa330f9573f3" },
            Published { name: "t10k-labels-idx1-ubyte.gz", bytes: 4_542, md5: "ec29112dd5afa0611ce80d1b7f02629c" },
        ],
        archive: false,
    },
    Source {
        name: "fashion-mnist",
        addresses: &[
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ],
        files: &[
            Published {
                name: "train-images-idx3-ubyte.gz",
                bytes: 26_421_880,
                md5: "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            },
            Published { name: "train-labels-idx1-ubyte.gz", bytes: 29_515, md5: "25c81989df183df01b3e8a0aad5dffbe" },
            Published { name: "t10k-images-idx3-ubyte.gz", bytes: 4_422_102, md5: "bef4ecab320f06d8554ea6380940ec79" },
            Published { name: "t10k-labels-idx1-ubyte.gz", bytes: 5_148, md5: "bb300cfdad3c16e7a12a480ee83cd310" },
        ],
        archive: false,
    },
];

/// Where the set of a name is fetched from; `None` where its makers have no address for it.
pub fn source(name: &str) -> Option<&'static Source<'static>> {
    SOURCES.iter().find(|source| source.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::catalogue;

    #[test]
    fn every_source_is_a_known_set_and_fetches_what_it_expects() {
        for source in &SOURCES {
            let info = catalogue::find(source.name).expect("a known set");
            assert_eq!(info.archive, source.archive.then(|| source.files[0].name));
            assert!(source.addresses.iter().all(|address| address.starts_with("http") && address.ends_with('/')));
            for file in source.files {
                assert!(file.md5.len() == 32 && file.md5.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')));
                let plain = file.name.trim_end_matches(".gz");
                assert!(source.archive || info.files.iter().any(|expected| expected.starts_with(plain)), "{plain}");
            }
        }
    }
}
