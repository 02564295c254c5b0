//! Faults from outside: readers that go away, full disks, a second process, too little memory, files that claim too much.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Instant;

use gpunn::runs::RunDirectory;

use crate::common::{command, gpunn, gpunn_on_cpu, is_refusal, json, text};

/// A short run in the folder `run`.
fn train(folder: &Path) {
    let args = ["train", "--epochs", "1", "--limit-train", "72", "--out", "run", "--quiet", "--no-report"];
    let output = gpunn_on_cpu(folder, &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Runs the program under limits that the shell sets.
#[cfg(unix)]
fn limited(folder: &Path, limits: &str, args: &[&str]) -> Output {
    let own = command(folder);
    let mut shell = std::process::Command::new("sh");
    shell.current_dir(folder).args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")]).arg(own.get_program()).args(args);
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.output().expect("the shell runs")
}

#[test]
fn training_goes_on_if_nobody_reads_what_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut train = command(folder.path());
    train.args(["train", "--epochs", "2", "--limit-train", "360", "--out", "run", "--device", "cpu"]);
    let mut child = train.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop((child.stdout.take(), child.stderr.take()));
    assert!(child.wait().expect("it ends").success());
    assert!(folder.path().join("run/summary.json").is_file());
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_is_lost_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    train(folder.path());
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it opens");
    let output = command(folder.path()).args(["eval", "run", "--json", "--device", "cpu"]).stdout(full).output();
    is_refusal(&output.expect("it runs"), 1, &["Standard output cannot be written"]);
}

#[test]
fn two_processes_do_not_train_in_one_run() {
    let folder = tempfile::tempdir().expect("a folder");
    train(folder.path());
    let path = folder.path().join("run");
    let before = std::fs::read(path.join("last.safetensors")).expect("it reads");
    let held = RunDirectory::open_to_train(&path).expect("free");
    let resumed = gpunn_on_cpu(folder.path(), &["train", "--resume", "run", "--epochs", "2"]);
    is_refusal(&resumed, 2, &["Another process is training in run"]);
    let forced = gpunn_on_cpu(folder.path(), &["train", "--epochs", "1", "--out", "run", "--force"]);
    is_refusal(&forced, 2, &["Another process is training in run"]);
    assert_eq!(std::fs::read(path.join("last.safetensors")).expect("it reads"), before);
    // Reading is no training.
    json(&gpunn_on_cpu(folder.path(), &["eval", "run", "--json"]));
    drop(held);
    let resumed = gpunn_on_cpu(folder.path(), &["train", "--resume", "run", "--epochs", "2", "--json", "--no-report"]);
    assert_eq!(json(&resumed)["epochs"], 2);
}

#[test]
fn devices_and_threads_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    train(folder.path());
    is_refusal(&gpunn(folder.path(), &["eval", "run", "--device", ""]), 2, &["--device has no value"]);
    is_refusal(&gpunn_on_cpu(folder.path(), &["eval", "run", "--threads", "100000"]), 2, &["at most 1024 threads"]);
}

/// The recipe and the image size of a checkpoint may claim anything. The tensors decide.
#[test]
fn a_checkpoint_that_claims_huge_images_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    train(folder.path());
    for name in ["run/last.safetensors", "run/best.safetensors"] {
        let path = folder.path().join(name);
        let bytes = std::fs::read(&path).expect("it reads");
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        let header = String::from_utf8(bytes[8..8 + length].to_vec()).expect("text");
        let changed = header.replace(r#"\"input\":[1,32,32]"#, r#"\"input\":[1,32,1099511627776]"#);
        assert_ne!(changed, header);
        let file = [&(changed.len() as u64).to_le_bytes()[..], changed.as_bytes(), &bytes[8 + length..]].concat();
        std::fs::write(path, file).expect("written");
    }
    for command in ["eval", "report", "explain", "export", "predict"] {
        let begun = Instant::now();
        let output = match command {
            "explain" | "predict" => gpunn_on_cpu(folder.path(), &[command, "run", "image.png"]),
            "export" => gpunn(folder.path(), &[command, "run", "--out", "weights.safetensors"]),
            _ => gpunn_on_cpu(folder.path(), &[command, "run"]),
        };
        let error = text(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)) && !error.contains("panicked"), "{command}: {error}");
        assert!(begun.elapsed().as_secs() < 5, "{command} took {:?}", begun.elapsed());
    }
}

#[test]
fn networks_that_are_too_large_are_refused_before_anything_is_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = gpunn_on_cpu(folder.path(), &["train", "--hidden", "65536,65536", "--out", "run"]);
    is_refusal(&output, 1, &["4364566564 parameters, but may have 536870911 at most"]);
}

#[cfg(target_os = "linux")]
#[test]
fn too_little_memory_is_a_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    // A step of 1.9 GB, of which 1.2 are refused in advance.
    let train = ["train", "--hidden", "20000,7000", "--out", "run", "--device", "cpu", "--threads", "1", "--quiet"];
    is_refusal(
        &limited(folder.path(), "ulimit -v 1200000", &train),
        1,
        &["does not fit the device", "bytes of memory"],
    );
    // The header of a BMP of 121 megapixels, without any.
    let mut bitmap = vec![0; 54];
    bitmap[..2].copy_from_slice(b"BM");
    for (at, value) in [(2, 54_u32), (10, 54), (14, 40), (18, 11_000), (22, 11_000), (26, 1 + (24 << 16))] {
        bitmap[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    std::fs::write(folder.path().join("claims.bmp"), bitmap).expect("written");
    self::train(folder.path());
    let predict = ["predict", "run", "claims.bmp", "--device", "cpu", "--threads", "1"];
    is_refusal(&limited(folder.path(), "ulimit -v 300000", &predict), 1, &["bytes of memory left for the program"]);
    is_refusal(&gpunn(folder.path(), &predict), 1, &["claims.bmp is not an image that can be decoded"]);
    let limit = gpunn(folder.path(), &[&predict[..], &["--max-pixels", "1000000"]].concat());
    is_refusal(&limit, 1, &["it claims 11000 x 11000 pixels, but at most 1000000 pixels are read"]);
}

#[cfg(unix)]
#[test]
fn training_goes_on_when_a_file_cannot_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    // Before the first epoch nothing is lost, so the run ends.
    let args =
        ["train", "--epochs", "1", "--limit-train", "72", "--out", "new", "--device", "cpu", "--quiet", "--no-report"];
    is_refusal(&limited(folder.path(), "ulimit -f 100", &args), 1, &["cannot write", "initial.safetensors"]);
    // Later the best checkpoint cannot be written, because a folder is in its place.
    train(folder.path());
    let path = folder.path().join("run/best.safetensors");
    std::fs::remove_file(&path).expect("removed");
    std::fs::create_dir(&path).expect("made");
    let resumed = gpunn_on_cpu(folder.path(), &["train", "--resume", "run", "--epochs", "3", "--quiet", "--no-report"]);
    let error = text(&resumed.stderr);
    assert_eq!(resumed.status.code(), Some(1), "{error}");
    assert!(error.contains("training goes on") && error.contains("The best checkpoint was not written"), "{error}");
    let run = RunDirectory::open(&folder.path().join("run")).expect("a run");
    assert_eq!(run.last().expect("a checkpoint").counters.epoch, 3);
    assert!(folder.path().join("run/summary.json").is_file());
}

#[test]
fn a_run_without_its_metrics_is_resumed() {
    let folder = tempfile::tempdir().expect("a folder");
    train(folder.path());
    let metrics = folder.path().join("run/metrics.jsonl");
    let resume = |epochs: &str| {
        gpunn_on_cpu(
            folder.path(),
            &["train", "--resume", "run", "--epochs", epochs, "--quiet", "--no-report", "--json"],
        )
    };
    std::fs::remove_file(&metrics).expect("removed");
    let resumed = resume("2");
    assert_eq!(json(&resumed)["epochs"], 2);
    assert!(text(&resumed.stderr).contains("metrics.jsonl has 0 of the 1 epochs"), "{}", text(&resumed.stderr));
    // A line that was cut in the middle.
    let whole = std::fs::read(&metrics).expect("it reads");
    std::fs::write(&metrics, &whole[..whole.len() - 9]).expect("written");
    assert_eq!(json(&resume("3"))["epochs"], 3);
    let lines = RunDirectory::open(&folder.path().join("run")).expect("a run").metrics().expect("whole lines");
    assert_eq!(lines.iter().map(|line| line.epoch).collect::<Vec<_>>(), [3]);
}

/// A run directory that is removed under a running training comes back.
#[test]
fn a_removed_run_directory_is_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let mut train = command(folder.path());
    train.args(["train", "--epochs", "30", "--out", "run", "--device", "cpu", "--no-report"]);
    let child = train.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    while !run.join("last.safetensors").is_file() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // A file may appear while the folder is being emptied.
    while std::fs::remove_dir_all(&run).is_err() {}
    let output = child.wait_with_output().expect("it ends");
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("The beginning of the metrics was not written"), "{error}");
    assert_eq!(RunDirectory::open(&run).expect("a run").last().expect("a checkpoint").counters.epoch, 30);
}

/// One that is replaced belongs to the run that replaced it.
#[cfg(unix)]
#[test]
fn a_replaced_run_directory_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let mut long = command(folder.path());
    long.args(["train", "--epochs", "100000", "--out", "run", "--device", "cpu", "--quiet"]);
    let mut child = long.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    while !run.join("last.safetensors").is_file() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let other = tempfile::tempdir().expect("a folder");
    train(other.path());
    std::fs::rename(&run, folder.path().join("moved")).expect("moved");
    if std::fs::rename(other.path().join("run"), &run).is_err() {
        // The training made the directory again before the other came.
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
        return;
    }
    let output = child.wait_with_output().expect("it ends");
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("began another run there"), "{error}");
    assert_eq!(RunDirectory::open(&run).expect("a run").last().expect("a checkpoint").counters.epoch, 1);
}

/// `timeout` sends SIGTERM twice at once: to the program and to its group.
#[cfg(target_os = "linux")]
#[test]
fn two_signals_at_once_are_one_wish() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["train", "--epochs", "100000", "--out", "run", "--device", "cpu", "--quiet"];
    let own = command(folder.path());
    let mut timeout = std::process::Command::new("timeout");
    timeout.current_dir(folder.path()).arg("--preserve-status").arg("4").arg(own.get_program()).args(args);
    let output = timeout.output().expect("it runs");
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(143), "{error}");
    assert!(error.contains("resume with: gpunn train --resume run"), "{error}");
    let run = RunDirectory::open(&folder.path().join("run")).expect("a run");
    assert!(run.last().expect("a checkpoint").counters.number > 0);
}
