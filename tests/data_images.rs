//! CIFAR files and folders of images: their content, the cache, and one clear error message for each kind of bad file.

use crate::common::files::tar_gz;
use crate::common::{gpunn, real_set, text};
use gpunn::data::{Dataset, Pixels, Split, SplitName};
use gpunn::data::{Fit, ImageOptions, Size};
use gpunn::datasets::LoadOptions;
use gpunn::datasets::Store;
use image::{Rgb, RgbImage};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn bytes(split: &Split) -> &[u8] {
    let Pixels::U8(bytes) = &split.pixels else { panic!("images are bytes") };
    bytes
}

// ---- CIFAR

/// A CIFAR-10 file of 10,000 records: record i has label i mod 10 and pixels (i + k + shift) mod 251 at place k.
fn batch(shift: usize) -> Vec<u8> {
    let record = |i: usize| [(i % 10) as u8].into_iter().chain((0..3072).map(move |k| ((i + k + shift) % 251) as u8));
    (0..10_000).flat_map(record).collect()
}

const CLASSES: &str = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";

fn cifar_files() -> Vec<(String, Vec<u8>)> {
    let batches = (1..=5).map(|i| (format!("data_batch_{i}.bin"), batch(i)));
    batches.chain([("test_batch.bin".into(), batch(0)), ("batches.meta.txt".into(), CLASSES.into())]).collect()
}

fn check_cifar(set: &Dataset, directory: &Path) {
    assert_eq!((set.input, set.train.len(), set.classes.len()), ([3, 32, 32], 50_000, 10));
    assert_eq!((set.classes[9].as_str(), &set.train.labels[..3], set.val.is_none()), ("truck", &[0, 1, 2][..], true));
    let test = set.split(SplitName::Test).expect("there");
    // Record 7 of the test batch, its second pixel; record 20,003 of the training split is record 3 of batch 3.
    assert_eq!((bytes(test)[7 * 3072 + 1], bytes(&set.train)[20_003 * 3072]), (8, 6));
    assert_eq!(set.folder.as_deref(), Some(std::fs::canonicalize(directory).expect("there").as_path()));
}

#[test]
fn cifar10_is_read_from_its_folder_and_bad_files_are_sentences() {
    let directory = directory();
    let folder = directory.path().join("cifar-10-batches-bin");
    std::fs::create_dir(&folder).expect("made");
    for (name, bytes) in cifar_files() {
        std::fs::write(folder.join(name), bytes).expect("written");
    }
    check_cifar(&gpunn::datasets::load("cifar-10", Some(directory.path())).expect("whole"), directory.path());
    let says = |name: &str, content: Option<&[u8]>| {
        let path = folder.join(name);
        let before = std::fs::read(&path).expect("there");
        match content {
            Some(content) => std::fs::write(&path, content).expect("written"),
            None => std::fs::remove_file(&path).expect("removed"),
        }
        let sentence = gpunn::datasets::load("cifar10", Some(directory.path())).expect_err("refused").to_string();
        std::fs::write(&path, before).expect("written");
        assert!(sentence.contains(name) && sentence.len() < 600 && !sentence.contains('\n'), "{sentence}");
        sentence
    };
    let whole = batch(2);
    assert!(
        says("data_batch_2.bin", Some(&whole[..whole.len() - 1]))
            .contains("has 30729999 bytes, but must have 30730000")
    );
    assert!(says("data_batch_2.bin", Some(&whole[..whole.len() / 2])).contains("has 15365000 bytes"));
    assert!(says("test_batch.bin", Some(&[])).contains("has 0 bytes"));
    let mut labelled = whole.clone();
    labelled[3 * 3073] = 10;
    assert!(says("data_batch_5.bin", Some(&labelled)).contains("label of record 4 is 10"));
    assert!(
        says("batches.meta.txt", Some(b"cat\ndog")).contains("must name 10 classes, one on each line, but names 2")
    );
    assert!(says("data_batch_3.bin", None).contains("`gpunn data get cifar10` downloads it"));
    let asked = LoadOptions {
        image_options: ImageOptions { size: Some(Size::Square(64)), ..ImageOptions::default() },
        ..LoadOptions::default()
    };
    let sentence =
        gpunn::datasets::load_with("cifar10", Some(directory.path()), &asked).expect_err("refused").to_string();
    assert!(sentence.contains("3 x 32 x 32 as published"), "{sentence}");
}

#[test]
fn cifar10_is_read_from_the_published_archive() {
    let directory = directory();
    let file = |(name, bytes): (String, Vec<u8>)| (format!("cifar-10-batches-bin/{name}"), bytes);
    let archive = tar_gz(&cifar_files().into_iter().map(file).collect::<Vec<_>>());
    let path = directory.path().join("cifar-10-binary.tar.gz");
    std::fs::write(&path, &archive).expect("written");
    check_cifar(&gpunn::datasets::load("cifar10", Some(directory.path())).expect("whole"), directory.path());
    std::fs::write(&path, &archive[..archive.len() / 2]).expect("written");
    let sentence = gpunn::datasets::load("cifar10", Some(directory.path())).expect_err("cut short").to_string();
    assert!(sentence.contains("cifar-10-binary.tar.gz is cut short or damaged"), "{sentence}");
}

#[test]
fn cifar100_takes_the_fine_class() {
    let directory = directory();
    let folder = directory.path().join("cifar-100-binary");
    std::fs::create_dir(&folder).expect("made");
    let records = |count: usize| -> Vec<u8> {
        (0..count).flat_map(|i| [(i % 20) as u8, (i % 100) as u8].into_iter().chain([i as u8; 3072])).collect()
    };
    let names: String = (0..100).map(|i| format!("thing_{i}\n")).collect();
    std::fs::write(folder.join("train.bin"), records(50_000)).expect("written");
    std::fs::write(folder.join("test.bin"), records(10_000)).expect("written");
    std::fs::write(folder.join("fine_label_names.txt"), names).expect("written");
    let set = gpunn::datasets::load("cifar100", Some(directory.path())).expect("whole");
    assert_eq!((set.train.len(), set.train.labels[77], set.classes[77].as_str()), (50_000, 77, "thing_77"));
    assert_eq!(bytes(&set.train)[77 * 3072..][..2], [77, 77]);
    std::fs::write(folder.join("test.bin"), records(9_999)).expect("written");
    let sentence = gpunn::datasets::load("cifar100", Some(directory.path())).expect_err("short").to_string();
    assert!(sentence.contains("must have 30740000: 10000 records of 3074"), "{sentence}");
}

// ---- Folders

/// Writes an image of one colour. The ending of the file name selects the format.
fn paint(path: &Path, (width, height): (u32, u32), colour: [u8; 3]) {
    std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
    RgbImage::from_pixel(width, height, Rgb(colour)).save(path).expect("written");
}

const RED: [u8; 3] = [250, 10, 20];
const BLUE: [u8; 3] = [10, 20, 250];

/// Red and blue images of several formats and sizes in `train`, and one of each colour in `val`.
fn colours() -> tempfile::TempDir {
    let root = directory();
    let at = |name: &str| root.path().join("colours").join(name);
    paint(&at("train/red/1.png"), (40, 30), RED);
    paint(&at("train/red/2.jpg"), (16, 90), RED);
    paint(&at("train/blue/1.bmp"), (8, 8), BLUE);
    paint(&at("train/blue/2.webp"), (33, 20), BLUE);
    paint(&at("val/red/1.png"), (9, 9), RED);
    paint(&at("val/blue/1.png"), (9, 9), BLUE);
    root
}

fn options(root: &tempfile::TempDir, size: Option<usize>) -> LoadOptions {
    let asked = ImageOptions { size: size.map(Size::Square), ..ImageOptions::default() };
    LoadOptions { image_options: asked, cache: Some(root.path().join("cache")), ..LoadOptions::default() }
}

fn load(root: &tempfile::TempDir, options: &LoadOptions) -> gpunn::Result<Dataset> {
    gpunn::datasets::load_with("colours", Some(root.path()), options)
}

/// Whether each image has the colour of its class, except for JPEG's small changes.
fn well_coloured(set: &Dataset, split: &Split) -> bool {
    let size: usize = set.input.iter().product();
    split.labels.iter().zip(bytes(split).chunks_exact(size)).all(|(&label, image)| {
        let colour = if set.classes[label as usize] == "red" { RED } else { BLUE };
        image.chunks_exact(size / 3).zip(colour).all(|(plane, value)| plane.iter().all(|&v| v.abs_diff(value) < 6))
    })
}

#[test]
fn images_of_mixed_kinds_and_sizes_become_one_set() {
    let root = colours();
    let set = load(&root, &options(&root, None)).expect("a set");
    assert_eq!((set.name.as_str(), set.input), ("colours", [3, 64, 64]));
    assert_eq!((set.classes.as_slice(), set.test.is_none()), (["blue", "red"].map(String::from).as_slice(), true));
    assert_eq!((set.train.labels.as_slice(), bytes(&set.train).len()), ([0, 0, 1, 1].as_slice(), 4 * 3 * 64 * 64));
    let val = set.split(SplitName::Val).expect("there");
    assert!(val.len() == 2 && well_coloured(&set, &set.train) && well_coloured(&set, val));
    // The name and the folder in a recipe load the same dataset, and so does the full path.
    let again = gpunn::datasets::load_with(&set.name, set.folder.as_deref(), &options(&root, None)).expect("a set");
    assert_eq!(again, set);
    let path = format!("{}/", root.path().join("colours").display());
    assert_eq!(gpunn::datasets::load_with(&path, None, &options(&root, None)).expect("a set"), set);
}

#[test]
fn a_folder_with_a_known_set_s_name_is_read_where_its_path_is_given() {
    let root = colours();
    std::fs::rename(root.path().join("colours"), root.path().join("mnist")).expect("renamed");
    let path = root.path().join("mnist").display().to_string();
    let set = gpunn::datasets::load_with(&path, None, &options(&root, Some(8))).expect("a set");
    assert_eq!((set.input, set.folder.clone()), ([3, 8, 8], None));
    assert_eq!(gpunn::datasets::load_with(&set.name, None, &options(&root, Some(8))).expect("a set"), set);
}

fn stores(root: &tempfile::TempDir) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.path().join("cache/pictures")) else { return Vec::new() };
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn the_cache_serves_what_is_unchanged_and_notices_what_changed() {
    let root = colours();
    let sixteen = options(&root, Some(16));
    let first = load(&root, &sixteen).expect("a set");
    assert_eq!(stores(&root).len(), 1);
    assert_eq!(load(&root, &sixteen).expect("a set"), first);
    // The cache is used: a file with new content but the same length and time is not read again.
    let image = root.path().join("colours/val/red/1.png");
    let before = std::fs::metadata(&image).expect("there");
    let noise = vec![1; before.len() as usize];
    let stamped = |time: SystemTime| {
        std::fs::write(&image, &noise).expect("written");
        std::fs::File::options().append(true).open(&image).and_then(|file| file.set_modified(time)).expect("stamped");
    };
    stamped(before.modified().expect("a time"));
    assert_eq!(load(&root, &sixteen).expect("a set"), first);
    // A new time or another image size makes the program decode the files again.
    stamped(before.modified().expect("a time") + Duration::from_secs(2));
    assert!(load(&root, &sixteen).expect_err("noise").to_string().contains("1.png is not an image (JPEG"));
    paint(&image, (5, 7), BLUE);
    let changed = load(&root, &sixteen).expect("a set");
    assert!(!well_coloured(&changed, changed.split(SplitName::Val).expect("there")));
    paint(&root.path().join("colours/train/red/3.png"), (5, 7), RED);
    assert_eq!(load(&root, &sixteen).expect("a set").train.len(), 5);
    // The changed dataset replaced the old cache file. Another size has its own cache file.
    assert_eq!(stores(&root).len(), 1);
    assert_eq!(load(&root, &options(&root, Some(17))).expect("a set").input, [3, 17, 17]);
    assert_eq!(stores(&root).len(), 2);
}

#[test]
fn a_damaged_store_is_made_again_and_a_cache_that_cannot_be_written_is_done_without() {
    let root = colours();
    let sixteen = options(&root, Some(16));
    let first = load(&root, &sixteen).expect("a set");
    let path = stores(&root).pop().expect("one");
    let whole = std::fs::read(&path).expect("there");
    for length in (0..whole.len()).step_by(97).chain(whole.len() - 40..whole.len()) {
        std::fs::write(&path, &whole[..length]).expect("written");
        assert_eq!(load(&root, &sixteen).expect("a set"), first, "cut to {length}");
        assert_eq!(std::fs::read(&path).expect("there"), whole);
    }
    for place in whole.len() - 30..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x11;
        std::fs::write(&path, &bytes).expect("written");
        assert_eq!(load(&root, &sixteen).expect("a set"), first, "byte {place} changed");
    }
    // The cache folder cannot be made, because a file has its name.
    let blocked = LoadOptions { cache: Some(root.path().join("colours/train/red/1.png")), ..sixteen.clone() };
    assert_eq!(load(&root, &blocked).expect("a set"), first);
    assert_eq!(load(&root, &LoadOptions { cache: None, ..sixteen }).expect("a set"), first);
}

#[test]
fn decoded_images_can_be_read_row_by_row() {
    let root = colours();
    let sixteen = options(&root, Some(16));
    let mut store: Store = gpunn::datasets::open_store("colours", Some(root.path()), &sixteen).expect("decoded");
    let set = load(&root, &sixteen).expect("a set");
    assert_eq!((store.input(), store.classes()), (set.input, set.classes.as_slice()));
    assert_eq!((store.labels(SplitName::Train), store.labels(SplitName::Val)), (&set.train.labels[..], &[0, 1][..]));
    let size = store.image_bytes();
    let mut two = vec![0; 2 * size];
    store.read(SplitName::Train, 1, &mut two).expect("read");
    assert_eq!(two, bytes(&set.train)[size..3 * size]);
    store.read(SplitName::Val, 0, &mut two).expect("read");
    assert_eq!(two, bytes(set.split(SplitName::Val).expect("there")));
    assert!(store.read(SplitName::Val, 1, &mut two).expect_err("too far").to_string().contains("it has 2 images"));
    assert!(store.read(SplitName::Val, 0, &mut two[1..]).is_err());
    let sentence = gpunn::datasets::open_store("glyphs", None, &sixteen).expect_err("no folder").to_string();
    assert!(sentence.contains("not a folder of images"), "{sentence}");
}

#[test]
fn bad_images_are_named_or_left_out() {
    let root = colours();
    let bad = root.path().join("colours/train/red/0.jpg");
    std::fs::write(&bad, b"no image").expect("written");
    let whole = std::fs::read(root.path().join("colours/train/red/2.jpg")).expect("there");
    let strict = options(&root, Some(16));
    let sentence = load(&root, &strict).expect_err("bad").to_string();
    let named = format!("{} is not an image", Path::new("red").join("0.jpg").display());
    assert!(sentence.contains(&named) && sentence.contains("--skip-bad"), "{sentence}");
    assert!(stores(&root).is_empty());
    let lenient = LoadOptions { skip_bad: true, ..strict.clone() };
    for _ in 0..2 {
        // First from the files, then from the cache.
        let set = load(&root, &lenient).expect("the rest");
        assert_eq!((set.train.labels.as_slice(), set.skipped.len()), ([0, 0, 1, 1].as_slice(), 1));
        assert!(set.skipped[0].contains("0.jpg") && well_coloured(&set, &set.train));
    }
    // Files that begin correctly and end too early.
    let png = std::fs::read(root.path().join("colours/train/red/1.png")).expect("there");
    for (name, bytes) in [("0.png", &png[..png.len() / 2]), ("0.jpg", &whole[..20])] {
        let _ = std::fs::remove_file(&bad);
        std::fs::write(root.path().join("colours/train/red").join(name), bytes).expect("written");
        assert!(load(&root, &strict).expect_err("bad").to_string().contains(name));
    }
    // A class without any image that can be decoded.
    std::fs::write(root.path().join("colours/val/red/1.png"), b"").expect("written");
    let sentence = load(&root, &lenient).expect_err("nothing left").to_string();
    assert!(sentence.contains("class red in the val split"), "{sentence}");
}

#[test]
fn names_that_lead_nowhere_are_sentences() {
    let says = |name: &str| gpunn::datasets::load(name, None).expect_err("nothing there").to_string();
    assert!(says("no/such/folder").contains("There is no folder no/such/folder"));
    assert!(says("Cargo.toml").contains("is a file"));
    assert!(says("sun-8").contains("did you mean `sun8`"));
    assert!(says("").contains("There is no dataset"));
}

// ---- The command line

#[test]
fn the_command_line_trains_on_a_folder_and_finds_it_again() {
    let root = colours();
    std::fs::write(root.path().join("colours/train/red/bad.jpg"), b"no image").expect("written");
    let train =
        ["train", "--dataset", "colours/", "--model", "mlp", "--size", "8", "--epochs", "2", "--batch-size", "2"];
    let train = [&train[..], &["--device", "cpu", "--out", "run"]].concat();
    let refused = gpunn(root.path(), &train);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains("bad.jpg is not an image") && said.contains("--skip-bad"), "{said}");
    let done = gpunn(root.path(), &[&train[..], &["--skip-bad"]].concat());
    let said = text(&done.stderr);
    assert!(done.status.success() && said.contains("1 image that cannot be decoded was skipped in colours"), "{said}");
    let recipe = std::fs::read_to_string(root.path().join("run/recipe.toml")).expect("a recipe");
    assert!(
        recipe.contains("name = \"colours\"") && recipe.contains("size = 8") && recipe.contains("skip_bad"),
        "{recipe}"
    );
    let elsewhere = directory();
    let run = root.path().join("run").display().to_string();
    let eval = gpunn(elsewhere.path(), &["eval", &run, "--split", "val", "--json", "--device", "cpu"]);
    assert!(eval.status.success() && text(&eval.stdout).contains("\"images\":2"), "{}", text(&eval.stderr));
    let image = root.path().join("colours/train/red/2.jpg").display().to_string();
    let predict = gpunn(elsewhere.path(), &["predict", &run, &image, "--json", "--device", "cpu"]);
    assert!(predict.status.success() && text(&predict.stdout).contains("\"class\""), "{}", text(&predict.stderr));
    let summary = gpunn(root.path(), &["summary", "--model", "mlp", "--dataset", "colours", "--json"]);
    assert!(text(&summary.stdout).contains("\"input\":[3,64,64],\"classes\":2"), "{}", text(&summary.stdout));
}

#[test]
fn the_command_line_lists_explains_and_previews() {
    let root = colours();
    let preview = gpunn(root.path(), &["data", "preview", "colours", "--size", "24x32", "--out", "sheet.png"]);
    assert!(preview.status.success(), "{}", text(&preview.stderr));
    let sheet = image::open(root.path().join("sheet.png")).expect("an image").to_rgb8();
    assert!(sheet.pixels().any(|p| p.0[0] > 240 && p.0[2] < 40) && sheet.pixels().any(|p| p.0[2] > 240 && p.0[0] < 40));
    let list = text(&gpunn(root.path(), &["data", "list"]).stdout);
    for name in ["cifar10", "cifar100", "sun8", "flowers17"] {
        assert!(list.contains(name), "{list}");
    }
    let info = text(&gpunn(root.path(), &["data", "info", "colours"]).stdout);
    assert!(info.contains("2: blue, red") && info.contains("3 x 64 x 64; 4 train, 2 val, 0 test"), "{info}");
    let info = text(&gpunn(root.path(), &["data", "info", "cifar10"]).stdout);
    assert!(
        info.contains("cifar-10-binary.tar.gz") && info.contains("`gpunn data get cifar10` downloads it"),
        "{info}"
    );
    let cases = [
        (vec!["train", "--dataset", "cifar10"], "`gpunn data get cifar10` downloads it"),
        (vec!["data", "get", "sun8"], "sun8 cannot be downloaded automatically"),
        (vec!["data", "preview", "colours", "--fit", "crop", "--out", "x.png"], "There is no fit `crop`"),
        (vec!["data", "preview", "colours", "--size", "0", "--out", "x.png"], "from 1 to 4096"),
        (vec!["data", "preview", "colours", "--channels", "4", "--out", "x.png"], "4 channels"),
        (vec!["train", "--dataset", "nowhere/"], "There is no folder nowhere/"),
    ];
    for (arguments, part) in cases {
        let output = gpunn(root.path(), &arguments);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(part), "{arguments:?}: {said}");
    }
}

// ---- The published files

fn per_class(split: &Split, classes: usize) -> Vec<usize> {
    (0..classes as u32).map(|class| split.labels.iter().filter(|&&label| label == class).count()).collect()
}

#[test]
fn cifar10_as_published_is_balanced_and_in_order() {
    let Some(set) = real_set("cifar10", "cifar-10-batches-bin", &LoadOptions::default()) else { return };
    let test = set.split(SplitName::Test).expect("there");
    assert_eq!((per_class(&set.train, 10), per_class(test, 10)), (vec![5000; 10], vec![1000; 10]));
    // The first labels of the published files: frog, truck, truck, deer; cat, ship, ship, airplane.
    assert_eq!((&set.train.labels[..4], &test.labels[..4]), (&[6, 9, 9, 4][..], &[3, 8, 8, 0][..]));
    // The channel means that are commonly used for normalization.
    for (channel, wanted) in [0.4914, 0.4822, 0.4465].into_iter().enumerate() {
        let planes = bytes(&set.train).chunks_exact(3072).map(|p| &p[channel * 1024..(channel + 1) * 1024]);
        let mean = planes.flatten().map(|&v| f64::from(v)).sum::<f64>() / (255.0 * 50_000.0 * 1024.0);
        assert!((mean - wanted).abs() < 1e-4, "channel {channel}: {mean}");
    }
}

#[test]
fn sun8_and_flowers17_are_read_whole_and_the_same_from_the_cache() {
    let root = directory();
    for (name, size, counts, classes) in [("sun8", 32, [1177, 0, 400], 8), ("flowers17", 32, [680, 340, 340], 17)] {
        let options = LoadOptions {
            image_options: ImageOptions { size: Some(Size::Square(size)), fit: Some(Fit::ResizeCrop), channels: None },
            cache: Some(root.path().to_owned()),
            ..LoadOptions::default()
        };
        let Some(set) = real_set(name, name, &options) else { continue };
        let found =
            [SplitName::Train, SplitName::Val, SplitName::Test].map(|part| set.split(part).map_or(0, Split::len));
        assert_eq!((found, set.classes.len(), set.input), (counts, classes, [3, size, size]));
        assert_eq!(real_set(name, name, &options), Some(set));
    }
}
