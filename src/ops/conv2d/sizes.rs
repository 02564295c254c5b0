//! The numbers of one convolution, and which element of x meets which of w for which of y.

use crate::graph::{DType, TensorType};

/// How the kernel moves over the image, as PyTorch's `conv2d` has it; each pair is down, then across.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Pixels from one output to the next.
    pub stride: [usize; 2],
    /// Zeros around the image, on each side.
    pub padding: [usize; 2],
    /// Pixels from one tap of the kernel to the next.
    pub dilation: [usize; 2],
    /// Channels are split into so many groups that do not see one another.
    pub groups: usize,
}

impl Default for Geometry {
    fn default() -> Self {
        Self { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 }
    }
}

impl Geometry {
    /// Zeros of this width around the image, one pixel a step.
    pub fn padded(padding: usize) -> Self {
        Self { padding: [padding; 2], ..Self::default() }
    }

    /// Outputs along `axis` (0 down, 1 across) for an image and a kernel of these lengths.
    ///
    /// # Errors
    /// The part of a sentence that says why there is none.
    pub fn outputs(&self, axis: usize, image: usize, kernel: usize) -> Result<usize, String> {
        if kernel == 0 || self.stride[axis] == 0 || self.dilation[axis] == 0 {
            return Err("kernel size, stride and dilation must be at least 1".into());
        }
        let reach = self.dilation[axis] * (kernel - 1) + 1;
        let padded = image + 2 * self.padding[axis];
        if padded < reach {
            let side = ["high", "wide"][axis];
            return Err(format!(
                "the kernel reaches over {reach} pixels, but the image, with its padding, is {padded} {side}"
            ));
        }
        Ok((padded - reach) / self.stride[axis] + 1)
    }
}

/// All sizes of a convolution y `[batch, out_channels, outputs]` of x `[batch, in_channels, image]` with w
/// `[out_channels, in_channels / groups, kernel]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dShape {
    /// Images.
    pub batch: usize,
    /// Channels of x.
    pub in_channels: usize,
    /// Channels of y.
    pub out_channels: usize,
    /// Height and width of x.
    pub image: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Height and width of y.
    pub outputs: [usize; 2],
    /// How the kernel moves.
    pub geometry: Geometry,
}

/// The four axes of a tensor of floats.
fn axes(ty: &TensorType, name: &str, order: &str) -> Result<[usize; 4], String> {
    match *ty.dims() {
        [a, b, c, d] if ty.dtype == DType::F32 => Ok([a, b, c, d]),
        _ => Err(format!("{name} must hold floats with four axes, {order}")),
    }
}

impl Conv2dShape {
    /// Of x and w.
    ///
    /// # Errors
    /// The part of a sentence that says what does not fit.
    pub fn forward(x: &TensorType, w: &TensorType, geometry: Geometry) -> Result<Self, String> {
        let [batch, in_channels, height, width] = axes(x, "the image", "batch x channels x height x width")?;
        let kernel = axes(w, "the weight", "output channels x input channels of a group x height x width")?;
        Self::new([batch, in_channels, kernel[0]], [height, width], [kernel[2], kernel[3]], geometry)?.with_weight(w)
    }

    /// Of dy and w, for images of a height and width.
    ///
    /// # Errors
    /// The part of a sentence that says what does not fit.
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

    /// Of x and dy, for a kernel of a height and width.
    ///
    /// # Errors
    /// The part of a sentence that says what does not fit.
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
    /// Input channels of a group.
    pub fn group_inputs(&self) -> usize {
        self.in_channels / self.geometry.groups
    }
    /// Output channels of a group.
    pub fn group_outputs(&self) -> usize {
        self.out_channels / self.geometry.groups
    }
    /// Multiplications and additions: two for each tap of each output, padding included, as the field counts them.
    pub fn flops(&self) -> u64 {
        let outputs: usize = self.output_dims().iter().product();
        2 * (outputs * self.group_inputs() * self.kernel[0] * self.kernel[1]) as u64
    }
    /// The words of `shaders/lib/conv2d.wgsl`: the sizes, and how a gradient by the weight is split.
    pub fn words(&self, [share, splits]: [usize; 2]) -> Vec<u32> {
        let Geometry { stride, padding, dilation, groups } = self.geometry;
        let counts = [self.batch, self.in_channels, self.out_channels, groups];
        let pairs = [self.image, self.kernel, self.outputs, stride, padding, dilation];
        counts.into_iter().chain(pairs.into_iter().flatten()).chain([share, splits]).map(|n| n as u32).collect()
    }

    /// The definition of a convolution and of both its gradients: every product that takes part, as the index into x, into
    /// w and into y. Forward adds x w to y, backward by input adds dy w to dx, backward by weight adds x dy to dw.
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

/// A coordinate of the padded image as one of the image, where it is inside.
fn inside(padded: usize, padding: usize, length: usize) -> Option<usize> {
    padded.checked_sub(padding).filter(|&at| at < length)
}
