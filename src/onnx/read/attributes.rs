//! Attributes of operators: from the messages of a file to values.

use std::collections::BTreeMap;

use super::tensors;
use crate::formats::onnx::{Attribute as Message, Node};
use crate::nn::operators::{Attribute, Known, Numbers};

/// The attributes of a node, without those that hold tensors.
///
/// # Errors
/// A clause that names an attribute of a kind that is not supported.
pub fn read(node: &Node) -> Result<BTreeMap<String, Attribute>, String> {
    let mut attributes = BTreeMap::new();
    for message in &node.attribute {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| wrong(message, "is not valid UTF-8"));
        let value = match message.kind {
            1 => Attribute::Float(message.f),
            2 => Attribute::Int(message.i),
            3 => Attribute::Text(text(&message.s)?),
            6 => Attribute::Floats(message.floats.clone()),
            7 => Attribute::Ints(message.ints.clone()),
            // Files of the first versions do not say the kind.
            0 if !message.ints.is_empty() => Attribute::Ints(message.ints.clone()),
            0 if !message.floats.is_empty() => Attribute::Floats(message.floats.clone()),
            0 if !message.s.is_empty() => Attribute::Text(text(&message.s)?),
            0 if message.f != 0.0 => Attribute::Float(message.f),
            0 if message.t.is_none() => Attribute::Int(message.i),
            0 | 4 if node.op_type == "ConstantOfShape" => {
                let value = tensor(message)?;
                let (name, value) = match value.numbers {
                    Numbers::Ints(values) => (message.name.clone(), Attribute::Ints(values)),
                    Numbers::Floats(values) => {
                        ("value_float".into(), Attribute::Float(values.first().copied().unwrap_or(0.0)))
                    }
                };
                attributes.insert(name, value);
                continue;
            }
            4 => return Err(wrong(message, "is a tensor, which is not supported")),
            5 | 10 => return Err(wrong(message, "is a graph; control flow is not supported")),
            kind => return Err(wrong(message, &format!("is of kind {kind}, which is not supported"))),
        };
        attributes.insert(message.name.clone(), value);
    }
    Ok(attributes)
}

fn wrong(message: &Message, what: &str) -> String {
    format!("its attribute {} {what}", message.name)
}

fn tensor(message: &Message) -> Result<Known, String> {
    let tensor = message.t.as_ref().ok_or_else(|| wrong(message, "has no tensor"))?;
    tensors::read(tensor, None).map_err(|reason| wrong(message, &format!("is wrong: {reason}")))
}

/// The value of a `Constant` node.
///
/// # Errors
/// A clause that says why it is not read.
pub fn constant(node: &Node) -> Result<Known, String> {
    let [message] = node.attribute.as_slice() else { return Err("it must have one attribute".into()) };
    let list = |numbers: Numbers, count| Known { dims: vec![count], numbers };
    Ok(match message.name.as_str() {
        "value" => tensor(message)?,
        "value_float" => Known { dims: Vec::new(), numbers: Numbers::Floats(vec![message.f]) },
        "value_int" => Known { dims: Vec::new(), numbers: Numbers::Ints(vec![message.i]) },
        "value_floats" => list(Numbers::Floats(message.floats.clone()), message.floats.len()),
        "value_ints" => list(Numbers::Ints(message.ints.clone()), message.ints.len()),
        _ => return Err(wrong(message, "is not supported")),
    })
}
