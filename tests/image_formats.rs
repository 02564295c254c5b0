//! Image files of all kinds that are read, against what Pillow decodes, and files that are not read. `scripts/make_image_tests.py`
//! made the files.

use std::path::Path;

use crate::common::{gpunn, is_refusal};
use gpunn::images;

/// The largest and the mean difference of an image's values to the pixels that Pillow decodes, of 255.
fn differences(path: &Path) -> (f32, f32) {
    let name = path.display();
    let right = images::open(Path::new(&format!("{name}.png"))).expect("a PNG").to_rgb8();
    let image = images::open(path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((image.height(), image.width()), (right.height(), right.width()), "{name}");
    let [height, width] = [right.height(), right.width()].map(|side| side as usize);
    let values = images::prepare(&image, [3, height, width]);
    let expected = (0..3).flat_map(|channel| right.pixels().map(move |pixel| f32::from(pixel.0[channel])));
    let differences: Vec<f32> =
        values.iter().zip(expected).map(|(value, expected)| (value * 255.0 - expected).abs()).collect();
    let mean = differences.iter().sum::<f32>() / differences.len() as f32;
    (differences.into_iter().fold(0.0, f32::max), mean)
}

#[test]
fn every_kind_of_file_is_decoded_as_by_another_decoder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images");
    let mut checked = 0;
    for found in images::walk(&folder, 1).expect("the files") {
        let name = found.path.file_name().expect("named").to_string_lossy().into_owned();
        if !folder.join(format!("{name}.png")).is_file() || name == "palette.tiff" {
            continue;
        }
        // Decoders of JPEG may round, and interpolate colours, in other ways.
        let is_jpeg = found.path.extension().is_some_and(|ending| ending.to_string_lossy().starts_with('j'));
        let (largest, mean) = differences(&found.path);
        let allowed = if is_jpeg || name == "jpeg.tiff" { (10.0, 0.6) } else { (0.001, 0.001) };
        assert!(largest <= allowed.0 && mean <= allowed.1, "{name}: {largest} at most, {mean} on average");
        checked += 1;
    }
    assert!(checked >= 27, "{checked}");
}

#[test]
fn what_is_no_image_that_is_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images");
    let whole = std::fs::read(samples.join("lossless.webp")).expect("a file");
    let cases: [(&str, &[u8], &[&str]); 8] = [
        ("empty.jpg", b"", &["empty.jpg is empty"]),
        ("text.jpg", b"no image at all", &["text.jpg is not an image (JPEG, PNG"]),
        (
            "photo.heic",
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            &["format HEIC, which is not read", "convert it to JPEG"],
        ),
        ("photo.jpg", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", &["photo.jpg has the format AVIF", "magick"]),
        ("drawing.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", &["format SVG"]),
        ("scan.png", b"%PDF-1.7\n", &["scan.png is not an image", "its format is PDF"]),
        ("cut.webp", &whole[..whole.len() / 2], &["cut.webp is not an image that can be decoded"]),
        (
            "palette.tiff",
            &std::fs::read(samples.join("palette.tiff")).expect("a file"),
            &["not an image that can be decoded", "Palette"],
        ),
    ];
    std::fs::create_dir_all(at.join("pics/a")).expect("made");
    for (name, content, _) in &cases {
        std::fs::write(at.join(name), content).expect("written");
        std::fs::write(at.join("pics/a").join(name), content).expect("written");
    }
    let train = ["train", "--epochs", "1", "--limit-train", "72", "--no-report", "--quiet", "--out", "run"];
    assert!(gpunn(at, &[&train[..], &["--device", "cpu"]].concat()).status.success());
    for (name, _, parts) in &cases {
        is_refusal(&gpunn(at, &["read", name]), 1, parts);
        is_refusal(&gpunn(at, &["predict", "run", name]), 1, parts);
    }
    std::fs::copy(samples.join("still.gif"), at.join("pics/a/still.gif")).expect("copied");
    let checked = gpunn(at, &["data", "check", "pics", "--json"]);
    assert_eq!(checked.status.code(), Some(1), "broken images are a fault");
    let check: serde_json::Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    let listed = |list: &str| {
        let of = |file: &serde_json::Value| {
            let text = |field: &str| file[field].as_str().expect("a text").to_owned();
            (text("path"), text("reason"))
        };
        check[list].as_array().expect("a list").iter().map(of).collect::<Vec<_>>()
    };
    let (broken, left_out) = (listed("broken"), listed("left_out"));
    assert_eq!((broken.len(), left_out.len(), &check["formats"]["GIF"]), (6, 2, &1.into()), "{check}");
    for (name, _, parts) in &cases {
        let (_, reason) =
            broken.iter().chain(&left_out).find(|(path, _)| path == &format!("a/{name}")).expect("listed");
        let word = parts[0].split(' ').find(|word| word.len() > 2 && word.chars().all(char::is_uppercase));
        assert!(word.is_none_or(|word| reason.contains(word)), "{name}: {reason}");
    }
}
