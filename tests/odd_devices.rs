//! Drivers that are damaged, crash or hang beside one that is right, or alone; two adapters of one name; no adapter.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use gpunn::files::KeptFile;

use super::common::{command, is_refusal, json, skip, text};

/// The time that a driver has, in seconds. On a busy machine, a driver that is right takes a second.
const SECONDS: u64 = 6;

const CRASHES_WHEN_LOADED: &str = "#include <stdlib.h>
__attribute__((constructor)) static void loaded(void) { abort(); }
";
const HANGS_WHEN_LOADED: &str = "#include <unistd.h>
__attribute__((constructor)) static void loaded(void) { for (;;) sleep(1000); }
";
/// lavapipe, whose devices crash when they are opened.
const CRASHES_WHEN_OPENED: &str = r#"#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
typedef void (*Function)(void);
typedef Function (*Get)(void *, const char *);
static void *real(const char *name) {
    static void *library;
    if (!library) library = dlopen(LAVAPIPE, RTLD_NOW);
    return dlsym(library, name);
}
static void crash(void) { abort(); }
Function vk_icdGetInstanceProcAddr(void *instance, const char *name) {
    if (!strcmp(name, "vkCreateDevice")) return crash;
    return ((Get)real("vk_icdGetInstanceProcAddr"))(instance, name);
}
Function vk_icdGetPhysicalDeviceProcAddr(void *instance, const char *name) {
    return ((Get)real("vk_icdGetPhysicalDeviceProcAddr"))(instance, name);
}
int vk_icdNegotiateLoaderICDInterfaceVersion(unsigned *version) {
    return ((int (*)(unsigned *))real("vk_icdNegotiateLoaderICDInterfaceVersion"))(version);
}
"#;

/// lavapipe's file for the loader, and its library.
fn lavapipe() -> Option<(PathBuf, String)> {
    let files = std::fs::read_dir("/usr/share/vulkan/icd.d").into_iter().flatten().flatten();
    let file = files.map(|file| file.path()).find(|path| path.to_string_lossy().contains("/lvp_icd"));
    let Some(file) = file else {
        skip::skipped("lavapipe is not in /usr/share/vulkan/icd.d");
        return None;
    };
    let text = std::fs::read(&file).expect("it can be read");
    let manifest: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let library = manifest["ICD"]["library_path"].as_str().expect("a library").to_owned();
    Some((file, library))
}

/// The loader's file of a driver.
fn named(folder: &Path, library: &Path) -> PathBuf {
    let file = folder.join("broken.json");
    let icd = serde_json::json!({ "library_path": library, "api_version": "1.3.0" });
    let text = serde_json::json!({ "file_format_version": "1.0.0", "ICD": icd }).to_string();
    std::fs::write(&file, text).expect("written");
    file
}

/// A driver with this source.
fn driver(folder: &Path, source: &str, lavapipe: &str) -> PathBuf {
    let (code, library) = (folder.join("broken.c"), folder.join("libbroken.so"));
    std::fs::write(&code, source).expect("written");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(format!("-DLAVAPIPE=\"{lavapipe}\"")).arg(&code);
    let output = compiler.output().expect("Rust's linker is cc");
    assert!(output.status.success(), "{}", text(&output.stderr));
    named(folder, &library)
}

/// The program with these drivers.
fn with(drivers: &[&Path], folder: &Path, arguments: &[&str]) -> Output {
    let mut command = command(folder);
    let drivers = std::env::join_paths(drivers).expect("paths");
    command.env("VK_DRIVER_FILES", &drivers).env("VK_ICD_FILENAMES", drivers).env_remove("VK_ADD_DRIVER_FILES");
    command.env("GPUNN_DRIVER_SECONDS", SECONDS.to_string()).env("NODEVICE_SELECT", "1");
    command.args(arguments).output().expect("the program runs")
}

const TRAIN: [&str; 7] = ["train", "--limit-train", "50", "--epochs", "1", "--no-report", "--device"];

/// Trains on a device; the device that it says it took, and all that it said.
fn trained(drivers: &[&Path], folder: &Path, device: &str) -> (String, String) {
    let output = with(drivers, folder, &[&TRAIN[..], &[device]].concat());
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let line = said.lines().find(|line| line.starts_with("device: ")).unwrap_or_else(|| panic!("{said}"));
    (line.to_owned(), said.clone())
}

/// The files of what was learned of drivers, with their times.
fn records(folder: &Path) -> Vec<(PathBuf, SystemTime)> {
    let files = std::fs::read_dir(folder.join("cache/gpunn/drivers")).expect("a folder").flatten();
    files.map(|file| (file.path(), file.metadata().and_then(|file| file.modified()).expect("a time"))).collect()
}

/// A broken driver beside lavapipe and alone. `said` is what the program says of it; nothing if it cannot tell.
fn is_survived(make: impl Fn(&Path, &str) -> PathBuf, said: Option<&str>) {
    let Some((right, library)) = lavapipe() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let broken = make(folder, &library);
    let says = |heard: &str| match said {
        Some(said) => {
            let sentence = format!("{} {said}, so it is not used.", broken.display());
            assert!(heard.contains(&sentence), "{sentence}: {heard}");
        }
        None => assert!(!heard.contains("broken.json"), "{heard}"),
    };
    let both = [broken.as_path(), &right];
    let (device, heard) = trained(&both, folder, "auto");
    assert!(device.starts_with("device: CPU"), "{device}");
    says(&heard);
    // What was learned is remembered.
    let learned = records(folder);
    assert_eq!(learned.len(), 1);
    let (device, heard) = trained(&both, folder, "gpu");
    assert!(device.contains("llvmpipe"), "{device}");
    says(&heard);
    assert_eq!(records(folder), learned, "the drivers were tried again");
    assert!(trained(&both, folder, "llvm").0.contains("llvmpipe"));
    let listed = json(&with(&both, folder, &["devices", "--json"]));
    assert_eq!(listed["devices"].as_array().map(Vec::len), Some(1), "{listed}");
    says(&listed["left_out"].to_string());

    let alone = [broken.as_path()];
    let (device, heard) = trained(&alone, folder, "auto");
    assert!(device.starts_with("device: CPU"), "{device}");
    says(&heard);
    let refused = with(&alone, folder, &[&TRAIN[..], &["gpu"]].concat());
    let but = if said.is_some() { "no adapter can be used" } else { "no adapter was found" };
    is_refusal(&refused, 1, &["--device gpu was given, but", but, "--device cpu"]);
    says(&text(&refused.stderr));
    let refused = with(&alone, folder, &[&TRAIN[..], &["llvm"]].concat());
    is_refusal(&refused, 2, &["llvm"]);
    says(&text(&refused.stderr));
}

/// With such a file, loaders before 1.3.240 find no driver at all.
#[test]
fn a_damaged_description_of_a_driver() {
    let make = |folder: &Path, _: &str| {
        let file = folder.join("broken.json");
        std::fs::write(&file, "garbage {").expect("written");
        file
    };
    is_survived(make, Some("is described by a file that cannot be read"));
}

#[test]
fn a_driver_without_its_library() {
    is_survived(|folder, _| named(folder, &folder.join("libgone.so")), None);
}

#[test]
fn a_driver_that_crashes_when_it_is_loaded() {
    let make = |folder: &Path, lavapipe: &str| driver(folder, CRASHES_WHEN_LOADED, lavapipe);
    is_survived(make, Some("crashed (signal 6, SIGABRT) when it was tried"));
}

#[test]
fn a_driver_that_crashes_when_a_device_is_opened() {
    let make = |folder: &Path, lavapipe: &str| driver(folder, CRASHES_WHEN_OPENED, lavapipe);
    is_survived(make, Some("crashed (signal 6, SIGABRT) when it was tried"));
}

#[test]
fn a_driver_that_hangs_when_it_is_loaded() {
    let make = |folder: &Path, lavapipe: &str| driver(folder, HANGS_WHEN_LOADED, lavapipe);
    is_survived(make, Some(&format!("did not answer within {SECONDS} s when it was tried")));
}

/// A name that several adapters have takes the first, and says so; a number takes either.
#[test]
fn two_adapters_of_one_name() {
    let Some((right, _)) = lavapipe() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy.json");
    std::fs::copy(&right, &copy).expect("copied");
    let both = [right.as_path(), &copy];
    let (device, heard) = trained(&both, folder.path(), "llvmpipe");
    assert!(device.contains("llvmpipe") && heard.contains("'llvmpipe' names the devices 0, 1; 0 is taken"), "{heard}");
    for number in ["0", "1"] {
        let (device, heard) = trained(&both, folder.path(), number);
        assert!(device.contains("llvmpipe") && !heard.contains("names the devices"), "{heard}");
    }
    let refused = with(&both, folder.path(), &[&TRAIN[..], &["2"]].concat());
    is_refusal(&refused, 2, &["There is no device with index 2", "0 = llvmpipe", "1 = llvmpipe"]);
}

#[test]
fn no_adapter() {
    let folder = tempfile::tempdir().expect("a folder");
    let none = [Path::new("/nowhere.json")];
    let (device, _) = trained(&none, folder.path(), "auto");
    assert!(device.contains("CPU") && device.contains("no hardware GPU was found"), "{device}");
    let listed = json(&with(&none, folder.path(), &["devices", "--json"]));
    assert_eq!((&listed["devices"], &listed["auto"]), (&serde_json::json!([]), &serde_json::Value::Null), "{listed}");
    let refused = with(&none, folder.path(), &[&TRAIN[..], &["gpu"]].concat());
    is_refusal(&refused, 1, &["no adapter was found. Install a GPU driver"]);
    is_refusal(&with(&none, folder.path(), &[&TRAIN[..], &["0"]].concat()), 2, &["this machine has no adapter"]);
    let checked = with(&none, folder.path(), &["check", "--op", "relu"]);
    assert!(
        checked.status.success() && text(&checked.stderr).contains("0 failed, 0 skipped on CPU"),
        "{}",
        text(&checked.stderr)
    );
}

/// What `gpunn check` found on an adapter, as it remembers it in its cache.
fn remember(folder: &Path, adapter: &serde_json::Value, verdict: &str) {
    let word = |name: &str| adapter[name].as_str().expect("a text").to_owned();
    let id = |place: usize| adapter["ids"][place].as_u64().expect("a number");
    let description = format!("{} ({}, {})", word("name"), word("backend"), word("driver"));
    let key = format!("{description} {:x} {:x} {}", id(0), id(1), env!("CARGO_PKG_VERSION"));
    let checked = folder.join("cache/gpunn/checked");
    let file = KeptFile::new(checked.join(format!("{:x}", md5::compute(&key))), key);
    file.write(verdict.as_bytes()).expect("written");
}

#[test]
fn what_check_found_wrong_is_not_used_until_a_check_passes() {
    let Some((right, _)) = lavapipe() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let lavapipe = [right.as_path()];
    let adapter = &json(&with(&lavapipe, folder, &["devices", "--json"]))["devices"][0];
    let (_, heard) = trained(&lavapipe, folder, "gpu");
    assert!(!heard.contains("found it wrong"), "{heard}");

    remember(folder, adapter, r#"{"variants":[["softmax","none"],["max_pool2d","pairs"]],"ops":{}}"#);
    let (_, heard) = trained(&lavapipe, folder, "gpu");
    let sentence =
        "not used here, because `gpunn check` found it wrong: max_pool2d/pairs; plain kernels take its place";
    assert!(heard.contains(sentence), "{heard}");
    let checked = with(&lavapipe, folder, &["check", "--op", "max_pool2d", "--device", "gpu"]);
    assert!(text(&checked.stderr).contains("right now and used again: max_pool2d/pairs"), "{}", text(&checked.stderr));
    let (_, heard) = trained(&lavapipe, folder, "gpu");
    assert!(!heard.contains("found it wrong"), "{heard}");

    remember(folder, adapter, r#"{"variants":[],"ops":{"relu":"relu [a case] value: element 3"}}"#);
    let refused = with(&lavapipe, folder, &[&TRAIN[..], &["gpu"]].concat());
    is_refusal(&refused, 1, &["computes the op 'relu' wrongly", "element 3", "--device cpu", "--despite-check"]);
    let despite = with(&lavapipe, folder, &[&TRAIN[..], &["gpu", "--despite-check"]].concat());
    assert!(despite.status.success(), "{}", text(&despite.stderr));
    let checked = with(&lavapipe, folder, &["check", "--op", "relu", "--device", "gpu"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(trained(&lavapipe, folder, "gpu").0.contains("llvmpipe"));
}
