//! Eight-bit integers, as floats with their values. The result of a network with them is that of a program that computes with
//! integers, up to the rounding of sums.

use super::arithmetic::binary;
use super::call::{Call, axis};
use super::scope::{Scope, one};
use super::value::{Fault, Known, Numbers, Value};
use crate::graph::{Graph, NodeId};
use crate::nn::Mode;

/// The least and largest integer of ONNX's type of elements.
fn range(element: i64) -> Option<[f32; 2]> {
    Some(match element {
        2 => [0.0, 255.0],
        3 => [-128.0, 127.0],
        4 => [0.0, 65_535.0],
        5 => [-32_768.0, 32_767.0],
        21 => [0.0, 15.0],
        22 => [-8.0, 7.0],
        _ => return None,
    })
}

/// Scales or zero points for the axis that they belong to: one number, or one for each place of an axis.
fn of_axis(scope: &mut Scope, call: &Call, index: usize, x: NodeId) -> Result<NodeId, Fault> {
    let (id, _) = scope.moved(call.input(index)?)?;
    let count: usize = scope.build.dims(id).iter().product();
    let rank = scope.rank(x);
    call.only_int("block_size", 0)?;
    let number = call.int("axis", 1)?;
    if count == 1 {
        return scope.reshape(id, &[1]);
    }
    if scope.rank(id) != 1 {
        return Fault::refuse("scales of blocks are not supported");
    }
    let after = vec![1; rank - 1 - axis(number, rank)?];
    scope.reshape(id, &[vec![count], after].concat())
}

/// round(x / scale) + zero point, within the range of the type.
pub(super) fn quantize(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    if scope.build.mode == Mode::Training {
        return Fault::refuse("a network with 8-bit integers can be used, but not trained");
    }
    let x = scope.input(call, 0)?;
    let _ = (call.flag("saturate", true)?, call.only_int("precision", 0)?);
    let element = match call.int("output_dtype", 0)? {
        // The importer writes the type of the zero point here.
        0 => 2,
        element => element,
    };
    let Some([least, most]) = range(element) else {
        return Fault::refuse(format!("integers of ONNX's type {element} are not supported"));
    };
    let scale = of_axis(scope, call, 1, x)?;
    let scaled = binary(scope, x, scale, Graph::div)?;
    let mut y = scope.build.round(scaled)?;
    if call.optional(2).is_some() {
        let zero = of_axis(scope, call, 2, x)?;
        y = binary(scope, y, zero, Graph::add)?;
    }
    Ok(vec![Value::Integers(scope.build.clip(y, least, most)?)])
}

/// (x - zero point) scale.
pub(super) fn dequantize(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, _) = scope.moved(call.input(0)?)?;
    let _ = call.int("output_dtype", 0)?;
    let scale = of_axis(scope, call, 1, x)?;
    let mut x = x;
    if call.optional(2).is_some() {
        let zero = of_axis(scope, call, 2, x)?;
        x = binary(scope, x, zero, Graph::sub)?;
    }
    Ok(one(binary(scope, x, scale, Graph::mul)?))
}

/// As [`dequantize`], for a constant: so weights in integers become floats when a file is read.
pub(super) fn dequantize_known(call: &Call) -> Result<Vec<Value>, Fault> {
    let (Some(x), Some(scale), zero) = (call.known(0)?, call.known(1)?, call.known(2)?) else {
        return Fault::refuse("it takes integers and a scale");
    };
    call.only_int("block_size", 0)?;
    let (along, _) = (call.int("axis", 1)?, call.int("output_dtype", 0)?);
    let (values, scales, zeros) = (x.to_floats(), scale.to_floats(), zero.map(Known::to_floats));
    let (inner, count): (usize, usize) = match scales.len() {
        1 => (values.len(), 1),
        _ => {
            let along = axis(along, x.dims.len())?;
            (x.dims[along + 1..].iter().product(), x.dims[along])
        }
    };
    let fits = |known: &Known| known.dims.len() < 2 && known.elements() == count;
    if !fits(scale) || !zero.is_none_or(|zero| fits(zero) || zero.elements() == 1) {
        return Fault::refuse("it has not one scale and one zero point for each place of its axis");
    }
    let place = |index: usize, count: usize| (index / inner.max(1)) % count.max(1);
    let number = |index: usize| {
        let zero = zeros.as_ref().map_or(0.0, |zeros| zeros[place(index, zeros.len())]);
        (values[index] - zero) * scales[place(index, scales.len())]
    };
    let numbers = Numbers::Floats((0..values.len()).map(number).collect());
    Ok(vec![Value::Known(Known { dims: x.dims.clone(), numbers })])
}
