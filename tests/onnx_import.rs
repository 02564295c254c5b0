//! ONNX files that come in: used, trained further, and refused. `scripts/onnx_cases.py` compares operators with ONNX's own tests, and
//! `scripts/compare_onnx_import.py` whole networks with ONNX Runtime.

use std::path::Path;

use gpunn::formats::onnx::{Attribute, Entry, Graph, Message, Model, Node, OperatorSet, Tensor, Value};
use gpunn::nn::models::ModelConfig;

use crate::common::files::pictures;
use crate::common::{gpunn, is_refusal, text};

/// Trains a small network with a shortcut, batch norm and a dropout, and exports it as `name`.
fn exported(at: &Path, name: &str) {
    let network = r#"
        [[layer]]
        kind = "conv2d"
        outputs = 8
        kernel = 3
        stride = 2
        [[layer]]
        kind = "batch-norm"
        [[layer]]
        kind = "relu"
        [[layer]]
        kind = "residual"
        layers = [{ kind = "conv2d", outputs = 8, kernel = 3, padding = 1 }, { kind = "batch-norm" }, { kind = "relu" }]
        [[layer]]
        kind = "global-average-pool"
        [[layer]]
        kind = "dropout"
        rate = 0.2
        [[layer]]
        kind = "classes"
    "#;
    std::fs::write(at.join("network.toml"), network).expect("written");
    let train = ["train", "--model", "network.toml", "--dataset", "glyphs", "--epochs", "1", "--limit-train", "360"];
    assert!(gpunn(at, &[&train[..], &["--device", "cpu", "--no-report", "--out", "run"]].concat()).status.success());
    assert!(gpunn(at, &["export", "run", "--out", name]).status.success());
}

#[test]
fn an_exported_network_comes_back_and_says_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    exported(at, "net.onnx");
    assert!(gpunn(at, &["data", "preview", "glyphs", "--out", "p.png", "--per-class", "1"]).status.success());
    let confidence = |arguments: &[&str]| {
        let told = gpunn(at, &[arguments, &["p.png", "--device", "cpu", "--json", "--top", "3"]].concat());
        assert!(told.status.success(), "{told:?}");
        let json: serde_json::Value = serde_json::from_str(text(&told.stdout).trim()).expect("JSON");
        json["predictions"][0]["likeliest"].clone()
    };
    let (run, file) = (confidence(&["predict", "run"]), confidence(&["predict", "--model", "net.onnx"]));
    for place in 0..3 {
        assert_eq!(run[place]["class"], file[place]["class"]);
        let [a, b] = [&run, &file].map(|answers| answers[place]["confidence"].as_f64().expect("a number"));
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    // The features before the last layer are the same, too.
    let features = |network: &[&str], out: &str| {
        let told = gpunn(at, &[&["embed"], network, &["p.png", "--device", "cpu", "--out", out]].concat());
        assert!(told.status.success(), "{told:?}");
        gpunn::formats::npy::read(&at.join(out)).expect("an array")
    };
    let (run, file) = (features(&["run"], "a.npy"), features(&["--model", "net.onnx"], "b.npy"));
    assert_eq!((&run.dims[..], &file.dims), (&[1, 8][..], &run.dims));
    for (a, b) in run.values.iter().zip(&file.values) {
        assert!((a - b).abs() <= 1e-5 * a.abs().max(0.01), "{a} {b}");
    }
    // As a run it is a run like all others, and its parameters have the same names.
    assert!(gpunn(at, &["import", "net.onnx", "--out", "again"]).status.success());
    let told = gpunn(at, &["eval", "again", "--device", "cpu", "--json"]);
    let [first, second] = ["run", "again"].map(|run| {
        let told = gpunn(at, &["eval", run, "--device", "cpu", "--json"]);
        let json: serde_json::Value = serde_json::from_str(text(&told.stdout).trim()).expect("JSON");
        json["accuracy"].as_f64().expect("a number")
    });
    assert!((first - second).abs() < 1e-9, "{told:?}");
    assert!(gpunn(at, &["export", "again", "--out", "twice.onnx"]).status.success());
    let summary = gpunn(at, &["summary", "--model", "twice.onnx"]);
    assert!(text(&summary.stdout).contains("1x32x32 images, 36 classes"), "{summary:?}");
    let info = gpunn(at, &["info", "net.onnx"]);
    for part in
        ["opset 17, written by gpunn", "input image: any x 1 x 32 x 32 float", "BatchNormalization", "gpunn can use it"]
    {
        assert!(text(&info.stdout).contains(part), "{part}: {info:?}");
    }
}

#[test]
fn a_network_from_a_file_is_trained_for_other_classes() {
    let folder = pictures(12);
    let at = folder.path();
    exported(at, "net.onnx");
    let train =
        ["train", "--model", "net.onnx", "--dataset", "pics", "--epochs", "2", "--device", "cpu", "--no-report"];
    let told = gpunn(at, &[&train[..], &["--out", "tuned"]].concat());
    assert!(told.status.success(), "{told:?}");
    assert!(text(&told.stderr).contains("the network and its weights in net.onnx"), "{told:?}");
    let all = gpunn(at, &[&train[..], &["--out", "all", "--unfreeze", "all"]].concat());
    assert!(all.status.success(), "{all:?}");
    let seen = gpunn(at, &["predict", "all", "pics/bright", "--device", "cpu"]);
    assert!(seen.status.success() && text(&seen.stdout).contains("bright"), "{seen:?}");
    assert!(
        gpunn(at, &["train", "--resume", "all", "--epochs", "3", "--device", "cpu", "--no-report"]).status.success()
    );
}

fn node(op: &str, inputs: &[&str], output: &str) -> Node {
    Node {
        op_type: op.into(),
        name: format!("the {op}"),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        ..Node::default()
    }
}

/// A file with these operators on `image`, 3 x 8 x 8, whose last output is its own, and with these tensors.
fn file(nodes: Vec<Node>, initializer: Vec<Tensor>) -> Model {
    let output = nodes.last().map_or_else(String::new, |node| node.output[0].clone());
    let value = Value { name: output, ty: None };
    let input = vec![Value::batch_of("image", &[3, 8, 8])];
    let graph = Graph { node: nodes, initializer, input, output: vec![value], ..Graph::default() };
    let opset_import = vec![OperatorSet { domain: String::new(), version: 17 }];
    Model { ir_version: 8, graph: Some(graph), opset_import, ..Model::default() }
}

/// A classifier of three classes: a convolution and the mean of its pixels.
fn classifier() -> Model {
    let weight = Tensor::floats("conv.weight", &[3, 3, 3, 3], &[0.5; 81]);
    let nodes = vec![
        node("Conv", &["image", "conv.weight"], "y"),
        node("GlobalAveragePool", &["y"], "mean"),
        node("Flatten", &["mean"], "logits"),
    ];
    file(nodes, vec![weight])
}

#[test]
fn what_gpunn_cannot_do_is_listed_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let mut strange = node("Conv", &["image", "w"], "a");
    strange.attribute = vec![Attribute::text("padding_rule", "loose")];
    let mut foreign = node("FusedConv", &["b", "w"], "c");
    foreign.domain = "com.example".into();
    let nodes =
        vec![strange, node("NonZero", &["a"], "b"), foreign, node("Acos", &["c"], "d"), node("Relu", &["d"], "e")];
    let model = file(nodes, vec![Tensor::floats("w", &[3, 3, 3, 3], &[0.0; 81])]);
    std::fs::write(at.join("net.onnx"), model.encode_to_vec()).expect("written");
    for command in
        [&["summary", "--model", "net.onnx"][..], &["predict", "--model", "net.onnx", "p.png"], &["import", "net.onnx"]]
    {
        let parts = [
            "Conv 'the Conv': its attribute padding_rule = `loose` is not known",
            "NonZero 'the NonZero': gpunn does not have this operator",
            "FusedConv 'the FusedConv': operators of com.example are not supported",
            "Acos 'the Acos': gpunn does not have this operator",
        ];
        let told = gpunn(at, command);
        is_refusal(&told, 1, &parts);
        assert!(!text(&told.stderr).contains("the Relu"), "{told:?}");
    }
    let info = gpunn(at, &["info", "net.onnx"]);
    assert!(info.status.success() && text(&info.stdout).contains("NonZero 'the NonZero'"), "{info:?}");
}

#[test]
fn damaged_files_are_refused_with_node_and_tensor() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    std::fs::write(at.join("secret"), [0; 1024]).expect("written");
    std::fs::create_dir(at.join("in")).expect("made");
    let external = |location: &str, length: &str| {
        let mut model = classifier();
        let graph = model.graph.as_mut().expect("a graph");
        let entry = |key: &str, value: &str| Entry { key: key.into(), value: value.into() };
        graph.initializer[0].raw_data.clear();
        graph.initializer[0].data_location = 1;
        graph.initializer[0].external_data = vec![entry("location", location), entry("length", length)];
        model
    };
    let changed = |change: &dyn Fn(&mut Graph)| {
        let mut model = classifier();
        change(model.graph.as_mut().expect("a graph"));
        model
    };
    let dims = |dims: &[i64]| changed(&|graph| graph.initializer[0].dims = dims.to_vec());
    let cases: Vec<(Model, &[&str])> = vec![
        (Model::default(), &["it has no graph"]),
        (changed(&|graph| graph.node[0].input[1] = "gone".into()), &["Conv 'the Conv' reads `gone`"]),
        (changed(&|graph| graph.node[0].input[0] = "logits".into()), &["the Conv", "`logits`", "a cycle has none"]),
        (changed(&|graph| graph.node[1].output[0] = "y".into()), &["two operators give the value `y`"]),
        (changed(&|graph| graph.output[0].name = "none".into()), &["nothing gives its output `none`"]),
        (changed(&|graph| graph.input.clear()), &["`image`"]),
        (dims(&[-3, 3, 3, 3]), &["`conv.weight`", "negative size"]),
        (dims(&[1 << 20, 3, 3, 3]), &["`conv.weight`", "324 bytes"]),
        (dims(&[1 << 60, 1 << 60, 1, 1]), &["`conv.weight`", "more than"]),
        (dims(&[81]), &["Conv 'the Conv'", "images with"]),
        (dims(&[3, 27, 1, 1]), &["Conv 'the Conv'", "the weight must be 3x3x1x1"]),
        (external("../secret", "324"), &["`conv.weight`", "not in the folder of the ONNX file"]),
        (external(&at.join("secret").display().to_string(), "324"), &["`conv.weight`", "not in the folder"]),
        (external("absent", "324"), &["`conv.weight`", "`absent` cannot be read"]),
        (external("net.onnx", "1125899906842624"), &["`conv.weight`", "324 bytes are not those"]),
    ];
    for (model, parts) in cases {
        std::fs::write(at.join("in/net.onnx"), model.encode_to_vec()).expect("written");
        is_refusal(&gpunn(at, &["import", "in/net.onnx", "--out", "run"]), 1, &[parts, &["in/net.onnx"]].concat());
    }
    // A link inside of the folder that leads out of it is outside, too.
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(at.join("secret"), at.join("in/link")).expect("linked");
        std::fs::write(at.join("in/net.onnx"), external("link", "324").encode_to_vec()).expect("written");
        is_refusal(&gpunn(at, &["import", "in/net.onnx", "--out", "run"]), 1, &["not in the folder of the ONNX file"]);
    }
    std::fs::write(at.join("in/net.onnx"), classifier().encode_to_vec()).expect("written");
    let told = gpunn(at, &["import", "in/net.onnx", "--out", "run"]);
    assert!(told.status.success(), "{told:?}");
}

/// What is left out at the end of a file is noticed, except where what remains is a file of its own, of the first version of operators.
#[test]
fn a_file_cut_anywhere_is_refused_or_whole() {
    let whole = classifier().encode_to_vec();
    let usable = (0..whole.len()).filter(|&end| {
        let program = gpunn::onnx::read::Program::parse(&whole[..end], "it", None);
        program.and_then(|program| gpunn::onnx::read::layered(program, "it", None, false)).is_ok()
    });
    assert!(usable.count() < 3);
    let program = gpunn::onnx::read::Program::parse(&whole, "it", None).expect("a program");
    assert_eq!(gpunn::onnx::read::layered(program, "it", None, false).expect("layers").classes, 3);
}

/// Files from a review: each had a wrong answer, a panic, or needed memory or time without a bound.
#[test]
fn odd_files_are_used_as_they_mean_or_refused() {
    let run = |model: &Model| {
        let bytes = model.encode_to_vec();
        gpunn::onnx::read::Program::parse(&bytes, "it", None)
            .and_then(|program| gpunn::onnx::read::layered(program, "it", None, false))
            .map_err(|error| error.to_string())
    };
    let with = |nodes: Vec<Node>, tensors: Vec<Tensor>| {
        let weight = Tensor::floats("conv.weight", &[3, 3, 3, 3], &[0.5; 81]);
        let head = [node("GlobalAveragePool", &["y"], "mean"), node("Flatten", &["mean"], "logits")];
        file([nodes, head.to_vec()].concat(), [vec![weight], tensors].concat())
    };
    let ints = |name: &str, attribute: &[usize], mut node: Node| {
        node.attribute.push(Attribute::ints(name, attribute.iter().copied()));
        node
    };
    let conv = || node("Conv", &["image", "conv.weight"], "x");
    // A value of the file has the name that a parameter gets within its layer.
    let clash = with(
        vec![
            node("Conv", &["image", "conv.weight"], "weight"),
            node("Relu", &["weight"], "r"),
            node("Add", &["weight", "r"], "y"),
        ],
        Vec::new(),
    );
    let layers = run(&clash).expect("layers").layers;
    assert!(ModelConfig::of_layers("it", layers).build([3, 8, 8], 3).is_ok());
    // Two softmaxes: only the last one is left out.
    let twice = vec![node("Softmax", &["l"], "s"), node("Softmax", &["s"], "logits")];
    let head = vec![conv(), node("GlobalAveragePool", &["x"], "mean"), node("Flatten", &["mean"], "l")];
    let model = file([head, twice].concat(), vec![Tensor::floats("conv.weight", &[3, 3, 3, 3], &[0.5; 81])]);
    let read = run(&model).expect("layers");
    assert!(format!("{:?}", read.layers).matches("Softmax").count() >= 1 && read.notes.len() == 1, "{:?}", read.notes);
    // Statistics that are stored once with something that is learned get a place of their own.
    let ones = Tensor::floats("o", &[3], &[1.0; 3]);
    let zeros = Tensor::floats("z", &[3], &[0.0; 3]);
    let norm = with(vec![conv(), node("BatchNormalization", &["x", "o", "z", "z", "o"], "y")], vec![ones, zeros]);
    assert_eq!(run(&norm).expect("layers").tensors.len(), 5);
    for (nodes, part) in [
        (vec![conv(), ints("pads", &[0, 0, 1 << 30, 0, 0, 0, 0, 0], node("Pad", &["x"], "y"))], "above"),
        (vec![conv(), node("Softmax", &[], "y")], "no input 0"),
        (vec![conv(), node("DepthToSpace", &["x"], "y")], "blocksize is 0"),
    ] {
        let told = run(&with(nodes, Vec::new())).expect_err("refused");
        assert!(told.contains(part), "{told}");
    }
    // Many layers of one kind take no time.
    let chain = (0..3000).map(|number| node("Relu", &[&format!("r{number}")], &format!("r{}", number + 1)));
    let start = node("Conv", &["image", "conv.weight"], "r0");
    let nodes = std::iter::once(start).chain(chain).chain([node("Identity", &["r3000"], "y")]);
    assert!(run(&with(nodes.collect(), Vec::new())).expect("layers").layers.len() > 3000);
}
