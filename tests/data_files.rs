//! Dataset files: the content of published ones, and one clear error message for each kind of bad file.

use crate::common::files::{gzip, idx};
use crate::common::real_set;
use gpunn::data::{Dataset, Pixels, SplitName};
use gpunn::datasets::LoadOptions;
use std::path::{Path, PathBuf};

/// A new data directory with a folder `name` that holds the given files.
fn lay_out(name: &str, files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(directory.path().join(name)).expect("a folder in it");
    for (file, bytes) in files {
        std::fs::write(directory.path().join(name).join(file), bytes).expect("a file in it");
    }
    directory
}

/// The error message of loading the dataset. It must be one or two sentences and name the place.
fn sentence(name: &str, directory: &Path) -> String {
    let error = gpunn::datasets::load(name, Some(directory)).expect_err("bad data must not load");
    let sentence = error.to_string();
    assert!(sentence.len() < 700 && !sentence.contains('\n'), "{sentence}");
    assert!(sentence.contains(&*directory.file_name().expect("it has a name").to_string_lossy()), "{sentence}");
    sentence
}

// ---- MAT

/// A split of three images, of classes 0, 1 and 35, whose pixel (x, y) is x / 100 + y / 10000.
fn images(split: &str) -> (String, [usize; 2], Vec<f64>) {
    let value = |i: usize| (i / 32) as f64 / 100.0 + (i % 32) as f64 / 10_000.0;
    (format!("{split}_data"), [3, 1024], (0..1024).flat_map(|i| [value(i); 3]).collect())
}

fn one_hot() -> ([usize; 2], Vec<f64>) {
    let mut values = vec![0.0; 3 * 36];
    for (row, class) in [0, 1, 35].into_iter().enumerate() {
        values[class * 3 + row] = 1.0;
    }
    ([3, 36], values)
}

/// A complete emnist36 with the given labels in every split. Tests replace single files of it.
fn emnist36(labels: ([usize; 2], Vec<f64>)) -> tempfile::TempDir {
    let files = ["train", "valid", "test"].map(|split| (split, split_file(split, &images(split), &labels)));
    let directory = lay_out("emnist36", &[]);
    for (split, bytes) in files {
        std::fs::write(file(&directory, split), bytes).expect("a file");
    }
    directory
}

fn split_file(split: &str, data: &(String, [usize; 2], Vec<f64>), labels: &([usize; 2], Vec<f64>)) -> Vec<u8> {
    let name = format!("{split}_labels");
    crate::matlab::file(&[(&data.0, data.1, &data.2), (&name, labels.0, &labels.1)])
}

fn file(directory: &tempfile::TempDir, split: &str) -> PathBuf {
    directory.path().join(format!("emnist36/emnist36_{split}.mat"))
}

#[test]
fn mat_images_are_upright_and_labels_read_in_each_form() {
    let forms = [
        one_hot(),
        ([3, 1], vec![1.0, 2.0, 36.0]), // counted from 1
        ([1, 3], vec![1.0, 2.0, 36.0]),
        ([3, 1], vec![0.0, 1.0, 35.0]), // counted from 0, because there is a 0
    ];
    for labels in forms {
        let directory = emnist36(labels.clone());
        let set = gpunn::datasets::load("emnist36", Some(directory.path())).expect("whole");
        assert_eq!(set.folder, Some(std::fs::canonicalize(directory.path()).expect("there")));
        for part in [SplitName::Train, SplitName::Val, SplitName::Test] {
            let split = set.split(part).expect("there");
            assert_eq!(split.labels, [0, 1, 35], "{labels:?}");
            let image = split.image(2).expect("there");
            assert_eq!((image[0], image[1], image[32]), (0.0, 0.01, 0.0001));
        }
    }
}

#[test]
fn a_missing_mat_file_is_named() {
    let directory = emnist36(one_hot());
    std::fs::remove_file(file(&directory, "valid")).expect("it was there");
    assert!(sentence("emnist36", directory.path()).contains("emnist36_valid.mat is not there"));
    assert!(sentence("nist36", directory.path()).contains("nist36_train.mat"));
    let empty = lay_out("nist26", &[]);
    assert!(sentence("nist26", empty.path()).contains("holds none of nist26_train.mat"));
}

#[test]
fn a_short_mat_file_is_a_sentence() {
    let directory = emnist36(one_hot());
    let whole = std::fs::read(file(&directory, "train")).expect("there");
    for length in [0, 1, 100, 128, 130, 140, 200, 1000, whole.len() / 2, whole.len() - 900, whole.len() - 1] {
        std::fs::write(file(&directory, "train"), &whole[..length]).expect("a file");
        let sentence = sentence("emnist36", directory.path());
        assert!(sentence.contains("emnist36_train.mat"), "{sentence}");
    }
    std::fs::write(file(&directory, "train"), b"no such thing".repeat(100)).expect("a file");
    assert!(sentence("emnist36", directory.path()).contains("is not a MAT file"));
}

#[test]
fn mat_arrays_of_another_shape_or_name_are_sentences() {
    let says = |data: (&str, [usize; 2], Vec<f64>), labels: ([usize; 2], Vec<f64>)| {
        let directory = emnist36(one_hot());
        let bytes = split_file("test", &(data.0.to_owned(), data.1, data.2), &labels);
        std::fs::write(file(&directory, "test"), bytes).expect("a file");
        sentence("emnist36", directory.path())
    };
    let zeros = |rows: usize, columns: usize| ("test_data", [rows, columns], vec![0.0; rows * columns]);
    assert!(says(zeros(3, 784), one_hot()).contains("must be N x 1024"));
    assert!(says(zeros(1024, 3), one_hot()).contains("but is 1024 x 3"));
    assert!(says(zeros(4, 1024), one_hot()).contains("must be 4 x 36"));
    assert!(says(zeros(3, 1024), ([3, 26], vec![0.0; 78])).contains("but is 3 x 26"));
    assert!(says(zeros(3, 1024), ([3, 36], vec![0.0; 108])).contains("not one-hot"));
    assert!(says(zeros(3, 1024), ([3, 1], vec![1.0, 2.0, 37.0])).contains("is 37"));
    assert!(says(zeros(3, 1024), ([3, 1], vec![0.0, 2.0, 36.0])).contains("out of range"));
    assert!(says(zeros(3, 1024), ([3, 1], vec![-1.0, 2.0, 3.0])).contains("is -1"));
    assert!(says(("images", [3, 1024], vec![0.0; 3072]), one_hot()).contains("must hold the array `test_data`"));
    let mut nan = vec![0.0; 3072];
    nan[5] = f64::NAN;
    assert!(says(("test_data", [3, 1024], nan), one_hot()).contains("row 3 of `test_data` holds NaN"));
}

#[test]
fn a_set_of_its_validation_split_alone_loads_but_cannot_train() {
    let mut labels = vec![0.0; 3 * 26];
    labels[0..3].fill(1.0);
    let bytes = split_file("valid", &images("valid"), &([3, 26], labels));
    let directory = lay_out("nist26", &[("nist26_valid.mat", bytes)]);
    let set = gpunn::datasets::load("nist26", Some(directory.path())).expect("one split is enough");
    assert_eq!((set.classes.len(), set.split(SplitName::Val).expect("there").len()), (26, 3));
    let sentence = set.split(SplitName::Train).expect_err("not there").to_string();
    assert!(sentence.contains("has no train split") && sentence.contains("nist26_train.mat"), "{sentence}");
}

// ---- IDX

/// A small MNIST: two training images, compressed, and one test image.
fn mnist(images: Vec<u8>, labels: Vec<u8>) -> tempfile::TempDir {
    lay_out(
        "mnist",
        &[
            ("train-images-idx3-ubyte.gz", images),
            ("train-labels-idx1-ubyte.gz", labels),
            ("t10k-images-idx3-ubyte", idx(&[1, 28, 28], &vec![255; 784])),
            ("t10k-labels-idx1-ubyte", idx(&[1], &[9])),
        ],
    )
}

#[test]
fn idx_is_read_packed_and_plain() {
    let directory = mnist(gzip(&idx(&[2, 28, 28], &vec![7; 1568])), gzip(&idx(&[2], &[3, 0])));
    let set = gpunn::datasets::load("mnist", Some(directory.path())).expect("whole");
    assert_eq!((set.train.labels.as_slice(), set.train.pixels.len()), ([3, 0].as_slice(), 1568));
    assert_eq!(set.split(SplitName::Test).expect("there").image(0), Some(vec![1.0; 784]));
    let sentence = set.split(SplitName::Val).expect_err("MNIST has none").to_string();
    assert!(sentence.contains("only train and test") && sentence.contains("--val-fraction"), "{sentence}");
}

#[test]
fn bad_idx_files_are_sentences() {
    let images = || gzip(&idx(&[2, 28, 28], &vec![7; 1568]));
    let labels = || gzip(&idx(&[2], &[3, 0]));
    let says = |images: Vec<u8>, labels: Vec<u8>| sentence("mnist", mnist(images, labels).path());
    // Wrong files: labels instead of images, images instead of labels, another element type, another format.
    assert!(says(labels(), labels()).contains("must hold N x 28 x 28 images"));
    assert!(says(images(), images()).contains("must hold 2 labels"));
    assert!(says(idx(&[2, 32, 32], &vec![0; 2048]), labels()).contains("must hold N x 28 x 28"));
    assert!(says(vec![0, 0, 13, 1, 0, 0, 0, 0], labels()).contains("type 0x0d"));
    assert!(says(b"\x89PNG\r\n".to_vec(), labels()).contains("is not an IDX file"));
    // Files that are too short, too long or damaged.
    assert!(says(idx(&[2, 28, 28], &vec![7; 1567]), labels()).contains("but 1567 follow"));
    assert!(says(idx(&[2, 28, 28], &vec![7; 1569]), labels()).contains("but more follow"));
    assert!(says(Vec::new(), labels()).contains("ends too early"));
    let whole = images();
    assert!(says(whole[..whole.len() - 8].to_vec(), labels()).contains("ends too early"));
    let mut damaged = whole.clone();
    damaged[whole.len() - 8] ^= 0x10;
    assert!(says(damaged, labels()).contains("gzip data is damaged"));
    // Bad labels.
    assert!(says(images(), gzip(&idx(&[2], &[3, 10]))).contains("label 2 is 10"));
    assert!(says(images(), gzip(&idx(&[3], &[3, 1, 1]))).contains("must hold 2 labels"));
    let directory = mnist(images(), labels());
    std::fs::remove_file(directory.path().join("mnist/t10k-labels-idx1-ubyte")).expect("it was there");
    assert!(sentence("mnist", directory.path()).contains("neither t10k-labels-idx1-ubyte nor"));
}

// ---- The published files

fn real(name: &str) -> Option<Dataset> {
    real_set(name, name, &LoadOptions::default())
}

/// The mean image of a class, which shows its orientation.
fn mean_image(set: &Dataset, part: SplitName, class: u32) -> Vec<f32> {
    let split = set.split(part).expect("there");
    let chosen: Vec<Vec<f32>> =
        (0..split.len()).filter(|&i| split.labels[i] == class).filter_map(|i| split.image(i)).collect();
    (0..chosen[0].len()).map(|k| chosen.iter().map(|p| p[k]).sum::<f32>() / chosen.len() as f32).collect()
}

#[test]
fn emnist36_is_read_whole_and_upright() {
    let Some(set) = real("emnist36") else { return };
    for (part, per_class) in [(SplitName::Train, 300), (SplitName::Val, 100), (SplitName::Test, 50)] {
        let split = set.split(part).expect("there");
        assert_eq!(split.labels, (0..36 * per_class).map(|i| i / per_class).collect::<Vec<_>>());
        let Pixels::F32(pixels) = &split.pixels else { panic!("MAT files are floats") };
        assert_eq!(pixels.len(), split.len() * 1024);
        assert!(pixels.iter().all(|v| (0.0..=1.0).contains(v)));
    }
    // A seven, dark on white, has its bar at the top. If the image were transposed, the bar would be at the left.
    let seven = mean_image(&set, SplitName::Train, 33);
    let brightness = |rows: std::ops::Range<usize>| seven[rows.start * 32..rows.end * 32].iter().sum::<f32>();
    let (upper, lower) = (brightness(5..11), brightness(19..25));
    assert!(upper < lower, "upper {upper} lower {lower}");
}

#[test]
fn nist26_is_read_with_its_values_beyond_zero_and_one() {
    let Some(set) = real("nist26") else { return };
    let split = set.split(SplitName::Val).expect("there");
    let Pixels::F32(pixels) = &split.pixels else { panic!("MAT files are floats") };
    assert_eq!((split.len(), set.classes.len()), (1300, 26));
    assert!((0..26).all(|class| split.labels.iter().filter(|&&label| label == class).count() == 50));
    assert!(pixels.iter().any(|&v| v < -0.1) && pixels.iter().any(|&v| v > 1.1));
}

#[test]
fn mnist_is_read_whole() {
    let Some(set) = real("mnist") else { return };
    let test = set.split(SplitName::Test).expect("there");
    assert_eq!((set.train.len(), test.len(), set.input), (60_000, 10_000, [1, 28, 28]));
    // The first labels of the published files.
    assert_eq!(set.train.labels[..8], [5, 0, 4, 1, 9, 2, 1, 3]);
    assert_eq!(test.labels[..8], [7, 2, 1, 0, 4, 1, 4, 9]);
}
