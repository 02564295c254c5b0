//! Downloads from a small server on this machine: resumed, refused and unpacked files, and pretrained weights.

use crate::common::files::{self, idx};
use crate::common::names;
use gpunn::data::SplitName;
use gpunn::datasets::fetch::{FetchOutcome, get, get_from, get_weights_from};
use gpunn::datasets::pretrained::PublishedWeights;
use gpunn::datasets::sources::{Content, PublishedFile, Source};
use gpunn::{Error, Result};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// How the server behaves.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Sends the requested range.
    Good,
    /// Ignores a requested range and sends the whole file.
    NoRanges,
    /// Closes the first connection in the middle of the file. Later requests are answered as by `Good`.
    HangsUpOnce,
    /// Answers that there is no such file.
    Missing,
    /// Says that the file is at another address, on this machine too.
    Elsewhere,
    /// States no length, and sends the file again and again.
    Endless,
}

/// The path of a request and its range.
type Request = (String, Option<String>);

/// A server of one file on 127.0.0.1. Its thread ends with the test's process.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn new(content: Vec<u8>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}/sets/", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that closes the connection is not a failure of the server.
                let _ = answer(stream, &content, manner, &seen);
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no thread panicked").clone()
    }
}

fn answer(mut stream: TcpStream, content: &[u8], manner: Manner, seen: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let path = lines.next().transpose()?.and_then(|line| line.split(' ').nth(1).map(String::from)).unwrap_or_default();
    let mut range = None;
    for line in lines {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("range: ") {
            range = Some(value.to_owned());
        }
    }
    let first = {
        let mut seen = seen.lock().expect("no thread panicked");
        seen.push((path, range.clone()));
        seen.len() == 1
    };
    let from =
        range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    if manner == Manner::Endless {
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
        loop {
            stream.write_all(content)?;
        }
    }
    let (status, extra, body) = match (manner, from) {
        (Manner::Elsewhere, _) => ("302 Found", "Location: /elsewhere/net.pth\r\n".to_owned(), &b"moved"[..]),
        (Manner::Missing, _) => ("404 Not Found", String::new(), &b"no"[..]),
        (Manner::NoRanges, _) | (_, None) => ("200 OK", String::new(), content),
        (_, Some(from)) if from >= content.len() => ("416 Range Not Satisfiable", String::new(), &b""[..]),
        (_, Some(from)) => {
            let range = format!("Content-Range: bytes {from}-{}/{}\r\n", content.len() - 1, content.len());
            ("206 Partial Content", range, &content[from..])
        }
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{extra}Connection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    let sent = if manner == Manner::HangsUpOnce && first { body.len() / 3 } else { body.len() };
    stream.write_all(&body[..sent])
}

/// An archive like CIFAR-10's, of noise that does not compress well.
fn archive() -> Vec<u8> {
    let noise: Vec<u8> = (0..200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 15) as u8).collect();
    let batches = (1..=5).map(|number| format!("data_batch_{number}.bin"));
    let names = batches.chain(["test_batch.bin", "batches.meta.txt", "readme.html"].map(String::from));
    let file = |(name, bytes): (String, &[u8])| (format!("cifar-10-batches-bin/{name}"), bytes.to_vec());
    files::tar_gz(&names.zip(noise.chunks(20_000)).map(file).collect::<Vec<_>>())
}

/// Downloads a file into `directory` from the first of `addresses` that works. Its digest must be that of `published`.
fn fetch(addresses: &[&str], published: &[u8], directory: &Path) -> Result<FetchOutcome> {
    let sha256 = gpunn::files::sha256(published);
    let files = [PublishedFile { name: "cifar-10-binary.tar.gz", bytes: published.len() as u64, sha256: &sha256 }];
    let source = Source { name: "cifar10", addresses, files: &files, content: Content::Folder };
    let mut last = 0;
    let got = get_from(&source, directory, &mut |name, done, total| {
        assert_eq!((name, total), ("cifar-10-binary.tar.gz", published.len() as u64));
        assert!(done > last || done <= 1 << 16, "{done} after {last}");
        last = done;
    })?;
    Ok(got)
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_set_is_fetched_checked_and_unpacked_and_not_fetched_again() {
    let (server, to) = (Server::new(archive(), Manner::Good), directory());
    // A directory that does not exist yet is created.
    let to = to.path().join("data");
    let folder = to.join("cifar-10-batches-bin");
    assert_eq!(fetch(&[&server.address], &archive(), &to).expect("fetched"), FetchOutcome::Fetched(folder.clone()));
    assert_eq!(names(&to), ["cifar-10-batches-bin"]);
    // Its page, which is no part of the dataset, is left out.
    assert_eq!(names(&folder).len(), 7);
    assert_eq!(std::fs::metadata(folder.join("data_batch_3.bin")).expect("there").len(), 20_000);
    assert_eq!(fetch(&[&server.address], &archive(), &to).expect("there"), FetchOutcome::AlreadyPresent(folder));
    assert_eq!(server.requests(), [("/sets/cifar-10-binary.tar.gz".into(), None)]);
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let (server, to) = (Server::new(archive(), Manner::HangsUpOnce), directory());
    let error = fetch(&[&server.address], &archive(), to.path()).expect_err("it hung up");
    let sentence = error.to_string();
    assert!(matches!(error, Error::Network(_)), "{sentence}");
    assert!(sentence.contains("broke") && sentence.contains("the same command again"), "{sentence}");
    assert_eq!(names(to.path()), ["cifar-10-binary.tar.gz.part"]);
    let have = std::fs::metadata(to.path().join("cifar-10-binary.tar.gz.part")).expect("there").len();
    assert_eq!(have, archive().len() as u64 / 3);
    fetch(&[&server.address], &archive(), to.path()).expect("the rest");
    assert_eq!(names(to.path()), ["cifar-10-batches-bin"]);
    assert_eq!(server.requests()[1].1, Some(format!("bytes={have}-")));
}

#[test]
fn a_server_without_ranges_and_a_beginning_of_something_else_start_over() {
    for manner in [Manner::NoRanges, Manner::Good] {
        for beginning in [vec![7; 1000], vec![7; archive().len()], vec![7; archive().len() + 5]] {
            let (server, to) = (Server::new(archive(), manner), directory());
            std::fs::write(to.path().join("cifar-10-binary.tar.gz.part"), &beginning).expect("written");
            fetch(&[&server.address], &archive(), to.path()).expect("fetched");
            assert_eq!(names(to.path()), ["cifar-10-batches-bin"]);
        }
    }
}

#[test]
fn what_is_not_as_published_is_refused_and_removed() {
    let mut other = archive();
    other[5000] ^= 1;
    let short = archive()[..archive().len() - 1].to_vec();
    let long = [archive(), vec![0; 100]].concat();
    for (content, says) in [(other, "SHA-256 digest"), (long, "SHA-256 digest"), (short, "it ended after")] {
        let (server, to) = (Server::new(content, Manner::Good), directory());
        let sentence = fetch(&[&server.address], &archive(), to.path()).expect_err("refused").to_string();
        assert!(sentence.contains(says) && sentence.contains(&server.address), "{sentence}");
        let kept = if says == "SHA-256 digest" { vec![] } else { vec!["cifar-10-binary.tar.gz.part".to_owned()] };
        assert_eq!(names(to.path()), kept, "{sentence}");
    }
}

#[test]
fn an_address_that_has_nothing_is_named_and_the_next_is_tried() {
    let (missing, good, to) =
        (Server::new(archive(), Manner::Missing), Server::new(archive(), Manner::Good), directory());
    // A port without a server: its listener was just closed.
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let closed = format!("http://{closed}/");
    let sentence = fetch(&[&missing.address, &closed], &archive(), to.path()).expect_err("neither").to_string();
    assert!(sentence.contains("answers 404 (Not Found)") && sentence.contains("cannot be reached"), "{sentence}");
    assert!(names(to.path()).is_empty());
    fetch(&[&missing.address, &closed, &good.address], &archive(), to.path()).expect("the third has it");
    let sentence = fetch(&["no address/"], &archive(), directory().path()).expect_err("no address").to_string();
    assert!(sentence.contains("cannot be reached"), "{sentence}");
}

#[test]
fn files_that_need_no_unpacking_are_fetched_each() {
    let contents = [
        ("train-images-idx3-ubyte.gz", idx(&[2, 28, 28], &[9; 1568])),
        ("train-labels-idx1-ubyte.gz", idx(&[2], &[4, 1])),
        ("t10k-images-idx3-ubyte.gz", idx(&[1, 28, 28], &[3; 784])),
        ("t10k-labels-idx1-ubyte.gz", idx(&[1], &[8])),
    ];
    let to = directory();
    for (name, content) in &contents {
        let sha256 = gpunn::files::sha256(content);
        let server = Server::new(content.clone(), Manner::Good);
        let files = [PublishedFile { name, bytes: content.len() as u64, sha256: &sha256 }];
        let source = Source { name: "mnist", addresses: &[&server.address], files: &files, content: Content::Files };
        get_from(&source, to.path(), &mut |_, _, _| {}).expect("fetched");
    }
    let set = gpunn::datasets::load("mnist", Some(to.path())).expect("whole");
    assert_eq!((set.train.labels.as_slice(), set.split(SplitName::Test).expect("there").len()), ([4, 1].as_slice(), 1));
}

#[test]
fn a_set_without_an_address_says_where_it_is_published() {
    let to = directory();
    let says = |name: &str| get(name, Some(to.path()), &mut |_, _, _| {}).expect_err("no address").to_string();
    assert!(says("flowers17").contains("www.robots.ox.ac.uk"));
    assert!(says("nist36").contains("16-720"));
    assert!(says("glyphs").contains("nothing to download"));
    assert!(says("cifra10").contains("`cifar10`"));
    assert!(names(to.path()).is_empty());
}

/// A file of weights whose SHA-256 digest begins as that of `abc` does.
fn weights<'a>(addresses: &'a [&'a str], mebibytes: f64) -> PublishedWeights<'a> {
    PublishedWeights {
        model: "squeezenet",
        function: "net",
        folder: "nets",
        file: "net-ba7816bf.pth",
        sha256: "ba7816bf",
        mebibytes,
        addresses,
    }
}

/// Downloads a file of weights, whose SHA-256 digest must begin as that of `abc` does.
fn fetch_weights(address: &str, directory: &Path) -> Result<FetchOutcome> {
    get_weights_from(&weights(&[address], 0.0), directory, &mut |name, done, total| {
        assert_eq!((name, total), ("net-ba7816bf.pth", 3));
        assert!(done <= 3, "{done} bytes");
    })
}

#[test]
fn weights_are_fetched_into_their_folder_and_not_fetched_again() {
    for beginning in [None, Some(b"a"), Some(b"x")] {
        let (server, to) = (Server::new(b"abc".to_vec(), Manner::Good), directory());
        let path = to.path().join("nets/net-ba7816bf.pth");
        if let Some(beginning) = beginning {
            std::fs::create_dir(to.path().join("nets")).expect("made");
            std::fs::write(path.with_extension("pth.part"), beginning).expect("written");
        }
        assert_eq!(fetch_weights(&server.address, to.path()).expect("there"), FetchOutcome::Fetched(path.clone()));
        assert_eq!(std::fs::read(&path).expect("there"), b"abc");
        assert_eq!(names(&to.path().join("nets")), ["net-ba7816bf.pth"]);
        let asked = server.requests();
        assert_eq!(asked[0].1.as_deref(), beginning.map(|_| "bytes=1-"));
        assert_eq!(
            fetch_weights(&server.address, to.path()).expect("there"),
            FetchOutcome::AlreadyPresent(path.clone())
        );
        assert_eq!(server.requests(), asked);
        // A file that is not the published one is replaced.
        std::fs::write(&path, b"abd").expect("written");
        assert_eq!(fetch_weights(&server.address, to.path()).expect("there"), FetchOutcome::Fetched(path));
    }
}

#[test]
fn weights_with_another_digest_are_refused_and_removed() {
    let (server, to) = (Server::new(b"abd".to_vec(), Manner::Good), directory());
    let sentence = fetch_weights(&server.address, to.path()).expect_err("refused").to_string();
    assert!(sentence.contains("SHA-256 digest is a52d159f") && sentence.contains("begin with ba7816bf"), "{sentence}");
    assert!(names(&to.path().join("nets")).is_empty());
    let (server, to) = (Server::new(b"abc".to_vec(), Manner::HangsUpOnce), directory());
    let sentence = fetch_weights(&server.address, to.path()).expect_err("it hung up").to_string();
    assert!(sentence.contains("the same command again"), "{sentence}");
    fetch_weights(&server.address, to.path()).expect("the rest");
}

/// A server that never ends sends no more than the file can have. Nothing of it is kept.
#[test]
fn an_endless_answer_is_cut_off() {
    for content in [vec![7; 1 << 16], b"abc".to_vec()] {
        let (server, to) = (Server::new(content, Manner::Endless), directory());
        let mut most = 0;
        let got =
            get_weights_from(&weights(&[&server.address], 0.5), to.path(), &mut |_, done, _| most = most.max(done));
        assert!(got.expect_err("endless").to_string().contains("SHA-256 digest is "));
        assert_eq!(most, (3 << 19) + 1);
        assert!(names(&to.path().join("nets")).is_empty());
        // The length of a dataset's file is known.
        let sentence = fetch(&[&server.address], &archive(), to.path()).expect_err("endless").to_string();
        assert!(sentence.contains("SHA-256 digest is "), "{sentence}");
        assert_eq!(names(to.path()), ["nets"]);
    }
}

/// Nothing is asked for without TLS, but of this machine, and that cannot send the request elsewhere.
#[test]
fn addresses_without_tls_are_refused() {
    let to = directory();
    for address in
        ["http://example.invalid/", "http://192.0.2.1/", "http://localhost.example.invalid/", "ftp://127.0.0.1/"]
    {
        let sentence = fetch(&[address], &archive(), to.path()).expect_err("no TLS").to_string();
        assert!(sentence.contains(address) && sentence.contains("is not asked for: "), "{sentence}");
    }
    let server = Server::new(b"abc".to_vec(), Manner::Elsewhere);
    let sentence = fetch_weights(&server.address, to.path()).expect_err("it sends elsewhere").to_string();
    assert!(sentence.contains("answers 302 (Found)"), "{sentence}");
    assert_eq!(server.requests().len(), 1);
}

/// An archive whose paths and links lead elsewhere, with the digest that is expected: only the dataset's own files are written.
#[test]
fn a_hostile_archive_writes_nothing_outside() {
    use flate2::{Compression, write::GzEncoder};
    use tar::EntryType::{Link, Regular, Symlink};
    let to = directory();
    let outside = to.path().join("outside");
    std::fs::write(&outside, b"as it was").expect("written");
    let elsewhere = outside.to_str().expect("UTF-8");
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let own = |name: &str| format!("cifar-10-batches-bin/{name}");
    let whole = archive();
    let mut entries = vec![
        (Regular, "../outside".to_owned(), ""),
        (Regular, own("../../outside"), ""),
        (Regular, own("../cifar-10-batches-bin/../../outside"), ""),
        (Regular, elsewhere.to_owned(), ""),
        (Regular, own("evil.bin"), ""),
        (Regular, own("evil\\..\\..\\outside"), ""),
        (Symlink, own("data_batch_1.bin"), elsewhere),
        (Link, own("data_batch_2.bin"), elsewhere),
        (Symlink, "cifar-10-batches-bin".to_owned(), ".."),
    ];
    let batches = (1..=5).map(|number| own(&format!("data_batch_{number}.bin")));
    entries.extend(batches.map(|name| (Regular, name, "")));
    entries.extend(["test_batch.bin", "batches.meta.txt"].map(|name| (Regular, own(name), "")));
    for (kind, name, target) in &entries {
        let content: &[u8] = if *kind == Regular { &whole[..100] } else { b"" };
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        // Not `set_path`, which refuses such paths.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        tar.append(&header, content).expect("writing to memory");
    }
    let hostile = tar.into_inner().and_then(GzEncoder::finish).expect("writing to memory");
    let server = Server::new(hostile.clone(), Manner::Good);
    let inside = to.path().join("data");
    fetch(&[&server.address], &hostile, &inside).expect("its own files are there");
    assert_eq!(names(to.path()), ["data", "outside"]);
    assert_eq!(names(&inside), ["cifar-10-batches-bin"]);
    let written = names(&inside.join("cifar-10-batches-bin"));
    assert_eq!(written.len(), 7, "{written:?}");
    assert!(
        written
            .iter()
            .all(|name| std::fs::read(inside.join("cifar-10-batches-bin").join(name)).expect("a file").len() == 100)
    );
    assert_eq!(std::fs::read(&outside).expect("there"), b"as it was");
}
