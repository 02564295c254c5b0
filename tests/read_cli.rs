//! `gpunn read` as a command and as a library, with good and with bad images.

use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use gpunn::Engine;
use gpunn::ocr::synthetic::{self, Glyphs};
use gpunn::ocr::{self, Reader, evaluate};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, LumaA, Rgb};

/// Bars of the letters H, E and T: first column, first row, last column, last row.
const BARS: [[u32; 4]; 9] = [
    [37, 25, 44, 95],
    [87, 25, 94, 95],
    [40, 57, 90, 64],
    [127, 25, 134, 95],
    [127, 25, 175, 32],
    [130, 57, 168, 64],
    [127, 88, 175, 95],
    [210, 25, 275, 32],
    [240, 28, 247, 95],
];

fn is_ink(x: u32, y: u32) -> bool {
    BARS.iter().any(|&[left, top, right, bottom]| (left..right).contains(&x) && (top..bottom).contains(&y))
}

fn drawn(paper: u8, ink: u8) -> GrayImage {
    GrayImage::from_fn(320, 120, |x, y| Luma([if is_ink(x, y) { ink } else { paper }]))
}

fn read(image: impl Into<DynamicImage>) -> ocr::PageText {
    let mut reader = Reader::new(Engine::cpu()).expect("the reader in the program");
    gpunn::blocking::block_on(ocr::read(&image.into(), &mut reader)).expect("a page")
}

fn gpunn(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gpunn"))
        .arg("read")
        .args(arguments)
        .args(["--device", "cpu"])
        .output()
        .expect("run")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn images_of_any_kind_are_read() {
    assert_eq!(read(drawn(230, 40)).to_string(), "HET");
    let light = read(drawn(30, 220));
    assert_eq!((light.to_string().as_str(), light.light_ink), ("HET", true));
    // 16 bits per value, and ink that differs only in its transparency.
    let deep = image::ImageBuffer::from_fn(320, 120, |x, y| Rgb([if is_ink(x, y) { 9000_u16 } else { 60_000 }; 3]));
    assert_eq!(read(deep).to_string(), "HET");
    let clear = image::ImageBuffer::from_fn(320, 120, |x, y| LumaA([0, if is_ink(x, y) { 255_u8 } else { 0 }]));
    assert_eq!(read(clear).to_string(), "HET");
    let cmyk = gpunn::images::open(Path::new("tests/reading/cmyk.jpg")).expect("a CMYK JPEG");
    assert_eq!(read(cmyk).to_string(), "HET");
}

#[test]
fn a_image_on_its_side_or_upside_down_is_turned_and_boxes_are_those_of_the_image() {
    let set = gpunn::data::glyphs::dataset();
    let glyphs = Glyphs::of(&set, set.test.as_ref().expect("there")).expect("characters");
    let written = synthetic::draw(&glyphs, 5, 0);
    let upright = DynamicImage::from(written.image);
    let right = read(upright.clone());
    for (turned, degrees) in [(upright.rotate90(), 270), (upright.rotate180(), 180), (upright.rotate270(), 90)] {
        let page = read(turned);
        assert_eq!(page.turned, degrees);
        let alike = evaluate::similarity(&right.to_string(), &page.to_string(), true);
        assert!(alike > 0.9, "{degrees}: {alike}");
        let inside = page.characters().all(|c| c.bounds.right() <= page.width && c.bounds.bottom() <= page.height);
        assert!(inside, "{degrees}");
    }
}

#[test]
fn images_without_writing_give_an_empty_page() {
    for (width, height) in [(1, 1), (1, 300), (640, 480)] {
        let page = read(GrayImage::from_pixel(width, height, Luma([200])));
        assert!(page.is_empty() && (page.width, page.height) == (width, height));
    }
    assert!(read(GrayImage::new(0, 0)).is_empty());
    let noise = GrayImage::from_fn(400, 300, |x, y| Luma([190 + ((x * 7919 + y * 104_729) % 13) as u8]));
    assert!(read(noise).is_empty());
}

#[test]
fn a_hundred_megapixels_are_read() {
    let page = read(GrayImage::from_fn(10_000, 10_000, |x, y| Luma([if is_ink(x / 30, y / 30) { 40 } else { 230 }])));
    assert_eq!(page.to_string(), "HET");
    let first = page.characters().next().expect("an H").bounds;
    assert!(first.left.abs_diff(37 * 30) < 60 && first.bottom().abs_diff(95 * 30) < 60, "{first:?}");
}

#[test]
fn the_command_prints_text_and_json_and_writes_overlays_and_pages() {
    let folder = tempfile::tempdir().expect("a folder");
    let [photo, blank, overlay, page] =
        ["a.png", "blank.png", "seen.png", "page.html"].map(|name| folder.path().join(name));
    let [photo_name, blank_name] = [&photo, &blank].map(|path| path.to_str().expect("UTF-8"));
    drawn(230, 40).save(&photo).expect("written");
    GrayImage::from_pixel(50, 40, Luma([200])).save(&blank).expect("written");
    let one =
        gpunn(&[photo_name, "--overlay", overlay.to_str().expect("UTF-8"), "--html", page.to_str().expect("UTF-8")]);
    assert!(one.status.success());
    assert_eq!(text(&one.stdout), "HET\n");
    assert_eq!(image::open(&overlay).expect("an image").to_rgb8().dimensions(), (320, 120));
    assert!(std::fs::read_to_string(&page).expect("a page").contains("HET"));
    let none = gpunn(&[blank_name]);
    assert!(none.status.success() && none.stdout.is_empty());
    assert!(text(&none.stderr).contains("shows no writing"));
    let both = gpunn(&[photo_name, blank_name, "--json", "-q"]);
    let json: serde_json::Value = serde_json::from_slice(&both.stdout).expect("one line of JSON");
    let pages = json["pages"].as_array().expect("pages");
    assert_eq!((pages.len(), &pages[0]["text"], &pages[1]["lines"]), (2, &"HET".into(), &serde_json::json!([])));
    let character = &pages[0]["lines"][0]["words"][0]["characters"][0];
    assert_eq!((&character["character"], &character["box"]["left"]), (&"H".into(), &37.into()));
    assert!(character["confidence"].is_f64() && character["second"]["character"].is_string());
}

#[test]
fn standard_input_is_read_and_what_is_no_image_is_refused_in_a_sentence() {
    let mut file = Cursor::new(Vec::new());
    drawn(230, 40).write_to(&mut file, ImageFormat::Jpeg).expect("written");
    let jpeg = file.into_inner();
    let piped = |bytes: &[u8]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpunn"));
        command.args(["read", "-", "--device", "cpu", "-q"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("started");
        child.stdin.take().expect("piped").write_all(bytes).expect("written");
        child.wait_with_output().expect("ended")
    };
    assert_eq!(text(&piped(&jpeg).stdout), "HET\n");
    for (bad, says) in [
        (&jpeg[..jpeg.len() / 2], "is not an image that can be decoded"),
        (b"no image", "is not an image (JPEG"),
        (b"", "is empty"),
    ] {
        let refused = piped(bad);
        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
        let error = text(&refused.stderr);
        assert!(error.starts_with(&format!("error: Standard input {says}")), "{error}");
    }
    assert_eq!(gpunn(&["nothing-here.jpg"]).status.code(), Some(1));
}
