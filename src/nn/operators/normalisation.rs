//! Normalisations, and softmax.

use super::arithmetic::binary;
use super::call::{Call, axis, size};
use super::pooling::{powers, root};
use super::reductions::{mean, sum};
use super::scope::{Scope, one};
use super::value::{Fault, Value};
use crate::graph::{Graph, NodeId};
use crate::nn::Mode;

/// By running statistics. In training by those of the batch, if the statistics are stored and the layer is not frozen.
pub(super) fn batch_norm(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    call.only_outputs(1)?;
    let (epsilon, momentum) = (call.float("epsilon", 1e-5)?, call.float("momentum", 0.9)?);
    call.only_int("spatial", 1)?;
    // Old files say these of other ways to compute the same.
    let _ = (call.flag("is_test", true)?, call.ints("consumed_inputs")?);
    if call.flag("training_mode", false)? {
        return Fault::refuse("training_mode = 1 is not supported; export the network for inference");
    }
    let x = scope.input(call, 0)?;
    let given = [1, 2, 3, 4].map(|index| scope.input(call, index));
    let [gamma, beta, average, variance] = given;
    let (gamma, beta, average, variance) = (gamma?, beta?, average?, variance?);
    // The kernel takes features, or images with two axes.
    let own = scope.build.dims(x).to_vec();
    let x = match own.as_slice() {
        [_, _] | [_, _, _, _] => x,
        [batch, channels, rest @ ..] => scope.reshape(x, &[*batch, *channels, 1, rest.iter().product()])?,
        _ => return Fault::refuse("it takes a batch with channels"),
    };
    let is_stored = |id: NodeId| scope.parameters.contains_key(&id);
    let learns = scope.build.mode == Mode::Training
        && is_stored(average)
        && is_stored(variance)
        && scope.parameters.get(&beta).is_some_and(|name| !scope.build.is_frozen(name));
    let y = if learns {
        let normed = scope.build.batch_norm(x, gamma, beta, epsilon)?;
        scope.build.note_statistics(normed, [average, variance], 1.0 - momentum)?;
        normed.y
    } else {
        scope.build.batch_norm_inference(x, average, variance, gamma, beta, epsilon)?
    };
    Ok(one(scope.reshape(y, &own)?))
}

/// x minus its mean, divided by its standard deviation, over these axes. Also the mean and 1 / the standard deviation.
fn standardised(scope: &mut Scope, x: NodeId, axes: &[usize], epsilon: f32) -> Result<[NodeId; 3], Fault> {
    let average = mean(scope, x, axes)?;
    let centred = binary(scope, x, average, Graph::sub)?;
    let squares = scope.build.square(centred)?;
    let variance = mean(scope, squares, axes)?;
    let variance = scope.plus(variance, epsilon)?;
    let deviation = scope.build.sqrt(variance)?;
    let one = scope.number(1.0);
    let inverse = scope.build.div(one, deviation)?;
    Ok([binary(scope, centred, inverse, Graph::mul)?, average, inverse])
}

/// Each channel of each image is normalised by its own pixels.
pub(super) fn instance_norm(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, gamma, beta) = (scope.input(call, 0)?, scope.input(call, 1)?, scope.input(call, 2)?);
    let epsilon = call.float("epsilon", 1e-5)?;
    let _ = call.ints("consumed_inputs")?;
    let axes: Vec<usize> = (2..scope.rank(x)).collect();
    let [y, ..] = standardised(scope, x, &axes, epsilon)?;
    scaled_by_channel(scope, y, gamma, beta).map(one)
}

/// gamma y + beta, where both have a number for each channel.
fn scaled_by_channel(scope: &mut Scope, y: NodeId, gamma: NodeId, beta: NodeId) -> Result<NodeId, Fault> {
    let after = vec![1; scope.rank(y).saturating_sub(2)];
    let shape = [vec![scope.build.dims(gamma).iter().product()], after].concat();
    let [gamma, beta] = [scope.reshape(gamma, &shape)?, scope.reshape(beta, &shape)?];
    let scaled = binary(scope, y, gamma, Graph::mul)?;
    binary(scope, scaled, beta, Graph::add)
}

/// The channels of each group are normalised together.
pub(super) fn group_norm(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, gamma, beta) = (scope.input(call, 0)?, scope.input(call, 1)?, scope.input(call, 2)?);
    let (epsilon, groups) = (call.float("epsilon", 1e-5)?, size(call.int("num_groups", 1)?, "num_groups")?);
    let _ = call.int("stash_type", 1)?;
    let own = scope.build.dims(x).to_vec();
    let [batch, channels, image @ ..] = own.as_slice() else { return Fault::refuse("it takes a batch with channels") };
    if groups == 0 || channels % groups != 0 {
        return Fault::refuse(format!("{channels} channels cannot be divided into {groups} groups"));
    }
    let each = channels / groups;
    let pixels: usize = image.iter().product();
    let grouped = scope.reshape(x, &[*batch, groups, each * pixels])?;
    let [y, ..] = standardised(scope, grouped, &[2], epsilon)?;
    // Up to version 20 the factors are of groups, later of channels.
    let by_group = scope.build.dims(gamma).iter().product::<usize>() == groups && call.opset < 21;
    if by_group {
        let y = scaled_by_channel(scope, y, gamma, beta)?;
        return Ok(one(scope.reshape(y, &own)?));
    }
    let y = scope.reshape(y, &own)?;
    scaled_by_channel(scope, y, gamma, beta).map(one)
}

/// The last axes are normalised together.
pub(super) fn layer_norm(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, gamma, beta) = (scope.input(call, 0)?, scope.input(call, 1)?, scope.optional(call, 2)?);
    let (first, epsilon) = (axis(call.int("axis", -1)?, scope.rank(x))?, call.float("epsilon", 1e-5)?);
    let _ = call.int("stash_type", 1)?;
    let axes: Vec<usize> = (first..scope.rank(x)).collect();
    let [y, average, inverse] = standardised(scope, x, &axes, epsilon)?;
    let mut y = binary(scope, y, gamma, Graph::mul)?;
    if let Some(beta) = beta {
        y = binary(scope, y, beta, Graph::add)?;
    }
    Ok([y, average, inverse].map(Value::Tensor).to_vec())
}

/// As layer norm, without the mean.
pub(super) fn rms_norm(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, gamma) = (scope.input(call, 0)?, scope.input(call, 1)?);
    let (first, epsilon) = (axis(call.int("axis", -1)?, scope.rank(x))?, call.float("epsilon", 1e-5)?);
    let _ = call.int("stash_type", 1)?;
    let axes: Vec<usize> = (first..scope.rank(x)).collect();
    let squares = scope.build.square(x)?;
    let squares = mean(scope, squares, &axes)?;
    let squares = scope.plus(squares, epsilon)?;
    let size = scope.build.sqrt(squares)?;
    let y = binary(scope, x, size, Graph::div)?;
    Ok(one(binary(scope, y, gamma, Graph::mul)?))
}

pub(super) fn mean_variance_norm(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let axes = super::call::axes(&call.ints("axes")?.unwrap_or_else(|| vec![0, 2, 3]), scope.rank(x))?;
    // The standard adds this to the deviation; here it is within the root.
    let [y, ..] = standardised(scope, x, &axes, 1e-18)?;
    Ok(one(y))
}

/// x / (the sum of |x|^p along an axis)^(1/p).
pub(super) fn lp_norm(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let (along, p) = (axis(call.int("axis", -1)?, scope.rank(x))?, call.int("p", 2)?);
    let powers = powers(scope, x, p)?;
    let sums = sum(scope, powers, &[along])?;
    let size = root(scope, sums, p)?;
    // Where all are zero, the result is zero.
    let least = scope.number(f32::MIN_POSITIVE);
    let size = scope.build.maximum(size, least)?;
    Ok(one(binary(scope, x, size, Graph::div)?))
}

pub(super) fn softmax(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let (own, rank, is_old) = (scope.build.dims(x).to_vec(), scope.rank(x), call.opset < 13);
    let along = axis(call.int("axis", if is_old { 1 } else { -1 })?, rank)?;
    let of = if call.operator.op == "Softmax" { Graph::softmax } else { Graph::log_softmax };
    if is_old {
        // All axes from this one on are one.
        let sizes = [own[..along].iter().product(), own[along..].iter().product()];
        let x = scope.reshape(x, &sizes)?;
        let y = of(scope.build, x)?;
        return Ok(one(scope.reshape(y, &own)?));
    }
    let x = scope.move_axis(x, along, rank - 1)?;
    let y = of(scope.build, x)?;
    Ok(one(scope.move_axis(y, rank - 1, along)?))
}
