//! Archives of tar and gzip. Only files directly in one folder are read, so no path of an archive can lead elsewhere.

use crate::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path};

/// Calls `take` with the name and content of each regular file directly in `folder` of the archive at `path`.
///
/// # Errors
/// [`Error::File`] when the archive cannot be opened, [`Error::Data`] when it is damaged or truncated, and the errors of
/// `take`.
pub fn each(path: &Path, folder: &str, mut take: impl FnMut(&str, &mut dyn Read) -> Result<()>) -> Result<()> {
    let file = File::open(path).map_err(Error::file("cannot read the archive", path))?;
    let mut archive = tar::Archive::new(MultiGzDecoder::new(BufReader::new(file)));
    // Raw entries: the library would hold long names and extended headers in memory, whatever length they state. No wanted file has any.
    let entries = archive.entries().map_err(|error| damaged(path, &error))?.raw(true);
    for entry in entries {
        let mut entry = entry.map_err(|error| damaged(path, &error))?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path().map_err(|error| damaged(path, &error))?.into_owned();
        if let Some(name) = name_in(&name, folder) {
            take(name, &mut entry)?;
        }
    }
    // The rest after the last file is read too, so that gzip verifies its checksum.
    let mut rest = archive.into_inner();
    std::io::copy(&mut rest, &mut std::io::sink()).map_err(|error| damaged(path, &error))?;
    Ok(())
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

    /// A compressed archive of files by their paths.
    pub fn write(files: &[(&str, &[u8])]) -> Vec<u8> {
        let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(gz);
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            // Not `set_path`, which refuses the paths of hostile archives.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            archive.append(&header, *bytes).expect("writing to memory");
        }
        archive.into_inner().and_then(|gz| gz.finish()).expect("writing to memory")
    }

    fn names(bytes: &[u8]) -> Result<Vec<String>> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        let mut names = Vec::new();
        each(file.path(), "set", |name, content| {
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
