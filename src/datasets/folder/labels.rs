//! The labels of a folder of images from a CSV file, which names each image with its label or labels, and optionally with its split.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization;

use super::listing::{Image, Listing, within};
use crate::data::{LabelSets, SplitName};
use crate::datasets::Labels;
use crate::images::{self, FORMATS, Found};
use crate::{Error, Result};

/// The names of each column, of which the first is the usual one.
const FILES: [&str; 4] = ["file", "path", "filename", "image"];
const LABELS: [&str; 4] = ["label", "class", "labels", "tags"];
const SPLIT: [&str; 1] = ["split"];
/// What is between the labels of an image.
const BETWEEN: char = ';';

/// An image of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    /// Where its record is, for messages.
    place: String,
    /// Its labels, sorted, each once.
    labels: Vec<String>,
    split: SplitName,
}

/// The images that a CSV file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LabelFile {
    path: PathBuf,
    /// Whether an image may have any number of labels.
    multi_label: bool,
    /// The images by their paths in the folder, as [`comparable`] gives them.
    images: BTreeMap<String, Named>,
}

/// The path of a file of labels: as it is named, or in the folder of images, or beside this folder.
///
/// # Errors
/// [`Error::Usage`] when it is in none of them.
pub(in crate::datasets) fn find(labels: &Labels, folder: &Path) -> Result<PathBuf> {
    let given = &labels.file;
    let name = given.file_name().unwrap_or_default();
    let candidates = [given.clone(), folder.join(given), folder.join(name), folder.with_file_name(name)];
    let found = candidates.iter().find(|path| path.is_file()).ok_or_else(|| {
        Error::usage(format!(
            "There is no file of labels {}, neither here nor in {} or beside it; --labels names a CSV file with the columns file and \
             label.",
            given.display(),
            folder.display()
        ))
    })?;
    std::fs::canonicalize(found).map_err(Error::file("cannot open", found))
}

impl LabelFile {
    /// Reads the file of labels of a folder.
    ///
    /// # Errors
    /// [`Error::Usage`] when the file does not exist; [`Error::Data`] with the number of the record when a record is wrong.
    pub fn read(labels: &Labels, folder: &Path) -> Result<Self> {
        let path = find(labels, folder)?;
        let bytes = std::fs::read(&path).map_err(Error::file("cannot read", &path))?;
        Self::parse(&bytes, path, labels.multi_label)
    }

    fn parse(bytes: &[u8], path: PathBuf, multi_label: Option<bool>) -> Result<Self> {
        let records = records(bytes, &path)?;
        let multi_label = multi_label.unwrap_or_else(|| records.iter().any(|record| record.labels.contains(BETWEEN)));
        let mut images: BTreeMap<String, Named> = BTreeMap::new();
        for record in records {
            let labels = record.labels(multi_label)?;
            let named = Named { labels, split: record.split()?, place: record.place.clone() };
            let file = record.file()?;
            if let Some(other) = images.get(&file) {
                same(&file, other, &named)?;
            }
            images.insert(file, named);
        }
        Ok(Self { path, multi_label, images })
    }

    /// Lists the images of a folder that the file names.
    ///
    /// # Errors
    /// [`Error::Data`] when a file that is named is not in the folder, and when a label has no training image.
    pub fn listing(&self, folder: &Path) -> Result<Listing> {
        let all: Vec<Found> = images::walk(folder, usize::MAX)?.into_iter().filter(Found::is_image).collect();
        let there: HashMap<String, &Found> =
            all.iter().map(|found| (comparable(&within(folder, &found.path)), found)).collect();
        let classes: BTreeSet<&String> = self.images.values().flat_map(|named| &named.labels).collect();
        let classes: Vec<String> = classes.into_iter().cloned().collect();
        let number = |label: &String| classes.binary_search(label).unwrap_or_default() as u32;
        let numbers = |named: &Named| named.labels.iter().map(number).collect::<Vec<_>>();
        let (sets, of_sets) = LabelSets::of(self.images.values().map(numbers));
        let mut splits: [Vec<Image>; 3] = Default::default();
        for ((file, named), set) in self.images.iter().zip(of_sets) {
            let found = there.get(file).ok_or_else(|| self.missing(file, named, folder))?;
            let label = if self.multi_label { set } else { named.labels.first().map_or(0, number) };
            splits[named.split.slot()].push(Image::of(found, label));
        }
        // As the images of class folders.
        splits.iter_mut().for_each(|images| images.sort_by(|a, b| (a.class, &a.path).cmp(&(b.class, &b.path))));
        let unnamed = Some(there.len() - self.images.len());
        let sets = self.multi_label.then_some(sets);
        let listing = Listing { classes, sets, splits, unlabelled: None, unnamed };
        self.check_classes(&listing)?;
        Ok(listing)
    }

    /// Checks that there is a label, and that each one can be learned.
    fn check_classes(&self, listing: &Listing) -> Result<()> {
        let path = self.path.display();
        if self.images.is_empty() {
            return Err(Error::data(format!("{path} names no image: it has no record after its first line.")));
        }
        if listing.classes.is_empty() {
            return Err(Error::data(format!("{path} gives no image a label, so there is nothing to learn.")));
        }
        let counts = listing.counts(0);
        let without = listing.classes.iter().zip(counts).find(|&(_, count)| count == 0);
        match without.filter(|_| !listing.splits[0].is_empty()) {
            Some((class, _)) => Err(Error::data(format!(
                "{path}: no training image has the label {class}, so it cannot be learned. Give it to an image whose split is train, or \
                 remove it."
            ))),
            None => Ok(()),
        }
    }

    /// The error for a file that is not an image of the folder.
    fn missing(&self, file: &str, named: &Named, folder: &Path) -> Error {
        let reason = match folder.join(file) {
            path if path.is_dir() => "is a folder".to_owned(),
            path if path.is_file() => format!("is not an image of a known format ({FORMATS})"),
            _ => format!("is not in {}; paths are relative to this folder", folder.display()),
        };
        Error::data(format!("{}: the file {file} {reason}.", named.place))
    }
}

/// A path in a folder as paths are compared: with `/`, and letters with their accents.
fn comparable(path: &str) -> String {
    path.nfc().collect()
}

/// Checks that an image that is named twice has the same labels and the same split.
fn same(file: &str, first: &Named, second: &Named) -> Result<()> {
    let says = if first.labels != second.labels {
        let given = |named: &Named| named.labels.join(";");
        format!("other labels ({}) than before ({})", given(second), given(first))
    } else if first.split != second.split {
        format!("another split ({}) than before ({})", second.split, first.split)
    } else {
        return Ok(());
    };
    Err(Error::data(format!(
        "{}: the file {file} has {says}, in {}. Keep one record of an image; several labels are one cell, as in `dog;outdoor`.",
        second.place,
        first.place.rsplit(", ").next().unwrap_or_default()
    )))
}

/// A record as it is written.
struct Record {
    /// The file and the number of the record, for messages.
    place: String,
    file: String,
    labels: String,
    split: Option<String>,
}

impl Record {
    fn wrong(&self, says: impl std::fmt::Display) -> Error {
        Error::data(format!("{}: {says}.", self.place))
    }

    /// The path in the folder.
    fn file(&self) -> Result<String> {
        let path = self.file.replace('\\', "/");
        if path.is_empty() {
            return Err(self.wrong("it names no file"));
        }
        let is_drive =
            path.as_bytes().get(1) == Some(&b':') && path.starts_with(|first: char| first.is_ascii_alphabetic());
        let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
        if path.starts_with('/') || is_drive || names.contains(&"..") {
            return Err(self.wrong(format!(
                "the file {} is outside of the folder of images; give its path in this folder",
                self.file
            )));
        }
        Ok(comparable(&names.join("/")))
    }

    /// The labels, sorted, each once.
    fn labels(&self, multi_label: bool) -> Result<Vec<String>> {
        let whole = self.labels.nfc().collect::<String>();
        if multi_label {
            let each = whole.split(BETWEEN).map(str::trim).filter(|label| !label.is_empty());
            return Ok(each.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect());
        }
        if whole.is_empty() {
            return Err(self.wrong(format!(
                "the file {} has no label; give it one, or remove the record. With --multi-label an image may have none",
                self.file
            )));
        }
        Ok(vec![whole])
    }

    fn split(&self) -> Result<SplitName> {
        let Some(word) = &self.split else { return Ok(SplitName::Train) };
        word.parse().map_err(|_| self.wrong(format!("there is no split `{word}`; the splits are train, val and test")))
    }
}

/// The records of a CSV file.
fn records(bytes: &[u8], path: &Path) -> Result<Vec<Record>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Excel writes a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let unreadable = |error: csv::Error| unreadable(&name, &error);
    let columns = Columns::of(reader.headers().map_err(unreadable)?, &name)?;
    let mut all = Vec::new();
    for (number, record) in (1_u64..).zip(reader.records()) {
        let record = record.map_err(unreadable)?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |column: usize| record.get(column).unwrap_or_default().to_owned();
        all.push(Record {
            place: format!("{name}, record {number} (line {line})"),
            file: cell(columns.file),
            labels: cell(columns.labels),
            split: columns.split.map(cell),
        });
    }
    Ok(all)
}

/// The error for a file that cannot be read as CSV.
fn unreadable(name: &str, error: &csv::Error) -> Error {
    let place = |position: &Option<csv::Position>| match position {
        Some(position) => format!("{name}, record {} (line {})", position.record(), position.line()),
        None => name.to_owned(),
    };
    Error::data(match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => format!(
            "{}: it has {len} cells, but the first line has {expected_len}. A cell with a comma has to be in quotes.",
            place(pos)
        ),
        csv::ErrorKind::Utf8 { pos, .. } => {
            format!("{}: it is not UTF-8. Save the table as \"CSV UTF-8\".", place(pos))
        }
        _ => format!("{name} cannot be read as CSV: {error}."),
    })
}

/// The numbers of the columns.
struct Columns {
    file: usize,
    labels: usize,
    split: Option<usize>,
}

impl Columns {
    fn of(header: &csv::StringRecord, name: &str) -> Result<Self> {
        let found: Vec<&str> = header.iter().collect();
        let one = |names: &[&str]| {
            let is_named = |&column: &usize| names.contains(&found[column].to_lowercase().as_str());
            let columns: Vec<usize> = (0..found.len()).filter(is_named).collect();
            match columns[..] {
                [] => Ok(None),
                [column] => Ok(Some(column)),
                [first, second, ..] => Err(Error::data(format!(
                    "{name} has two columns for the same, {} and {}; rename the one that is not meant.",
                    found[first], found[second]
                ))),
            }
        };
        let needed = |names: &[&str]| {
            one(names)?.ok_or_else(|| {
                let hint = match found[..] {
                    [whole] if whole.contains([';', '\t']) => " Columns have to be separated by commas.",
                    _ => "",
                };
                Error::data(format!(
                    "{name} has no column {} (or {}); its first line has: {}.{hint}",
                    names[0],
                    names[1..].join(", "),
                    if found.is_empty() { "nothing".into() } else { found.join(", ") }
                ))
            })
        };
        Ok(Self { file: needed(&FILES)?, labels: needed(&LABELS)?, split: one(&SPLIT)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these empty files.
    fn lay_out(names: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for name in names {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, b"").expect("written");
        }
        root
    }

    /// The folder's images by the labels in a text.
    fn listed(names: &[&str], text: &[u8], multi_label: Option<bool>) -> Result<Listing> {
        LabelFile::parse(text, "labels.csv".into(), multi_label)?.listing(lay_out(names).path())
    }

    /// Each image of a split: its name and its label.
    fn images(listing: &Listing, split: usize) -> Vec<(String, String)> {
        let name = |image: &Image| image.path.file_name().expect("a name").to_string_lossy().into_owned();
        listing.splits[split].iter().map(|image| (name(image), listing.label(image))).collect()
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    #[test]
    fn columns_have_any_order_and_case_and_paths_any_slash() {
        let text = b"\xef\xbb\xbfSplit, Class ,note,FILENAME\r\ntrain,dog,\"a, b\",a.jpg\r\nVal,cat,,.\\sub\\b.png\r\ntrain,cat,,\"sub/c,1.png\"\r\n";
        let listing = listed(&["a.jpg", "sub/b.png", "sub/c,1.png", "sub/d.png", "x.txt"], text, None).expect("read");
        assert_eq!((listing.classes.as_slice(), listing.sets.is_none()), (&["cat", "dog"].map(String::from)[..], true));
        assert_eq!(images(&listing, 0), pairs(&[("c,1.png", "cat"), ("a.jpg", "dog")]));
        assert_eq!(images(&listing, 1), pairs(&[("b.png", "cat")]));
        assert_eq!((listing.unnamed, listing.counts(0), listing.counts(1)), (Some(1), vec![1, 1], vec![1, 0]));
    }

    #[test]
    fn a_semicolon_makes_several_labels_unless_it_is_said_otherwise() {
        let text = "image,tags\na.jpg,dog;park\nb.jpg,\nc.jpg, park ; dog;;dog\nd.jpg,dog\n".as_bytes();
        let names = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"];
        let listing = listed(&names, text, None).expect("read");
        assert_eq!(listing.classes, ["dog", "park"]);
        let wanted = [("b.jpg", ""), ("d.jpg", "dog"), ("a.jpg", "dog;park"), ("c.jpg", "dog;park")];
        assert_eq!(images(&listing, 0), pairs(&wanted));
        assert_eq!(listing.counts(0), [3, 2]);
        let sentence = listed(&names, text, Some(false)).expect_err("an empty label").to_string();
        assert!(sentence.contains("record 2 (line 3): the file b.jpg has no label"), "{sentence}");
        let one = listed(&names, "image,tags\na.jpg,dog\nb.jpg,\n".as_bytes(), Some(true)).expect("read");
        assert_eq!((one.sets.map(|sets| sets.len()), one.unnamed), (Some(2), Some(2)));
        let whole = listed(&names, "image,tags\na.jpg,dog;park\nb.jpg,cat\n".as_bytes(), Some(false)).expect("read");
        assert_eq!(whole.classes, ["cat", "dog;park"]);
    }

    #[test]
    fn names_are_compared_with_their_accents_joined() {
        let listing = listed(&["ku\u{308}che.png"], "file,label\nk\u{fc}che.png,ku\u{308}che\n".as_bytes(), None);
        assert_eq!(listing.expect("found").classes, ["k\u{fc}che"]);
    }

    #[test]
    fn every_mistake_is_a_sentence_with_its_record() {
        let says =
            |text: &str| listed(&["a.jpg", "b.jpg", "c.txt"], text.as_bytes(), None).expect_err(text).to_string();
        for (text, part) in [
            ("file,label\na.jpg,x\nz.jpg,y\n", "labels.csv, record 2 (line 3): the file z.jpg is not in "),
            ("file,label\nc.txt,x\n", "record 1 (line 2): the file c.txt is not an image of a known format"),
            ("file,label\n../a.jpg,x\n", "record 1 (line 2): the file ../a.jpg is outside of the folder"),
            ("file,label\nsub\\..\\..\\a.jpg,x\n", "is outside of the folder"),
            ("file,label\n/etc/a.jpg,x\n", "is outside of the folder"),
            ("file,label\nC:\\a.jpg,x\n", "is outside of the folder"),
            ("file,label\n,x\n", "record 1 (line 2): it names no file"),
            ("file,label\na.jpg,\n", "record 1 (line 2): the file a.jpg has no label"),
            (
                "file,label\na.jpg,x\nb.jpg,y\na.jpg,y\n",
                "record 3 (line 4): the file a.jpg has other labels (y) than before (x), in record 1 (line 2)",
            ),
            ("file,label,split\na.jpg,x,train\na.jpg,x,val\n", "another split (val) than before (train)"),
            ("file,label,split\na.jpg,x,tset\n", "record 1 (line 2): there is no split `tset`; the splits are"),
            ("file,label,split\na.jpg,x,\n", "there is no split ``"),
            ("file,label,split\na.jpg,x,train\nb.jpg,y,val\n", "no training image has the label y"),
            (
                "name,label\na.jpg,x\n",
                "has no column file (or path, filename, image); its first line has: name, label.",
            ),
            ("file;label\na.jpg;x\n", "Columns have to be separated by commas."),
            ("file,path,label\na.jpg,a.jpg,x\n", "two columns for the same, file and path"),
            ("file,label\na.jpg,x,y\n", "record 1 (line 2): it has 3 cells, but the first line has 2."),
            ("file,label\n", "names no image"),
            ("file,labels\na.jpg,;\n", "gives no image a label"),
            ("", "its first line has: nothing"),
        ] {
            let sentence = says(text);
            assert!(sentence.contains(part) && sentence.ends_with('.'), "{text:?}: {sentence}");
        }
        let latin = LabelFile::parse(b"file,label\na.jpg,k\xfcche\n", "labels.csv".into(), None).expect_err("no UTF-8");
        assert!(latin.to_string().contains("record 1 (line 2): it is not UTF-8"), "{latin}");
        let missing = Labels { file: "nothing.csv".into(), multi_label: None };
        let sentence = find(&missing, lay_out(&[]).path()).expect_err("missing").to_string();
        assert!(sentence.contains("There is no file of labels nothing.csv"), "{sentence}");
    }

    #[test]
    fn the_file_may_lie_in_the_folder_or_beside_it() {
        let root = lay_out(&["photos/a.jpg", "photos/inside.csv", "beside.csv"]);
        let find = |file: &str| find(&Labels { file: file.into(), multi_label: None }, &root.path().join("photos"));
        assert!(find("inside.csv").expect("found").ends_with("photos/inside.csv"));
        assert!(find("beside.csv").expect("found").ends_with("beside.csv"));
        assert!(find("/moved/elsewhere/beside.csv").expect("found").ends_with("beside.csv"));
    }
}
