//! The place of an error in the layers of a TOML text. A layer is read from its table, because its kind decides its fields. A
//! table has no places any more, so the place is found afterwards.

use std::ops::Range;

use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Table, Value};

use super::network::LayerConfig;

/// The fields that hold layers, or a table with layers.
const WITH_LAYERS: [&str; 5] = ["model", "layer", "layers", "shortcut", "branches"];

/// The bytes of the first wrong field of a layer, or of the first layer that is wrong as a whole. `None` if all layers are
/// right.
pub(crate) fn place(text: &str) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    in_fields(table.get_ref())
}

/// The first fault in the layers that a table has.
fn in_fields(table: &DeTable) -> Option<Range<usize>> {
    let with = table.iter().filter(|(key, _)| WITH_LAYERS.contains(&key.get_ref().as_ref()));
    with.map(|(_, value)| value).find_map(in_value)
}

/// The first fault in a layer, a list of layers, or a list of branches.
fn in_value(value: &Spanned<DeValue>) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::Array(values) => values.iter().find_map(in_list),
        DeValue::Table(model) => in_fields(model),
        _ => None,
    }
}

fn in_list(value: &Spanned<DeValue>) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::Table(layer) => in_fields(layer).or_else(|| in_layer(layer, value.span())),
        _ => in_value(value),
    }
}

/// The wrong field of a layer whose inner layers are right, or the layer's place.
fn in_layer(layer: &DeTable, whole: Range<usize>) -> Option<Range<usize>> {
    let without = |left_out: Option<&str>| -> Option<Table> {
        let kept = layer.iter().filter(|(key, _)| Some(key.get_ref().as_ref()) != left_out);
        kept.map(|(key, value)| {
            let value = Value::deserialize(ValueDeserializer::from(value.clone())).ok()?;
            Some((key.get_ref().to_string(), value))
        })
        .collect()
    };
    let reason = LayerConfig::read(without(None)?).err()?;
    // Without the wrong field the reason is another one. This is so for any field if another field is missing.
    let is_wrong = |key: &str| match key {
        "kind" => reason.starts_with("There is no layer") || reason.contains("kind must be"),
        _ if reason.contains("missing field") => false,
        _ if reason.contains("unknown field") => reason.contains(&format!("unknown field `{key}`")),
        _ => without(Some(key)).is_some_and(|rest| LayerConfig::read(rest).err().as_ref() != Some(&reason)),
    };
    let wrong = layer.keys().find(|key| is_wrong(key.get_ref()));
    Some(wrong.map_or(whole, |key| key.span()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: &str = r#"name = "small"

[[layer]]
kind = "conv2d"
outputs = 8
kernel = 3

[[layer]]
kind = "residual"
layers = [
    { kind = "conv2d", outputs = 8, kernel = 1 },
    { kind = "relu" },
]
shortcut = [
    { kind = "scale", factor = 1.0 },
]

[[layer]]
kind = "branches"
branches = [
    [{ kind = "max-pool", kernel = 2 }],
    [{ kind = "average-pool", kernel = 2 }],
]

[[layer]]
kind = "classes"
"#;

    #[test]
    fn the_place_is_the_line_and_the_field() {
        assert_eq!(place(NETWORK), None);
        let cases = [
            ("outputs = 8\nkernel = 3", "outputs = 8\nkernel = \"3\"", 6, "kernel"),
            ("outputs = 8\nkernel = 3", "kernel = 3\noutputs = -8", 6, "outputs"),
            ("outputs = 8\nkernel = 3", "outputs = 8\nkernels = 3", 6, "kernels"),
            ("outputs = 8\nkernel = 3", "outputs = 8", 3, "[[layer]]"),
            ("\"conv2d\"\n", "\"conv3d\"\n", 4, "kind"),
            ("kind = \"conv2d\"\n", "", 3, "[[layer]]"),
            ("kind = \"relu\"", "kind = \"rleu\"", 12, "kind"),
            ("factor = 1.0", "factors = 1.0", 15, "factors"),
            ("[{ kind = \"average-pool\", kernel = 2 }]", "[{ kind = \"average-pool\", kernel = true }]", 22, "kernel"),
            ("kind = \"classes\"", "kind = \"classes\"\nbias = 1", 27, "bias"),
        ];
        for (from, to, line, begin) in cases {
            assert!(NETWORK.contains(from), "{from}");
            let text = NETWORK.replace(from, to);
            let found = place(&text).unwrap_or_else(|| panic!("a place for {to}"));
            let at = text[..found.start].matches('\n').count() + 1;
            assert!(at == line && text[found.clone()].starts_with(begin), "{to}: {at}, {}", &text[found]);
        }
    }

    #[test]
    fn the_layers_of_a_recipe_are_found() {
        let layers = NETWORK.replace("[[layer]]", "[[model.layer]]").replace("\"relu\"", "\"rleu\"");
        let text = layers.replace("name = \"small\"", "[model]\nname = \"small\"");
        assert_eq!(place(&text).map(|found| text[..found.start].matches('\n').count() + 1), Some(13));
    }
}
