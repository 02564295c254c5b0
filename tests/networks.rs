//! A user's own networks on the command line: which are accepted and which are refused.

use crate::common::training::documented;
use crate::common::{gpunn, text};

#[test]
fn a_network_of_ones_own_trains_and_its_run_is_complete() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    // The network of the documentation, on grey images with one channel.
    std::fs::write(at.join("mine.toml"), documented().replace("name = \"my-network\"", "")).expect("written");
    let train = ["train", "--model", "mine.toml", "--dataset", "glyphs", "--limit-train", "72", "--epochs", "1"];
    let rest = ["--device", "cpu", "--out", "run", "--json"];
    let output = gpunn(at, &[&train[..], &rest].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary: serde_json::Value = serde_json::from_str(text(&output.stdout).trim()).expect("JSON");
    assert_eq!(summary["model"], "mine");
    // The run does not need the file any more.
    std::fs::remove_file(at.join("mine.toml")).expect("removed");
    let eval = gpunn(at, &["eval", "run", "--split", "test", "--device", "cpu", "--json"]);
    assert!(eval.status.success(), "{}", text(&eval.stderr));
    let evaluated: serde_json::Value = serde_json::from_str(text(&eval.stdout).trim()).expect("JSON");
    assert_eq!(evaluated["loss"], summary["test_loss"]);
    let again = gpunn(at, &["train", "--recipe", "run/recipe.toml", "--device", "cpu", "--out", "again", "--json"]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    let again: serde_json::Value = serde_json::from_str(text(&again.stdout).trim()).expect("JSON");
    assert_eq!(again["weights_hash"], summary["weights_hash"]);
}

#[test]
fn wrong_networks_are_refused_with_a_sentence_and_leave_nothing() {
    let wrong = [
        ("kind = \"relu\"", "kind = \"rleu\"", 2, "layer 3: There is no layer `rleu`; did you mean `relu`?"),
        ("kind = \"max-pool\"\nkernel = 2", "kind = \"max-pool\"\nkernel = 40", 1, "'pool1' (max pool 40x40)"),
        ("kernel = 3\n", "kernel = 3\ngroups = 5\n", 1, "5 groups do not divide 3 input and 16 output channels"),
        ("kernel = 1, stride = 2", "kernel = 1", 1, "its layers give 32x8x8, but its shortcut gives 32x16x16"),
        ("kind = \"classes\"", "kind = \"linear\"\noutputs = 7", 1, "ends with 7, but there are 10 classes"),
        ("kind = \"global-average-pool\"", "kind = \"relu\"", 1, "put a flatten layer before it"),
        ("outputs = 16", "outputs = 0", 1, "at least one output"),
        ("outputs = 16", "outputs = -3", 2, "layer 1: `conv2d`"),
        ("outputs = 16", "outputs = 99999999999", 1, "may have 65536 at most"),
        ("padding = 1, bias", "paddin = 1, bias", 2, "layer 5: `residual`: layer 1: `conv2d`: unknown field `paddin`"),
        ("name = \"block\"", "name = \"bn1\"", 1, "Two layers are named `bn1`"),
        ("rate = 0.1", "rate = 1.5", 1, "a dropout of 1.5"),
    ];
    for (from, to, code, part) in wrong {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(documented().contains(from), "{from}");
        std::fs::write(folder.path().join("net.toml"), documented().replacen(from, to, 1)).expect("written");
        let args = ["summary", "--model", "net.toml", "--input", "3x32x32"];
        let output = gpunn(folder.path(), &args);
        let error = text(&output.stderr);
        assert!(error.contains(part) && !error.contains("panicked"), "{to}: {error}");
        assert!(
            [code, 2].contains(&output.status.code().expect("a code")) && output.stdout.is_empty(),
            "{to}: {error}"
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    let output = gpunn(folder.path(), &["train", "--model", "absent.toml"]);
    assert!(text(&output.stderr).contains("There is no network file absent.toml"), "{}", text(&output.stderr));
}

/// A layer of this kind with `inner` at one place inside it; its input and its output have 4 channels.
fn around(place: usize, inner: &str) -> String {
    let conv = "{ kind = \"conv2d\", outputs = 4, kernel = 1 }";
    let fewer = "{ kind = \"conv2d\", outputs = 2, kernel = 1 }";
    match place {
        0 => format!("{{ kind = \"residual\", layers = [{conv}, {inner}], shortcut = [{conv}] }}"),
        1 => format!("{{ kind = \"residual\", layers = [{conv}], shortcut = [{inner}, {conv}] }}"),
        2 => format!("{{ kind = \"branches\", layers = [{conv}, {inner}], branches = [[{fewer}], [{fewer}]] }}"),
        _ => {
            format!("{{ kind = \"branches\", layers = [{conv}], branches = [[{inner}, {fewer}], [{inner}, {fewer}]] }}")
        }
    }
}

#[test]
fn layers_without_names_are_numbered_in_blocks_of_any_depth() {
    let folder = tempfile::tempdir().expect("a folder");
    let blocks = "{ kind = \"batch-norm\" }, { kind = \"dropout\", rate = 0.5 }, { kind = \"relu\" }";
    for places in 0..64 {
        let inner = [places % 4, places / 4 % 4, places / 16]
            .into_iter()
            .fold(blocks.to_owned(), |inner, place| around(place, &inner));
        let layer = around(3, &inner);
        let network = format!(
            "[[layer]]\nkind = \"residual\"\nlayers = [{layer}, {layer}]\nshortcut = [{{ kind = \"conv2d\", \
                               outputs = 4, kernel = 1 }}]\n[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"classes\"\n"
        );
        std::fs::write(folder.path().join("net.toml"), &network).expect("written");
        let output = gpunn(folder.path(), &["summary", "--model", "net.toml", "--input", "3x4x4", "--json"]);
        assert!(output.status.success(), "{network}: {}", text(&output.stderr));
        let summary: serde_json::Value = serde_json::from_str(text(&output.stdout).trim()).expect("JSON");
        let layers = summary["layers"].as_array().expect("layers");
        let names: Vec<&str> = layers.iter().filter_map(|layer| layer["name"].as_str()).collect();
        let unique: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(unique.len(), names.len(), "{network}: {names:?}");
    }
}
