//! Which values of a file are learned: by the operators that read them.

use std::collections::BTreeMap;

use super::program::Program;
use crate::nn::operators::{Attribute, Numbers, Operator, Role};

/// The number of elements up to which a tensor that is not learned is written in the recipe.
const FEW: usize = 16;

/// The roles of the tensors of floats that are stored with the weights. All others are constants.
pub fn roles(program: &Program) -> BTreeMap<String, Role> {
    let mut roles = BTreeMap::new();
    let mut learns = false;
    for node in &program.nodes {
        for (index, name) in node.inputs.iter().enumerate() {
            let Some(known) = program.tensors.get(name).filter(|known| matches!(known.numbers, Numbers::Floats(_)))
            else {
                continue;
            };
            let role = of_input(node, index, known.dims.len(), learns);
            let role = role.or_else(|| (known.elements() > FEW).then_some(Role::Buffer));
            if let Some(role) = role.filter(|_| !is_setting(node, index)) {
                roles.entry(name.clone()).or_insert(role);
            }
        }
        // What is added to an image before the first weight belongs to its preparation.
        learns |= node.inputs.iter().any(|name| matches!(roles.get(name), Some(Role::Weight | Role::Matrix)));
    }
    roles
}

/// Whether an input has to be known when the graph is built.
fn is_setting(node: &Operator, index: usize) -> bool {
    match node.op.as_str() {
        "Resize" | "Clip" | "Pad" | "Upsample" | "Dropout" | "ConstantOfShape" | "Range" => index > 0,
        _ => false,
    }
}

/// The role of an input, if it is learned. `learns` says whether weights come before it.
fn of_input(node: &Operator, index: usize, axes: usize, learns: bool) -> Option<Role> {
    let transposed = node.attributes.get("transB") == Some(&Attribute::Int(1));
    Some(match (node.op.as_str(), index) {
        ("Conv" | "ConvTranspose", 1) => Role::Weight,
        ("Conv" | "ConvTranspose" | "Gemm", 2) => Role::Bias,
        ("Gemm", 1) if transposed => Role::Weight,
        ("Gemm", 1) | ("MatMul", 0 | 1) if axes == 2 => Role::Matrix,
        ("MatMul", 0 | 1) if axes > 1 => Role::Matrix,
        (
            "BatchNormalization"
            | "InstanceNormalization"
            | "LayerNormalization"
            | "GroupNormalization"
            | "RMSNormalization",
            1,
        ) => Role::Scale,
        ("BatchNormalization" | "InstanceNormalization" | "LayerNormalization" | "GroupNormalization", 2) => {
            Role::Shift
        }
        ("BatchNormalization", 3) => Role::Buffer,
        ("BatchNormalization", 4) => Role::Variance,
        ("PRelu", 1) => Role::Bias,
        ("Add", _) if learns && axes > 0 => Role::Bias,
        ("Mul", _) if learns && axes > 0 => Role::Scale,
        _ => return None,
    })
}
