//! Autoencoders as models and in commands: split in two halves, reconstruct, encode, decode.

use std::path::Path;

use crate::common::{gpunn_on_cpu as gpunn, is_refusal, text};
use gpunn::formats::npy::{self, Npy};
use gpunn::nn::Model;
use gpunn::nn::models::ModelConfig;

fn json(folder: &Path, args: &[&str]) -> serde_json::Value {
    crate::common::json(&gpunn(folder, &[args, &["--json"]].concat()))
}

#[track_caller]
fn refused(folder: &Path, args: &[&str], code: i32, part: &str) {
    is_refusal(&gpunn(folder, args), code, &[part]);
}

fn number(value: &serde_json::Value, field: &str) -> f64 {
    value[field].as_f64().unwrap_or_else(|| panic!("{field} of {value}"))
}

fn built(config: ModelConfig, input: [usize; 3]) -> Model {
    config.build(input, 36).expect("a model")
}

#[test]
fn bottlenecks_are_the_narrowest_layers() {
    let width = |model: &Model| model.bottleneck().map(|bottleneck| (bottleneck.encoder, bottleneck.width));
    let with = |hidden: &[usize]| {
        built(ModelConfig { hidden: Some(hidden.to_vec()), ..ModelConfig::named("autoencoder") }, [1, 8, 8])
    };
    // The first half: a flatten, then two linear layers, each with its activation.
    assert_eq!(width(&with(&[32, 32, 32])), Some((5, 32)));
    assert_eq!(width(&with(&[16, 4, 16])), Some((5, 4)));
    assert_eq!(width(&with(&[20, 8, 8])), Some((5, 8)));
    assert_eq!(width(&with(&[7])), Some((3, 7)));
    assert_eq!(width(&built(ModelConfig::named("mlp"), [1, 8, 8])), None);
    let none = ModelConfig { hidden: Some(Vec::new()), ..ModelConfig::named("autoencoder") };
    assert!(none.build([1, 8, 8], 36).expect_err("refused").to_string().contains("no bottleneck"));
}

#[test]
fn the_convolutional_autoencoder_gives_images_of_any_size_back() {
    let model = built(ModelConfig::named("autoencoder-conv"), [1, 32, 32]);
    let shape = |name: &str| model.parameters().find(name).expect(name).shape.to_string();
    assert_eq!(shape("conv3.weight"), "128x64x3x3");
    assert_eq!((shape("encode.weight"), shape("decode.weight")), ("32x2048".into(), "2048x32".into()));
    assert_eq!(shape("deconv1.weight"), "32x1x3x3");
    assert_eq!(model.bottleneck().map(|bottleneck| bottleneck.width), Some(32));
    for input in [[1, 32, 32], [3, 33, 30], [1, 5, 1], [3, 28, 27]] {
        let small = ModelConfig {
            channels: Some(vec![4, 6, 8]),
            hidden: Some(vec![3]),
            ..ModelConfig::named("autoencoder-conv")
        };
        assert_eq!(built(small, input).output(), [input.iter().product::<usize>()], "{input:?}");
    }
    let two = ModelConfig { hidden: Some(vec![8, 8]), ..ModelConfig::named("autoencoder-conv") };
    assert!(two.build([1, 8, 8], 36).expect_err("refused").to_string().contains("[8, 8] was given"));
}

#[test]
fn an_autoencoder_reconstructs_encodes_and_decodes() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let small = ["--dataset", "glyphs", "--limit-train", "108", "--epochs", "1", "--quiet"];
    for (model, more) in [("autoencoder", &["--lr", "1e-4"][..]), ("autoencoder-conv", &[])] {
        let words: Vec<&str> =
            ["train", "--model", model, "--out", model].iter().chain(&small).chain(more).copied().collect();
        assert!(json(at, &words)["val_psnr"].is_number());

        // Both halves together equal the whole network.
        let whole = json(at, &["eval", model, "--split", "val"]);
        let found = json(at, &["reconstruct", model, "--out", "image.png"]);
        assert_eq!((&found["split"], &found["images"], &found["width"]), (&"val".into(), &3600.into(), &32.into()));
        assert!((number(&found, "psnr") - number(&whole, "psnr")).abs() < 1e-3, "{found} {whole}");
        assert!(number(&found, "pca_clamped_psnr") > number(&found, "pca_psnr"));
        // Ten columns of 64 pixels and three rows, with names at the left and at the top.
        let image = image::open(at.join("image.png")).expect("an image");
        let names = image.width() - 10 * 68;
        assert!((30..120).contains(&names) && image.height() == 24 + 3 * 68, "{names} {}", image.height());

        let mut letter = image::GrayImage::new(32, 32);
        (4..28).for_each(|y| (14..18).for_each(|x| letter.put_pixel(x, y, image::Luma([255]))));
        letter.save(at.join("i.png")).expect("saved");
        image::GrayImage::from_pixel(40, 60, image::Luma([255])).save(at.join("blank.png")).expect("saved");
        let encoded = json(at, &["encode", model, "i.png", "blank.png", "--out", "codes.npy"]);
        assert_eq!((&encoded["bytes_in"], &encoded["bytes_out"]), (&2048.into(), &256.into()));
        let codes = npy::read(&at.join("codes.npy")).expect("codes");
        assert_eq!(codes.dims, [2, 32]);
        let decode = ["decode", model, "codes.npy", "--out", "back", "--originals", "i.png", "blank.png"];
        let decoded = json(at, &decode);
        assert!((number(&decoded, "psnr") - number(&encoded, "psnr")).abs() < 1e-9);
        let back = image::open(at.join("back/0001.png")).expect("an image").to_luma8();
        assert_eq!(back.dimensions(), (32, 32));
        assert!(!at.join("back/0002.png").exists());

        // A single code becomes one file with the same image.
        Npy { dims: vec![32], values: codes.values[32..].to_vec() }.write(&at.join("one.npy")).expect("written");
        json(at, &["decode", model, "one.npy", "--out", "one.png"]);
        assert_eq!(image::open(at.join("one.png")).expect("an image").to_luma8(), back);
        refused(at, &["decode", model, "codes.npy", "--out", "two.png"], 2, "give a folder");
        refused(
            at,
            &["decode", model, "codes.npy", "--out", "x", "--originals", "i.png"],
            2,
            "--originals has 1 images",
        );
    }

    // Arrays that are not codes of this run.
    let write = |name: &str, dims: &[usize]| {
        let values = vec![0.5; dims.iter().product()];
        Npy { dims: dims.to_vec(), values }.write(&at.join(name)).expect("written");
    };
    write("narrow.npy", &[2, 16]);
    write("deep.npy", &[2, 1, 32]);
    refused(at, &["decode", "autoencoder", "narrow.npy", "--out", "x"], 1, "[images, 32]");
    refused(at, &["decode", "autoencoder", "deep.npy", "--out", "x"], 1, "shape [2, 1, 32]");
    let whole = std::fs::read(at.join("codes.npy")).expect("bytes");
    std::fs::write(at.join("short.npy"), &whole[..whole.len() - 3]).expect("written");
    refused(at, &["decode", "autoencoder", "short.npy", "--out", "x"], 1, "cut short");
    let doubles: Vec<u8> = text(&whole[..128]).replace("<f4", "<f8").into_bytes();
    std::fs::write(
        at.join("f8.npy"),
        [b"\x93NUMPY\x01\x00v\x00", &doubles[doubles.len() - 118..], &whole[128..]].concat(),
    )
    .expect("written");
    refused(at, &["decode", "autoencoder", "f8.npy", "--out", "x"], 1, "elements of type <f8");
    refused(at, &["decode", "autoencoder", "i.png", "--out", "x"], 1, "not an NPY file");
    assert!(!at.join("x").exists());

    // A run that is not an autoencoder's.
    let mlp = ["train", "--limit-train", "72", "--epochs", "1", "--out", "mlp", "--quiet"];
    assert!(gpunn(at, &mlp).status.success());
    for words in [
        &["reconstruct", "mlp"][..],
        &["encode", "mlp", "i.png", "--out", "x.npy"],
        &["decode", "mlp", "codes.npy", "--out", "x"],
    ] {
        refused(at, words, 2, "not an autoencoder");
    }
    refused(at, &["reconstruct", "nowhere"], 2, "no run directory");
    refused(at, &["reconstruct", "autoencoder", "--classes", "AA"], 2, "no class `AA`");
    assert!(!at.join("x").exists() && !at.join("x.npy").exists());
}
