//! What the program says to requests that it cannot or should not follow: what was asked, what was found, what to do.

use std::path::Path;

use crate::common::{gpunn, gpunn_on_cpu, is_refusal, json, names, text};

/// A command line, the exit code, and parts of the message.
type Case<'a> = (&'a str, i32, &'a [&'a str]);

/// Checks each command line in the folder, and that none leaves a file.
fn all_refused(folder: &Path, cases: &[Case]) {
    let before = names(folder);
    for (line, code, parts) in cases {
        let args: Vec<&str> = line.split(' ').collect();
        let output = gpunn(folder, &args);
        assert!(!text(&output.stderr).contains("os error"), "{line}: {}", text(&output.stderr));
        is_refusal(&output, *code, parts);
        assert_eq!(names(folder), before, "{line} left something");
    }
}

/// A folder of images of two classes, 8 of each, in `at`.
fn pictures(at: &Path) {
    for (class, level) in [("cats", 40), ("dogs", 200)] {
        std::fs::create_dir_all(at.join(class)).expect("a class");
        for number in 0..8 {
            let image = image::RgbImage::from_pixel(24, 24, image::Rgb([level + number, level, 9 * number]));
            image.save(at.join(class).join(format!("{number}.png"))).expect("an image");
        }
    }
}

/// A finished run on a few glyphs in the folder `run`, with these flags.
fn run(folder: &Path, more: &[&str]) -> String {
    let args = ["train", "--epochs", "1", "--limit-train", "72", "--no-report", "--out", "run"];
    let output = gpunn_on_cpu(folder, &[&args[..], more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn wrong_numbers_are_answered_with_what_is_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lines = Vec::new();
    for flag in ["batch-size", "hidden", "limit-train", "patience", "threads", "channels"] {
        for number in ["-1", "0", "ten", "3.5", "1e3"] {
            lines
                .push((format!("train --{flag} {number}"), [format!("'{number}' for '--{flag}"), "at least 1".into()]));
        }
    }
    for (number, part) in [("-1", "at least 1"), ("0", "at least 1"), ("ten", "at least 1"), ("1e3", "at least 1")]
        .into_iter()
        .chain([("0.0", "as in 8 or 9.9"), ("-0.5", "as in 8 or 9.9"), ("3.5.1", "as in 8 or 9.9")])
    {
        lines.push((format!("train --epochs {number}"), [format!("'{number}' for '--epochs"), part.into()]));
    }
    for (command, flag) in [
        ("sweep", "batch-size"),
        ("bench", "repeats"),
        ("predict run i.png", "top"),
        ("summary --input 3x32x32", "classes"),
        ("data preview glyphs --out x.png", "per-class"),
    ] {
        lines.push((format!("{command} --{flag} -1"), [format!("'-1' for '--{flag}"), "at least 1".into()]));
    }
    for flag in ["seed", "translate", "cutout"] {
        lines.push((format!("train --{flag} -2"), [format!("'-2' for '--{flag}"), "at least 0".into()]));
    }
    for flag in ["lr", "momentum", "noise", "affine-chance", "val-fraction", "label-smoothing"] {
        lines.push((format!("train --{flag} much"), [format!("'much' for '--{flag}"), "a number is needed".into()]));
    }
    // Ranges that the recipe checks, in one form.
    for flag in [
        "momentum",
        "weight-decay",
        "warmup",
        "noise",
        "affine-chance",
        "label-smoothing",
        "ema",
        "val-fraction",
        "shear",
    ] {
        lines.push((format!("train --{flag} -0.5"), ["-0.5, but has to be".into(), String::new()]));
    }
    lines.push(("train --size -1".into(), ["'-1' for '--size".into(), "no size".into()]));
    lines.push(("train --hidden 64,-2".into(), ["'-2' for '--hidden".into(), "at least 1".into()]));
    lines.push(("train --epochs 99999999999".into(), ["99999999999".into(), "too large".into()]));
    for (line, parts) in &lines {
        all_refused(folder.path(), &[(line, 2, &[&parts[0], &parts[1]])]);
    }
}

#[test]
fn only_similar_names_are_suggested() {
    let folder = tempfile::tempdir().expect("a folder");
    for line in ["train foo", "train pics", "train --recipe foo", "train --init uniform", "train --model pics"] {
        let output = gpunn(folder.path(), &line.split(' ').collect::<Vec<_>>());
        let error = text(&output.stderr);
        assert!(
            output.status.code() == Some(2) && !error.contains("did you mean") && error.contains("nown"),
            "{error}"
        );
    }
    all_refused(
        folder.path(),
        &[
            ("train pics", 2, &["no dataset `pics`, and no folder of this name", "The path of a folder"]),
            ("train --init kaimin", 2, &["did you mean `kaiming`?"]),
            ("train --dataset fashion-mnits", 2, &["did you mean `fashion-mnist`?"]),
            ("bench matmul --ladder --device cpu", 2, &["the kernels of a GPU", "--device gpu"]),
            ("bench train --ladder --device cpu", 2, &["only `bench matmul` and `bench conv2d`"]),
            ("bench matmul --ladder --variant plain", 2, &["cannot be used with"]),
        ],
    );
    let hash = |init: &str| {
        let args = ["train", "--epochs", "1", "--limit-train", "36", "--init", init, "--no-report", "--json"];
        json(&gpunn_on_cpu(folder.path(), &args))["weights_hash"].clone()
    };
    assert_eq!(hash("kaiming"), hash("he"));
}

#[test]
fn a_wrong_kind_of_file_or_folder_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    pictures(&at.join("pics"));
    std::fs::write(at.join("text.txt"), "a text, which is not a file of tensors").expect("written");
    std::fs::write(at.join("net.toml"), "[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"classes\"\n")
        .expect("written");
    std::fs::create_dir(at.join("empty")).expect("a folder");
    run(at, &["--quiet"]);
    all_refused(
        at,
        &[
            ("train --data-dir pics", 2, &["folder of images of 2 classes", "gpunn train pics"]),
            ("train --model cnn --data-dir pics", 2, &["gpunn train pics"]),
            ("train --recipe cifar10-cnn --data-dir pics", 2, &["cifar10", "looked for pics"]),
            ("train --data-dir gone", 2, &["no folder gone", "--data-dir"]),
            ("train text.txt", 2, &["text.txt is a file, not a dataset"]),
            ("train --recipe net.toml", 2, &["net.toml is a network, not a recipe", "--model"]),
            ("train --model run/recipe.toml", 2, &["run/recipe.toml is a recipe, not a network", "--recipe"]),
            ("train --recipe pics", 2, &["pics is a folder, not a recipe file"]),
            ("train --model pics", 2, &["pics is a folder, not a network file"]),
            ("train --recipe pics/cats/0.png", 2, &["not a recipe file: it is not text"]),
            ("train --model pics/cats/0.png", 2, &["not a network file: it is not text"]),
            ("train --pretrained pics --model squeezenet", 2, &["pics is a folder"]),
            ("predict pics/cats/0.png run", 2, &["0.png is an image, but a run comes first"]),
            ("predict text.txt pics/cats/0.png", 1, &["text.txt is not a valid checkpoint", "not a safetensors file"]),
            ("predict run empty", 1, &["The folder empty has no image"]),
            ("predict run gone.png", 1, &["gone.png: there is no such file"]),
            ("eval pics/cats/0.png", 2, &["is an image"]),
            ("decode run pics --out x", 1, &["cannot read pics: it is a folder"]),
            ("info gone", 1, &["gone: there is no such file"]),
            ("read pics", 1, &["it is a folder"]),
        ],
    );
}

#[test]
fn an_output_has_the_ending_of_its_format_and_its_folder_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    run(at, &["--quiet"]);
    std::fs::create_dir(at.join("folder")).expect("made");
    std::fs::write(at.join("file"), "").expect("written");
    all_refused(
        at,
        &[
            ("export run --out w.pt", 2, &["written as safetensors", ".safetensors"]),
            ("encode run i.png --out codes.npz", 2, &["written as npy", ".npy"]),
            ("read i.png --html page.pdf", 2, &["written as html"]),
            ("data preview glyphs --out x.gif", 2, &["x.gif", "PNG, JPEG, BMP or WebP", ".jpg"]),
            ("reconstruct run --out x.tiff", 2, &["PNG, JPEG, BMP or WebP"]),
            ("report --compare run --out page", 2, &["--compare", ".html"]),
            ("data preview glyphs --out folder", 1, &["cannot write folder: it is a folder"]),
            ("data preview glyphs --out file/x.png", 1, &["cannot make the folder file: a file is where a folder"]),
        ],
    );
    for (name, begin) in
        [("a.png", &b"\x89PNG"[..]), ("b/c.jpg", b"\xff\xd8"), ("b/d/e.webp", b"RIFF"), ("f.BMP", b"BM")]
    {
        let output = gpunn(at, &["data", "preview", "glyphs", "--per-class", "1", "--out", name]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(std::fs::read(at.join(name)).expect("written").starts_with(begin), "{name}");
    }
    assert!(gpunn(at, &["export", "run", "--out", "new/w.safetensors"]).status.success());
    assert!(at.join("new/w.safetensors").is_file());
}

#[test]
fn a_wrong_network_is_answered_with_the_line_and_the_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases = [
        ("outputs = 8", "outputs = \"8\"", "line 6 (`outputs = \"8\"`)"),
        ("outputs = 8", "outputs = 8\nkernal = 3", "line 7 (`kernal = 3`)"),
        ("kind = \"classes\"", "kind = \"class\"", "line 17 (`kind = \"class\"`)"),
        ("kind = \"relu\"", "kind = \"rleu\"", "line 12 (`{ kind = \"rleu\" },`)"),
        ("kernel = 3\n", "", "line 4 (`[[layer]]`)"),
    ];
    let network = "name = \"mine\"\ninit = \"kaiming\"\n\n[[layer]]\nkind = \"conv2d\"\noutputs = 8\nkernel = 3\n\n[[layer]]\n\
                   kind = \"residual\"\nlayers = [\n    { kind = \"relu\" },\n]\n[[layer]]\nkind = \"flatten\"\n[[layer]]\n\
                   kind = \"classes\"\n";
    for (from, to, place) in cases {
        assert!(network.contains(from), "{from}");
        std::fs::write(folder.path().join("net.toml"), network.replacen(from, to, 1)).expect("written");
        is_refusal(&gpunn(folder.path(), &["summary", "--model", "net.toml"]), 2, &[place]);
    }
    std::fs::write(folder.path().join("net.toml"), network).expect("written");
    assert!(gpunn(folder.path(), &["summary", "--model", "net.toml"]).status.success());
}

#[test]
fn a_model_without_a_dataset_is_trained_on_glyphs() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    std::fs::write(at.join("my.toml"), "[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"classes\"\n")
        .expect("written");
    for model in ["cnn", "mlp", "autoencoder", "my.toml"] {
        let error = run(at, &["--model", model, "--force"]);
        assert!(error.contains("no dataset was given; using glyphs"), "{model}: {error}");
        assert!(std::fs::read_to_string(at.join("run/recipe.toml")).expect("a recipe").contains("name = \"glyphs\""));
    }
}

#[test]
fn settings_that_cannot_learn_and_results_of_chance_are_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = run(folder.path(), &["--lr", "1000", "--optimizer", "adam", "--warmup", "100"]);
    for part in [
        "a learning rate of 1000 is too large",
        "the warm-up of 100 epochs is longer than the training (1)",
        "range of chance",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let args = ["train", "--epochs", "4", "--limit-train", "3600", "--no-report"];
    let learned = gpunn_on_cpu(folder.path(), &args);
    assert!(learned.status.success() && !text(&learned.stderr).contains("warning"), "{}", text(&learned.stderr));
}

#[test]
fn a_moved_folder_of_images_is_found_again_with_a_flag() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    pictures(&at.join("pics"));
    let train = ["train", "pics", "--epochs", "1", "--no-report", "--quiet", "--out", "run"];
    assert!(gpunn_on_cpu(at, &train).status.success());
    std::fs::create_dir(at.join("new")).expect("made");
    std::fs::rename(at.join("pics"), at.join("new/pics")).expect("moved");
    let parts = ["pics, which does not exist any more", "--dataset FOLDER", "--data-dir"];
    all_refused(at, &[("eval run", 2, &parts), ("train --resume run --epochs 2", 2, &parts)]);
    for flags in [["--dataset", "new/pics"], ["--data-dir", "new"]] {
        let output = gpunn_on_cpu(at, &[&["eval", "run"][..], &flags].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn two_trainings_at_the_same_time_get_runs_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["train", "--epochs", "1", "--limit-train", "36", "--device", "cpu", "--no-report", "--quiet"];
    let mut begun: Vec<_> = (0..4)
        .map(|_| {
            crate::common::command(folder.path()).args(args).stdout(std::process::Stdio::null()).spawn().expect("begun")
        })
        .collect();
    assert!(begun.iter_mut().all(|child| child.wait().expect("ended").success()));
    assert_eq!(names(&folder.path().join("runs")).len(), 4);
}

#[test]
fn imported_weights_say_how_their_images_are_prepared() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    pictures(&at.join("pics"));
    std::fs::write(at.join("my.toml"), "[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"classes\"\n")
        .expect("written");
    let train = ["train", "pics", "--model", "my.toml", "--size", "24", "--epochs", "1", "--out", "run", "--no-report"];
    assert!(gpunn_on_cpu(at, &train).status.success());
    assert!(gpunn(at, &["export", "run", "--out", "w.safetensors"]).status.success());
    let import = ["import", "w.safetensors", "--model", "my.toml", "--dataset", "pics", "--out", "imported"];
    // The size of the weights' images is in the file. Another size does not fit the weights.
    is_refusal(&gpunn(at, &[&import[..], &["--size", "30"]].concat()), 1, &["does not match", "2700"]);
    let flags = ["--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2"];
    let output = gpunn(at, &[&import[..], &flags].concat());
    let says = text(&output.stderr);
    assert!(output.status.success() && says.contains("images: 3 x 24 x 24, normalized with mean [0.5"), "{says}");
    let recipe = std::fs::read_to_string(at.join("imported/recipe.toml")).expect("a recipe");
    assert!(recipe.contains("size = 24") && recipe.contains("mean = [0.5, 0.5, 0.5]"), "{recipe}");
    let eval = gpunn_on_cpu(at, &["eval", "imported"]);
    assert!(eval.status.success(), "{}", text(&eval.stderr));
    is_refusal(&gpunn(at, &[&import[..], &["--mean", "0.5"]].concat()), 2, &["--std"]);
}
