//! Functions of two and more tensors, with broadcasting.

use super::call::Call;
use super::known::common;
use super::scope::{Scope, one};
use super::value::{Fault, Known, Numbers, Value};
use crate::Result as Built;
use crate::graph::{Graph, NodeId, TensorType};
use crate::ops::elementwise::Pattern;

type Function = fn(&mut Graph, NodeId, NodeId) -> Built<NodeId>;

/// ONNX's functions of two tensors.
pub(super) const BINARY: [(&str, Function); 5] =
    [("Add", Graph::add), ("Div", Graph::div), ("Mul", Graph::mul), ("Pow", Graph::pow), ("Sub", Graph::sub)];

/// ONNX's functions of any number of tensors, as functions of two.
pub(super) const VARIADIC: [(&str, Function); 4] =
    [("Max", Graph::maximum), ("Mean", Graph::add), ("Min", Graph::minimum), ("Sum", Graph::add)];

/// A function of two tensors with broadcasting. What one kernel cannot repeat is repeated axis by axis before it.
pub(super) fn binary(scope: &mut Scope, a: NodeId, b: NodeId, of: Function) -> Result<NodeId, Fault> {
    let dims = common(&[scope.build.dims(a).to_vec(), scope.build.dims(b).to_vec()])?;
    let [a, b] = [repeatable(scope, a, &dims)?, repeatable(scope, b, &dims)?];
    Ok(of(scope.build, a, b)?)
}

/// A tensor that a kernel can repeat to these sizes: itself, or itself repeated along all axes that it has.
fn repeatable(scope: &mut Scope, x: NodeId, dims: &[usize]) -> Result<NodeId, Fault> {
    if Pattern::of(scope.build.ty(x), &TensorType::f32(dims)).is_ok() {
        return Ok(x);
    }
    let own = scope.build.dims(x);
    let skip = dims.len() - own.len();
    let repeated: Vec<usize> = (skip..dims.len()).filter(|&axis| own[axis - skip] != dims[axis]).collect();
    expand_axes(scope, x, dims, &repeated)
}

/// Repeats a tensor along these axes, one after another.
fn expand_axes(scope: &mut Scope, x: NodeId, dims: &[usize], axes: &[usize]) -> Result<NodeId, Fault> {
    let skip = dims.len() - scope.rank(x);
    let mut x = x;
    for &axis in axes {
        let mut next = scope.build.dims(x).to_vec();
        next[axis - skip] = dims[axis];
        x = scope.build.broadcast_to(x, next)?;
    }
    Ok(x)
}

pub(super) fn two(scope: &mut Scope, call: &Call, of: Function) -> Result<Vec<Value>, Fault> {
    if let ("Pow", Some(Value::Known(exponent))) = (call.operator.op.as_str(), call.optional(1)) {
        // A driver's power is less exact than a product or a root.
        let own: Option<fn(&mut Graph, NodeId) -> Built<NodeId>> = match exponent.to_floats()[..] {
            [2.0] => Some(Graph::square),
            [0.5] => Some(Graph::sqrt),
            _ => None,
        };
        if let (Some(own), true) = (own, exponent.dims.len() <= scope.dims(call.input(0)?).len()) {
            let x = scope.input(call, 0)?;
            return Ok(one(own(scope.build, x)?));
        }
    }
    let a = scope.input(call, 0)?;
    let mut b = match (call.operator.op.as_str(), call.input(1)?) {
        // An exponent may be an integer where the base is a float.
        ("Pow", Value::Known(exponent)) => {
            let numbers = Numbers::Floats(exponent.to_floats());
            scope.floats(&Value::Known(Known { dims: exponent.dims.clone(), numbers }))?
        }
        (_, value) => scope.floats(value)?,
    };
    // Before version 7, the second tensor's axes could be any neighbouring ones of the first's.
    if call.opset < 7 && call.flag("broadcast", false)? {
        let axis = call.int("axis", scope.rank(a) as i64 - scope.rank(b) as i64)?;
        let first = if axis < 0 { axis + scope.rank(a) as i64 } else { axis };
        let after = (scope.rank(a) as i64 - first - scope.rank(b) as i64).max(0);
        let dims = [scope.build.dims(b).to_vec(), vec![1; after as usize]].concat();
        b = scope.reshape(b, &dims)?;
    }
    Ok(one(binary(scope, a, b, of)?))
}

pub(super) fn several(scope: &mut Scope, call: &Call, of: Function) -> Result<Vec<Value>, Fault> {
    let mut result = scope.input(call, 0)?;
    for index in 1..call.inputs.len() {
        let next = scope.input(call, index)?;
        result = binary(scope, result, next, of)?;
    }
    if call.operator.op == "Mean" {
        result = scope.build.scale(result, 1.0 / call.inputs.len() as f32)?;
    }
    Ok(one(result))
}

pub(super) fn expand(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, kind) = scope.moved(call.input(0)?)?;
    let asked = call.known_ints(1)?.unwrap_or_default();
    let asked = asked.iter().map(|&number| super::call::size(number, "a size")).collect::<Result<Vec<_>, _>>()?;
    let dims = common(&[scope.build.dims(x).to_vec(), asked])?;
    let missing = vec![1; dims.len() - scope.rank(x)];
    let own = [missing, scope.build.dims(x).to_vec()].concat();
    let x = scope.reshape(x, &own)?;
    let axes: Vec<usize> = (0..dims.len()).filter(|&axis| own[axis] != dims[axis]).collect();
    Ok(vec![kind(expand_axes(scope, x, &dims, &axes)?)])
}
