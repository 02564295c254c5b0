//! The data sets that are known by name.

use super::{Dataset, Part, idx_sets, mat_sets};
use crate::{Error, Result};
use std::path::Path;

/// Reads a set from the data directory that holds its folder.
pub(super) type Reader = fn(&Info, &Path) -> Result<Dataset>;

/// What is known of a data set without loading it.
pub struct Info {
    /// The name it is asked for by, and its folder's name in a data directory.
    pub name: &'static str,
    /// Other names that it answers to.
    pub aliases: &'static [&'static str],
    /// What it is, in a line.
    pub title: &'static str,
    /// The classes, for people.
    pub classes: &'static str,
    /// A picture's channels, height and width.
    pub input: [usize; 3],
    /// The number of pictures in each split, for people.
    pub splits: &'static str,
    /// The files expected in its folder: of the train, validation and test split.
    pub files: &'static [&'static str],
    /// Who made it and where they publish it.
    pub where_from: &'static str,
    /// Under which terms, and what else to know.
    pub notes: &'static str,
    pub(super) reader: Option<Reader>,
}

impl Info {
    /// The file that holds the labels and pictures of a split, where the set keeps one file a split.
    pub fn file_of(&self, part: Part) -> Option<&'static str> {
        let ending = match part {
            Part::Train => "_train.mat",
            Part::Val => "_valid.mat",
            Part::Test => "_test.mat",
        };
        self.files.iter().copied().find(|file| file.ends_with(ending))
    }
}

impl std::fmt::Debug for Info {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Info").field("name", &self.name).finish_non_exhaustive()
    }
}

const IDX_FILES: &[&str] = &[
    "train-images-idx3-ubyte(.gz)",
    "train-labels-idx1-ubyte(.gz)",
    "t10k-images-idx3-ubyte(.gz)",
    "t10k-labels-idx1-ubyte(.gz)",
];

static KNOWN: [Info; 6] = [
    Info {
        name: "glyphs",
        aliases: &[],
        title: "handwritten-looking capitals and digits, drawn by this program",
        classes: "36: A to Z, 0 to 9",
        input: [1, 32, 32],
        splits: "10,800 train, 3,600 val, 1,800 test (300, 100 and 50 a class)",
        files: &[],
        where_from: "Embedded: nothing to fetch. The program draws it from stroke skeletons in about a tenth of a second.",
        notes: "Part of this program and under its licence.",
        reader: None,
    },
    Info {
        name: "emnist36",
        aliases: &[],
        title: "handwritten letters of EMNIST and digits of MNIST in the layout of NIST36",
        classes: "36: A to Z (capitals and small letters together), 0 to 9",
        input: [1, 32, 32],
        splits: "10,800 train, 3,600 val, 1,800 test (300, 100 and 50 a class)",
        files: &["emnist36_train.mat", "emnist36_valid.mat", "emnist36_test.mat"],
        where_from: "A stand-in for nist36, made from EMNIST letters (NIST, https://www.nist.gov/itl/products-and-services/emnist-dataset) \
                     and MNIST: each character's ink box centred in a square of 1.35 times its longer side, 32 x 32.",
        notes: "EMNIST and MNIST derive from NIST Special Database 19, a work of the United States government.",
        reader: Some(mat_sets::load),
    },
    Info {
        name: "nist36",
        aliases: &[],
        title: "handwritten letters and digits of CMU's course 16-720 (Computer Vision), its NIST36",
        classes: "36: A to Z, 0 to 9",
        input: [1, 32, 32],
        splits: "10,800 train, 3,600 val, 1,800 test",
        files: &["nist36_train.mat", "nist36_valid.mat", "nist36_test.mat"],
        where_from: "Handed out with the neural-network homework of Carnegie Mellon University's course 16-720. \
                     emnist36 has the same layout and is read in its place with `--dataset emnist36`.",
        notes: "From NIST Special Database 19; ask the course for its terms.",
        reader: Some(mat_sets::load),
    },
    Info {
        name: "nist26",
        aliases: &[],
        title: "handwritten letters of the same course",
        classes: "26: A to Z",
        input: [1, 32, 32],
        splits: "those that are there; its validation split has 1,300 pictures, 50 a class",
        files: &["nist26_train.mat", "nist26_valid.mat", "nist26_test.mat"],
        where_from: "Handed out with the neural-network homework of Carnegie Mellon University's course 16-720; any of the \
                     three files may be missing.",
        notes: "From NIST Special Database 19; ask the course for its terms. Values reach from about -0.14 to 1.12.",
        reader: Some(mat_sets::load),
    },
    Info {
        name: "mnist",
        aliases: &[],
        title: "handwritten digits",
        classes: "10: 0 to 9",
        input: [1, 28, 28],
        splits: "60,000 train, 10,000 test, no val",
        files: IDX_FILES,
        where_from: "Y. LeCun, C. Cortes and C. Burges, http://yann.lecun.com/exdb/mnist/",
        notes: "From NIST's Special Databases 1 and 3; the makers' terms are those of CC BY-SA 3.0.",
        reader: Some(idx_sets::load),
    },
    Info {
        name: "fashion-mnist",
        aliases: &["fashion", "fashion_mnist", "fashionmnist"],
        title: "articles of clothing",
        classes: "10: T-shirt/top, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot",
        input: [1, 28, 28],
        splits: "60,000 train, 10,000 test, no val",
        files: IDX_FILES,
        where_from: "H. Xiao, K. Rasul and R. Vollgraf (Zalando Research), https://github.com/zalandoresearch/fashion-mnist",
        notes: "MIT licence.",
        reader: Some(idx_sets::load),
    },
];

/// All known data sets, the embedded one first.
pub fn known() -> &'static [Info] {
    &KNOWN
}

/// The data set of a name or alias, in letters of either case.
///
/// # Errors
/// [`Error::Usage`] that offers the nearest name.
pub fn find(name: &str) -> Result<&'static Info> {
    let wanted = name.to_lowercase();
    let names = |info: &'static Info| std::iter::once(info.name).chain(info.aliases.iter().copied());
    if let Some(info) = KNOWN.iter().find(|info| names(info).any(|known| known == wanted)) {
        return Ok(info);
    }
    let all = KNOWN.iter().map(|info| info.name).collect::<Vec<_>>().join(", ");
    let likeness = |known: &str| strsim::jaro_winkler(known, &wanted);
    let nearest = KNOWN.iter().flat_map(names).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let hint = match nearest.filter(|nearest| likeness(nearest) > 0.6) {
        Some(nearest) => format!("did you mean `{nearest}`? "),
        None => String::new(),
    };
    Err(Error::usage(format!("There is no data set `{name}`; {hint}Known are {all}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_found_in_either_case() {
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
