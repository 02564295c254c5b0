//! Ops that move values: reshape, transpose (any permutation of axes), slice and pad. Pad is the gradient of slice.

use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::{defined_by, in_pieces};
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};

use crate::graph::{DType, Shape};

/// The same values with another shape. Nothing is moved.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// The new shape. It has the same number of elements.
    pub shape: Shape,
}

/// Permutes the axes: output axis i is input axis `order[i]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Transpose {
    /// The permutation.
    pub order: Vec<usize>,
}

/// Takes `len` adjacent elements along one axis, from `start` on.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// The axis.
    pub axis: usize,
    /// The first index.
    pub start: usize,
    /// The number of indices.
    pub len: usize,
}

/// Adds zeros before and after along one axis: the gradient of [`Slice`].
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// The axis.
    pub axis: usize,
    /// The number of zeros before.
    pub before: usize,
    /// The number of zeros after.
    pub after: usize,
}

/// The maximum number of axes of the kernels in this file.
const MAX_AXES: usize = 6;

/// A view must start where a binding may start: at a multiple of this many elements (256 bytes).
const VIEW_ALIGNMENT: usize = 64;

/// For each coordinate of an output of these sizes, reads x at `offset + sum(coordinate * stride)`.
struct Strided {
    offset: usize,
    sizes: Vec<usize>,
    strides: Vec<usize>,
}

impl Strided {
    fn source(&self, mut index: usize) -> usize {
        let mut at = self.offset;
        for (size, stride) in self.sizes.iter().zip(&self.strides).rev() {
            at += index % size * stride;
            index /= size;
        }
        at
    }

    /// Copies row by row if rows stay contiguous, otherwise element by element.
    fn copy<T: Real>(&self, x: &[T], out: &mut [T]) {
        let (&row, &stride) = match (self.sizes.last(), self.strides.last()) {
            (Some(row), Some(stride)) => (row, stride),
            _ => (&1, &1),
        };
        in_pieces(out, row, |first, out| {
            for (row, y) in (first * row..).step_by(row.max(1)).zip(out.chunks_mut(row.max(1))) {
                let from = &x[self.source(row)..];
                match stride {
                    1 => y.copy_from_slice(&from[..y.len()]),
                    _ => y.iter_mut().zip(from.iter().step_by(stride)).for_each(|(y, &x)| *y = x),
                }
            }
        });
    }

    fn lower(&self, op: &dyn Op, at: &Lower) -> Lowering {
        let count = at.types.output.elements();
        let missing = MAX_AXES - self.sizes.len();
        let pad = |values: &[usize], with: usize| [vec![with; missing], values.to_vec()].concat();
        let dims = [vec![count, self.offset], pad(&self.sizes, 1), pad(&self.strides, 0)].concat();
        let kernel = Kernel::built_in("strided_copy", include_str!("../../shaders/strided_copy.wgsl"), &[]);
        at.linear(op, kernel, &[Slot::Input(0), Slot::Output], &dims, count).into()
    }
}

fn check_axes(input: &TensorType) -> Result<(), String> {
    if input.dtype != DType::F32 {
        return Err("it takes only floats".into());
    }
    if input.shape.rank() > MAX_AXES {
        return Err(format!("it moves tensors of at most {MAX_AXES} axes"));
    }
    Ok(())
}

impl Reshape {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let x = call.real(0);
        call.out().copy_from_slice(x);
    }
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        if self.shape.elements() != inputs[0].elements() {
            return Err(format!("{} has another number of elements", self.shape));
        }
        Ok(TensorType { shape: self.shape.clone(), dtype: inputs[0].dtype })
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let shape = graph.ty(at.inputs[0]).shape.clone();
        Ok(vec![Some(graph.reshape(at.dy, shape)?)])
    }
    defined_by!(define);
    fn lower(&self, _: &Lower) -> Lowering {
        Lowering::default()
    }
    fn flops(&self, _: &Types) -> u64 {
        0
    }
    fn view(&self, _: &Types) -> Option<usize> {
        Some(0)
    }
}

impl Transpose {
    fn strided(&self, input: &TensorType) -> Strided {
        let strides = input.shape.strides();
        Strided {
            offset: 0,
            sizes: self.order.iter().map(|&axis| input.dims()[axis]).collect(),
            strides: self.order.iter().map(|&axis| strides[axis]).collect(),
        }
    }
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let x = call.real(0);
        self.strided(&call.types.inputs[0]).copy(x, call.out());
    }
}

impl Op for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        check_axes(&inputs[0])?;
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..inputs[0].shape.rank()) {
            return Err(format!("{:?} is not a permutation of its axes", self.order));
        }
        Ok(TensorType::f32(self.strided(&inputs[0]).sizes))
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let mut back = vec![0; self.order.len()];
        for (to, &from) in self.order.iter().enumerate() {
            back[from] = to;
        }
        Ok(vec![Some(graph.transpose(at.dy, &back)?)])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        self.strided(&at.types.inputs[0]).lower(self, at)
    }
    fn flops(&self, _: &Types) -> u64 {
        0
    }
}

impl Slice {
    fn strided(&self, input: &TensorType) -> Strided {
        let strides = input.shape.strides();
        let mut sizes = input.dims().to_vec();
        sizes[self.axis] = self.len;
        Strided { offset: self.start * strides[self.axis], sizes, strides }
    }
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let x = call.real(0);
        self.strided(&call.types.inputs[0]).copy(x, call.out());
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        check_axes(&inputs[0])?;
        let size = inputs[0].dims().get(self.axis).ok_or_else(|| format!("it has no axis {}", self.axis))?;
        if self.len == 0 || self.start + self.len > *size {
            return Err(format!("{} from {} on are not inside axis {}", self.len, self.start, self.axis));
        }
        Ok(TensorType::f32(self.strided(&inputs[0]).sizes))
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let after = graph.dims(at.inputs[0])[self.axis] - self.start - self.len;
        Ok(vec![Some(graph.apply(Pad { axis: self.axis, before: self.start, after }, &[at.dy])?)])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        self.strided(&at.types.inputs[0]).lower(self, at)
    }
    fn flops(&self, _: &Types) -> u64 {
        0
    }
    /// A slice of the outermost axis longer than 1 is contiguous.
    fn view(&self, types: &Types) -> Option<usize> {
        let input = &types.inputs[0];
        let offset = self.start * input.shape.strides()[self.axis];
        let outer: usize = input.dims()[..self.axis].iter().product();
        (outer == 1 && offset.is_multiple_of(VIEW_ALIGNMENT)).then_some(offset)
    }
}

impl Pad {
    fn parts(&self, output: &TensorType) -> [usize; 2] {
        let dims = output.dims();
        [dims[self.axis], dims[self.axis + 1..].iter().product()]
    }
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let [size, inner] = self.parts(&call.types.output);
        let inside = size - self.before - self.after;
        let x = call.real(0);
        let (before, inside) = (self.before * inner, inside * inner);
        for (y, x) in call.out().chunks_mut((size * inner).max(1)).zip(x.chunks(inside.max(1))) {
            y[..before].fill(T::zero());
            y[before..before + inside].copy_from_slice(x);
            y[before + inside..].fill(T::zero());
        }
    }
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        check_axes(&inputs[0])?;
        let mut dims = inputs[0].dims().to_vec();
        *dims.get_mut(self.axis).ok_or_else(|| format!("it has no axis {}", self.axis))? += self.before + self.after;
        Ok(TensorType::f32(dims))
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let len = graph.dims(at.inputs[0])[self.axis];
        Ok(vec![Some(graph.slice(at.dy, self.axis, self.before, len)?)])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let [size, inner] = self.parts(&at.types.output);
        let count = at.types.output.elements();
        let dims = [count, size, inner, self.before, size - self.before - self.after];
        let kernel = Kernel::built_in("pad", include_str!("../../shaders/pad.wgsl"), &[]);
        at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &dims, count).into()
    }
    fn flops(&self, _: &Types) -> u64 {
        0
    }
}

impl Graph {
    /// The same values with another shape.
    ///
    /// # Errors
    /// When the new shape has a different number of elements.
    pub fn reshape(&mut self, x: NodeId, shape: impl Into<Shape>) -> Result<NodeId> {
        let shape = shape.into();
        if self.ty(x).shape == shape { Ok(x) } else { self.apply(Reshape { shape }, &[x]) }
    }
    /// Permutes the axes: output axis i is input axis `order[i]`.
    ///
    /// # Errors
    /// When `order` does not contain each axis once.
    pub fn transpose(&mut self, x: NodeId, order: &[usize]) -> Result<NodeId> {
        self.apply(Transpose { order: order.to_vec() }, &[x])
    }
    /// The `len` adjacent elements along `axis`, from `start` on.
    ///
    /// # Errors
    /// When the elements are not all inside the axis.
    pub fn slice(&mut self, x: NodeId, axis: usize, start: usize, len: usize) -> Result<NodeId> {
        self.apply(Slice { axis, start, len }, &[x])
    }
}

impl Graph {
    /// Adds zeros around the last two axes of x, an image's height and width. `around` is the number of pixels above,
    /// below, left and right.
    ///
    /// # Errors
    /// When x does not hold floats or has fewer than two axes.
    pub fn pad2d(&mut self, x: NodeId, [top, bottom, left, right]: [usize; 4]) -> Result<NodeId> {
        let Some(down) = self.dims(x).len().checked_sub(2) else {
            let name = &self.node(x).name;
            return Err(crate::Error::Shape(format!("'{name}' is {}, which is not an image", self.ty(x))));
        };
        let mut y = x;
        for (axis, before, after) in [(down, top, bottom), (down + 1, left, right)] {
            if before + after > 0 {
                y = self.apply(Pad { axis, before, after }, &[y])?;
            }
        }
        Ok(y)
    }
}

/// Shapes to test and to time [`Transpose`] on.
pub fn transpose_cases() -> Vec<Case> {
    let of = |dims: &[usize], order: &'static [usize]| {
        Case::new(vec![Sample::floats(dims)], move |graph, x| graph.transpose(x[0], order))
            .labelled(&format!("order {order:?}"))
    };
    vec![
        of(&[1, 1], &[1, 0]),
        of(&[7, 5], &[1, 0]),
        of(&[64, 36], &[1, 0]),
        of(&[2, 3, 5], &[2, 0, 1]),
        of(&[2, 3, 4, 5], &[0, 2, 3, 1]),
        of(&[512, 1024], &[1, 0]).timed(),
    ]
}

/// Shapes to test [`Reshape`] on. The factors before and after it show that the values stay in order.
pub fn reshape_cases() -> Vec<Case> {
    let of = |from: &[usize], to: &'static [usize]| {
        Case::new(vec![Sample::floats(from)], move |graph, x| {
            let x = graph.scale(x[0], 2.0)?;
            graph.reshape(x, to)
        })
    };
    vec![of(&[1], &[1, 1]), of(&[6], &[2, 3]), of(&[7, 5], &[35]), of(&[2, 3, 4], &[6, 4]), of(&[64, 36], &[36, 64])]
}

/// Shapes to test [`Slice`] on, as a view and as a copy.
pub fn slice_cases() -> Vec<Case> {
    let of = |dims: &[usize], axis, start, len| {
        Case::new(vec![Sample::floats(dims)], move |graph, x| {
            let x = graph.scale(x[0], 2.0)?;
            graph.slice(x, axis, start, len)
        })
        .labelled(&format!("axis {axis}, {len} from {start}"))
    };
    vec![
        of(&[1], 0, 0, 1),
        of(&[7, 5], 0, 2, 3),
        of(&[8, 64], 0, 3, 2),
        of(&[7, 5], 1, 1, 3),
        of(&[2, 3, 4, 5], 2, 1, 2),
        of(&[1031], 0, 512, 519),
    ]
}

/// Shapes to test [`Pad`] on.
pub fn pad_cases() -> Vec<Case> {
    let of = |dims: &[usize], axis, before, after| {
        Case::new(vec![Sample::floats(dims)], move |graph, x| graph.apply(Pad { axis, before, after }, &[x[0]]))
            .labelled(&format!("axis {axis}, {before} before, {after} after"))
    };
    vec![of(&[1], 0, 0, 1), of(&[7], 0, 3, 0), of(&[5, 3], 1, 1, 2), of(&[2, 3, 5], 1, 2, 2), of(&[64, 36], 0, 1, 7)]
}

/// Shapes to test and to time [`Graph::pad2d`] on.
pub fn pad2d_cases() -> Vec<Case> {
    let of = |dims: &[usize], around: [usize; 4]| {
        let inputs = vec![Sample::floats(dims)];
        Case::new(inputs, move |graph, x| graph.pad2d(x[0], around)).labelled(&format!("{around:?}"))
    };
    vec![
        of(&[1, 1], [1, 1, 1, 1]),
        of(&[2, 3, 4, 5], [1, 2, 0, 3]),
        of(&[2, 1, 5, 4], [0, 0, 2, 1]),
        of(&[64, 32, 32, 32], [1, 1, 1, 1]).differentiable(&[]).timed(),
    ]
}
