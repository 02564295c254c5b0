//! Pooling of images: the maximum or the mean of a window that moves over each channel, as PyTorch's `max_pool2d` and
//! `avg_pool2d`. Also the mean of the whole image.

mod average;
pub mod cases;
mod max;
mod rows;
mod variants;

pub use average::{AveragePool2d, AveragePool2dBackward};
pub use max::{MaxPool2d, MaxPool2dBackward};
pub(crate) use variants::{MaxPool2dBackwardVariant, MaxPool2dVariant};

use std::ops::Range;

use crate::Result;
use crate::graph::kernel::{Constant, word};
use crate::graph::{DType, Graph, NodeId, TensorType};
use crate::ops::op::LARGEST;

/// A pooling window with its stride and padding. Each pair is vertical, then horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// Height and width of the window, in pixels.
    pub kernel: [usize; 2],
    /// Stride: pixels between neighbouring windows.
    pub stride: [usize; 2],
    /// Padding on each side of the image, at most half the window. It never wins a maximum, and it counts as zero in
    /// a mean.
    pub padding: [usize; 2],
    /// Ceil mode: whether a last window that reaches beyond the padded image counts. It must start inside the image
    /// or the padding before it.
    pub ceil: bool,
}

impl Window {
    /// Adjacent square windows of this size.
    pub fn square(size: usize) -> Self {
        Self { kernel: [size; 2], stride: [size; 2], padding: [0; 2], ceil: false }
    }

    /// The number of windows along `axis` (0 vertical, 1 horizontal) of an image of this length.
    ///
    /// # Errors
    /// The end of a sentence that says why there is no window.
    pub fn outputs(&self, axis: usize, image: usize) -> Result<usize, String> {
        let (kernel, stride, padding) = (self.kernel[axis], self.stride[axis], self.padding[axis]);
        if kernel == 0 || stride == 0 {
            return Err("kernel size and stride must be at least 1".into());
        }
        if kernel > LARGEST || stride > LARGEST {
            return Err(format!("kernel size and stride can be at most {LARGEST}"));
        }
        if padding > kernel / 2 {
            return Err(format!("a padding of {padding} is more than half of a kernel of {kernel}"));
        }
        let padded = image + 2 * padding;
        if image == 0 || padded < kernel {
            let side = ["high", "wide"][axis];
            return Err(format!("the window is {kernel} {side}, but the padded image is {padded}"));
        }
        if !self.ceil {
            return Ok((padded - kernel) / stride + 1);
        }
        let outputs = (padded - kernel).div_ceil(stride) + 1;
        Ok(if (outputs - 1) * stride >= image + padding { outputs - 1 } else { outputs })
    }
}

/// All sizes of a pooling: x `[planes, image]`, y `[planes, outputs]`. Each channel of each image is a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolShape {
    planes: usize,
    image: [usize; 2],
    outputs: [usize; 2],
    window: Window,
}

impl PoolShape {
    fn new(planes: usize, image: [usize; 2], window: Window) -> Result<Self, String> {
        let outputs = [window.outputs(0, image[0])?, window.outputs(1, image[1])?];
        Ok(Self { planes, image, outputs, window })
    }

    fn of(x: &TensorType, window: Window) -> Result<Self, String> {
        match *x.dims() {
            [batch, channels, height, width] if x.dtype == DType::F32 => {
                Self::new(batch * channels, [height, width], window)
            }
            _ => Err("the image must hold floats with four axes, batch x channels x height x width".into()),
        }
    }

    /// The type of the output for images of this type.
    fn output(&self, x: &TensorType) -> TensorType {
        TensorType::f32([x.dims()[0], x.dims()[1], self.outputs[0], self.outputs[1]])
    }

    /// The pixels of the image in window number `output` along an axis: at least one.
    fn span(&self, axis: usize, output: usize) -> Range<usize> {
        let (kernel, padding) = (self.window.kernel[axis], self.window.padding[axis]);
        let start = output * self.window.stride[axis];
        start.saturating_sub(padding)..(start + kernel - padding).min(self.image[axis])
    }

    /// Elements of a plane of x and of a plane of y.
    fn plane(&self) -> usize {
        self.image[0] * self.image[1]
    }
    fn output_plane(&self) -> usize {
        self.outputs[0] * self.outputs[1]
    }

    /// The planes of a piece of y, whose first plane is number `first`, each with its plane of x.
    fn planes<'a, T>(&self, x: &'a [T], first: usize, y: &'a mut [T]) -> impl Iterator<Item = (&'a [T], &'a mut [T])> {
        x[first * self.plane()..].chunks(self.plane()).zip(y.chunks_mut(self.output_plane()))
    }

    /// The positions of the outputs, in row-major order.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let [rows, columns] = self.outputs;
        (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
    }

    /// The first words of the `Dims` of all pooling kernels, after the number of invocations.
    fn words(&self) -> Vec<u32> {
        let Window { stride, padding, .. } = self.window;
        [self.image, self.outputs, stride, padding].into_iter().flatten().map(word).collect()
    }

    /// The constants of kernels that gather by pixel: the strides, so that division by them is fast, and the maximum
    /// number of windows that contain a pixel.
    fn reach(&self) -> [(&'static str, Constant); 6] {
        let Window { kernel, stride, .. } = self.window;
        let value = |n: usize| Constant::from(word(n));
        [
            ("HEIGHT", value(kernel[0])),
            ("WIDTH", value(kernel[1])),
            ("STRIDE_Y", value(stride[0])),
            ("STRIDE_X", value(stride[1])),
            ("REACH_Y", value(kernel[0].div_ceil(stride[0]))),
            ("REACH_X", value(kernel[1].div_ceil(stride[1]))),
        ]
    }

    /// Whether no window reaches outside the image.
    fn inside(&self) -> bool {
        let axis = |axis: usize| {
            let last = (self.outputs[axis] - 1) * self.window.stride[axis] + self.window.kernel[axis];
            self.window.padding[axis] == 0 && last <= self.image[axis]
        };
        axis(0) && axis(1)
    }
}

impl Graph {
    /// The maximum of each window of x `[batch, channels, height, width]`. Padding never wins. Of equal pixels, the
    /// first in row-major order gets the gradient.
    ///
    /// # Errors
    /// When x is not a batch of images, the window is larger than the padded image, or the padding is more than half
    /// the window.
    pub fn max_pool2d(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        self.apply(MaxPool2d { window }, &[x])
    }

    /// The mean of each window of x `[batch, channels, height, width]`. Padding counts as zeros, as by default in
    /// PyTorch. Positions beyond the padding do not count. [`AveragePool2d`] can exclude the padding.
    ///
    /// # Errors
    /// As [`Graph::max_pool2d`].
    pub fn average_pool2d(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        self.apply(AveragePool2d { window, include_padding: true }, &[x])
    }

    /// The mean of each channel's pixels, as `[batch, channels]`, from x `[batch, channels, height, width]`.
    ///
    /// # Errors
    /// When x does not have four axes.
    pub fn global_average_pool(&mut self, x: NodeId) -> Result<NodeId> {
        let &[batch, channels, height, width] = self.dims(x) else {
            return Err(crate::Error::Shape(format!(
                "'{}' is {}, but a global average pool takes batch x channels x height x width",
                self.node(x).name,
                self.ty(x)
            )));
        };
        let planes = self.reshape(x, [batch, channels, height * width])?;
        let means = self.mean(planes, 2, 2)?;
        self.reshape(means, [batch, channels])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Plan, PlanOptions, Target};

    /// The results of PyTorch 2.15 for these sizes.
    #[test]
    fn the_last_window_begins_within_the_padded_image() {
        let of = |kernel, stride, padding, ceil, image| {
            Window { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2], ceil }.outputs(0, image)
        };
        assert_eq!(of(2, 2, 0, false, 7), Ok(3));
        assert_eq!(of(2, 2, 0, true, 7), Ok(4));
        assert_eq!(of(3, 2, 1, true, 6), Ok(4));
        assert_eq!(of(2, 2, 1, true, 5), Ok(3)); // A fourth would begin in the padding after the image.
        assert_eq!(of(1, 3, 0, true, 5), Ok(2));
        assert!(of(3, 1, 2, false, 9).unwrap_err().contains("half"));
        assert!(of(4, 1, 0, false, 3).unwrap_err().contains("the window is 4 high"));
        assert!(of(2, 0, 0, false, 3).unwrap_err().contains("stride"));
    }

    /// Of equal pixels, the first in row-major order gets the gradient: in the definition and in each fast version on
    /// the CPU.
    #[test]
    fn the_first_of_equal_pixels_wins() -> Result<()> {
        let overlapping = Window { kernel: [3, 3], stride: [2, 2], padding: [1, 1], ceil: false };
        let x = [1.0, 1.0, 0.0, 2.0, 1.0, 1.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0_f32];
        let halves = [[0, 3], [13, 10]];
        // The windows of rows -1 to 1 and 1 to 3, and columns alike.
        let thirds = [[0, 3], [13, 13]];
        for (window, winners) in [(Window::square(2), halves), (overlapping, thirds)] {
            let mut graph = Graph::new();
            let image = graph.leaf("x", 0, TensorType::f32([1, 1, 4, 4]))?;
            let dy = graph.constant(TensorType::f32([1, 1, 2, 2]), vec![1.0, 2.0, 4.0, 8.0]);
            let y = graph.max_pool2d(image, window)?;
            let dx = graph.gradient_from(y, dy, &[image])?[0];
            graph.output("dx", dx);
            let mut expected = [0.0; 16];
            winners
                .into_iter()
                .flatten()
                .zip([1.0, 2.0, 4.0, 8.0])
                .for_each(|(at, dy): (usize, f32)| expected[at] += dy);
            let step = crate::ops::Step::new(0, 1, 1);
            let mut oracle = crate::cpu::Oracle::default();
            oracle.set("x", crate::cpu::Value::Real(x.iter().map(|&x| f64::from(x)).collect()));
            let values = oracle.run(&graph, graph.ids(), &step);
            let defined = values[dx.index()].as_ref().map(crate::cpu::Value::numbers).unwrap_or_default();
            assert!(defined.iter().eq(expected.map(f64::from).iter()), "{window:?}: {defined:?}");
            let plan = Plan::new(graph, &Target::cpu(), PlanOptions::default())?;
            let mut engine = crate::Engine::cpu();
            let program = engine.load(plan)?;
            engine.write("x", 0, &x)?;
            engine.schedule(program, &[step])?;
            engine.run(program, 0..1)?;
            assert_eq!(crate::blocking::block_on(engine.read_output(program, "dx"))?, expected, "{window:?}");
        }
        Ok(())
    }
}
