//! One file over HTTP: into a `.part` beside its place, from where an earlier try stopped, and into its place once its
//! digest is right.

use crate::datasets::sources::Published;
use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::Uri;
use ureq::{Agent, Body, http::Response};

/// How long a server may take to answer; what it then sends may take as long as it likes.
const PATIENCE: Duration = Duration::from_secs(30);

/// How far a file has come: its name, the bytes that are there and the bytes that it has.
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// Fetches a file to `path`, from the first of the addresses (each with a slash at its end) that has it.
///
/// # Errors
/// [`Error::Network`] where no address has it or the connection breaks, with what to do; [`Error::Data`] where what came is
/// not what is published; [`Error::File`] where it cannot be written.
pub fn fetch(addresses: &[&str], file: &Published, path: &Path, progress: Progress) -> Result<()> {
    if path.is_file() && digest(path)? == file.md5 {
        return Ok(());
    }
    let part = part_of(path);
    let mut troubles = Vec::new();
    for address in addresses {
        match fetch_from(&format!("{address}{}", file.name), file, &part, progress) {
            Ok(()) => return std::fs::rename(&part, path).map_err(Error::file("cannot write", path)),
            Err(Error::Network(trouble)) => troubles.push(trouble),
            Err(other) => return Err(other),
        }
    }
    Err(Error::Network(troubles.join(" ")))
}

/// The file that is written until it is whole.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Completes `part` from an address and checks it. What was there of an earlier try is taken for its beginning; where the
/// whole then is wrong, the file is fetched once more from its start.
fn fetch_from(address: &str, file: &Published, part: &Path, progress: Progress) -> Result<()> {
    let resumed = complete(address, file, part, progress)?;
    let mut found = digest(part)?;
    if found != file.md5 && resumed {
        remove(part)?;
        complete(address, file, part, progress)?;
        found = digest(part)?;
    }
    if found == file.md5 {
        return Ok(());
    }
    remove(part)?;
    Err(Error::data(format!(
        "What {address} sent is not the published file: its MD5 digest is {found}, but has to be {}. Nothing of it was kept; \
         try again later, or fetch it by other means.",
        file.md5
    )))
}

/// Fetches what `part` lacks; whether it had a beginning already.
fn complete(address: &str, file: &Published, part: &Path, progress: Progress) -> Result<bool> {
    let mut have = std::fs::metadata(part).map_or(0, |metadata| metadata.len());
    if have >= file.bytes {
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
    // A byte more than there has to be shows that it is another file; no more than that is stored.
    let mut body = answer.body_mut().as_reader().take(file.bytes - have + 1);
    copy(&mut body, &mut into, part, |bytes| {
        have += bytes;
        progress(file.name, have, file.bytes);
    })
    .and_then(|()| into.sync_all().map_err(Error::file("cannot write", part)))
    .map_err(|error| broke(error, address, part))?;
    if have < file.bytes {
        let ended = Error::Network(format!("it ended after {have} of {} bytes", file.bytes));
        return Err(broke(ended, address, part));
    }
    Ok(append)
}

/// The sentence for a connection that broke.
fn broke(error: Error, address: &str, part: &Path) -> Error {
    match error {
        Error::Network(reason) => Error::Network(format!(
            "The connection to {address} broke: {reason}. What came is kept in {}; the same command goes on from there.",
            part.display()
        )),
        other => other,
    }
}

/// Asks for the file from byte `from` on.
fn request(address: &str, from: u64) -> Result<Response<Body>> {
    let unreachable = |error: &dyn std::fmt::Display| {
        Error::Network(format!("{address} cannot be reached: {}.", error.to_string().trim_end_matches('.')))
    };
    let uri: Uri = address.parse().map_err(|error| unreachable(&error))?;
    // A proxy is not for this machine itself.
    let here = uri.host().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
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

/// Whether a partial answer begins where it was asked to.
fn continues(answer: &Response<Body>, from: u64) -> bool {
    let range = answer.headers().get("Content-Range").and_then(|range| range.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")).is_some_and(|range| range.starts_with(&format!("{from}-")))
}

/// Copies and says how much; a source that fails is the network's trouble, the rest the file's.
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

/// A file's MD5 digest in hexadecimal.
fn digest(path: &Path) -> Result<String> {
    let cannot = || Error::file("cannot read", path);
    let mut file = File::open(path).map_err(cannot())?;
    let mut context = md5::Context::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(cannot())? {
            0 => return Ok(format!("{:x}", context.finalize())),
            count => context.consume(&buffer[..count]),
        }
    }
}

fn remove(part: &Path) -> Result<()> {
    std::fs::remove_file(part).map_err(Error::file("cannot remove", part))
}
