//! Downloads one file over HTTP into a `.part` file, continuing an interrupted download. The file is renamed when its digest
//! is correct.

use crate::datasets::sources::PublishedFile;
use crate::files::sha256::Sha256;
use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::Uri;
use ureq::{Agent, Body, http::Response};

/// The timeout for a server to respond. The transfer itself has no timeout.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum length of a file whose length is not published and that no server states.
const MAX_LENGTH: u64 = 1 << 30;

/// A file to download.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Its name at the source.
    pub name: &'a str,
    /// Its length, if it is published.
    pub bytes: Option<u64>,
    /// Its digest.
    pub digest: Digest<'a>,
}

impl<'a> From<&PublishedFile<'a>> for Wanted<'a> {
    fn from(file: &PublishedFile<'a>) -> Self {
        Self { name: file.name, bytes: Some(file.bytes), digest: Digest::Md5(file.md5) }
    }
}

/// A published digest, in hexadecimal.
#[derive(Clone, Copy)]
pub(super) enum Digest<'a> {
    Md5(&'a str),
    /// The first digits of the SHA-256 digest, which PyTorch puts into the names of its files.
    Sha256Start(&'a str),
}

impl Digest<'_> {
    /// Whether a file that exists has this digest.
    pub fn is_of(self, path: &Path) -> Result<bool> {
        Ok(path.is_file() && self.agrees(&self.compute(path)?))
    }

    fn agrees(self, found: &str) -> bool {
        match self {
            Self::Md5(md5) => found == md5,
            Self::Sha256Start(start) => found.starts_with(start),
        }
    }

    /// The digest of this kind of a file.
    fn compute(self, path: &Path) -> Result<String> {
        match self {
            Self::Md5(_) => {
                let mut context = md5::Context::new();
                each_piece(path, |bytes| context.consume(bytes))?;
                Ok(format!("{:x}", context.finalize()))
            }
            Self::Sha256Start(_) => {
                let mut digest = Sha256::new();
                each_piece(path, |bytes| digest.add(bytes))?;
                Ok(digest.hex())
            }
        }
    }

    /// What is wrong with a file that has another digest.
    fn mismatch(self, found: &str) -> String {
        match self {
            Self::Md5(md5) => format!("its MD5 digest is {found}, but must be {md5}"),
            Self::Sha256Start(start) => format!("its SHA-256 digest is {found}, but must begin with {start}"),
        }
    }
}

/// A callback for progress, with the name of a file, the bytes received, and its length.
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// Downloads a file to `path` from the first address that has it. Addresses end with a slash.
///
/// # Errors
/// [`Error::Network`] when no address has the file or the connection breaks; [`Error::Data`] when the digest is wrong;
/// [`Error::File`] when the file cannot be written.
pub(super) fn fetch(addresses: &[&str], file: &Wanted, path: &Path, progress: Progress) -> Result<()> {
    if file.digest.is_of(path)? {
        return Ok(());
    }
    let part = part_of(path);
    let mut errors = Vec::new();
    for address in addresses {
        match fetch_from(&format!("{address}{}", file.name), file, &part, progress) {
            Ok(()) => return std::fs::rename(&part, path).map_err(Error::file("cannot write", path)),
            Err(Error::Network(error)) => errors.push(error),
            Err(other) => return Err(other),
        }
    }
    Err(Error::Network(errors.join(" ")))
}

/// The path of the file during the download.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Downloads the rest of `part` and checks the digest. If the digest is wrong after a continued download, the file is
/// downloaded again from its beginning.
fn fetch_from(address: &str, file: &Wanted, part: &Path, progress: Progress) -> Result<()> {
    let resumed = complete(address, file, part, progress)?;
    let mut found = file.digest.compute(part)?;
    if !file.digest.agrees(&found) && resumed {
        remove(part)?;
        complete(address, file, part, progress)?;
        found = file.digest.compute(part)?;
    }
    if file.digest.agrees(&found) {
        return Ok(());
    }
    remove(part)?;
    Err(Error::data(format!(
        "The file from {address} is not the published file: {}. It was deleted; try again later, or download it by other means.",
        file.digest.mismatch(&found)
    )))
}

/// Downloads the missing rest of `part`. Returns whether a part of it already existed.
fn complete(address: &str, file: &Wanted, part: &Path, progress: Progress) -> Result<bool> {
    let mut have = std::fs::metadata(part).map_or(0, |metadata| metadata.len());
    if file.bytes.is_some_and(|bytes| have >= bytes) {
        return Ok(true);
    }
    let mut answer = request(address, have)?;
    let mut status = answer.status().as_u16();
    if status == 206 && !continues(&answer, have) || status == 416 {
        have = 0;
        answer = request(address, have)?;
        status = answer.status().as_u16();
    }
    let append = status == 206;
    if !append {
        have = 0;
    }
    if !matches!(status, 200 | 206) {
        let reason = answer.status().canonical_reason().unwrap_or("no reason given");
        return Err(Error::Network(format!("{address} answers {status} ({reason}).")));
    }
    let opened = OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(part);
    let mut into = opened.map_err(Error::file("cannot write", part))?;
    let length = file.bytes.or_else(|| stated_length(&answer, have));
    // One more byte shows a file that is too long. Further bytes are not stored.
    let mut body = answer.body_mut().as_reader().take(length.unwrap_or(MAX_LENGTH).saturating_sub(have) + 1);
    copy(&mut body, &mut into, part, |bytes| {
        have += bytes;
        progress(file.name, have, length.unwrap_or(have));
    })
    .and_then(|()| into.sync_all().map_err(Error::file("cannot write", part)))
    .map_err(|error| broke(error, address, part))?;
    if let Some(length) = length.filter(|&length| have < length) {
        let ended = Error::Network(format!("it ended after {have} of {length} bytes"));
        return Err(broke(ended, address, part));
    }
    Ok(append)
}

/// The error for a broken connection.
fn broke(error: Error, address: &str, part: &Path) -> Error {
    match error {
        Error::Network(reason) => Error::Network(format!(
            "The connection to {address} broke: {reason}. The received part is kept in {}; run the same command again to continue.",
            part.display()
        )),
        other => other,
    }
}

/// Requests the file from byte `from` on.
fn request(address: &str, from: u64) -> Result<Response<Body>> {
    let unreachable = |error: &dyn std::fmt::Display| {
        Error::Network(format!("{address} cannot be reached: {}.", error.to_string().trim_end_matches('.')))
    };
    let uri: Uri = address.parse().map_err(|error| unreachable(&error))?;
    // Requests to this machine do not use a proxy.
    let here = uri.host().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(TIMEOUT))
        .timeout_recv_response(Some(TIMEOUT))
        .user_agent(concat!("gpunn/", env!("CARGO_PKG_VERSION")));
    if here {
        config = config.proxy(None);
    }
    let agent = Agent::new_with_config(config.build());
    let mut request = agent.get(uri);
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-"));
    }
    request.call().map_err(|error| unreachable(&error))
}

/// Whether a partial response begins at the requested byte.
fn continues(answer: &Response<Body>, from: u64) -> bool {
    let range = answer.headers().get("Content-Range").and_then(|range| range.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")).is_some_and(|range| range.starts_with(&format!("{from}-")))
}

/// The length of the whole file that a response states, if it is credible. The response begins at byte `from`.
fn stated_length(answer: &Response<Body>, from: u64) -> Option<u64> {
    let rest: u64 = answer.headers().get("Content-Length")?.to_str().ok()?.parse().ok()?;
    rest.checked_add(from).filter(|&length| length <= MAX_LENGTH)
}

/// Copies a response body to a file and reports progress. Read errors are network errors, write errors are file errors.
fn copy(from: &mut impl Read, into: &mut File, path: &Path, mut said: impl FnMut(u64)) -> Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::Network(error.to_string())),
        };
        into.write_all(&buffer[..count]).map_err(Error::file("cannot write", path))?;
        said(count as u64);
    }
}

/// Reads a file in pieces.
fn each_piece(path: &Path, mut add: impl FnMut(&[u8])) -> Result<()> {
    let cannot = || Error::file("cannot read", path);
    let mut file = File::open(path).map_err(cannot())?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(cannot())? {
            0 => return Ok(()),
            count => add(&buffer[..count]),
        }
    }
}

fn remove(part: &Path) -> Result<()> {
    std::fs::remove_file(part).map_err(Error::file("cannot remove", part))
}
