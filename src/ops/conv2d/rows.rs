//! Convolution row by row on the CPU, for groups of very few channels, mainly depthwise convolution. A matrix product
//! would have too few rows there. Each tap adds a multiple of a row of pixels to a row of outputs.

use std::ops::Range;

use super::{Conv2dShape, Geometry};

/// Below this number of output channels per group, this method is faster than matrix products.
const FEW_OUTPUTS: usize = 4;

/// The pixels of x, `stride` apart, that one tap reads for neighbouring outputs.
struct TapRow {
    x: usize,
    w: usize,
    y: usize,
    len: usize,
}

impl Conv2dShape {
    /// Whether this method is faster than matrix products of patches.
    pub(super) fn prefers_rows(&self) -> bool {
        self.geometry.groups > 1 && self.group_outputs() < FEW_OUTPUTS
    }

    /// Calls a function for every row of outputs with every tap that reads inside the image.
    fn each_row(&self, images: Range<usize>, mut visit: impl FnMut(TapRow)) {
        let Geometry { stride, padding, dilation, .. } = self.geometry;
        let ([height, width], [rows, columns], inputs) = (self.image, self.outputs, self.group_inputs());
        let inside: Vec<Range<usize>> = (0..self.kernel[1]).map(|kx| self.columns_inside(kx)).collect();
        for (image, output) in images.flat_map(|n| (0..self.out_channels).map(move |o| (n, o))) {
            let first = image * self.in_channels + output / self.group_outputs() * inputs;
            for row in 0..rows {
                for (channel, ky) in (0..inputs).flat_map(|c| (0..self.kernel[0]).map(move |ky| (c, ky))) {
                    let iy = (row * stride[0] + ky * dilation[0]).checked_sub(padding[0]).filter(|&iy| iy < height);
                    let Some(iy) = iy else { continue };
                    for (kx, inside) in inside.iter().enumerate().filter(|(_, inside)| !inside.is_empty()) {
                        let ix = inside.start * stride[1] + kx * dilation[1] - padding[1];
                        visit(TapRow {
                            x: ((first + channel) * height + iy) * width + ix,
                            w: ((output * inputs + channel) * self.kernel[0] + ky) * self.kernel[1] + kx,
                            y: ((image * self.out_channels + output) * rows + row) * columns + inside.start,
                            len: inside.len(),
                        });
                    }
                }
            }
        }
    }

    /// Computes the outputs of some images. `y` starts with the first of them.
    pub(super) fn forward_rows(&self, images: Range<usize>, x: &[f32], w: &[f32], y: &mut [f32]) {
        let before = images.start * self.output_dims()[1..].iter().product::<usize>();
        y.fill(0.0);
        self.each_row(images, |row| {
            let y = &mut y[row.y - before..][..row.len];
            match self.geometry.stride[1] {
                1 => add_multiple(y, w[row.w], x[row.x..][..row.len].iter()),
                stride => add_multiple(y, w[row.w], x[row.x..].iter().step_by(stride)),
            }
        });
    }

    /// Computes the gradients of the pixels of some images. `dx` starts with the first of them.
    pub(super) fn backward_input_rows(&self, images: Range<usize>, dy: &[f32], w: &[f32], dx: &mut [f32]) {
        let before = images.start * self.input_dims()[1..].iter().product::<usize>();
        dx.fill(0.0);
        self.each_row(images, |row| {
            let (dx, dy) = (&mut dx[row.x - before..], dy[row.y..][..row.len].iter());
            match self.geometry.stride[1] {
                1 => add_multiple(&mut dx[..row.len], w[row.w], dy),
                stride => dx.iter_mut().step_by(stride).zip(dy).for_each(|(to, from)| *to += w[row.w] * from),
            }
        });
    }

    /// Adds the contribution of some images to the gradient of the weight.
    pub(super) fn backward_weight_rows(&self, images: Range<usize>, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        self.each_row(images, |row| {
            let dy = &dy[row.y..][..row.len];
            dw[row.w] += match self.geometry.stride[1] {
                1 => inner_product(&x[row.x..][..row.len], dy),
                stride => x[row.x..].iter().step_by(stride).zip(dy).map(|(x, dy)| x * dy).sum(),
            };
        });
    }
}

fn add_multiple<'a>(to: &mut [f32], factor: f32, from: impl Iterator<Item = &'a f32>) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

/// Uses eight interleaved sums, which the compiler can vectorise.
fn inner_product(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.0.iter().zip(b.0) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + a.1.iter().zip(b.1).map(|(a, b)| a * b).sum::<f32>()
}
