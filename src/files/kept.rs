//! Files that a run leaves in the user's cache folder for the next runs: compiled kernels, times of steps. Such a file is believed only
//! if nobody else could have written it, and if it is whole.
//!
//! A file is [`MAGIC`], the length of its key as a 64-bit number, the key, the SHA-256 digest of key and content, and the content.

use std::path::{Path, PathBuf};

use super::sha256::Sha256;
use crate::{Error, Result};

/// The first bytes of a file. They include the version of the format.
const MAGIC: &[u8; 12] = b"gpunn kept 1";
/// The length of a digest.
const DIGEST: usize = 32;

/// The place of something that a run leaves for the next ones, and what it holds for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFile {
    path: PathBuf,
    key: String,
}

impl KeptFile {
    /// The file at `path`, which holds for `key` only, such as a device and its driver.
    pub fn new(path: PathBuf, key: String) -> Self {
        Self { path, key }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content that an earlier run left. `None` if there is no file.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read; [`Error::Data`] when it cannot be believed: on Unix, when it or its folder belongs to
    /// another user or can be written by others; anywhere, when it is damaged or holds for another key.
    pub fn read(&self) -> Result<Option<Vec<u8>>> {
        // Not a link into nowhere, nor a device: only a file is opened.
        match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("cannot read", &self.path)(error)),
            Ok(_) => own(&self.path)?,
        }
        let bytes = std::fs::read(&self.path).map_err(Error::file("cannot read", &self.path))?;
        let is = |what: &str| Error::data(format!("{} is {what}", self.path.display()));
        let (key, content) = opened(&bytes).ok_or_else(|| is("damaged, or of another version of this program"))?;
        match key == self.key.as_bytes() {
            true => Ok(Some(content.to_vec())),
            false => Err(is("of another device or driver")),
        }
    }

    /// Leaves content for the next runs. The folder is made, and made writable for its owner only.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be written. An earlier file is then unchanged.
    pub fn write(&self, content: &[u8]) -> Result<()> {
        make_own_folder(self.path.parent().unwrap_or(Path::new(".")))?;
        let key = self.key.as_bytes();
        let length = (key.len() as u64).to_le_bytes();
        super::write_atomic(&self.path, &[MAGIC, &length[..], key, &digest(key, content), content].concat())
    }
}

/// The key and the content of a file. `None` if it is not as written.
fn opened(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let (stated, content) = rest.split_first_chunk::<DIGEST>()?;
    (*stated == digest(key, content)).then_some((key, content))
}

fn digest(key: &[u8], content: &[u8]) -> [u8; DIGEST] {
    let mut digest = Sha256::new();
    digest.add(&(key.len() as u64).to_le_bytes());
    digest.add(key);
    digest.add(content);
    digest.bytes()
}

/// Checks that a file of the cache is a file, and that it and its folder are this user's alone.
///
/// # Errors
/// [`Error::Data`] when one is not, [`Error::File`] when the system does not say.
pub(crate) fn own(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for path in [folder, path] {
        let metadata = std::fs::metadata(path).map_err(Error::file("cannot read", path))?;
        if let Some(fault) = not_own(&metadata) {
            return Err(Error::data(format!("{} {fault}", path.display())));
        }
    }
    match path.is_file() {
        true => Ok(()),
        false => Err(Error::data(format!("{} is not a file", path.display()))),
    }
}

/// Makes a folder of the cache. Where this user's folder can be written by others, as with the umask 002 of many systems, that ends.
///
/// # Errors
/// [`Error::File`] when it cannot be made.
pub(crate) fn make_own_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::file("cannot make the folder", folder))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = std::fs::metadata(folder).map_err(Error::file("cannot read", folder))?;
        if is_writable_by_others(&metadata) {
            let mode = std::fs::Permissions::from_mode(metadata.permissions().mode() & 0o7755);
            // A folder of another user stays as it is, and what is in it is not believed.
            let _ = std::fs::set_permissions(folder, mode);
        }
    }
    Ok(())
}

/// Why others could have written a file or a folder.
#[cfg(unix)]
fn not_own(metadata: &std::fs::Metadata) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt;
    // The administrator can write everything anyhow.
    if ![0, rustix::process::geteuid().as_raw()].contains(&metadata.uid()) {
        return Some("belongs to another user");
    }
    is_writable_by_others(metadata).then_some("can be written by other users")
}

#[cfg(unix)]
fn is_writable_by_others(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o022 != 0
}

/// Elsewhere the user's cache folder is the user's alone.
#[cfg(not(unix))]
fn not_own(_: &std::fs::Metadata) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(folder: &tempfile::TempDir) -> KeptFile {
        KeptFile::new(folder.path().join("kernels/of"), "a device".into())
    }

    #[test]
    fn what_is_kept_is_taken_back_only_whole_and_for_its_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = kept(&folder);
        assert!(file.read().expect("nothing is wrong").is_none());
        let content: Vec<u8> = (0..100).collect();
        file.write(&content).expect("written");
        assert_eq!(file.read().expect("whole").as_deref(), Some(&content[..]));
        let other = KeptFile { key: "a devicf".into(), ..file.clone() };
        assert!(other.read().expect_err("another key").to_string().ends_with("is of another device or driver"));

        let whole = std::fs::read(&file.path).expect("there");
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            for damaged in [&changed[..], &whole[..place]] {
                std::fs::write(&file.path, damaged).expect("written");
                let sentence = file.read().expect_err("damaged").to_string();
                assert!(sentence.contains("damaged"), "byte {place}: {sentence}");
            }
        }
        std::fs::write(&file.path, [&whole[..], &[0]].concat()).expect("written");
        assert!(file.read().is_err(), "longer");
        // Writing again mends it.
        file.write(&content).expect("written");
        assert!(file.read().expect("whole").is_some());
        std::fs::remove_file(&file.path).expect("removed");
        std::fs::create_dir(&file.path).expect("made");
        assert!(file.read().expect_err("no file").to_string().ends_with("is not a file"));
    }

    #[cfg(unix)]
    #[test]
    fn what_others_could_have_written_is_not_believed() {
        use std::os::unix::fs::{PermissionsExt, chown};
        let folder = tempfile::tempdir().expect("a folder");
        let file = kept(&folder);
        file.write(b"sound").expect("written");
        let parent = file.path.parent().expect("it has one").to_owned();
        for (path, right) in [(&file.path, 0o644), (&parent, 0o755)] {
            for wrong in [0o020, 0o002] {
                let mode = |mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("set");
                mode(right | wrong);
                let sentence = file.read().expect_err("others can write it").to_string();
                assert_eq!(sentence, format!("{} can be written by other users", path.display()));
                mode(right);
                assert!(file.read().expect("as before").is_some());
            }
        }
        // What is made anew is the user's alone again.
        std::fs::set_permissions(&parent, PermissionsExt::from_mode(0o777)).expect("set");
        file.write(b"sound").expect("written");
        assert!(file.read().expect("its own").is_some());
        // Only the administrator can give files away.
        if rustix::process::geteuid().is_root() {
            for path in [&file.path, &parent] {
                chown(path, Some(12345), None).expect("given");
                let sentence = file.read().expect_err("another's").to_string();
                assert_eq!(sentence, format!("{} belongs to another user", path.display()));
                chown(path, Some(0), None).expect("given back");
            }
        }
    }
}
