//! Archives of tar and gzip. Only files directly in one folder are read, so no path of an archive can lead elsewhere. Links, devices and
//! folders are passed over.

use crate::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path};

/// No more bytes are unpacked from an archive. The largest published one has 190 MB.
const MOST: u64 = 1 << 30;

/// Calls `take` with the name and content of each regular file directly in `folder` of the archive at `path`.
///
/// # Errors
/// [`Error::File`] when the archive cannot be opened, [`Error::Data`] when it is damaged or truncated, has two files of one name, or
/// unpacks to more than 1 GiB, and the errors of `take`.
pub fn each(path: &Path, folder: &str, take: impl FnMut(&str, &mut dyn Read) -> Result<()>) -> Result<()> {
    each_within(MOST, path, folder, take)
}

fn each_within(
    most: u64,
    path: &Path,
    folder: &str,
    mut take: impl FnMut(&str, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let file = File::open(path).map_err(Error::file("cannot read the archive", path))?;
    let unpacked = Bounded { inner: MultiGzDecoder::new(BufReader::new(file)), left: most, most };
    let mut archive = tar::Archive::new(unpacked);
    let mut names = BTreeSet::new();
    // Raw entries: the library would hold long names and extended headers in memory, whatever length they state. No wanted file has any.
    let entries = archive.entries().map_err(|error| damaged(path, &error))?.raw(true);
    for entry in entries {
        let mut entry = entry.map_err(|error| damaged(path, &error))?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path().map_err(|error| damaged(path, &error))?.into_owned();
        if let Some(name) = name_in(&name, folder) {
            if !names.insert(name.to_owned()) {
                let twice = std::io::Error::other(format!("it has two files {name}"));
                return Err(damaged(path, &twice));
            }
            take(name, &mut entry)?;
        }
    }
    // The rest after the last file is read too, so that gzip verifies its checksum.
    let mut rest = archive.into_inner();
    std::io::copy(&mut rest, &mut std::io::sink()).map_err(|error| damaged(path, &error))?;
    Ok(())
}

/// A stream that is an error after `most` bytes.
struct Bounded<R> {
    inner: R,
    left: u64,
    most: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(std::io::Error::other(format!("it unpacks to more than {} bytes", self.most))),
        }
        Ok(count)
    }
}

/// The error for an archive that cannot be decompressed.
pub fn damaged(path: &Path, error: &std::io::Error) -> Error {
    Error::data(format!("{} is cut short or damaged ({error}); download it again.", path.display()))
}

/// The file name when `path` is `folder/NAME` (or `./folder/NAME`).
fn name_in<'a>(path: &'a Path, folder: &str) -> Option<&'a str> {
    let mut parts = path.components().filter(|part| *part != Component::CurDir);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Component::Normal(first)), Some(Component::Normal(name)), None) if first == OsStr::new(folder) => {
            name.to_str()
        }
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    use tar::EntryType;

    /// A compressed archive of files by their paths.
    pub fn write(files: &[(&str, &[u8])]) -> Vec<u8> {
        let files: Vec<_> = files.iter().map(|&(name, bytes)| (name, EntryType::Regular, bytes)).collect();
        write_any(&files)
    }

    /// A compressed archive of entries of any kind. A link's content is its target.
    fn write_any(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(gz);
        for &(name, kind, bytes) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(0o644);
            // Not `set_path`, which refuses the paths of hostile archives.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            let content = if matches!(kind, EntryType::Symlink | EntryType::Link) {
                header.as_mut_bytes()[157..157 + bytes.len()].copy_from_slice(bytes);
                &[]
            } else {
                bytes
            };
            header.set_size(content.len() as u64);
            header.set_cksum();
            archive.append(&header, content).expect("writing to memory");
        }
        archive.into_inner().and_then(|gz| gz.finish()).expect("writing to memory")
    }

    fn names(bytes: &[u8]) -> Result<Vec<String>> {
        names_within(MOST, bytes)
    }

    fn names_within(most: u64, bytes: &[u8]) -> Result<Vec<String>> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        let mut names = Vec::new();
        each_within(most, file.path(), "set", |name, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(|error| damaged(file.path(), &error))?;
            names.push(format!("{name}={}", bytes.len()));
            Ok(())
        })?;
        Ok(names)
    }

    #[test]
    fn only_plain_files_of_the_folder_are_taken() {
        let archive = write(&[
            ("set/a.bin", &[1; 700]),
            ("other/b.bin", &[2]),
            ("./set/c.txt", b"hi"),
            ("set/deep/d", &[3]),
            ("set/../../e", &[4]),
            ("/set/f", &[5]),
            ("top", &[6]),
        ]);
        assert_eq!(names(&archive).expect("whole"), ["a.bin=700", "c.txt=2"]);
    }

    /// A name of any length for the next file may be said in an entry before it. It is passed over, not held.
    #[test]
    fn long_names_are_not_read() {
        let name = "set/".to_owned() + &"b".repeat(300);
        let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        let entry = |kind, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_path("set/a.bin").expect("a short name");
            header.set_entry_type(kind);
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            header
        };
        let (long, file) = (tar::EntryType::GNULongName, tar::EntryType::Regular);
        archive.append(&entry(long, name.as_bytes()), name.as_bytes()).expect("writing to memory");
        archive.append(&entry(file, b"seven b"), &b"seven b"[..]).expect("writing to memory");
        let bytes = archive.into_inner().and_then(|gz| gz.finish()).expect("writing to memory");
        assert_eq!(names(&bytes).expect("whole"), ["a.bin=7"]);
    }

    #[test]
    fn links_devices_and_folders_are_passed_over() {
        let kinds = [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Char,
            EntryType::Block,
            EntryType::Fifo,
            EntryType::Directory,
        ];
        let entries = kinds.map(|kind| ("set/a.bin", kind, &b"/etc/passwd"[..]));
        assert!(names(&write_any(&entries)).expect("whole").is_empty());
        // A file under the name of a link is that file: the link was never made.
        let file = ("set/a.bin", EntryType::Regular, &b"bytes"[..]);
        assert_eq!(names(&write_any(&[entries[0], file])).expect("whole"), ["a.bin=5"]);
    }

    #[test]
    fn two_files_of_one_name_are_an_error() {
        for second in ["set/a.bin", "./set/a.bin", "set//a.bin"] {
            let sentence = names(&write(&[("set/a.bin", &[1]), (second, &[2])])).expect_err("twice").to_string();
            assert!(sentence.contains("it has two files a.bin"), "{sentence}");
        }
    }

    /// 100 MB of zeros in 100 kB, in a file that is wanted, in one that is not, and after the end of the archive.
    #[test]
    fn bombs_are_an_error_before_they_are_unpacked() {
        let zeros = vec![0; 100 << 20];
        let after = [write(&[("set/a.bin", &[1])]), gz(&zeros)].concat();
        for bomb in [write(&[("set/a.bin", &zeros)]), write(&[("other/a.bin", &zeros)]), after] {
            assert!(bomb.len() < 1 << 20);
            let sentence = names_within(10 << 20, &bomb).expect_err("a bomb").to_string();
            assert!(sentence.contains("it unpacks to more than 10485760 bytes"), "{sentence}");
            assert!(names(&bomb).is_ok());
        }
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gz, bytes).and_then(|()| gz.finish()).expect("writing to memory")
    }

    #[test]
    fn damage_is_an_error() {
        let noise: Vec<u8> = (0..4000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let archive = write(&[("set/a.bin", &noise)]);
        for length in [0, 5, 100, archive.len() / 2, archive.len() - 4] {
            let sentence = names(&archive[..length]).expect_err("cut short").to_string();
            assert!(sentence.contains("cut short or damaged"), "{length}: {sentence}");
        }
        let mut flipped = archive.clone();
        let end = flipped.len() - 6; // the checksum
        flipped[end] ^= 1;
        assert!(names(&flipped).is_err());
        assert!(names(b"no such thing").is_err());
    }

    #[test]
    fn no_damage_panics() {
        let archive = write(&[("set/a.bin", &[7; 900])]);
        crate::formats::damage::each(&archive, |bytes| drop(names(bytes)));
    }
}
