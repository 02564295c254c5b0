//! Operators that take parts of tensors, and put tensors together.

use super::call::{Call, axes, axis, size};
use super::known::bounded;
use super::scope::{Kind, Scope};
use super::value::{Fault, Known, Value, coordinates};
use crate::graph::{NodeId, Shape, TensorType};
use crate::ops::strided::Pad;

/// The largest number of parts that are cut out one by one.
const MOST_PARTS: usize = 256;

pub(super) fn concat(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let number = call.int("axis", 1)?;
    let mut parts = Vec::new();
    let mut kind: Kind = Value::Tensor;
    for value in call.given() {
        let (id, of) = scope.moved(value)?;
        parts.push(id);
        kind = of;
    }
    let Some(&first) = parts.first() else { return Fault::refuse("it has no inputs") };
    let along = axis(number, scope.rank(first))?;
    Ok(vec![kind(joined(scope, &parts, along)?)])
}

pub(super) fn joined(scope: &mut Scope, parts: &[NodeId], axis: usize) -> Result<NodeId, Fault> {
    match parts {
        [only] => Ok(*only),
        parts => Ok(scope.build.concat(parts, axis)?),
    }
}

pub(super) fn split(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, kind) = scope.moved(call.input(0)?)?;
    let along = axis(call.int("axis", 0)?, scope.rank(x))?;
    let whole = scope.build.dims(x)[along];
    let count = match call.int("num_outputs", 0)? {
        0 => call.outputs(),
        count => size(count, "num_outputs")?,
    };
    if count > whole {
        return Fault::refuse(format!("an axis of {whole} cannot be split into {count} parts"));
    }
    let sizes = match call.ints_of(1, "split")? {
        Some(sizes) => sizes.iter().map(|&number| size(number, "a size")).collect::<Result<Vec<_>, _>>()?,
        None => {
            let each = whole.div_ceil(count.max(1));
            (0..count).map(|part| whole.saturating_sub(part * each).min(each)).collect()
        }
    };
    if sizes.iter().sum::<usize>() != whole || sizes.contains(&0) {
        return Fault::refuse(format!("parts of {sizes:?} of an axis of {whole} are not supported"));
    }
    let mut start = 0;
    let mut parts = Vec::new();
    for size in sizes {
        parts.push(kind(scope.build.slice(x, along, start, size)?));
        start += size;
    }
    Ok(parts)
}

/// The axes that numbers mean, in their order, none of them twice.
pub(super) fn each_axis(numbers: &[i64], rank: usize) -> Result<Vec<usize>, Fault> {
    axes(numbers, rank)?;
    numbers.iter().map(|&number| axis(number, rank)).collect()
}

/// The elements of an axis that a slice takes: the first one, the step, and how many.
struct Taken {
    axis: usize,
    start: usize,
    step: i64,
    count: usize,
}

impl Taken {
    /// As in NumPy: positions are brought within the axis.
    fn new(axis: usize, length: usize, [start, end, step]: [i64; 3]) -> Result<Self, Fault> {
        if step == 0 {
            return Fault::refuse("its step is 0");
        }
        let length = length as i64;
        let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let within = |number: i64| if number < 0 { number.saturating_add(length) } else { number }.clamp(low, high);
        let (start, end) = (within(start), within(end));
        let reach = if step > 0 { end - start } else { start - end };
        let stride = step.unsigned_abs().min(1 << 40) as i64;
        let count = if reach <= 0 { 0 } else { (reach + stride - 1) / stride };
        Ok(Self { axis, start: start.max(0) as usize, step, count: count as usize })
    }

    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        let (start, step) = (self.start as i64, self.step);
        (0..self.count).map(move |number| (start + step * number as i64) as usize)
    }
}

/// What a `Slice` takes of each axis that it names.
fn taken(call: &Call, dims: &[usize]) -> Result<Vec<Taken>, Fault> {
    let (starts, ends) = (call.ints_of(1, "starts")?, call.ints_of(2, "ends")?);
    let (Some(starts), Some(ends)) = (starts, ends) else { return Fault::refuse("it has no starts and ends") };
    let axes = call.ints_of(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.known_ints(4)?.map_or_else(|| vec![1; starts.len()], <[i64]>::to_vec);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Fault::refuse("it has not as many starts as ends, axes and steps");
    }
    let axes = each_axis(&axes, dims.len())?;
    let of = |place: usize| {
        let axis = axes[place];
        Taken::new(axis, dims[axis], [starts[place], ends[place], steps[place]])
    };
    (0..starts.len()).map(of).collect()
}

pub(super) fn slice(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let value = call.input(0)?;
    let mut dims = scope.dims(value);
    let parts = taken(call, &dims)?;
    if let Value::Known(known) = value {
        let mut known = known.clone();
        for part in parts {
            known = pick_along(&known, part.axis, &part.places().collect::<Vec<_>>())?;
        }
        return Ok(vec![Value::Known(known)]);
    }
    let (mut x, kind) = scope.moved(value)?;
    for part in parts {
        if part.count == 0 {
            return Fault::refuse("its output has no elements");
        }
        x = match part.step {
            1 => scope.build.slice(x, part.axis, part.start, part.count)?,
            step if step > 0 => {
                strided(scope, x, part.axis, part.start, (step as usize).min(dims[part.axis]), part.count)?
            }
            _ => picked(scope, x, part.axis, &part.places().collect::<Vec<_>>())?,
        };
        dims[part.axis] = part.count;
    }
    Ok(vec![kind(x)])
}

/// The elements of a known value at these places of an axis.
fn pick_along(known: &Known, axis: usize, places: &[usize]) -> Result<Known, Fault> {
    let mut dims = known.dims.clone();
    dims[axis] = places.len();
    bounded(&dims)?;
    let strides = Shape::from(known.dims.as_slice()).strides();
    let place = |at: Vec<usize>| {
        let own = at.iter().zip(&strides).enumerate();
        own.map(|(number, (&at, &stride))| if number == axis { places[at] * stride } else { at * stride }).sum()
    };
    let all: Vec<usize> = coordinates(&dims).map(place).collect();
    Ok(known.pick(dims, &all))
}

/// Every so many elements of an axis: the axis is divided into steps, of which each gives its first element.
pub(super) fn strided(
    scope: &mut Scope,
    x: NodeId,
    axis: usize,
    start: usize,
    step: usize,
    count: usize,
) -> Result<NodeId, Fault> {
    if step == 1 {
        return Ok(scope.build.slice(x, axis, start, count)?);
    }
    let length = scope.build.dims(x)[axis];
    let needed = start + step * count;
    let mut x = x;
    if needed > length {
        x = scope.build.apply(Pad { axis, before: 0, after: needed - length }, &[x])?;
    }
    x = scope.build.slice(x, axis, start, step * count)?;
    let dims = scope.build.dims(x).to_vec();
    let (outer, inner): (usize, usize) = (dims[..axis].iter().product(), dims[axis + 1..].iter().product());
    x = scope.reshape(x, &[outer, count, step, inner])?;
    x = scope.build.slice(x, 2, 0, 1)?;
    let mut result = dims;
    result[axis] = count;
    scope.reshape(x, &result)
}

/// The elements at these places of an axis, in this order. Neighbours that follow each other are cut out together.
pub(super) fn picked(scope: &mut Scope, x: NodeId, axis: usize, places: &[usize]) -> Result<NodeId, Fault> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &place in places {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == place => *count += 1,
            _ => runs.push((place, 1)),
        }
    }
    if runs.len() > MOST_PARTS {
        return Fault::refuse(format!("a choice of more than {MOST_PARTS} parts of an axis is not supported"));
    }
    let parts = runs.into_iter().map(|(first, count)| scope.build.slice(x, axis, first, count));
    let parts = parts.collect::<crate::Result<Vec<_>>>()?;
    joined(scope, &parts, axis)
}

/// Elements by known indices.
pub(super) fn gather(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, kind) = scope.moved(call.input(0)?)?;
    let own = scope.build.dims(x).to_vec();
    let along = axis(call.int("axis", 0)?, own.len())?;
    let indices = call.known_ints(1)?.unwrap_or_default();
    let places = indices.iter().map(|&index| axis(index, own[along])).collect::<Result<Vec<_>, _>>()?;
    if places.is_empty() {
        return Fault::refuse("its output has no elements");
    }
    let y = picked(scope, x, along, &places)?;
    let dims = [&own[..along], &scope.dims(call.input(1)?), &own[along + 1..]].concat();
    Ok(vec![kind(scope.reshape(y, &dims)?)])
}

pub(super) fn tile(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (mut x, kind) = scope.moved(call.input(0)?)?;
    let repeats = call.known_ints(1)?.unwrap_or_default().to_vec();
    if repeats.len() != scope.rank(x) {
        return Fault::refuse("its repeats are not one for each axis");
    }
    for (axis, &count) in repeats.iter().enumerate() {
        let count = size(count, "a repeat")?;
        if count == 0 || count > MOST_PARTS {
            return Fault::refuse(format!("{count} repeats are not supported"));
        }
        x = joined(scope, &vec![x; count], axis)?;
    }
    Ok(vec![kind(x)])
}

/// Zeros, a number, the mirrored or the nearest elements around a tensor. Negative padding removes elements.
pub(super) fn pad(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    const MOST: i64 = 1 << 20;
    let (mut x, kind) = scope.moved(call.input(0)?)?;
    let rank = scope.rank(x);
    let (mode, value) = (call.text("mode", "constant")?, call.float("value", 0.0)?);
    let value = call.known_number(2)?.unwrap_or(value);
    let older = call.ints("paddings")?;
    let Some(pads) = call.ints_of(1, "pads")?.or(older) else { return Fault::refuse("it has no pads") };
    let axes = match call.known_ints(3)? {
        Some(numbers) => each_axis(numbers, rank)?,
        None => (0..rank).collect(),
    };
    if pads.iter().any(|pad| pad.abs() > MOST) {
        return Fault::refuse(format!("one of its pads {pads:?} is above {MOST}"));
    }
    if pads.len() != 2 * axes.len() {
        return Fault::refuse(format!("it has {} pads for {} axes", pads.len(), axes.len()));
    }
    for (place, &axis) in axes.iter().enumerate() {
        let around = [pads[place], pads[place + axes.len()]];
        for (end, &count) in around.iter().enumerate().filter(|(_, count)| **count < 0) {
            let (length, less) = (scope.build.dims(x)[axis], size(-count, "a padding")?);
            if less >= length {
                return Fault::refuse("its output has no elements");
            }
            x = scope.build.slice(x, axis, if end == 0 { less } else { 0 }, length - less)?;
        }
        let [before, after] = [size(around[0].max(0), "a padding")?, size(around[1].max(0), "a padding")?];
        x = match mode {
            "constant" => padded(scope, x, axis, [before, after], value)?,
            "reflect" | "edge" | "wrap" => mirrored(scope, x, axis, [before, after], mode)?,
            other => return Fault::refuse(format!("mode = {other} is not supported")),
        };
    }
    Ok(vec![kind(x)])
}

/// A number before and after the elements of an axis.
pub(super) fn padded(
    scope: &mut Scope,
    x: NodeId,
    axis: usize,
    [before, after]: [usize; 2],
    value: f32,
) -> Result<NodeId, Fault> {
    if before + after == 0 {
        return Ok(x);
    }
    if value == 0.0 {
        return Ok(scope.build.apply(Pad { axis, before, after }, &[x])?);
    }
    let mut parts = Vec::new();
    for (count, is_x) in [(before, false), (0, true), (after, false)] {
        if is_x {
            parts.push(x);
        } else if count > 0 {
            let mut dims = scope.build.dims(x).to_vec();
            dims[axis] = count;
            let number = scope.build.constant(TensorType::f32([1]), vec![value]);
            parts.push(scope.build.broadcast_to(number, dims)?);
        }
    }
    joined(scope, &parts, axis)
}

/// Elements of the tensor itself before and after those of an axis.
fn mirrored(
    scope: &mut Scope,
    x: NodeId,
    axis: usize,
    [before, after]: [usize; 2],
    mode: &str,
) -> Result<NodeId, Fault> {
    let length = scope.build.dims(x)[axis] as i64;
    if before + after == 0 {
        return Ok(x);
    }
    let place = |at: i64| match mode {
        "edge" => at.clamp(0, length - 1),
        "wrap" => at.rem_euclid(length),
        _ if length == 1 => 0,
        _ => {
            let period = 2 * (length - 1);
            let at = at.rem_euclid(period);
            if at < length { at } else { period - at }
        }
    };
    let places = (-(before as i64)..length + after as i64).map(|at| place(at) as usize);
    picked(scope, x, axis, &places.collect::<Vec<_>>())
}
