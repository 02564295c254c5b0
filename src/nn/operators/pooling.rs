//! Poolings.

use super::arithmetic::binary;
use super::call::Call;
use super::convolutions::{WindowAxes, as_before, as_image};
use super::movement::{padded, strided};
use super::reductions;
use super::scope::{Scope, one};
use super::value::{Fault, Value};
use crate::graph::{Graph, NodeId, TensorType};
use crate::ops::pool2d::Window;

/// The largest number of taps of a window whose taps are taken one by one.
const MOST_TAPS: usize = 128;

/// The windows along one axis.
#[derive(Clone, Copy, Debug)]
struct Line {
    axis: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    /// What is added after the axis: the padding, and what the last window of ceil mode lacks.
    after: usize,
    outputs: usize,
}

/// The windows of a pooling along each axis of an image of these sizes, which begins at axis 2.
fn lines(call: &Call, image: &[usize]) -> Result<(WindowAxes, Vec<Line>), Fault> {
    let window = WindowAxes::new(call, image, None)?;
    let ceil = call.flag("ceil_mode", false)?;
    let mut lines = Vec::new();
    for (number, &length) in image.iter().enumerate() {
        let ([before, after], stride, reach) = (window.around[number], window.stride[number], window.reach(number));
        let Some(room) = (length + before + after).checked_sub(reach) else {
            return Fault::refuse(format!("its window covers {reach} elements, but the padded image has fewer"));
        };
        let mut outputs = if ceil { room.div_ceil(stride) } else { room / stride } + 1;
        // A window must begin in the image or in the padding before it.
        if ceil && (outputs - 1) * stride >= length + before {
            outputs -= 1;
        }
        let end = (outputs - 1) * stride + reach;
        lines.push(Line {
            axis: number + 2,
            kernel: window.kernel[number],
            stride,
            dilation: window.dilation[number],
            before,
            after: end.saturating_sub(length + before),
            outputs,
        });
    }
    Ok((window, lines))
}

/// The kernel's own form of a pooling, if it has one: two axes, the same padding on both sides, no dilation.
fn direct(window: &WindowAxes, ceil: bool) -> Option<Window> {
    let (&[height, width], &[vertical, horizontal]) = (window.kernel.as_slice(), window.stride.as_slice()) else {
        return None;
    };
    let padding = [window.around[0][0], window.around[1][0]];
    let fits = window.is_symmetric()
        && window.dilation.iter().all(|&dilation| dilation == 1)
        && padding[0] <= height / 2
        && padding[1] <= width / 2;
    fits.then_some(Window { kernel: [height, width], stride: [vertical, horizontal], padding, ceil })
}

pub(super) fn max_pool(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    call.only_outputs(1)?;
    let _ = call.flag("storage_order", false)?;
    let (x, kind) = scope.moved(call.input(0)?)?;
    let image = image_of(scope, x)?;
    let (window, lines) = lines(call, &image)?;
    if let Some(window) = direct(&window, call.flag("ceil_mode", false)?) {
        return Ok(vec![kind(scope.build.max_pool2d(x, window)?)]);
    }
    let mut x = x;
    for line in lines {
        let around = [line.before, line.after];
        // No finite number is below this one.
        x = padded(scope, x, line.axis, around, f32::MIN)?;
        x = along(scope, x, line, Graph::maximum, |scope, x, window| Ok(scope.build.max_pool2d(x, window)?))?;
    }
    Ok(vec![kind(x)])
}

/// The sizes of the images of a batch.
fn image_of(scope: &Scope, x: NodeId) -> Result<Vec<usize>, Fault> {
    match scope.build.dims(x) {
        [_, _, image @ ..] if !image.is_empty() => Ok(image.to_vec()),
        _ => Fault::refuse("it takes a batch of images with channels"),
    }
}

/// Pools along one axis of a padded tensor: as images that are one pixel wide, or with dilation tap by tap.
fn along(
    scope: &mut Scope,
    x: NodeId,
    line: Line,
    join: fn(&mut Graph, NodeId, NodeId) -> crate::Result<NodeId>,
    pool: impl Fn(&mut Scope, NodeId, Window) -> Result<NodeId, Fault>,
) -> Result<NodeId, Fault> {
    if line.dilation == 1 {
        let mut dims = scope.build.dims(x).to_vec();
        let product = |range: &[usize]| range.iter().product::<usize>();
        let sizes = [product(&dims[..line.axis]), 1, dims[line.axis], product(&dims[line.axis + 1..])];
        let x = scope.reshape(x, &sizes)?;
        let window = Window { kernel: [line.kernel, 1], stride: [line.stride, 1], padding: [0; 2], ceil: false };
        let y = pool(scope, x, window)?;
        dims[line.axis] = line.outputs;
        return scope.reshape(y, &dims);
    }
    if line.stride.is_multiple_of(line.dilation) {
        // All windows read the same elements: every so many of the axis. Among those there is no dilation.
        let dilation = line.dilation;
        let read = (line.outputs - 1) * line.stride + line.dilation * (line.kernel - 1);
        let x = strided(scope, x, line.axis, 0, dilation, read / dilation + 1)?;
        let line = Line { dilation: 1, stride: line.stride / dilation, ..line };
        return along(scope, x, line, join, pool);
    }
    if line.kernel > MOST_TAPS {
        return Fault::refuse(format!("a dilated window of more than {MOST_TAPS} elements is not supported"));
    }
    let mut y = strided(scope, x, line.axis, 0, line.stride, line.outputs)?;
    for tap in 1..line.kernel {
        let next = strided(scope, x, line.axis, tap * line.dilation, line.stride, line.outputs)?;
        y = join(scope.build, y, next)?;
    }
    Ok(y)
}

/// The sums of the windows, with zeros around the image.
fn window_sums(scope: &mut Scope, x: NodeId, lines: &[Line]) -> Result<NodeId, Fault> {
    let mut x = x;
    for &line in lines {
        x = padded(scope, x, line.axis, [line.before, line.after], 0.0)?;
        x = along(scope, x, line, Graph::add, |scope, x, window| {
            let mean = scope.build.average_pool2d(x, window)?;
            Ok(scope.build.scale(mean, line.kernel as f32)?)
        })?;
    }
    Ok(x)
}

pub(super) fn average_pool(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let image = image_of(scope, x)?;
    let (window, lines) = lines(call, &image)?;
    let (counts_padding, ceil) = (call.flag("count_include_pad", false)?, call.flag("ceil_mode", false)?);
    let is_padded = window.around.iter().any(|around| *around != [0; 2]);
    // In ceil mode, what lies beyond the padding does not count, in ONNX as in PyTorch.
    if let Some(window) = direct(&window, ceil).filter(|_| counts_padding || !is_padded) {
        return Ok(one(scope.build.average_pool2d(x, window)?));
    }
    let sums = window_sums(scope, x, &lines)?;
    // By what each sum is divided: a product of a number for each row and one for each column.
    let mut y = sums;
    for (number, line) in lines.iter().enumerate() {
        let (first, last) = match counts_padding {
            true => (0, line.before + image[number] + window.around[number][1]),
            false => (line.before, line.before + image[number]),
        };
        let factor = |output: usize| {
            let start = output * line.stride;
            let before = |place: usize| place.saturating_sub(start).div_ceil(line.dilation).min(line.kernel);
            1.0 / (before(last) - before(first)).max(1) as f32
        };
        let mut dims = vec![1; lines.len() + 2 - line.axis];
        dims[0] = line.outputs;
        let factors = scope.build.constant(TensorType::f32(dims), (0..line.outputs).map(factor).collect::<Vec<_>>());
        y = binary(scope, y, factors, Graph::mul)?;
    }
    Ok(one(y))
}

/// (the sum of |x|^p)^(1/p) of each window.
pub(super) fn lp_pool(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let p = call.int("p", 2)?;
    let image = image_of(scope, x)?;
    let (_, lines) = lines(call, &image)?;
    let powers = powers(scope, x, p)?;
    let sums = window_sums(scope, powers, &lines)?;
    Ok(one(root(scope, sums, p)?))
}

/// |x|^p.
pub(super) fn powers(scope: &mut Scope, x: NodeId, p: i64) -> Result<NodeId, Fault> {
    let size = scope.build.abs(x)?;
    Ok(match p {
        1 => size,
        2 => scope.build.square(x)?,
        _ => {
            let p = scope.number(p as f32);
            scope.build.pow(size, p)?
        }
    })
}

/// x^(1/p).
pub(super) fn root(scope: &mut Scope, x: NodeId, p: i64) -> Result<NodeId, Fault> {
    Ok(match p {
        1 => x,
        2 => scope.build.sqrt(x)?,
        _ => {
            let inverse = scope.number(1.0 / p as f32);
            scope.build.pow(x, inverse)?
        }
    })
}

pub(super) fn global_average(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let image = image_of(scope, x)?;
    let axes: Vec<usize> = (2..image.len() + 2).collect();
    Ok(one(reductions::mean(scope, x, &axes)?))
}

pub(super) fn global_max(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let image = image_of(scope, x)?;
    let axes: Vec<usize> = (2..image.len() + 2).collect();
    Ok(one(reductions::maximum(scope, x, &axes)?))
}

pub(super) fn global_lp(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let p = call.int("p", 2)?;
    let image = image_of(scope, x)?;
    let axes: Vec<usize> = (2..image.len() + 2).collect();
    let powers = powers(scope, x, p)?;
    let sums = reductions::sum(scope, powers, &axes)?;
    Ok(one(root(scope, sums, p)?))
}

/// Local response normalisation: x / (bias + alpha / size times the sum of squares of neighbouring channels)^beta.
pub(super) fn lrn(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let (alpha, beta, bias) = (call.float("alpha", 0.0001)?, call.float("beta", 0.75)?, call.float("bias", 1.0)?);
    let size = super::call::size(call.int("size", 1)?, "its size")?;
    if !(1..=1 << 20).contains(&size) {
        return Fault::refuse(format!("its size is {size}"));
    }
    let (x, axes) = as_image(scope, x)?;
    let &[batch, channels, height, width] = scope.build.dims(x) else {
        return Fault::refuse("it takes a batch of images");
    };
    let squares = scope.build.square(x)?;
    let planes = scope.reshape(squares, &[batch, channels, height * width])?;
    let line = Line {
        axis: 1,
        kernel: size,
        stride: 1,
        dilation: 1,
        before: (size - 1) / 2,
        after: size - 1 - (size - 1) / 2,
        outputs: channels,
    };
    let sums = window_sums(scope, planes, &[line])?;
    let sums = scope.reshape(sums, &[batch, channels, height, width])?;
    let scaled = scope.build.scale(sums, alpha / size as f32)?;
    let below = scope.plus(scaled, bias)?;
    let beta = scope.number(beta);
    let below = scope.build.pow(below, beta)?;
    let y = scope.build.div(x, below)?;
    Ok(one(as_before(scope, y, axes)?))
}
