//! Reductions along axes.

use super::call::{Call, axes};
use super::scope::{Scope, one};
use super::value::{Fault, Value};
use crate::graph::{Graph, NodeId};
use crate::ops::pool2d::Window;

/// The largest number of factors of a product along an axis.
const MOST_FACTORS: usize = 256;

/// Reductions of a tensor along some axes, which stay with size 1.
type Reduction = fn(&mut Scope, NodeId, &[usize]) -> Result<NodeId, Fault>;

/// ONNX's reductions.
pub(super) const REDUCTIONS: [(&str, Reduction); 10] = [
    ("ReduceL1", |scope, x, axes| {
        let x = scope.build.abs(x)?;
        sum(scope, x, axes)
    }),
    ("ReduceL2", |scope, x, axes| {
        let x = scope.build.square(x)?;
        let y = sum(scope, x, axes)?;
        Ok(scope.build.sqrt(y)?)
    }),
    ("ReduceLogSum", |scope, x, axes| {
        let y = sum(scope, x, axes)?;
        Ok(scope.build.log(y)?)
    }),
    ("ReduceLogSumExp", log_sum_exp),
    ("ReduceMax", maximum),
    ("ReduceMean", mean),
    ("ReduceMin", |scope, x, axes| {
        let x = scope.build.scale(x, -1.0)?;
        let y = maximum(scope, x, axes)?;
        Ok(scope.build.scale(y, -1.0)?)
    }),
    ("ReduceProd", product),
    ("ReduceSum", sum),
    ("ReduceSumSquare", |scope, x, axes| {
        let x = scope.build.square(x)?;
        sum(scope, x, axes)
    }),
];

pub(super) fn reduce(scope: &mut Scope, call: &Call, of: Reduction) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let rank = scope.rank(x);
    let (keep, nothing) = (call.flag("keepdims", true)?, call.flag("noop_with_empty_axes", false)?);
    let numbers = call.ints_of(1, "axes")?.unwrap_or_default();
    let axes = match numbers.is_empty() {
        // Even of no axes, a function of the elements remains: the square of a sum of squares.
        true if nothing => Vec::new(),
        true => (0..rank).collect(),
        false => axes(&numbers, rank)?,
    };
    let y = of(scope, x, &axes)?;
    if keep {
        return Ok(one(y));
    }
    let own = scope.build.dims(y);
    let dims: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).map(|axis| own[axis]).collect();
    Ok(one(scope.reshape(y, &dims)?))
}

/// Ranges of neighbouring axes, the innermost first.
fn ranges(axes: &[usize]) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &axis in axes {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == axis => *last = axis,
            _ => ranges.push((axis, axis)),
        }
    }
    ranges.reverse();
    ranges
}

pub(super) fn sum(scope: &mut Scope, x: NodeId, axes: &[usize]) -> Result<NodeId, Fault> {
    ranges(axes).into_iter().try_fold(x, |x, (first, last)| Ok(scope.build.sum(x, first, last)?))
}

pub(super) fn mean(scope: &mut Scope, x: NodeId, axes: &[usize]) -> Result<NodeId, Fault> {
    ranges(axes).into_iter().try_fold(x, |x, (first, last)| Ok(scope.build.mean(x, first, last)?))
}

/// The maximum of a range of axes is a maximum over windows that are as large as the range.
pub(super) fn maximum(scope: &mut Scope, x: NodeId, axes: &[usize]) -> Result<NodeId, Fault> {
    ranges(axes).into_iter().try_fold(x, |x, (first, last)| {
        let mut dims = scope.build.dims(x).to_vec();
        let product = |range: &[usize]| range.iter().product::<usize>();
        let sizes = [product(&dims[..first]), product(&dims[first..=last]), product(&dims[last + 1..])];
        let [outer, reduced, inner] = sizes;
        let x = scope.reshape(x, &[outer, 1, reduced, inner])?;
        let window = Window { kernel: [reduced, 1], stride: [1, 1], padding: [0, 0], ceil: false };
        let y = scope.build.max_pool2d(x, window)?;
        dims[first..=last].fill(1);
        scope.reshape(y, &dims)
    })
}

/// The maximum is subtracted first, so that no power overflows.
fn log_sum_exp(scope: &mut Scope, x: NodeId, axes: &[usize]) -> Result<NodeId, Fault> {
    let largest = maximum(scope, x, axes)?;
    let x = super::arithmetic::binary(scope, x, largest, Graph::sub)?;
    let x = scope.build.exp(x)?;
    let y = sum(scope, x, axes)?;
    let y = scope.build.log(y)?;
    Ok(scope.build.add(y, largest)?)
}

fn product(scope: &mut Scope, x: NodeId, axes: &[usize]) -> Result<NodeId, Fault> {
    let mut x = x;
    for &axis in axes {
        let length = scope.build.dims(x)[axis];
        if length > MOST_FACTORS {
            return Fault::refuse(format!("a product of more than {MOST_FACTORS} factors is not supported"));
        }
        let mut y = scope.build.slice(x, axis, 0, 1)?;
        for place in 1..length {
            let next = scope.build.slice(x, axis, place, 1)?;
            y = scope.build.mul(y, next)?;
        }
        x = y;
    }
    Ok(x)
}
