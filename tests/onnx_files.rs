//! `gpunn export --format onnx`. `scripts/compare_onnx.py` compares the files' outputs in ONNX Runtime.

use std::collections::BTreeSet;

use gpunn::formats::onnx::{Message, Model, Size};

use crate::common::{gpunn, is_refusal, text};

fn read(path: &std::path::Path) -> Model {
    Model::decode(&*std::fs::read(path).expect("a file")).expect("an ONNX file")
}

fn kinds(model: &Model) -> Vec<&str> {
    model.graph.iter().flat_map(|graph| &graph.node).map(|node| node.op_type.as_str()).collect()
}

#[test]
fn a_run_becomes_a_network_of_onnx() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let train =
        ["train", "--model", "cnn", "--dataset", "glyphs", "--epochs", "1", "--limit-train", "72", "--device", "cpu"];
    assert!(gpunn(at, &[&train[..], &["--no-report", "--out", "run"]].concat()).status.success());
    let told = gpunn(at, &["export", "run", "--out", "plain.onnx"]);
    assert!(
        text(&told.stdout).contains("opset 17; input `image`: batch x 1 x 32 x 32, from 0 to 1; output `logits`"),
        "{told:?}"
    );
    let model = read(&at.join("plain.onnx"));
    assert_eq!((model.ir_version, model.opset_import[0].version, model.producer_name.as_str()), (8, 17, "gpunn"));
    let graph = model.graph.clone().expect("a graph");
    let shape = graph.input[0].ty.clone().and_then(|ty| ty.tensor?.shape).expect("a shape");
    assert_eq!(shape.dim[0].size, Some(Size::Named("batch".into())));
    assert_eq!(shape.dim[3].size, Some(Size::Known(32)));
    let names: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    assert!(names.is_superset(&BTreeSet::from(["conv1.weight", "conv1.bias", "fc1.weight"])), "{names:?}");
    assert!(kinds(&model).starts_with(&["Conv", "Relu", "MaxPool"]), "{:?}", kinds(&model));
    assert_eq!(kinds(&model).last(), Some(&"Gemm"));
    let classes = model.metadata_props.iter().find(|entry| entry.key == "classes").expect("classes");
    assert_eq!(serde_json::from_str::<Vec<String>>(&classes.value).expect("a list").len(), 36);

    // The format may be named, the same run gives the same bytes, and the probabilities are an output of their own.
    assert!(gpunn(at, &["export", "run", "--format", "onnx", "--out", "again"]).status.success());
    assert_eq!(std::fs::read(at.join("again")).expect("read"), std::fs::read(at.join("plain.onnx")).expect("read"));
    let softmax = ["export", "run", "--softmax", "--opset", "21", "--out", "softmax.onnx"];
    assert!(text(&gpunn(at, &softmax).stdout).contains("output `probabilities`"));
    let softmax = read(&at.join("softmax.onnx"));
    assert_eq!((softmax.ir_version, kinds(&softmax).last()), (10, Some(&"Softmax")));

    for (wrong, part) in [
        (&["--out", "w.safetensors", "--softmax"][..], "are for --format onnx"),
        (&["--format", "onnx", "--out", "w.safetensors"], "choose a name that ends in .onnx"),
        (&["--out", "w.onnx", "--f16"], "--f16 is for --format safetensors"),
        (&["--out", "w.onnx", "--opset", "12"], "12 is not in 13..=21"),
    ] {
        is_refusal(&gpunn(at, &[&["export", "run"], wrong].concat()), 2, &[part]);
    }
}

#[test]
fn batch_norm_becomes_a_part_of_convolutions_if_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let network = r#"
        [[layer]]
        kind = "conv2d"
        outputs = 4
        kernel = 3
        stride = 4
        [[layer]]
        kind = "batch-norm"
        [[layer]]
        kind = "residual"
        layers = [{ kind = "conv2d", outputs = 4, kernel = 1, bias = false }, { kind = "batch-norm" }, { kind = "relu" }]
        [[layer]]
        kind = "batch-norm"
        [[layer]]
        kind = "global-average-pool"
        [[layer]]
        kind = "classes"
    "#;
    std::fs::write(at.join("network.toml"), network).expect("written");
    let train = ["train", "--model", "network.toml", "--dataset", "glyphs", "--epochs", "1", "--limit-train", "36"];
    assert!(gpunn(at, &[&train[..], &["--device", "cpu", "--no-report", "--out", "run"]].concat()).status.success());
    assert!(gpunn(at, &["export", "run", "--out", "plain.onnx"]).status.success());
    let folded = gpunn(at, &["export", "run", "--out", "folded.onnx", "--fold-batch-norm"]);
    assert!(text(&folded.stdout).contains("1 batch norm could not become a part"), "{folded:?}");
    let [plain, folded] = ["plain.onnx", "folded.onnx"].map(|name| read(&at.join(name)));
    let count = |model: &Model, kind: &str| kinds(model).into_iter().filter(|&other| other == kind).count();
    assert_eq!([count(&plain, "Conv"), count(&plain, "BatchNormalization")], [2, 3]);
    // The last one follows an addition.
    assert_eq!([count(&folded, "Conv"), count(&folded, "BatchNormalization")], [2, 1]);
    assert_eq!(kinds(&plain).len(), kinds(&folded).len() + 2);
    assert_eq!(
        kinds(&plain).iter().rev().take(3).rev().copied().collect::<Vec<_>>(),
        ["GlobalAveragePool", "Flatten", "Gemm"]
    );
}
