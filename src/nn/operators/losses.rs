//! Losses of classification, by known labels.

use super::arithmetic::binary;
use super::call::Call;
use super::reductions::sum;
use super::scope::Scope;
use super::value::{Fault, Value};
use crate::graph::{Graph, NodeId, TensorType};

/// The negative logarithms of the labels' probabilities, from logits `[batch, classes, ...]`.
pub(super) fn softmax_cross_entropy(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, last) = scores(scope, call)?;
    let x = scope.move_axis(x, 1, last)?;
    let logs = scope.build.log_softmax(x)?;
    let loss = picked(scope, call, logs)?;
    let logs = scope.move_axis(logs, last, 1)?;
    Ok([loss, logs].map(Value::Tensor).to_vec())
}

/// As [`softmax_cross_entropy`], from the logarithms of probabilities.
pub(super) fn negative_log_likelihood(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, last) = scores(scope, call)?;
    let logs = scope.move_axis(x, 1, last)?;
    Ok(vec![Value::Tensor(picked(scope, call, logs)?)])
}

/// The numbers `[batch, classes, ...]`, and their last axis.
fn scores(scope: &mut Scope, call: &Call) -> Result<(NodeId, usize), Fault> {
    let x = scope.input(call, 0)?;
    match scope.rank(x) {
        0 | 1 => Fault::refuse("it takes numbers for each class of a batch"),
        rank => Ok((x, rank - 1)),
    }
}

/// Minus the numbers of the labels, each times its class's weight, as the reduction says. The classes are the last axis.
fn picked(scope: &mut Scope, call: &Call, logs: NodeId) -> Result<NodeId, Fault> {
    let labels = call.known_ints(1)?.unwrap_or_default().to_vec();
    let dims = scope.build.dims(logs).to_vec();
    let classes = dims[dims.len() - 1];
    let weights = match call.known(2)? {
        Some(known) => known.to_floats(),
        None => vec![1.0; classes],
    };
    let ignored = call.int("ignore_index", i64::MIN >> 24)?;
    let mut table = vec![0.0; labels.len() * classes];
    let mut total = 0.0;
    for (row, &label) in table.chunks_mut(classes).zip(&labels) {
        if label == ignored {
            continue;
        }
        let place = usize::try_from(label).ok().filter(|&place| place < classes.min(weights.len()));
        let Some(place) = place else {
            return Fault::refuse(format!("the label {label} is not one of {classes} classes"));
        };
        row[place] = -weights[place];
        total += weights[place];
    }
    if table.len() != dims.iter().product::<usize>() {
        return Fault::refuse(format!("{} labels are not for {dims:?}", labels.len()));
    }
    let table = scope.build.constant(TensorType::f32(dims.clone()), table);
    let terms = binary(scope, logs, table, Graph::mul)?;
    let losses = sum(scope, terms, &[dims.len() - 1])?;
    let rows = &dims[..dims.len() - 1];
    let losses = scope.reshape(losses, rows)?;
    match call.text("reduction", "mean")? {
        "none" => Ok(losses),
        word @ ("sum" | "mean") => {
            let all: Vec<usize> = (0..rows.len()).collect();
            let whole = sum(scope, losses, &all)?;
            let whole = scope.reshape(whole, &[])?;
            Ok(if word == "mean" { scope.build.scale(whole, 1.0 / total)? } else { whole })
        }
        other => Fault::refuse(format!("its reduction is {other}")),
    }
}
