//! Lists a folder of images: one folder for each class, optionally inside `train`, `val` and `test`.

use super::labels::LabelFile;
use crate::data::{LabelSets, SplitName};
use crate::datasets::Labels;
use crate::images::{self, FORMATS, Found};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use unicode_normalization::UnicodeNormalization;

/// An image file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its path.
    pub path: PathBuf,
    /// The index of its class, or of its set of classes in [`Listing::sets`].
    pub class: u32,
    /// Its length in bytes.
    pub bytes: u64,
    /// The modification time in nanoseconds since 1970; 0 when the system does not provide it.
    pub changed: u128,
}

impl Image {
    pub(super) fn of(Found { path, metadata }: &Found, class: u32) -> Self {
        let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let changed = changed.map_or(0, |since| since.as_nanos());
        Self { path: path.clone(), class, bytes: metadata.len(), changed }
    }
}

/// A folder's classes and images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The class names: the sorted names of the folders or labels, in Unicode's normal form C.
    pub classes: Vec<String>,
    /// The sets of classes that images have, if a file of labels gives each any number of them.
    pub sets: Option<LabelSets>,
    /// The images of the train, validation and test split, sorted by class and name. A missing split is empty.
    pub splits: [Vec<Image>; 3],
    /// A folder with the name of a split that has images, but no class folders. They have no labels and are left out.
    pub unlabelled: Option<PathBuf>,
    /// The number of images that the file of labels does not name. `None` without such a file.
    pub unnamed: Option<usize>,
}

impl Listing {
    /// Lists the folder at `path`, by a file of labels if there is one, else by its folders.
    ///
    /// # Errors
    /// As [`Listing::scan`]; [`Error::Data`] with the number of the record when the file of labels is wrong.
    pub fn of(path: &Path, labels: Option<&Labels>) -> Result<Self> {
        match labels {
            Some(labels) => LabelFile::read(labels, path)?.listing(path),
            None => Self::scan(path),
        }
    }

    fn by_folders(classes: Vec<String>, splits: [Vec<Image>; 3]) -> Self {
        Self { classes, sets: None, splits, unlabelled: None, unnamed: None }
    }

    /// The number of images of each class in a split.
    pub fn counts(&self, slot: usize) -> Vec<usize> {
        let labels: Vec<u32> = self.splits[slot].iter().map(|image| image.class).collect();
        let classes = self.classes.len();
        match &self.sets {
            Some(sets) => sets.counts(&labels, classes),
            None => LabelSets::singles(classes).counts(&labels, classes),
        }
    }

    /// The classes of an image, joined by `;`.
    pub fn label(&self, image: &Image) -> String {
        match &self.sets {
            Some(sets) => sets.names(image.class, &self.classes),
            None => self.classes[image.class as usize].clone(),
        }
    }

    /// Lists the folder at `path`. Folders with the name of a split, as [`SplitName`] reads it, are splits if at least one of
    /// them has folders inside. Otherwise all folders are classes of the train split. Hidden files are ignored.
    ///
    /// # Errors
    /// [`Error::Data`] for a folder without classes, a class without images, two classes whose names look the same, and splits
    /// with different classes;
    /// [`Error::File`] when a folder cannot be read.
    pub fn scan(path: &Path) -> Result<Self> {
        let top = Entries::of(path)?;
        let Some(found) = splits(path, &top)? else {
            let (classes, train) = class_folders(path, &top)?;
            return Ok(Self::by_folders(classes, [train, Vec::new(), Vec::new()]));
        };
        let mut listing: Option<(Self, PathBuf)> = None;
        let Splits { folders, unlabelled } = found;
        for (slot, folder) in folders.into_iter().enumerate() {
            let Some(folder) = folder else { continue };
            let (classes, images) = class_folders(&folder, &Entries::of(&folder)?)?;
            let (listing, first) =
                listing.get_or_insert_with(|| (Self::by_folders(classes.clone(), Default::default()), folder.clone()));
            same_classes(&listing.classes, first, &classes, &folder)?;
            listing.splits[slot] = images;
        }
        match listing {
            Some((listing, _)) => Ok(Self { unlabelled, ..listing }),
            None => Err(no_classes(path)),
        }
    }

    /// A digest of all names, lengths and modification times. It changes when a file is changed, added or removed.
    pub fn fingerprint(&self) -> String {
        let mut digest = md5::Context::new();
        for (split, images) in self.splits.iter().enumerate() {
            for Image { path, class, bytes, changed } in images {
                digest.consume(path.as_os_str().as_encoded_bytes());
                digest.consume(format!("\0{split} {class} {bytes} {changed}\n"));
            }
        }
        for class in &self.classes {
            digest.consume(format!("{class}\n"));
        }
        if let Some(sets) = &self.sets {
            digest.consume(format!("{sets:?}"));
        }
        format!("{:x}", digest.finalize())
    }
}

/// The entries of a folder, sorted by name.
struct Entries {
    folders: Vec<(String, PathBuf)>,
    images: Vec<Found>,
}

impl Entries {
    fn of(path: &Path) -> Result<Self> {
        let (folders, files): (Vec<_>, Vec<_>) =
            images::walk(path, 1)?.into_iter().partition(|found| found.metadata.is_dir());
        // macOS stores an accent as a character of its own, others as part of its letter. Classes are matched by name.
        let named = |found: Found| {
            let name = found.path.file_name().unwrap_or_default().to_string_lossy().nfc().collect::<String>();
            (name, found.path)
        };
        let mut folders: Vec<_> = folders.into_iter().map(named).collect();
        folders.sort();
        Ok(Self { folders, images: files.into_iter().filter(Found::is_image).collect() })
    }
}

/// The folders of splits.
struct Splits {
    /// Of the train, validation and test split.
    folders: [Option<PathBuf>; 3],
    /// As [`Listing::unlabelled`].
    unlabelled: Option<PathBuf>,
}

/// The folders of splits. `None` when all folders are classes.
fn splits(path: &Path, top: &Entries) -> Result<Option<Splits>> {
    let mut found: [Option<PathBuf>; 3] = Default::default();
    let mut others = Vec::new();
    for (name, folder) in &top.folders {
        let Ok(split) = name.parse::<SplitName>() else {
            others.push((name, folder));
            continue;
        };
        let (slot, called) = match split {
            SplitName::Train => (0, "training"),
            SplitName::Val => (1, "validation"),
            SplitName::Test => (2, "test"),
        };
        // A class may be called `train`, too. It has images and no folders.
        if Entries::of(folder)?.folders.is_empty() {
            others.push((name, folder));
        } else if let Some(other) = found[slot].replace(folder.clone()) {
            return Err(Error::data(format!(
                "{} and {} both are {called} splits; put their images into one of them, or move the other one away.",
                other.display(),
                folder.display()
            )));
        }
    }
    if found.iter().all(Option::is_none) {
        return Ok(None);
    }
    let mut unlabelled = None;
    for (name, folder) in others {
        let has_images = !Entries::of(folder)?.images.is_empty();
        let is_split = name.parse::<SplitName>().is_ok();
        if has_images && is_split && found[0].is_some() {
            unlabelled = Some(folder.clone());
            continue;
        }
        if has_images {
            return Err(Error::data(format!(
                "{} has images, but is next to the folders of splits; if {name} is a class, put it into a split's folder.",
                folder.display(),
            )));
        }
        if is_split {
            return Err(Error::data(format!(
                "{} has no class: put a folder of images for each class into it, or remove it from {}.",
                folder.display(),
                path.display()
            )));
        }
    }
    Ok(Some(Splits { folders: found, unlabelled }))
}

/// A path in a folder, with `/` between names.
pub(super) fn within(folder: &Path, path: &Path) -> String {
    let names: Vec<_> = path.strip_prefix(folder).unwrap_or(path).iter().map(|name| name.to_string_lossy()).collect();
    names.join("/")
}

/// The classes in a folder of class folders, and their images.
fn class_folders(path: &Path, entries: &Entries) -> Result<(Vec<String>, Vec<Image>)> {
    if entries.folders.is_empty() {
        return Err(no_classes(path));
    }
    let twice = entries.folders.windows(2).find(|pair| pair[0].0 == pair[1].0);
    if let Some([(name, one), (_, other)]) = twice {
        return Err(Error::data(format!(
            "{} and {} both are the class {name}: one of the names has its accents as characters of their own. Put their images \
             into one folder.",
            one.display(),
            other.display()
        )));
    }
    let mut all = Vec::new();
    for (class, (name, folder)) in entries.folders.iter().enumerate() {
        // The images in the folders inside belong to the class, as in torchvision's `ImageFolder`.
        let images: Vec<Found> = images::walk(folder, usize::MAX)?.into_iter().filter(Found::is_image).collect();
        if images.is_empty() {
            return Err(Error::data(format!(
                "The class folder {} has no image ({FORMATS}); add images or remove the folder {name}.",
                folder.display()
            )));
        }
        all.extend(images.iter().map(|found| Image::of(found, class as u32)));
    }
    Ok((entries.folders.iter().map(|(name, _)| name.clone()).collect(), all))
}

fn no_classes(path: &Path) -> Error {
    Error::data(format!(
        "{} has no images to train on: it needs a folder of images ({FORMATS}) for each class, or train and test (and val) with \
         such folders.",
        path.display()
    ))
}

/// Checks that a split has the same classes as the first one.
fn same_classes(first: &[String], first_path: &Path, other: &[String], other_path: &Path) -> Result<()> {
    let only = |these: &[String], those: &[String]| {
        let names: Vec<&str> = these.iter().filter(|name| !those.contains(name)).map(String::as_str).collect();
        let more = names.len().saturating_sub(5);
        let listed = names[..names.len() - more].join(", ");
        match more {
            0 => listed,
            more => format!("{listed} and {more} more"),
        }
    };
    let (missing, added) = (only(first, other), only(other, first));
    let (first_path, other_path) = (first_path.display(), other_path.display());
    let says = match (missing.is_empty(), added.is_empty()) {
        (true, true) => return Ok(()),
        (false, true) => format!("{other_path} has no {missing}"),
        (true, false) => format!("{first_path} has no {added}"),
        (false, false) => format!("{other_path} has {added}, but no {missing}"),
    };
    Err(Error::data(format!(
        "The splits {first_path} and {other_path} have different classes: {says}. Every split needs the same class folders."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with the given empty files, and folders, which end in a slash.
    fn lay_out(names: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for name in names {
            let path = root.path().join(name);
            let folder = if name.ends_with('/') { &path } else { path.parent().expect("it has one") };
            std::fs::create_dir_all(folder).expect("made");
            if !name.ends_with('/') {
                std::fs::write(path, b"").expect("written");
            }
        }
        root
    }

    fn counts(listing: &Listing) -> [usize; 3] {
        [0, 1, 2].map(|split| listing.splits[split].len())
    }

    #[test]
    fn classes_are_sorted_and_other_files_ignored() {
        let root = lay_out(&["dog/b.PNG", "dog/a.jpeg", "cat/x.webp", "cat/notes.txt", ".git/x.png", "readme.md"]);
        let listing = Listing::scan(root.path()).expect("a set");
        assert_eq!(
            (listing.classes.as_slice(), counts(&listing)),
            (["cat", "dog"].map(String::from).as_slice(), [3, 0, 0])
        );
        let names: Vec<_> = listing.splits[0].iter().map(|p| (p.class, p.path.file_name().expect("named"))).collect();
        assert_eq!(names, [(0, "x.webp".as_ref()), (1, "a.jpeg".as_ref()), (1, "b.PNG".as_ref())]);
    }

    #[test]
    fn names_of_macos_are_those_of_other_systems() {
        let (composed, decomposed) = ("k\u{fc}che", "ku\u{308}che");
        let scan = |names: &[&str]| Listing::scan(lay_out(names).path());
        let [other, mac] = [composed, decomposed].map(|kitchen| {
            let files = ["kw/1.png".to_owned(), format!("{kitchen}/1.png")];
            scan(&[&files[0], &files[1]]).expect("a set").classes
        });
        assert_eq!((&other, &mac), (&vec!["kw".to_owned(), composed.to_owned()], &other));
        let splits = [format!("train/{composed}/1.png"), format!("test/{decomposed}/1.png")];
        assert_eq!(counts(&scan(&[&splits[0], &splits[1]]).expect("a set")), [1, 0, 1]);
        // Other systems may take the two for one name.
        #[cfg(target_os = "linux")]
        {
            let both = scan(&[&format!("{composed}/1.png"), &format!("{decomposed}/2.png")]);
            assert!(both.expect_err("refused").to_string().contains("both are the class k\u{fc}che"));
        }
    }

    #[test]
    fn splits_are_known_by_their_folders() {
        let names = [
            ["train", "val", "test"],
            ["Train", "valid", "Test"],
            ["training", "validation", "testing"],
            ["TRAIN", "dev", "TEST"],
            ["train", "eval", "test"],
        ];
        for names @ [train, val, test] in names {
            let files = [(train, 1), (train, 2), (val, 1), (test, 1)].map(|(split, n)| format!("{split}/a/{n}.png"));
            let root = lay_out(&[&files[0], &files[1], &files[2], &files[3], "meta/info.txt"]);
            assert_eq!(counts(&Listing::scan(root.path()).expect("a set")), [2, 1, 1], "{names:?}");
        }
        // Classes that have the names of splits.
        let root = lay_out(&["train/1.jpg", "test/1.jpg", "plane/1.jpg"]);
        assert_eq!(Listing::scan(root.path()).expect("a set").classes, ["plane", "test", "train"]);
    }

    #[test]
    fn images_in_folders_of_a_class_and_unlabelled_splits_are_understood() {
        let root = lay_out(&["a/1.jpg", "a/deep/er/2.jpg", "b/deep/3.jpg"]);
        let listing = Listing::scan(root.path()).expect("a set");
        assert_eq!(listing.classes, ["a", "b"]);
        let within = |image: &Image| image.path.strip_prefix(root.path()).expect("in it").to_owned();
        let paths: Vec<PathBuf> = listing.splits[0].iter().map(within).collect();
        assert_eq!(paths, ["a/1.jpg", "a/deep/er/2.jpg", "b/deep/3.jpg"].map(PathBuf::from));
        let root = lay_out(&["train/a/1.jpg", "train/b/1.jpg", "test/1.jpg"]);
        let listing = Listing::scan(root.path()).expect("a set");
        assert_eq!((counts(&listing), listing.unlabelled), ([2, 0, 0], Some(root.path().join("test"))));
    }

    #[test]
    fn folders_that_are_no_dataset_are_errors() {
        let says = |names: &[&str]| Listing::scan(lay_out(names).path()).expect_err("refused").to_string();
        assert!(says(&[]).contains("has no images to train on"));
        assert!(says(&["1.jpg", "2.jpg"]).contains("for each class"));
        assert!(says(&["a/1.jpg", "b/"]).contains("remove the folder b"));
        assert!(says(&["train/a/1.jpg", "val/a/1.jpg", "valid/a/1.jpg"]).contains("both are validation splits"));
        assert!(says(&["train/a/1.jpg", "training/a/1.jpg"]).contains("both are training splits"));
        assert!(says(&["train/a/1.jpg", "cat/1.jpg"]).contains("if cat is a class"));
        assert!(says(&["train/a/1.jpg", "test/"]).contains("test has no class"));
        let root = says(&["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg"]);
        assert!(root.contains("val has no b. Every split"), "{root}");
        assert!(says(&["train/a/1.jpg", "test/a/1.jpg", "test/b/1.jpg"]).contains("train has no b."));
        assert!(says(&["train/a/1.jpg", "test/b/1.jpg"]).contains("test has b, but no a."));
    }

    #[test]
    fn the_fingerprint_notices_names_lengths_and_times() {
        let root = lay_out(&["a/1.jpg", "b/1.jpg"]);
        let print = || Listing::scan(root.path()).expect("a set").fingerprint();
        let mut seen = vec![print()];
        assert_eq!(print(), seen[0]);
        let image = root.path().join("a/1.jpg");
        let stamp = |seconds| {
            let time = UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            let file = std::fs::File::options().append(true).open(&image).expect("opened");
            file.set_modified(time).expect("stamped");
        };
        stamp(1_000_000);
        seen.push(print());
        std::fs::write(&image, b"x").expect("written");
        stamp(1_000_000);
        seen.push(print());
        std::fs::rename(&image, root.path().join("a/2.jpg")).expect("renamed");
        seen.push(print());
        std::fs::rename(root.path().join("b"), root.path().join("c")).expect("renamed");
        seen.push(print());
        seen.dedup();
        assert_eq!(seen.len(), 5, "{seen:?}");
    }
}
