//! The transposed convolution.

use super::build::Build;
use super::conv2d::{add_bias, declare};
use super::initialiser::Scheme;
use super::layer::{Layer, check_outputs, image, yes};
use super::pair::Pair;
use super::parameters::Parameters;
use crate::Result;
use crate::graph::NodeId;
use crate::ops::conv2d::Geometry;

/// PyTorch's `ConvTranspose2d`: the gradient of a convolution by its image, as a layer. Parameters: `NAME.weight`
/// `[channels, outputs, height, width]` and `NAME.bias` `[outputs]`. The output has
/// (size - 1) stride - 2 padding + kernel + output padding pixels along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose2d {
    /// Number of output channels.
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: Pair,
    /// Distance in output pixels from one input pixel to the next.
    #[serde(default = "Pair::one")]
    pub stride: Pair,
    /// Number of output pixels that are removed on each side.
    #[serde(default = "Pair::zero")]
    pub padding: Pair,
    /// Number of extra output pixels at the bottom and the right, less than the stride.
    #[serde(default = "Pair::zero")]
    pub output_padding: Pair,
    /// Whether there is a bias.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How its parameters are initialised.
    #[serde(skip)]
    pub scheme: Scheme,
}

impl ConvTranspose2d {
    fn geometry(&self) -> Geometry {
        Geometry { stride: self.stride.0, padding: self.padding.0, ..Geometry::default() }
    }

    /// The output's height and width.
    fn image(&self, [height, width]: [usize; 2]) -> Result<[usize; 2], String> {
        let along = |axis: usize, size: usize| {
            let (stride, kernel, more) = (self.stride.0[axis], self.kernel.0[axis], self.output_padding.0[axis]);
            if kernel == 0 || stride == 0 {
                return Err("kernel size and stride must be at least 1".to_owned());
            }
            if more >= stride {
                return Err(format!("an output padding of {more} is not below the stride of {stride}"));
            }
            let whole = (size.saturating_sub(1)) * stride + kernel + more;
            match whole.checked_sub(2 * self.padding.0[axis]) {
                Some(outputs) if outputs > 0 && size > 0 => Ok(outputs),
                _ => Err(format!("a padding of {} removes all {whole} pixels", self.padding.0[axis])),
            }
        };
        Ok([along(0, height)?, along(1, width)?])
    }
}

impl Layer for ConvTranspose2d {
    fn label(&self) -> String {
        format!("conv-transpose2d {} stride {}", self.kernel, self.stride)
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        let [_, height, width] = image(shape)?;
        check_outputs(self.outputs)?;
        for (pair, what) in [(self.kernel, "kernel"), (self.stride, "stride"), (self.padding, "padding")] {
            pair.check(what)?;
        }
        let [height, width] = self.image([height, width])?;
        Ok(vec![self.outputs, height, width])
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        let weight = [shape[0], self.outputs, self.kernel.0[0], self.kernel.0[1]];
        declare(name, weight, self.outputs, self.bias, self.scheme, parameters);
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let weight = build.parameter(&format!("{name}.weight"))?;
        let shape = build.dims(x)[1..].to_vec();
        let output = self.output(&shape).map_err(crate::Error::Shape)?;
        let y = build.conv2d_backward_input(x, weight, [output[1], output[2]], self.geometry())?;
        add_bias(build, name, y, self.bias)
    }
}
