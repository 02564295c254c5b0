//! `gpunn serve` and `gpunn train --live` over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::files::pictures;
use crate::common::{command, gpunn_on_cpu, is_refusal, json, text};

/// A program that serves, and its address. Dropped, it ends.
struct Serving {
    child: Child,
    host: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer: its status, its head, its body.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON: {}", text(&self.body)))
    }

    #[track_caller]
    fn is_refusal(&self, status: u16, part: &str) {
        let error = self.json()["error"].to_string();
        assert_eq!(self.status, status, "{error}");
        assert!(error.contains(part), "{part}: {error}");
    }
}

impl Serving {
    /// Serves a run of the folder.
    fn start(at: &Path, run: &str, flags: &[&str]) -> Self {
        let words = [&["serve", run, "--port", "0", "--json", "--quiet", "--device", "cpu"][..], flags].concat();
        let mut child = command(at).args(words).stdout(Stdio::piped()).spawn().expect("the program runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let url = serde_json::from_str::<Value>(&line).expect("JSON")["url"].as_str().expect("an address").to_owned();
        let host = url.trim_start_matches("http://").split('/').next().expect("a host").to_owned();
        Self { child, host }
    }

    /// Sends a request with these lines in its head, and reads the answer.
    fn ask(&self, request: &str, lines: &[&str], body: &[u8]) -> Answer {
        ask(&self.host, request, lines, body)
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], b"")
    }

    fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.ask(&format!("POST {path}"), &[], body)
    }
}

fn ask(host: &str, request: &str, lines: &[&str], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(host).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
    let own =
        if lines.iter().any(|line| line.starts_with("Host:")) { String::new() } else { format!("Host: {host}\r\n") };
    let more: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("{request} HTTP/1.1\r\n{own}{more}Connection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).expect("sent");
    // The server may answer before it has read all.
    let _ = stream.write_all(body);
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("{}", text(&all)));
    let head = text(&all[..end]);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head, body: all[end + 4..].to_vec() }
}

/// Trains a convolutional network on the images `pics`.
fn trained(at: &Path) {
    let network = "layer = [{ kind = \"conv2d\", outputs = 4, kernel = 3, stride = 2 }, { kind = \"relu\" }, \
                   { kind = \"flatten\" }, { kind = \"classes\" }]";
    std::fs::write(at.join("small.toml"), network).expect("written");
    let train =
        ["train", "pics", "--model", "small.toml", "--epochs", "3", "--batch-size", "4", "--no-report", "--out", "run"];
    json(&gpunn_on_cpu(at, &[&train[..], &["--json"]].concat()));
}

#[test]
fn a_served_network_answers_as_predict_does() {
    let folder = pictures(8);
    let at = folder.path();
    trained(at);
    let served = Serving::start(at, "run", &[]);
    let files = ["pics/bright/0.png", "pics/dark/3.png", "pics/dark/5.png"];
    let predict = [&["predict", "run"], &files[..], &["--top", "2", "--json"]].concat();
    let wanted = json(&gpunn_on_cpu(at, &predict));
    let bytes = files.map(|file| std::fs::read(at.join(file)).expect("it reads"));
    let close = |found: &Value, wanted: &Value| {
        assert_eq!((&found["class"], &found["index"]), (&wanted["class"], &wanted["index"]), "{found} {wanted}");
        let [a, b] = [found, wanted].map(|answer| answer["confidence"].as_f64().expect("a number"));
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    };
    for (bytes, wanted) in bytes.iter().zip(wanted["predictions"].as_array().expect("a list")) {
        let answer = served.post("/predict?top=2", bytes);
        assert!(answer.head.contains("application/json") && answer.status == 200, "{}", answer.head);
        let found = &answer.json()["predictions"][0];
        close(found, wanted);
        assert_eq!(found["likeliest"].as_array().map(Vec::len), Some(2));
        close(&found["likeliest"][1], &wanted["likeliest"][1]);
    }
    // Several images as parts of a form.
    let mut form = Vec::new();
    for (bytes, name) in bytes.iter().zip(files) {
        form.extend(
            format!("--x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"{name}\"\r\n\r\n").bytes(),
        );
        form.extend(bytes);
        form.extend(b"\r\n");
    }
    form.extend(b"--x--\r\n");
    let kind = "Content-Type: multipart/form-data; boundary=x";
    let found = served.ask("POST /predict", &[kind], &form).json();
    let found = found["predictions"].as_array().expect("a list");
    assert_eq!(found.len(), 3);
    for ((found, wanted), name) in found.iter().zip(wanted["predictions"].as_array().expect("a list")).zip(files) {
        close(found, wanted);
        assert_eq!(found["image"], name);
    }
    let map = served.post("/explain?class=dark", &bytes[0]);
    let map = gpunn::images::decode(map.body, "the map").expect("a PNG");
    let about = served.get("/about").json();
    assert_eq!(
        serde_json::json!([map.height(), map.width()]),
        serde_json::json!([about["input"][1], about["input"][2]])
    );
    served.post("/explain?class=none", &bytes[0]).is_refusal(400, "no class");
    served.post("/predict?top=x", &bytes[0]).is_refusal(400, "after ?");
}

#[test]
fn what_is_no_image_or_too_large_is_refused_and_the_server_goes_on() {
    let folder = pictures(6);
    let at = folder.path();
    trained(at);
    let served = Serving::start(at, "run", &["--max-upload", "1", "--no-examples"]);
    let whole = std::fs::read(at.join("pics/bright/0.png")).expect("it reads");
    served.post("/predict", b"").is_refusal(400, "is empty");
    served.post("/predict", b"no image").is_refusal(400, "is not an image");
    for length in [9, whole.len() / 2, whole.len() - 13] {
        served.post("/predict", &whole[..length]).is_refusal(400, "the file is not an image");
    }
    served.post("/predict", &vec![7; 3_000_000]).is_refusal(413, "--max-upload");
    let form = "Content-Type: multipart/form-data; boundary=x";
    served.ask("POST /predict", &[form], b"--x--\r\n").is_refusal(400, "no image");
    assert_eq!(served.ask("POST /predict", &[form], b"--x\r\nnothing").status, 400);
    assert_eq!(served.ask("POST /predict", &["Content-Type: multipart/form-data"], b"x").status, 400);
    assert_eq!(served.post("/predict", &whole).status, 200);
    assert_eq!(served.get("/about").json()["no_examples"], "--no-examples was given.");
}

#[test]
fn only_this_machine_is_answered_and_nothing_beyond_the_pages() {
    let folder = pictures(6);
    let at = folder.path();
    trained(at);
    let served = Serving::start(at, "run", &[]);
    assert!(served.host.starts_with("127.0.0.1:"), "{}", served.host);
    // A thread of its own loads the examples.
    let begun = Instant::now();
    while served.get("/about").json()["examples"].is_null() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no examples");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Each address of the description is there.
    let described = served.get("/openapi.json").json();
    for (path, methods) in described["paths"].as_object().expect("paths") {
        let path = path.replace("{class}", "0").replace("{number}", "0");
        for method in methods.as_object().expect("methods").keys() {
            let found = served.ask(&format!("{} {path}", method.to_uppercase()), &[], b"x");
            assert!(![404, 405].contains(&found.status), "{method} {path}: {}", found.head);
        }
    }
    for path in ["/", "/serve.js", "/camera.js", "/answers.js", "/style.css", "/controls.css"] {
        let found = served.get(path);
        assert!(found.status == 200 && found.head.contains("content-security-policy: default-src 'self'"), "{path}");
    }
    for path in [
        "/../run/recipe.toml",
        "/%2e%2e/run/recipe.toml",
        "/examples/0/99",
        "/examples/9/0",
        "/recipe.toml",
        "//etc/passwd",
    ] {
        served.get(path).is_refusal(404, "");
    }
    served.get("/examples/x/..%2f..").is_refusal(404, "no such example");
    assert_eq!(served.get("/health").body, b"ok");
    served.get("/predict").is_refusal(405, "another method");
    served.ask("GET /about", &["Host: evil.example"], b"").is_refusal(403, "this machine only");
    served.ask("POST /predict", &["Origin: http://evil.example"], b"x").is_refusal(403, "another site");
    served.ask("GET /about", &["Sec-Fetch-Site: cross-site"], b"").is_refusal(403, "another site");
    let port = served.host.split(':').nth(1).expect("a port");
    is_refusal(&gpunn_on_cpu(at, &["serve", "run", "--port", port]), 2, &["is in use"]);
    is_refusal(&gpunn_on_cpu(at, &["serve"]), 2, &["No network was named"]);
    is_refusal(&gpunn_on_cpu(at, &["serve", "run", "--host", "name"]), 2, &["--host"]);
    is_refusal(&gpunn_on_cpu(at, &["serve", "run", "--token", "a b", "--port", "0"]), 2, &["token"]);
}

#[test]
fn with_a_token_each_request_needs_it() {
    let folder = pictures(6);
    trained(folder.path());
    let served = Serving::start(folder.path(), "run", &["--token", "s3cret", "--no-examples"]);
    served.get("/about").is_refusal(401, "token");
    served.get("/").is_refusal(401, "token");
    served.get("/?token=wrong").is_refusal(401, "token");
    assert_eq!(served.ask("GET /about", &["Authorization: Bearer s3cret"], b"").status, 200);
    let entered = served.get("/?token=s3cret");
    assert_eq!(entered.status, 303);
    let cookie = entered.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = format!("Cookie: {}", cookie.split(';').next().expect("a pair"));
    assert_eq!(served.ask("GET /", &[&cookie], b"").status, 200);
}

/// A training with a page, its address, and what it says after that.
fn live(at: &Path, words: &[&str]) -> (Child, String, BufReader<ChildStderr>) {
    let all = [words, &["--device", "cpu", "--no-report", "--json", "--live=0"]].concat();
    let mut child =
        command(at).args(all).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program runs");
    let mut said = BufReader::new(child.stderr.take().expect("its notes"));
    let mut line = String::new();
    while !line.starts_with("live: http://") {
        line.clear();
        assert!(said.read_line(&mut line).expect("a line") > 0, "no address");
    }
    let host = line.trim_start_matches("live: http://").trim().trim_end_matches('/').to_owned();
    (child, host, said)
}

/// Asks for the state until it is as wanted.
fn state(host: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let state = ask(host, "GET /state", &[], b"").json();
        if wanted(&state) {
            return state;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{state}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_live_page_saves_and_stops_a_training_that_resumes_to_the_same_weights() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let recipe = ["train", "--epochs", "12", "--seed", "3"];
    let whole =
        json(&gpunn_on_cpu(at, &[&recipe[..], &["--out", "whole", "--no-report", "--json", "--quiet"]].concat()));
    let (mut child, host, mut said) = live(at, &[&recipe[..], &["--out", "run"]].concat());
    let drained = std::thread::spawn(move || {
        let mut rest = String::new();
        let _ = said.read_to_string(&mut rest);
        rest
    });
    let seen = state(&host, |state| state["lines"].as_array().is_some_and(|lines| !lines.is_empty()));
    assert_eq!((&seen["recipe"], &seen["epochs"]), (&"glyphs-mlp".into(), &12.0.into()));
    let after = ask(&host, "GET /state?after=1000", &[], b"").json();
    assert_eq!(after["lines"].as_array().map(Vec::len), Some(0));
    ask(&host, "POST /save", &["Origin: http://evil.example"], b"").is_refusal(403, "another site");
    assert_eq!(ask(&host, "POST /save", &[], b"").status, 200);
    state(&host, |state| state["notes"].to_string().contains("Saved in epoch"));
    assert_eq!(ask(&host, "POST /stop", &[], b"").status, 200);
    let end = state(&host, |state| state["phase"] == "stopped");
    assert_eq!(ask(&host, "POST /seen", &[], b"").status, 200);
    assert!(end["end"].to_string().contains("gpunn train --resume"), "{end}");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(drained.join().expect("read").contains("resume with"));
    let resumed = json(&gpunn_on_cpu(at, &["train", "--resume", "run", "--no-report", "--json", "--quiet"]));
    assert_eq!(resumed["weights_hash"], whole["weights_hash"]);
}

#[test]
fn a_live_page_hears_how_a_training_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut child, host, _said) = live(folder.path(), &["train", "--epochs", "2", "--quiet", "--out", "run"]);
    let end = state(&host, |state| state["phase"] == "done");
    assert_eq!((&end["has_report"], end["lines"].as_array().map(Vec::len)), (&false.into(), Some(2)));
    // Until a page says that it shows the end, the program waits.
    ask(&host, "GET /report", &[], b"").is_refusal(404, "no report");
    assert_eq!(ask(&host, "POST /seen", &[], b"").status, 200);
    assert!(child.wait().expect("it ends").success());
}
