//! Layer norm over the channels of images (J. L. Ba, J. R. Kiros and G. Hinton, 2016; Z. Liu et al., "A ConvNet for the 2020s", CVPR 2022): the
//! channels of each pixel are normalised to mean 0 and variance 1. Gamma and beta follow as element-wise ops, which the passes fuse into
//! the kernel.

use crate::Result;
use crate::graph::kernel::{Dispatch, Kernel, Lowering, Slot, word};
use crate::graph::{DType, Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::elementwise::{Chunked, Program, epilogue};
use crate::ops::lanes::widest;
use crate::ops::op::{defined_by, in_pieces};
use crate::ops::{Call, Lower, Op, Real, Types};

/// (x - mean) / sqrt(variance + epsilon) of each pixel of x `[batch, channels, height, width]`, over its channels; then the epilogue on
/// each element. The variance is divided by the number of channels.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct LayerNorm2d {
    /// Added to the variance.
    pub epsilon: f32,
    /// The epilogue, in the same kernel.
    pub epilogue: Program,
}

/// The gradient with respect to x, from x and the gradient dy of the normalised value: (dy - mean(dy) - x^ mean(dy x^)) / deviation, where
/// x^ is the normalised x and the means are over the channels of a pixel. Then the epilogue is applied.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct LayerNorm2dBackward {
    /// As in the forward op.
    pub epsilon: f32,
    /// The epilogue, in the same kernel.
    pub epilogue: Program,
}

/// Images as `[batch, channels, pixels]`.
#[derive(Clone, Copy)]
struct Sizes {
    channels: usize,
    pixels: usize,
}

impl Sizes {
    fn of(x: &TensorType) -> Result<Self, String> {
        match *x.dims() {
            [_, channels, height, width] if x.dtype == DType::F32 => Ok(Self { channels, pixels: height * width }),
            _ => Err("it takes floats, batch x channels x height x width".into()),
        }
    }

    /// The elements of an image.
    fn image(self) -> usize {
        self.channels * self.pixels
    }
}

/// The mean and 1 / sqrt(variance + epsilon) of each pixel of an image.
struct Moments<T> {
    mean: Vec<T>,
    inverse: Vec<T>,
}

impl<T: Real> Moments<T> {
    #[inline(always)]
    fn of(x: &[T], Sizes { channels, pixels }: Sizes, epsilon: f32) -> Self {
        let share = T::one() / T::count(channels);
        let (mut mean, mut inverse) = (vec![T::zero(); pixels], vec![T::zero(); pixels]);
        for x in x.chunks_exact(pixels) {
            mean.iter_mut().zip(x).for_each(|(sum, &x)| *sum += x);
        }
        mean.iter_mut().for_each(|sum| *sum *= share);
        for x in x.chunks_exact(pixels) {
            let centred = x.iter().zip(&mean).map(|(&x, &mean)| x - mean);
            inverse.iter_mut().zip(centred).for_each(|(sum, centred)| *sum += centred * centred);
        }
        let epsilon = T::of(f64::from(epsilon));
        inverse.iter_mut().for_each(|sum| *sum = T::one() / (*sum * share + epsilon).sqrt());
        Self { mean, inverse }
    }
}

fn sizes(types: &Types) -> Sizes {
    Sizes::of(&types.inputs[0]).expect("checked when the node was built")
}

impl LayerNorm2d {
    fn define<T: Chunked>(&self, call: &mut Call<T>) {
        let sizes = sizes(call.types);
        epilogue::with_output(call, |call, y| {
            let x = call.real(0);
            let finish = epilogue::finisher(&self.epilogue, call, 1);
            in_pieces(y, sizes.image(), |first, piece| {
                let images = x[first * sizes.image()..].chunks_exact(sizes.image());
                for (x, y) in images.zip(piece.chunks_exact_mut(sizes.image())) {
                    widest(
                        #[inline(always)]
                        || {
                            let Moments { mean, inverse } = Moments::of(x, sizes, self.epsilon);
                            for (x, y) in x.chunks_exact(sizes.pixels).zip(y.chunks_exact_mut(sizes.pixels)) {
                                for (((y, &x), &mean), &inverse) in y.iter_mut().zip(x).zip(&mean).zip(&inverse) {
                                    *y = (x - mean) * inverse;
                                }
                            }
                        },
                    );
                }
                finish(first * sizes.image(), piece);
            });
        });
    }
}

impl LayerNorm2dBackward {
    fn define<T: Chunked>(&self, call: &mut Call<T>) {
        let sizes = sizes(call.types);
        epilogue::with_output(call, |call, dx| {
            let (x, dy) = (call.real(0), call.real(1));
            let finish = epilogue::finisher(&self.epilogue, call, 2);
            in_pieces(dx, sizes.image(), |first, piece| {
                let both = x.chunks_exact(sizes.image()).zip(dy.chunks_exact(sizes.image())).skip(first);
                for ((x, dy), dx) in both.zip(piece.chunks_exact_mut(sizes.image())) {
                    widest(
                        #[inline(always)]
                        || self.of_image(sizes, x, dy, dx),
                    );
                }
                finish(first * sizes.image(), piece);
            });
        });
    }

    #[inline(always)]
    fn of_image<T: Real>(&self, sizes: Sizes, x: &[T], dy: &[T], dx: &mut [T]) {
        let Moments { mean, inverse } = Moments::of(x, sizes, self.epsilon);
        let pixels = sizes.pixels;
        let share = T::one() / T::count(sizes.channels);
        let (mut shift, mut slope) = (vec![T::zero(); pixels], vec![T::zero(); pixels]);
        for (x, dy) in x.chunks_exact(pixels).zip(dy.chunks_exact(pixels)) {
            shift.iter_mut().zip(dy).for_each(|(sum, &dy)| *sum += dy);
            let centred = x.iter().zip(&mean).map(|(&x, &mean)| x - mean);
            slope.iter_mut().zip(dy).zip(centred).for_each(|((sum, &dy), centred)| *sum += dy * centred);
        }
        shift.iter_mut().for_each(|sum| *sum *= share);
        slope.iter_mut().zip(&inverse).for_each(|(sum, &inverse)| *sum *= share * inverse * inverse);
        let rows = x.chunks_exact(pixels).zip(dy.chunks_exact(pixels)).zip(dx.chunks_exact_mut(pixels));
        for ((x, dy), dx) in rows {
            let centred = x.iter().zip(&mean).map(|(&x, &mean)| x - mean);
            let moved = dy.iter().zip(&shift).zip(&slope).zip(centred);
            let moved = moved.map(|(((&dy, &shift), &slope), centred)| dy - shift - centred * slope);
            dx.iter_mut().zip(moved).zip(&inverse).for_each(|((dx, moved), &inverse)| *dx = moved * inverse);
        }
    }
}

/// A kernel with one invocation for each pixel, with its epilogue. `own` is the number of inputs before those of the epilogue.
fn lower(at: &Lower, op: &dyn Op, kernel: (&str, &str), own: usize, epsilon: f32) -> Lowering {
    let Sizes { channels, pixels } = sizes(at.types);
    let count = at.types.output.elements() / channels;
    let constants = [("EPSILON", epsilon.into()), at.edges(count)];
    let kernel = Kernel::built_in(kernel.0, kernel.1, &constants);
    let (program, _) = op.epilogue().expect("both ops have one");
    let (kernel, more) = epilogue::splice(program, kernel, at.types, own);
    let slots: Vec<Slot> = (0..at.types.inputs.len()).map(Slot::Input).chain([Slot::Output]).collect();
    let dims = [word(count), word(channels), word(pixels)].into_iter().chain(more).collect();
    Dispatch { dims, ..at.linear(op, kernel, &slots, &[], count) }.into()
}

impl Op for LayerNorm2d {
    fn name(&self) -> &'static str {
        "layer_norm2d"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        let [x, extras @ ..] = inputs else { return Err("it takes images".into()) };
        Sizes::of(x)?;
        epilogue::check(extras, x)?;
        Ok(x.clone())
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let backward = LayerNorm2dBackward { epsilon: self.epsilon, epilogue: Program::default() };
        Ok(vec![Some(graph.apply(backward, &[at.inputs[0], at.dy])?)])
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        lower(at, self, ("layer_norm2d", include_str!("../../shaders/layer_norm2d.wgsl")), 1, self.epsilon)
    }
    epilogue::joined!(1);
    fn flops(&self, types: &Types) -> u64 {
        types.output.elements() as u64 * (6 + self.epilogue.flops())
    }
}

impl Op for LayerNorm2dBackward {
    fn name(&self) -> &'static str {
        "layer_norm2d_backward"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        let [x, dy, extras @ ..] = inputs else { return Err("it takes images and a gradient".into()) };
        Sizes::of(x)?;
        if x != dy {
            return Err("the images and the gradient must have the same shape".into());
        }
        epilogue::check(extras, x)?;
        Ok(x.clone())
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let source = include_str!("../../shaders/layer_norm2d_backward.wgsl");
        lower(at, self, ("layer_norm2d_backward", source), 2, self.epsilon)
    }
    epilogue::joined!(2);
    fn flops(&self, types: &Types) -> u64 {
        types.output.elements() as u64 * (14 + self.epilogue.flops())
    }
}

impl Graph {
    /// Layer norm over the channels of images: torchvision's and timm's `LayerNorm2d`. gamma and beta are `[channels]`.
    ///
    /// # Errors
    /// When x has not four axes, or gamma or beta is not one float per channel.
    pub fn layer_norm2d(&mut self, x: NodeId, gamma: NodeId, beta: NodeId, epsilon: f32) -> Result<NodeId> {
        let y = self.apply(LayerNorm2d { epsilon, ..LayerNorm2d::default() }, &[x])?;
        let channels = self.dims(y)[1];
        let [gamma, beta] = [self.reshape(gamma, [channels, 1, 1])?, self.reshape(beta, [channels, 1, 1])?];
        let scaled = self.mul(y, gamma)?;
        self.add(scaled, beta)
    }
}

/// Shapes to test and to time.
pub fn cases() -> Vec<Case> {
    let of = |dims: [usize; 4]| {
        let [_, channels, ..] = dims;
        let inputs = vec![Sample::floats(&dims), Sample::between(&[channels], 0.5, 1.5), Sample::floats(&[channels])];
        let sums = dims.iter().product::<usize>() / channels;
        let case = Case::new(inputs, |graph, x| graph.layer_norm2d(x[0], x[1], x[2], 1e-6));
        case.summing(channels, [channels, sums, sums])
    };
    vec![
        of([2, 5, 3, 4]),
        of([1, 40, 7, 7]),
        of([3, 16, 1, 1]),
        of([2, 33, 9, 11]),
        of([1, 768, 2, 3]),
        of([8, 96, 28, 28]).timed(),
    ]
}
