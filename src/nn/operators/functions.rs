//! Functions of each element.

use super::call::Call;
use super::known::bounded;
use super::scope::{Scope, one};
use super::value::{Fault, Known, Numbers, Value};
use crate::Result as Built;
use crate::graph::{Graph, NodeId};
use crate::nn::Mode;

/// A function of a tensor that has no settings.
type Function = fn(&mut Graph, NodeId) -> Built<NodeId>;

/// ONNX's functions of one tensor that have no settings.
pub(super) const FUNCTIONS: [(&str, Function); 20] = [
    ("Abs", Graph::abs),
    ("Ceil", Graph::ceil),
    ("Cos", Graph::cos),
    ("Erf", Graph::erf),
    ("Exp", Graph::exp),
    ("Floor", Graph::floor),
    ("HardSwish", Graph::hard_swish),
    ("Log", Graph::log),
    ("Mish", |graph, x| {
        let gate = graph.softplus(x)?;
        let gate = graph.tanh(gate)?;
        graph.mul(x, gate)
    }),
    ("Neg", |graph, x| graph.scale(x, -1.0)),
    ("Reciprocal", |graph, x| {
        let one = constant(graph, 1.0);
        graph.div(one, x)
    }),
    ("Relu", Graph::relu),
    ("Round", Graph::round),
    ("Sigmoid", Graph::sigmoid),
    ("Sign", Graph::sign),
    ("Sin", Graph::sin),
    ("Softplus", Graph::softplus),
    ("Softsign", |graph, x| {
        let size = graph.abs(x)?;
        let one = constant(graph, 1.0);
        let below = graph.add(size, one)?;
        graph.div(x, below)
    }),
    ("Sqrt", Graph::sqrt),
    ("Tanh", Graph::tanh),
];

fn constant(graph: &mut Graph, value: f32) -> NodeId {
    graph.constant(crate::graph::TensorType::f32([1]), vec![value])
}

/// A function of [`FUNCTIONS`].
pub(super) fn function(scope: &mut Scope, call: &Call, of: Function) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    Ok(one(of(scope.build, x)?))
}

pub(super) fn identity(_: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    Ok(vec![call.input(0)?.clone()])
}

pub(super) fn leaky_relu(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, alpha) = (scope.input(call, 0)?, call.float("alpha", 0.01)?);
    if alpha > 0.0 {
        return Ok(one(scope.build.leaky_relu(x, alpha)?));
    }
    let slope = scope.number(alpha);
    Ok(one(sloped(scope, x, slope)?))
}

/// x where it is positive, else slope x.
fn sloped(scope: &mut Scope, x: NodeId, slope: NodeId) -> Result<NodeId, Fault> {
    let positive = scope.build.relu(x)?;
    let mirrored = scope.build.scale(x, -1.0)?;
    let negative = scope.build.relu(mirrored)?;
    let scaled = super::arithmetic::binary(scope, negative, slope, Graph::mul)?;
    Ok(scope.build.sub(positive, scaled)?)
}

pub(super) fn prelu(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, mut slope) = (scope.input(call, 0)?, scope.input(call, 1)?);
    // Before version 7, a list belongs to the channels, not to the last axis.
    if call.opset < 7 && scope.rank(slope) == 1 && scope.build.dims(slope) != [1] {
        let channels = scope.build.dims(slope)[0];
        let after = vec![1; scope.rank(x).saturating_sub(2)];
        slope = scope.reshape(slope, &[vec![channels], after].concat())?;
    }
    Ok(one(sloped(scope, x, slope)?))
}

pub(super) fn elu(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, alpha) = (scope.input(call, 0)?, call.float("alpha", 1.0)?);
    Ok(one(scope.build.elu(x, alpha)?))
}

pub(super) fn celu(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, alpha) = (scope.input(call, 0)?, call.float("alpha", 1.0)?);
    if alpha <= 0.0 {
        return Fault::refuse(format!("alpha = {alpha} is not supported"));
    }
    let smaller = scope.build.scale(x, 1.0 / alpha)?;
    let y = scope.build.elu(smaller, 1.0)?;
    Ok(one(scope.build.scale(y, alpha)?))
}

pub(super) fn selu(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    // The standard's constants.
    let (alpha, gamma) = (call.float("alpha", 1.673_263_2)?, call.float("gamma", 1.050_701)?);
    let y = scope.build.elu(x, alpha)?;
    Ok(one(scope.build.scale(y, gamma)?))
}

pub(super) fn thresholded_relu(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, alpha) = (scope.input(call, 0)?, call.float("alpha", 1.0)?);
    let moved = scope.plus(x, -alpha)?;
    let sign = scope.build.sign(moved)?;
    let gate = scope.build.relu(sign)?;
    Ok(one(scope.build.mul(x, gate)?))
}

pub(super) fn hard_sigmoid(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, alpha, beta) = (scope.input(call, 0)?, call.float("alpha", 0.2)?, call.float("beta", 0.5)?);
    Ok(one(scope.build.hard_sigmoid(x, alpha, beta)?))
}

pub(super) fn gelu(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    if call.text("approximate", "none")? == "tanh" {
        return Ok(one(scope.build.gelu(x)?));
    }
    Ok(one(scope.build.gelu_erf(x)?))
}

/// x times the sigmoid of alpha x.
pub(super) fn swish(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, alpha) = (scope.input(call, 0)?, call.float("alpha", 1.0)?);
    let scaled = scope.build.scale(x, alpha)?;
    let gate = scope.build.sigmoid(scaled)?;
    Ok(one(scope.build.mul(x, gate)?))
}

/// The limits are inputs; before version 11 they are attributes.
pub(super) fn clip(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let (least, most) = (call.float("min", f32::NEG_INFINITY)?, call.float("max", f32::INFINITY)?);
    let (least, most) = (call.known_number(1)?.unwrap_or(least), call.known_number(2)?.unwrap_or(most));
    Ok(one(scope.build.clip(x, least, most)?))
}

/// In training as in a layer of this program; otherwise x, with a mask that keeps everything.
pub(super) fn dropout(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let dims = scope.build.dims(x).to_vec();
    let _ = (call.int("seed", 0)?, call.flag("is_test", true)?, call.flag("consumed_inputs", false)?);
    let rate = call.float("ratio", 0.5)?;
    let rate = call.known_number(1)?.unwrap_or(rate);
    if !(0.0..=1.0).contains(&rate) {
        return Fault::refuse(format!("its ratio is {rate}"));
    }
    let stream = scope.build.next_dropout();
    // Some exporters store the mode of the export. Whether the network is trained is known here.
    let _ = call.known(2)?;
    if scope.build.mode == Mode::Training && rate > 0.0 && rate < 1.0 {
        call.only_outputs(1)?;
        return Ok(one(scope.build.dropout(x, rate, stream)?));
    }
    let mut outputs = one(x);
    if call.outputs() > 1 {
        let kept = Numbers::Ints(vec![1; bounded(&dims)?]);
        outputs.push(Value::Known(Known { dims, numbers: kept }));
    }
    Ok(outputs)
}

/// Between types of floats there is nothing to do: halves are computed in single precision.
pub(super) fn cast(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (to, _) = (call.int("to", 1)?, call.flag("saturate", true)?);
    let _ = call.text("round_mode", "up")?;
    let x = scope.input(call, 0)?;
    match to {
        1 | 10 | 11 => Ok(one(x)),
        _ => Fault::refuse(format!("a cast of computed floats to the type {to} is not supported")),
    }
}
