//! `gpunn data get --from`: datasets prepared from the files that their authors publish.

use std::io::Write;
use std::path::Path;

use crate::common::{files, gpunn, is_refusal, text};
use gpunn::datasets::fetch::{self, FetchOutcome};
use gpunn::datasets::sources::{PublishedFile, Source, source};

/// Asserts that the command fails with this exit code and a message that contains `part`, and leaves no files.
fn refused(folder: &Path, name: &str, code: i32, part: &str) {
    let output = gpunn(folder, &["data", "get", name, "--from", "got", "--data-dir", "data"]);
    is_refusal(&output, code, &[part]);
    let left = std::fs::read_dir(folder.join("data")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "{part}");
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, bytes).expect("written");
}

/// A MAT file with row vectors.
fn mat(rows: &[(&str, &[f64])]) -> Vec<u8> {
    let rows: Vec<_> = rows.iter().map(|&(name, values)| (name, [1, values.len()], values)).collect();
    crate::matlab::file(&rows)
}

/// The numbers of two photos of each kind for training, and of one photo of each kind for each other split.
fn splits() -> [Vec<f64>; 3] {
    let of = |offset: usize| (0..17).map(move |kind| (kind * 80 + offset) as f64);
    [of(1).chain(of(80)).collect(), of(2).collect(), of(3).collect()]
}

#[test]
fn flowers_are_laid_out_by_their_first_split() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let [train, val, test] = splits();
    let sound = mat(&[("trn1", &train), ("val1", &val), ("tst1", &test), ("trn2", &[1.0])]);
    refused(at, "flowers17", 1, "datasplits.mat");
    write(&at.join("got/datasplits.mat"), &sound);
    refused(at, "flowers17", 1, "image_0001.jpg");
    write(&at.join("got/17flowers.tgz"), b"no archive");
    refused(at, "flowers17", 1, "17flowers.tgz");
    for (variables, part) in [
        (mat(&[("trn1", &train), ("val1", &val)]), "no variable `tst1`"),
        (mat(&[("trn1", &[1361.0]), ("val1", &val), ("tst1", &test)]), "photo 1361"),
        (mat(&[("trn1", &[1.5]), ("val1", &val), ("tst1", &test)]), "photo 1.5"),
        (mat(&[("trn1", &train), ("val1", &train), ("tst1", &test)]), "twice"),
    ] {
        write(&at.join("got/datasplits.mat"), &variables);
        refused(at, "flowers17", 1, part);
    }
    write(&at.join("got/datasplits.mat"), &sound);
    // The archive without one photo; then with all photos.
    let name = |number: f64| format!("jpg/image_{number:04}.jpg");
    let mut all: Vec<String> = [&train, &val, &test].into_iter().flatten().map(|&number| name(number)).collect();
    all.push(name(1000.0));
    let archive = |names: &[String]| {
        files::tar_gz(&names.iter().map(|name| (name.clone(), name.clone().into_bytes())).collect::<Vec<_>>())
    };
    write(&at.join("got/17flowers.tgz"), &archive(&all[1..]));
    refused(at, "flowers17", 1, "67 of the 68 photos");
    write(&at.join("got/17flowers.tgz"), &archive(&all));
    let got = |say: &str| {
        let output = gpunn(at, &["data", "get", "flowers17", "--from", "got", "--data-dir", "data"]);
        assert!(output.status.success() && text(&output.stdout).contains(say), "{}", text(&output.stderr));
    };
    got("flowers17 is in data");
    let content = |path: &str| std::fs::read_to_string(at.join("data/flowers17").join(path)).expect("laid out");
    assert_eq!(content("train/daffodil/image_0080.jpg"), "jpg/image_0080.jpg");
    assert_eq!(content("val/lily_valley/image_0162.jpg"), "jpg/image_0162.jpg");
    assert_eq!(content("test/pansy/image_1283.jpg"), "jpg/image_1283.jpg");
    assert!(!at.join("data/flowers17/train/cowslip/image_1000.jpg").exists());
    assert_eq!(std::fs::read_dir(at.join("data")).expect("listed").count(), 1);
    got("already");
}

#[test]
fn scenes_are_laid_out_by_their_lists() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    refused(at, "sun8", 1, "train_files.txt");
    write(&at.join("got/train_files.txt"), b"park/a.jpg\ndesert/b.jpg\n\n");
    write(&at.join("got/test_files.txt"), b"park/c.jpg\r\n");
    refused(at, "sun8", 1, "b.jpg");
    for name in ["park/a.jpg", "desert/b.jpg", "park/c.jpg"] {
        write(&at.join("got").join(name), name.as_bytes());
    }
    for (bad, part) in [("../a.jpg", "line 1: `../a.jpg`"), ("a.jpg", "`a.jpg`"), ("park/a.jpg\npark/a.jpg", "line 2")]
    {
        write(&at.join("got/train_files.txt"), bad.as_bytes());
        refused(at, "sun8", 1, part);
    }
    write(&at.join("got/train_files.txt"), b"park/a.jpg\ndesert/b.jpg\n\n");
    refused(at, "mnist", 2, "--from lays out emnist36, flowers17 and sun8");
    let output = gpunn(at, &["data", "get", "sun8", "--from", "got", "--data-dir", "data"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let content = |path: &str| std::fs::read_to_string(at.join("data/sun8").join(path)).expect("laid out");
    assert_eq!([content("train/desert/b.jpg"), content("test/park/c.jpg")], ["desert/b.jpg", "park/c.jpg"]);
}

fn packed(dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    files::gzip(&files::idx(dims, bytes))
}

#[test]
fn the_characters_are_made_from_emnist_and_mnist() {
    const SIDE: usize = 28;
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    refused(at, "emnist36", 2, "emnist-letters-train-images-idx3-ubyte.gz");
    // A vertical stroke at the left and a horizontal stroke at the bottom whose length grows with the class number.
    let upright = |class: usize| {
        let mut image = vec![0_u8; SIDE * SIDE];
        (4..24).for_each(|y| image[y * SIDE + 5] = 255);
        (5..8 + class / 3).for_each(|x| image[23 * SIDE + x] = 255);
        image
    };
    let turned = |image: &[u8]| (0..SIDE * SIDE).map(|i| image[i % SIDE * SIDE + i / SIDE]).collect::<Vec<u8>>();
    let put =
        |images: &str, labels: &str, classes: std::ops::Range<usize>, first: usize, each: usize, by_columns: bool| {
            let shown: Vec<usize> = (0..each * classes.len()).map(|i| i % classes.len()).collect();
            let image = |&class: &usize| {
                let image = upright(classes.start + class);
                if by_columns { turned(&image) } else { image }
            };
            let bytes: Vec<u8> = shown.iter().flat_map(image).collect();
            let numbers: Vec<u8> = shown.iter().map(|&class| (class + first) as u8).collect();
            let (count, side) = (shown.len() as u32, SIDE as u32);
            write(&at.join("got").join(images), &packed(&[count, side, side], &bytes));
            write(&at.join("got").join(labels), &packed(&[count], &numbers));
        };
    let letters =
        |split: &str| ["images-idx3", "labels-idx1"].map(|what| format!("emnist-letters-{split}-{what}-ubyte.gz"));
    let digits = |split: &str| ["images-idx3", "labels-idx1"].map(|what| format!("{split}-{what}-ubyte.gz"));
    let put_all = |training: usize| {
        for ([images, labels], classes, first, each, by_columns) in [
            (letters("train"), 0..26, 1, training, true),
            (letters("test"), 0..26, 1, 50, true),
            (digits("train"), 26..36, 0, 400, false),
            (digits("t10k"), 26..36, 0, 50, false),
        ] {
            put(&images, &labels, classes, first, each, by_columns);
        }
    };
    put_all(399);
    refused(at, "emnist36", 1, "have 399 images of A, but emnist36 needs 400");
    put_all(400);
    let output = gpunn(at, &["data", "get", "emnist36", "--from", "got", "--data-dir", "data"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // The same from the archive of EMNIST, beside MNIST: both count as downloaded.
    let got = |name: &String| std::fs::read(at.join("got").join(name)).expect("a file");
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in ["train", "test"].into_iter().flat_map(letters) {
        archive.start_file(format!("gzip/{name}"), zip::write::SimpleFileOptions::default()).expect("begun");
        archive.write_all(&got(&name)).expect("written");
    }
    let archive = archive.finish().expect("whole").into_inner();
    for name in ["train", "t10k"].into_iter().flat_map(digits) {
        write(&at.join("fetched/mnist").join(&name), &got(&name));
    }
    write(&at.join("fetched/gzip.zip"), &archive);
    let sha256 = gpunn::files::sha256(&archive);
    let files = [PublishedFile { name: "gzip.zip", bytes: archive.len() as u64, sha256: &sha256 }];
    let source = Source { files: &files, addresses: &[], ..*source("emnist36").expect("it has an address") };
    let fetched = at.join("fetched");
    let get = || fetch::get_from(&source, &fetched, &mut |_, _, _| {}).expect("made");
    assert_eq!(get(), FetchOutcome::Fetched(fetched.join("emnist36")));
    assert_eq!(get(), FetchOutcome::AlreadyPresent(fetched.join("emnist36")));
    assert_eq!(crate::common::names(&fetched), ["emnist36", "mnist"]);
    for name in crate::common::names(&at.join("data/emnist36")) {
        let of = |directory: &str| std::fs::read(at.join(directory).join("emnist36").join(&name)).expect("a file");
        assert!(of("data") == of("fetched"), "{name}");
    }
    let set = gpunn::datasets::load("emnist36", Some(&at.join("data"))).expect("a set");
    for (split, each) in
        [(&set.train, 300), (set.val.as_ref().expect("val"), 100), (set.test.as_ref().expect("test"), 50)]
    {
        assert_eq!(split.labels, (0..36).flat_map(|class| vec![class; each]).collect::<Vec<u32>>());
        for class in [0, 25, 26, 35] {
            let image = split.image(class * each).expect("an image");
            let ink = |x: usize, y: usize| 1.0 - image[y * 32 + x];
            // 20 of the square's 27 cells are ink: the vertical stroke is 32 x 20 / 27 pixels high, and the horizontal one
            // is at its lower end.
            let longest = (0..32).max_by(|&a, &b| {
                let sum = |x: usize| (0..32).map(|y| ink(x, y)).sum::<f32>();
                sum(a).total_cmp(&sum(b))
            });
            let stroke = longest.expect("a column");
            let height = (0..32).filter(|&y| ink(stroke, y) > 0.5).count();
            let foot = (0..32).filter(|&x| (24..32).any(|y| ink(x, y) > 0.5)).count() as f32;
            let wanted = (3 + class / 3) as f32 * 32.0 / 27.0;
            assert!(
                (23..=25).contains(&height) && (foot - wanted).abs() < 1.6,
                "{class}: {height}, {foot} of {wanted}"
            );
        }
    }
}
