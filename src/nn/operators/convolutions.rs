//! Convolutions.

use super::arithmetic::binary;
use super::call::{Call, size};
use super::scope::{Scope, one};
use super::value::{Fault, Value};
use crate::graph::{Graph, NodeId};
use crate::ops::conv2d::Geometry;
use crate::ops::strided::Pad;

/// The window of a convolution or a pooling along each axis of an image.
#[derive(Clone, Debug)]
pub(super) struct WindowAxes {
    pub kernel: Vec<usize>,
    pub stride: Vec<usize>,
    pub dilation: Vec<usize>,
    /// Elements before and after each axis.
    pub around: Vec<[usize; 2]>,
}

impl WindowAxes {
    /// The window of an operator for an image. `kernel` is the weight's, if there is one.
    pub fn new(call: &Call, image: &[usize], kernel: Option<&[usize]>) -> Result<Self, Fault> {
        let rank = image.len();
        let list = |name: &'static str| -> Result<Option<Vec<usize>>, Fault> {
            let Some(values) = call.ints(name)? else { return Ok(None) };
            if values.len() != rank {
                return Fault::refuse(format!("its {name} {values:?} is not for images with {rank} axes"));
            }
            values.iter().map(|&value| size(value, name)).collect::<Result<Vec<_>, _>>().map(Some)
        };
        let stated = list("kernel_shape")?;
        let Some(own) = kernel.map(<[usize]>::to_vec).or(stated.clone()) else {
            return Fault::refuse("it has no kernel_shape");
        };
        if stated.is_some_and(|stated| stated != own) || own.len() != rank {
            return Fault::refuse(format!("its kernel {own:?} is not for images with {rank} axes"));
        }
        let stride = list("strides")?.unwrap_or_else(|| vec![1; rank]);
        let dilation = list("dilations")?.unwrap_or_else(|| vec![1; rank]);
        if [&own, &stride, &dilation].iter().any(|list| list.iter().any(|&size| size == 0 || size > 1 << 20)) {
            return Fault::refuse("a kernel, stride or dilation is not from 1 to 2^20");
        }
        let mut window = Self { kernel: own, stride, dilation, around: vec![[0; 2]; rank] };
        let pads = call.ints("pads")?;
        match call.text("auto_pad", "NOTSET")? {
            "NOTSET" => window.pad(pads)?,
            "VALID" => {}
            word @ ("SAME_UPPER" | "SAME_LOWER") => window.pad_same(image, word == "SAME_LOWER"),
            other => return Fault::refuse(format!("its auto_pad is {other}")),
        }
        Ok(window)
    }

    fn pad(&mut self, pads: Option<Vec<i64>>) -> Result<(), Fault> {
        let Some(pads) = pads else { return Ok(()) };
        let rank = self.kernel.len();
        if pads.len() != 2 * rank {
            return Fault::refuse(format!("its pads {pads:?} are not for images with {rank} axes"));
        }
        for axis in 0..rank {
            self.around[axis] = [size(pads[axis], "a padding")?, size(pads[axis + rank], "a padding")?];
            if self.around[axis].iter().any(|&count| count > 1 << 20) {
                return Fault::refuse("a padding is above 2^20");
            }
        }
        Ok(())
    }

    /// Padding for which there are as many outputs as steps. The larger half comes after the image, or before it.
    fn pad_same(&mut self, image: &[usize], before: bool) {
        for (axis, &length) in image.iter().enumerate() {
            let outputs = length.div_ceil(self.stride[axis]);
            let needed = ((outputs.max(1) - 1) * self.stride[axis] + self.reach(axis)).saturating_sub(length);
            let (less, more) = (needed / 2, needed - needed / 2);
            self.around[axis] = if before { [more, less] } else { [less, more] };
        }
    }

    /// The elements that the kernel covers along an axis.
    pub fn reach(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.kernel[axis] - 1) + 1
    }

    /// Whether there is as much padding before as after each axis.
    pub fn is_symmetric(&self) -> bool {
        self.around.iter().all(|[before, after]| before == after)
    }
}

/// The axes of x `[batch, channels, image...]`: the image as height and width. A list of numbers is an image of height 1.
pub(super) fn as_image(scope: &mut Scope, x: NodeId) -> Result<(NodeId, usize), Fault> {
    match *scope.build.dims(x) {
        [batch, channels, length] => Ok((scope.reshape(x, &[batch, channels, 1, length])?, 1)),
        [_, _, _, _] => Ok((x, 2)),
        ref other => Fault::refuse(format!("images with {} axes are not supported", other.len().max(2) - 2)),
    }
}

/// The values of an axis for height and width, where a list has only a width.
fn pair<T: Copy>(values: &[T], one: T) -> [T; 2] {
    match *values {
        [width] => [one, width],
        [height, width, ..] => [height, width],
        [] => [one; 2],
    }
}

/// The height and width of an image as `[batch, channels, height, width]`, back to as many axes as it had.
pub(super) fn as_before(scope: &mut Scope, y: NodeId, axes: usize) -> Result<NodeId, Fault> {
    match (axes, scope.build.dims(y)) {
        (1, &[batch, channels, _, length]) => scope.reshape(y, &[batch, channels, length]),
        _ => Ok(y),
    }
}

pub(super) fn conv(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, w) = (scope.input(call, 0)?, scope.input(call, 1)?);
    let (x, axes) = as_image(scope, x)?;
    let (w, own) = as_image(scope, w)?;
    let (image, kernel) = (scope.build.dims(x)[4 - axes..].to_vec(), scope.build.dims(w)[4 - own..].to_vec());
    let window = WindowAxes::new(call, &image, Some(&kernel))?;
    let groups = size(call.int("group", 1)?, "its group")?;
    let geometry =
        |padding| Geometry { stride: pair(&window.stride, 1), dilation: pair(&window.dilation, 1), padding, groups };
    let around = pair(&window.around, [0; 2]);
    let y = if window.is_symmetric() {
        scope.build.conv2d(x, w, geometry([around[0][0], around[1][0]]))?
    } else {
        let [[top, bottom], [left, right]] = around;
        let x = scope.build.pad2d(x, [top, bottom, left, right])?;
        scope.build.conv2d(x, w, geometry([0, 0]))?
    };
    let y = biased(scope, call, y)?;
    Ok(one(as_before(scope, y, axes)?))
}

/// Adds the bias of each channel, if there is one.
fn biased(scope: &mut Scope, call: &Call, y: NodeId) -> Result<NodeId, Fault> {
    let Some(bias) = scope.optional(call, 2)? else { return Ok(y) };
    let channels = scope.build.dims(bias).iter().product();
    let bias = scope.reshape(bias, &[channels, 1, 1])?;
    binary(scope, y, bias, Graph::add)
}

pub(super) fn conv_transpose(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (x, w) = (scope.input(call, 0)?, scope.input(call, 1)?);
    let (x, axes) = as_image(scope, x)?;
    let (w, own) = as_image(scope, w)?;
    let image = scope.build.dims(x)[4 - axes..].to_vec();
    let kernel = scope.build.dims(w)[4 - own..].to_vec();
    // The padding of this operator is what is cut off its output; automatic padding depends on the output.
    let mut window = WindowAxes::new(call, &image, Some(&kernel))?;
    let groups = size(call.int("group", 1)?, "its group")?;
    let list = |name: &'static str| match call.ints(name)? {
        None => Ok(None),
        Some(values) if values.len() >= axes => {
            let last = &values[values.len() - axes..];
            last.iter().map(|&value| size(value, name)).collect::<Result<Vec<_>, _>>().map(Some)
        }
        Some(values) => Fault::refuse(format!("its {name} {values:?} is not for images with {axes} axes")),
    };
    let mut extra = list("output_padding")?.unwrap_or_else(|| vec![0; axes]);
    let (asked, automatic) = (list("output_shape")?, call.text("auto_pad", "NOTSET")?);
    let full = |window: &WindowAxes, axis: usize| (image[axis].max(1) - 1) * window.stride[axis] + window.reach(axis);
    for axis in 0..axes {
        let wanted = match &asked {
            Some(asked) => asked[axis],
            None if automatic.starts_with("SAME") => image[axis] * window.stride[axis],
            None => continue,
        };
        let whole = full(&window, axis) + extra[axis];
        extra[axis] += wanted.saturating_sub(whole);
        let cut = whole.saturating_sub(wanted);
        let (less, more) = (cut / 2, cut - cut / 2);
        window.around[axis] = if automatic == "SAME_UPPER" { [less, more] } else { [more, less] };
    }
    // The whole output, without padding; then the extra elements after it; then the padding is cut off.
    let whole: Vec<usize> = (0..axes).map(|axis| full(&window, axis)).collect();
    let geometry =
        Geometry { stride: pair(&window.stride, 1), dilation: pair(&window.dilation, 1), padding: [0; 2], groups };
    let mut y = scope.build.conv2d_backward_input(x, w, pair(&whole, 1), geometry)?;
    for axis in 0..axes {
        let at = 4 - axes + axis;
        let [before, after] = window.around[axis];
        let length = whole[axis] + extra[axis];
        if before + after >= length {
            return Fault::refuse("its padding leaves nothing of the output");
        }
        // What is added after the output may be cut off again.
        let added = extra[axis].saturating_sub(after);
        if added > 0 {
            y = scope.build.apply(Pad { axis: at, before: 0, after: added }, &[y])?;
        }
        let kept = length - before - after;
        if kept != scope.build.dims(y)[at] {
            y = scope.build.slice(y, at, before, kept)?;
        }
    }
    let y = biased(scope, call, y)?;
    Ok(one(as_before(scope, y, axes)?))
}
