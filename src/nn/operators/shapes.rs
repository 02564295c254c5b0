//! Operators that give the same values another shape.

use super::call::{Call, axes, axis, size};
use super::scope::Scope;
use super::value::{Fault, Known, Numbers, Value};
use crate::graph::Shape;

/// The same values with other axis sizes.
fn reshaped(scope: &mut Scope, value: &Value, dims: Vec<usize>) -> Result<Vec<Value>, Fault> {
    if Shape::from(dims.as_slice()).elements() != Shape::from(scope.dims(value)).elements() {
        return Fault::refuse(format!("{:?} cannot become {dims:?}", scope.dims(value)));
    }
    Ok(vec![match value {
        Value::Known(known) => Value::Known(known.clone().with_dims(dims)),
        Value::Tensor(id) => Value::Tensor(scope.reshape(*id, &dims)?),
        Value::Integers(id) => Value::Integers(scope.reshape(*id, &dims)?),
    }])
}

/// 0 keeps a size, -1 is what remains.
pub(super) fn reshape(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = call.input(0)?;
    let own = scope.dims(x);
    let (keeps_zeros, asked) = (call.flag("allowzero", false)?, call.ints_of(1, "shape")?);
    let Some(asked) = asked else { return Fault::refuse("it has no shape") };
    let mut dims = Vec::new();
    let mut open = None;
    for (place, &number) in asked.iter().enumerate() {
        dims.push(match number {
            0 if !keeps_zeros => match own.get(place) {
                Some(&size) => size,
                None => return Fault::refuse(format!("{own:?} has no axis {place} to keep")),
            },
            -1 if open.is_none() => {
                open = Some(place);
                1
            }
            number => size(number, "a size")?,
        });
    }
    if let Some(place) = open {
        let (all, known) = (Shape::from(own).elements(), Shape::from(dims.as_slice()).elements());
        dims[place] = all.checked_div(known).unwrap_or(0);
    }
    reshaped(scope, x, dims)
}

pub(super) fn flatten(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = call.input(0)?;
    let (own, number) = (scope.dims(x), call.int("axis", 1)?);
    let at = if number == own.len() as i64 { own.len() } else { axis(number, own.len())? };
    let dims = vec![own[..at].iter().product(), own[at..].iter().product()];
    reshaped(scope, x, dims)
}

pub(super) fn squeeze(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = call.input(0)?;
    let own = scope.dims(x);
    let removed = match call.ints_of(1, "axes")? {
        Some(numbers) => axes(&numbers, own.len())?,
        None => (0..own.len()).filter(|&axis| own[axis] == 1).collect(),
    };
    if let Some(axis) = removed.iter().find(|&&axis| own[axis] != 1) {
        return Fault::refuse(format!("axis {axis} of {own:?} is not 1"));
    }
    let dims = (0..own.len()).filter(|axis| !removed.contains(axis)).map(|axis| own[axis]).collect();
    reshaped(scope, x, dims)
}

pub(super) fn unsqueeze(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = call.input(0)?;
    let Some(numbers) = call.ints_of(1, "axes")? else { return Fault::refuse("it has no axes") };
    let mut own = scope.dims(x).into_iter();
    let rank = own.len() + numbers.len();
    let added = axes(&numbers, rank)?;
    let dims = (0..rank).map(|axis| if added.contains(&axis) { 1 } else { own.next().unwrap_or(1) }).collect();
    reshaped(scope, x, dims)
}

/// The sizes of a value, which are known here: also the batch.
pub(super) fn shape(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let own = scope.dims(call.input(0)?);
    let within = |number: i64| {
        let from_start = if number < 0 { number + own.len() as i64 } else { number };
        from_start.clamp(0, own.len() as i64) as usize
    };
    let (start, end) = (within(call.int("start", 0)?), within(call.int("end", own.len() as i64)?));
    let sizes = own[start..end.max(start)].iter().map(|&size| size as i64).collect();
    Ok(vec![Value::Known(Known::ints(sizes))])
}

/// The number of elements of a value.
pub(super) fn count(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let elements = Shape::from(scope.dims(call.input(0)?)).elements();
    Ok(vec![Value::Known(Known { dims: Vec::new(), numbers: Numbers::Ints(vec![elements as i64]) })])
}

pub(super) fn transpose(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = call.input(0)?;
    let own = scope.dims(x);
    let order = match call.ints("perm")? {
        Some(numbers) => numbers.iter().map(|&number| axis(number, own.len())).collect::<Result<Vec<_>, _>>()?,
        None => (0..own.len()).rev().collect(),
    };
    axes(&order.iter().map(|&axis| axis as i64).collect::<Vec<_>>(), own.len())?;
    if order.len() != own.len() {
        return Fault::refuse(format!("its order {order:?} is not for {own:?}"));
    }
    if let Value::Known(known) = x {
        let dims: Vec<usize> = order.iter().map(|&axis| own[axis]).collect();
        let strides = Shape::from(own).strides();
        let place = |at: Vec<usize>| at.iter().zip(&order).map(|(&at, &axis)| at * strides[axis]).sum();
        let places: Vec<usize> = super::value::coordinates(&dims).map(place).collect();
        return Ok(vec![Value::Known(known.pick(dims, &places))]);
    }
    let (x, kind) = scope.moved(x)?;
    Ok(vec![kind(scope.transpose(x, &order)?)])
}

fn block_size(call: &Call) -> Result<usize, Fault> {
    match size(call.int("blocksize", 0)?, "its blocksize")? {
        block @ 1..=65_536 => Ok(block),
        other => Fault::refuse(format!("its blocksize is {other}")),
    }
}

/// Blocks of channels become blocks of pixels.
pub(super) fn depth_to_space(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, kind) = scope.moved(call.input(0)?)?;
    let block = block_size(call)?;
    let &[batch, channels, height, width] = scope.build.dims(x) else {
        return Fault::refuse("it takes a batch of images");
    };
    let depth = channels / (block * block);
    let (split, order) = match call.text("mode", "DCR")? {
        "DCR" => ([batch, block, block, depth, height, width], [0, 3, 4, 1, 5, 2]),
        "CRD" => ([batch, depth, block, block, height, width], [0, 1, 4, 2, 5, 3]),
        other => return Fault::refuse(format!("its mode is {other}")),
    };
    let x = scope.reshape(x, &split)?;
    let x = scope.transpose(x, &order)?;
    Ok(vec![kind(scope.reshape(x, &[batch, depth, height * block, width * block])?)])
}

/// Blocks of pixels become blocks of channels.
pub(super) fn space_to_depth(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, kind) = scope.moved(call.input(0)?)?;
    let block = block_size(call)?;
    let is_dcr = match call.text("mode", "DCR")? {
        "DCR" => true,
        "CRD" => false,
        other => return Fault::refuse(format!("its mode is {other}")),
    };
    let &[batch, channels, height, width] = scope.build.dims(x) else {
        return Fault::refuse("it takes a batch of images");
    };
    let x = scope.reshape(x, &[batch, channels, height / block, block, width / block, block])?;
    let order = if is_dcr { [0, 3, 5, 1, 2, 4] } else { [0, 1, 3, 5, 2, 4] };
    let x = scope.transpose(x, &order)?;
    Ok(vec![kind(scope.reshape(x, &[batch, channels * block * block, height / block, width / block])?)])
}
