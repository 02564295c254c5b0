//! The sizes of a convolution, and which element of x is multiplied by which element of w for which element of y.

use crate::graph::kernel::word;
use crate::graph::{DType, TensorType};
use crate::ops::op::LARGEST;

/// Stride, padding, dilation and groups, as in PyTorch's `conv2d`. Each pair is vertical, then horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Pixels between neighbouring outputs.
    pub stride: [usize; 2],
    /// Zero pixels added on each side of the image.
    pub padding: [usize; 2],
    /// Dilation: pixels between neighbouring taps of the kernel.
    pub dilation: [usize; 2],
    /// The number of groups of channels. Groups are independent of each other.
    pub groups: usize,
}

impl Default for Geometry {
    fn default() -> Self {
        Self { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 }
    }
}

impl Geometry {
    /// Padding of this width, stride 1, dilation 1, one group.
    pub fn padded(padding: usize) -> Self {
        Self { padding: [padding; 2], ..Self::default() }
    }

    /// The number of outputs along `axis` (0 vertical, 1 horizontal) for an image and a kernel of these lengths.
    ///
    /// # Errors
    /// The end of a sentence that says why there is no output.
    pub fn outputs(&self, axis: usize, image: usize, kernel: usize) -> Result<usize, String> {
        if kernel == 0 || self.stride[axis] == 0 || self.dilation[axis] == 0 {
            return Err("kernel size, stride and dilation must be at least 1".into());
        }
        if [self.stride, self.dilation, self.padding].iter().any(|sizes| sizes[axis] > LARGEST) {
            return Err(format!("stride, dilation and padding can be at most {LARGEST}"));
        }
        let reach = self.dilation[axis] * (kernel - 1) + 1;
        let padded = image + 2 * self.padding[axis];
        if padded < reach {
            let side = ["high", "wide"][axis];
            return Err(format!("the kernel covers {reach} pixels, but the padded image is {padded} {side}"));
        }
        Ok((padded - reach) / self.stride[axis] + 1)
    }
}

/// All sizes of a convolution: x `[batch, in_channels, image]`, w `[out_channels, in_channels / groups, kernel]`, y
/// `[batch, out_channels, outputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dShape {
    /// The number of images in the batch.
    pub batch: usize,
    /// The number of channels of x.
    pub in_channels: usize,
    /// The number of channels of y.
    pub out_channels: usize,
    /// Height and width of x.
    pub image: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Height and width of y.
    pub outputs: [usize; 2],
    /// Stride, padding, dilation and groups.
    pub geometry: Geometry,
}

/// The sizes of a float tensor with four axes.
fn axes(ty: &TensorType, name: &str, order: &str) -> Result<[usize; 4], String> {
    match *ty.dims() {
        [a, b, c, d] if ty.dtype == DType::F32 => Ok([a, b, c, d]),
        _ => Err(format!("{name} must hold floats with four axes, {order}")),
    }
}

impl Conv2dShape {
    /// The sizes for x and w.
    ///
    /// # Errors
    /// The end of a sentence that says what does not fit.
    pub fn forward(x: &TensorType, w: &TensorType, geometry: Geometry) -> Result<Self, String> {
        let [batch, in_channels, height, width] = axes(x, "the image", "batch x channels x height x width")?;
        let kernel = axes(w, "the weight", "output channels x input channels of a group x height x width")?;
        Self::new([batch, in_channels, kernel[0]], [height, width], [kernel[2], kernel[3]], geometry)?.with_weight(w)
    }

    /// The sizes for dy and w, given the height and width of the image.
    ///
    /// # Errors
    /// The end of a sentence that says what does not fit.
    pub fn backward_input(
        dy: &TensorType,
        w: &TensorType,
        image: [usize; 2],
        geometry: Geometry,
    ) -> Result<Self, String> {
        let [batch, out_channels, ..] = axes(dy, "the gradient", "batch x channels x height x width")?;
        let kernel = axes(w, "the weight", "output channels x input channels of a group x height x width")?;
        let channels = [batch, kernel[1] * geometry.groups, out_channels];
        Self::new(channels, image, [kernel[2], kernel[3]], geometry)?.with_weight(w)?.with_gradient(dy)
    }

    /// The sizes for x and dy, given the height and width of the kernel.
    ///
    /// # Errors
    /// The end of a sentence that says what does not fit.
    pub fn backward_weight(
        x: &TensorType,
        dy: &TensorType,
        kernel: [usize; 2],
        geometry: Geometry,
    ) -> Result<Self, String> {
        let [batch, in_channels, height, width] = axes(x, "the image", "batch x channels x height x width")?;
        let [_, out_channels, ..] = axes(dy, "the gradient", "batch x channels x height x width")?;
        Self::new([batch, in_channels, out_channels], [height, width], kernel, geometry)?.with_gradient(dy)
    }

    fn new(
        [batch, in_channels, out_channels]: [usize; 3],
        image: [usize; 2],
        kernel: [usize; 2],
        geometry: Geometry,
    ) -> Result<Self, String> {
        let groups = geometry.groups;
        if groups == 0 || !in_channels.is_multiple_of(groups) || !out_channels.is_multiple_of(groups) {
            return Err(format!(
                "{groups} groups do not divide {in_channels} input and {out_channels} output channels"
            ));
        }
        let outputs = [geometry.outputs(0, image[0], kernel[0])?, geometry.outputs(1, image[1], kernel[1])?];
        Ok(Self { batch, in_channels, out_channels, image, kernel, outputs, geometry })
    }

    fn with_weight(self, w: &TensorType) -> Result<Self, String> {
        match w.dims() == self.weight_dims() {
            true => Ok(self),
            false => Err(format!(
                "the weight must be {} for {} input channels in {} groups",
                TensorType::f32(self.weight_dims()),
                self.in_channels,
                self.geometry.groups
            )),
        }
    }

    fn with_gradient(self, dy: &TensorType) -> Result<Self, String> {
        match dy.dims() == self.output_dims() {
            true => Ok(self),
            false => Err(format!("the gradient must be {}", TensorType::f32(self.output_dims()))),
        }
    }

    /// Axis sizes of x.
    pub fn input_dims(&self) -> [usize; 4] {
        [self.batch, self.in_channels, self.image[0], self.image[1]]
    }
    /// Axis sizes of w.
    pub fn weight_dims(&self) -> [usize; 4] {
        [self.out_channels, self.group_inputs(), self.kernel[0], self.kernel[1]]
    }
    /// Axis sizes of y.
    pub fn output_dims(&self) -> [usize; 4] {
        [self.batch, self.out_channels, self.outputs[0], self.outputs[1]]
    }
    /// Input channels per group.
    pub fn group_inputs(&self) -> usize {
        self.in_channels / self.geometry.groups
    }
    /// Output channels per group.
    pub fn group_outputs(&self) -> usize {
        self.out_channels / self.geometry.groups
    }
    /// Floating-point operations, counted as usual: one multiplication and one addition for each tap of each output,
    /// including padding.
    pub fn flops(&self) -> u64 {
        let outputs: usize = self.output_dims().iter().product();
        2 * (outputs * self.group_inputs() * self.kernel[0] * self.kernel[1]) as u64
    }
    /// The words of `shaders/lib/conv2d.wgsl`: the sizes, and how the gradient of the weight is split.
    pub fn words(&self, [share, splits]: [usize; 2]) -> Vec<u32> {
        let Geometry { stride, padding, dilation, groups } = self.geometry;
        let counts = [self.batch, self.in_channels, self.out_channels, groups];
        let pairs = [self.image, self.kernel, self.outputs, stride, padding, dilation];
        counts.into_iter().chain(pairs.into_iter().flatten()).chain([share, splits]).map(word).collect()
    }

    /// The definition of a convolution and of both its gradients: calls a function with the index into x, w and y of
    /// every product. Forward adds x w to y. The gradient of the image adds dy w to dx. The gradient of the weight
    /// adds x dy to dw.
    pub fn each_product(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let Geometry { stride, padding, dilation, .. } = self.geometry;
        let ([height, width], [rows, columns]) = (self.image, self.outputs);
        let inputs = self.group_inputs();
        for (n, o) in (0..self.batch).flat_map(|n| (0..self.out_channels).map(move |o| (n, o))) {
            let first = o / self.group_outputs() * inputs;
            for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                let y = ((n * self.out_channels + o) * rows + row) * columns + column;
                for (c, ky) in (0..inputs).flat_map(|c| (0..self.kernel[0]).map(move |ky| (c, ky))) {
                    let Some(iy) = inside(row * stride[0] + ky * dilation[0], padding[0], height) else { continue };
                    for kx in 0..self.kernel[1] {
                        let Some(ix) = inside(column * stride[1] + kx * dilation[1], padding[1], width) else {
                            continue;
                        };
                        let x = ((n * self.in_channels + first + c) * height + iy) * width + ix;
                        let w = ((o * inputs + c) * self.kernel[0] + ky) * self.kernel[1] + kx;
                        visit(x, w, y);
                    }
                }
            }
        }
    }
}

/// The coordinate in the image for a coordinate in the padded image. `None` if it is in the padding.
fn inside(padded: usize, padding: usize, length: usize) -> Option<usize> {
    padded.checked_sub(padding).filter(|&at| at < length)
}
