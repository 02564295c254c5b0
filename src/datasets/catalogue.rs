//! The table of datasets that are known by name.

use super::info::{DatasetInfo, LoadMethod};
use super::{cifar_sets, idx_sets, mat_sets};
use crate::data::Fit;
use crate::images::Preprocessing;
use crate::{Error, Result};

const IDX_FILES: &[&str] = &[
    "train-images-idx3-ubyte(.gz)",
    "train-labels-idx1-ubyte(.gz)",
    "t10k-images-idx3-ubyte(.gz)",
    "t10k-labels-idx1-ubyte(.gz)",
];

static KNOWN: [DatasetInfo; 10] = [
    DatasetInfo {
        name: "glyphs",
        folder: "glyphs",
        archive: None,
        aliases: &[],
        title: "handwritten-looking capitals and digits, drawn by this program",
        classes: "36: A to Z, 0 to 9",
        input: [1, 32, 32],
        splits: "10,800 train, 3,600 val, 1,800 test (300, 100 and 50 a class)",
        files: &[],
        where_from: "Embedded: nothing to download. The program draws it from stroke skeletons in about 0.1 s.",
        notes: "Part of this program and under its licence.",
        load_method: LoadMethod::Embedded,
    },
    DatasetInfo {
        name: "emnist36",
        folder: "emnist36",
        archive: None,
        aliases: &[],
        title: "handwritten letters of EMNIST and digits of MNIST in the layout of NIST36",
        classes: "36: A to Z (capitals and small letters together), 0 to 9",
        input: [1, 32, 32],
        splits: "10,800 train, 3,600 val, 1,800 test (300, 100 and 50 a class)",
        files: &["emnist36_train.mat", "emnist36_valid.mat", "emnist36_test.mat"],
        where_from: "A stand-in for nist36, made from EMNIST letters (NIST, https://www.nist.gov/itl/products-and-services/emnist-dataset) \
                     and MNIST: each character's ink box centred in a square of 1.35 times its longer side, 32 x 32. \
                     `gpunn data get emnist36` downloads both and makes it.",
        notes: "EMNIST and MNIST derive from NIST Special Database 19, a work of the United States government.",
        load_method: LoadMethod::Files(mat_sets::load),
    },
    DatasetInfo {
        name: "nist36",
        folder: "nist36",
        archive: None,
        aliases: &[],
        title: "handwritten letters and digits of CMU's course 16-720 (Computer Vision), its NIST36",
        classes: "36: A to Z, 0 to 9",
        input: [1, 32, 32],
        splits: "10,800 train, 3,600 val, 1,800 test",
        files: &["nist36_train.mat", "nist36_valid.mat", "nist36_test.mat"],
        where_from: "Handed out with the neural-network homework of Carnegie Mellon University's course 16-720. \
                     `--dataset emnist36` has the same layout and can replace it.",
        notes: "From NIST Special Database 19; ask the course for its terms.",
        load_method: LoadMethod::Files(mat_sets::load),
    },
    DatasetInfo {
        name: "nist26",
        folder: "nist26",
        archive: None,
        aliases: &[],
        title: "handwritten letters of the same course",
        classes: "26: A to Z",
        input: [1, 32, 32],
        splits: "those that are there; its validation split has 1,300 images, 50 a class",
        files: &["nist26_train.mat", "nist26_valid.mat", "nist26_test.mat"],
        where_from: "Handed out with the neural-network homework of Carnegie Mellon University's course 16-720; any of the \
                     three files may be missing.",
        notes: "From NIST Special Database 19; ask the course for its terms. Values reach from about -0.14 to 1.12.",
        load_method: LoadMethod::Files(mat_sets::load),
    },
    DatasetInfo {
        name: "mnist",
        folder: "mnist",
        archive: None,
        aliases: &[],
        title: "handwritten digits",
        classes: "10: 0 to 9",
        input: [1, 28, 28],
        splits: "60,000 train, 10,000 test, no val",
        files: IDX_FILES,
        where_from: "Y. LeCun, C. Cortes and C. Burges, http://yann.lecun.com/exdb/mnist/",
        notes: "From NIST's Special Databases 1 and 3; the makers' terms are those of CC BY-SA 3.0.",
        load_method: LoadMethod::Files(idx_sets::load),
    },
    DatasetInfo {
        name: "fashion-mnist",
        folder: "fashion-mnist",
        archive: None,
        aliases: &["fashion", "fashion_mnist", "fashionmnist"],
        title: "articles of clothing",
        classes: "10: T-shirt/top, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot",
        input: [1, 28, 28],
        splits: "60,000 train, 10,000 test, no val",
        files: IDX_FILES,
        where_from: "H. Xiao, K. Rasul and R. Vollgraf (Zalando Research), https://github.com/zalandoresearch/fashion-mnist",
        notes: "MIT licence.",
        load_method: LoadMethod::Files(idx_sets::load),
    },
    DatasetInfo {
        name: "cifar10",
        folder: "cifar-10-batches-bin",
        archive: Some("cifar-10-binary.tar.gz"),
        aliases: &["cifar-10", "cifar_10"],
        title: "small colour photos of animals and vehicles",
        classes: "10: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck",
        input: [3, 32, 32],
        splits: "50,000 train, 10,000 test, no val",
        files: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
            "test_batch.bin",
            "batches.meta.txt",
        ],
        where_from: "A. Krizhevsky, V. Nair and G. Hinton, https://www.cs.toronto.edu/~kriz/cifar.html (the binary version)",
        notes: "No licence is stated; the makers ask to cite A. Krizhevsky, Learning Multiple Layers of Features from Tiny \
                Images, 2009.",
        load_method: LoadMethod::Files(cifar_sets::load),
    },
    DatasetInfo {
        name: "cifar100",
        folder: "cifar-100-binary",
        archive: Some("cifar-100-binary.tar.gz"),
        aliases: &["cifar-100", "cifar_100"],
        title: "small colour photos of a hundred kinds of things",
        classes: "100: the fine classes, apple to worm",
        input: [3, 32, 32],
        splits: "50,000 train, 10,000 test, no val",
        files: &["train.bin", "test.bin", "fine_label_names.txt"],
        where_from: "A. Krizhevsky, V. Nair and G. Hinton, https://www.cs.toronto.edu/~kriz/cifar.html (the binary version)",
        notes: "As cifar10. Each image also has one of 20 coarse classes, which is ignored.",
        load_method: LoadMethod::Files(cifar_sets::load),
    },
    DatasetInfo {
        name: "sun8",
        folder: "sun8",
        archive: None,
        aliases: &[],
        title: "photos of eight kinds of scenes, from the SUN database",
        classes: "8: aquarium, desert, highway, kitchen, laundromat, park, waterfall, windmill",
        input: [3, 256, 256],
        splits: "1,177 train, 400 test, no val",
        files: &["train/CLASS/*.jpg", "test/CLASS/*.jpg"],
        where_from: "Eight scene classes of the SUN database (J. Xiao, J. Hays, K. Ehinger, A. Oliva, A. Torralba), \
                     https://vision.princeton.edu/projects/2010/SUN/, handed out with the scene-classification homework of \
                     Carnegie Mellon University's course 16-720: with its lists train_files.txt and test_files.txt and the \
                     folders of its classes in a folder DIR, `gpunn data get sun8 --from DIR` lays it out.",
        notes: "Photos of the web, whose rights are their owners'; for research. Its middle 256 x 256 pixels are used.",
        load_method: LoadMethod::Images(Preprocessing { size: [256, 256], fit: Fit::CentreCrop, channels: 3 }),
    },
    DatasetInfo {
        name: "flowers17",
        folder: "flowers17",
        archive: None,
        aliases: &["flowers-17", "oxford-flowers17"],
        title: "photos of flowers common in Britain",
        classes: "17: bluebell, buttercup, colts_foot, cowslip, crocus, daffodil, daisy, dandelion, fritillary, iris, \
                  lily_valley, pansy, snowdrop, sunflower, tigerlily, tulip, windflower",
        input: [3, 256, 256],
        splits: "680 train, 340 val, 340 test (40, 20 and 20 a class)",
        files: &["train/CLASS/*.jpg", "val/CLASS/*.jpg", "test/CLASS/*.jpg"],
        where_from: "M.-E. Nilsback and A. Zisserman (Oxford), https://www.robots.ox.ac.uk/~vgg/data/flowers/17/; with its \
                     17flowers.tgz and datasplits.mat in a folder DIR, `gpunn data get flowers17 --from DIR` lays it out.",
        notes: "Photos of the web, whose rights are their owners'; for research. The middle square, 256 x 256, is used.",
        load_method: LoadMethod::Images(Preprocessing { size: [256, 256], fit: Fit::ResizeCrop, channels: 3 }),
    },
];

/// All known datasets, the embedded one first.
pub fn known() -> &'static [DatasetInfo] {
    &KNOWN
}

/// Finds a dataset by its name or alias, ignoring case. `None` for unknown names.
pub(super) fn lookup(name: &str) -> Option<&'static DatasetInfo> {
    let wanted = name.to_lowercase();
    KNOWN.iter().find(|info| names(info).any(|known| known == wanted))
}

/// Finds a dataset by its name or alias, ignoring case.
///
/// # Errors
/// [`Error::Usage`] for an unknown name. It suggests the most similar one.
pub fn find(name: &str) -> Result<&'static DatasetInfo> {
    lookup(name).ok_or_else(|| unknown(name, ""))
}

/// The error for an unknown name. It suggests a similar known name. `neither` says what else was looked for.
pub(super) fn unknown(name: &str, neither: &str) -> Error {
    let all = KNOWN.iter().map(|info| info.name).collect::<Vec<_>>().join(", ");
    let hint = crate::error::did_you_mean(name, KNOWN.iter().flat_map(names));
    Error::usage(format!(
        "There is no dataset `{name}`{neither}{hint} Known datasets are {all}. The path of a folder of images with one folder \
         for each class works as well."
    ))
}

fn names(info: &'static DatasetInfo) -> impl Iterator<Item = &'static str> {
    std::iter::once(info.name).chain(info.aliases.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_found_ignoring_case() {
        assert_eq!(find("MNIST").expect("known").name, "mnist");
        assert_eq!(find("fashion_mnist").expect("known").name, "fashion-mnist");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        for (asked, nearest) in [("glphs", "`glyphs`"), ("nist-36", "`nist36`"), ("fashionmnits", "`fashionmnist`")] {
            let sentence = find(asked).expect_err("unknown").to_string();
            assert!(sentence.contains(nearest), "{sentence}");
        }
        assert!(!find("zzz").expect_err("unknown").to_string().contains("did you mean"));
    }
}
