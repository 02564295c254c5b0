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

/// A file to download.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Its name at the source.
    pub name: &'a str,
    /// Its length, if it is published.
    pub bytes: Option<u64>,
    /// No more than so many bytes are taken from a server.
    pub most: u64,
    /// Its SHA-256 digest in hexadecimal, or the beginning of it.
    pub sha256: &'a str,
}

impl<'a> From<&PublishedFile<'a>> for Wanted<'a> {
    fn from(file: &PublishedFile<'a>) -> Self {
        Self { name: file.name, bytes: Some(file.bytes), most: file.bytes, sha256: file.sha256 }
    }
}

impl Wanted<'_> {
    /// Whether this file exists at `path`.
    pub fn is_at(&self, path: &Path) -> Result<bool> {
        Ok(path.is_file() && digest(path)?.starts_with(self.sha256))
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
    if file.is_at(path)? {
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
    let mut found = digest(part)?;
    if !found.starts_with(file.sha256) && resumed {
        remove(part)?;
        complete(address, file, part, progress)?;
        found = digest(part)?;
    }
    if found.starts_with(file.sha256) {
        return Ok(());
    }
    remove(part)?;
    Err(Error::data(format!(
        "The file from {address} is not the published file: its SHA-256 digest is {found}, but must {} {}. It was deleted; try again \
         later, or download it by other means.",
        if file.sha256.len() == found.len() { "be" } else { "begin with" },
        file.sha256
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
    let length = file.bytes.or_else(|| stated_length(&answer, have, file.most));
    // One more byte shows a file that is too long. Further bytes are not stored.
    let mut body = answer.body_mut().as_reader().take(length.unwrap_or(file.most).saturating_sub(have) + 1);
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
    let here = uri.scheme_str() == Some("http")
        && uri.host().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    if !here && uri.scheme_str() != Some("https") {
        return Err(Error::Network(format!(
            "{address} is not asked for: downloads are made over TLS only, from https addresses."
        )));
    }
    // So is a request that an answer redirects to.
    let mut config = Agent::config_builder()
        .https_only(!here)
        .http_status_as_error(false)
        .timeout_connect(Some(TIMEOUT))
        .timeout_recv_response(Some(TIMEOUT))
        .user_agent(concat!("gpunn/", env!("CARGO_PKG_VERSION")));
    if here {
        // This machine is asked without a proxy, and cannot send the request elsewhere.
        config = config.proxy(None).max_redirects(0);
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

/// The length of the whole file that a response states, if it is no more than `most`. The response begins at byte `from`.
fn stated_length(answer: &Response<Body>, from: u64, most: u64) -> Option<u64> {
    let rest: u64 = answer.headers().get("Content-Length")?.to_str().ok()?.parse().ok()?;
    rest.checked_add(from).filter(|&length| length <= most)
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

/// The SHA-256 digest of a file, in hexadecimal.
fn digest(path: &Path) -> Result<String> {
    let cannot = || Error::file("cannot read", path);
    let mut file = File::open(path).map_err(cannot())?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(cannot())? {
            0 => return Ok(digest.hex()),
            count => digest.add(&buffer[..count]),
        }
    }
}

fn remove(part: &Path) -> Result<()> {
    std::fs::remove_file(part).map_err(Error::file("cannot remove", part))
}
