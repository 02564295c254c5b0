//! Pooling.

use super::build::Build;
use super::layer::{Layer, image};
use super::pair::Pair;
use crate::Result;
use crate::graph::NodeId;
use crate::ops::pool2d::Window;

/// How the pixels of a window are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// The maximum. The gradient goes to the first of equal maxima, as in PyTorch.
    #[default]
    Max,
    /// The mean. Padding counts, as in PyTorch by default.
    Average,
}

impl Pooling {
    fn name(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Average => "average",
        }
    }

    fn forward(self, build: &mut Build, x: NodeId, window: Window) -> Result<NodeId> {
        match self {
            Self::Max => build.max_pool2d(x, window),
            Self::Average => build.average_pool2d(x, window),
        }
    }
}

/// PyTorch's `MaxPool2d` and `AvgPool2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool2d {
    /// Maximum or mean.
    #[serde(skip)]
    pub pooling: Pooling,
    /// Height and width of the window.
    pub kernel: Pair,
    /// Distance in pixels from one window to the next; the window's size by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Pair>,
    /// Number of pixels of padding on each side, at most half the window. They are zeros for the mean. The maximum ignores
    /// them.
    #[serde(default = "Pair::zero")]
    pub padding: Pair,
    /// Whether there is a last window that reaches beyond the image: PyTorch's `ceil_mode`.
    #[serde(default)]
    pub ceil: bool,
}

impl Pool2d {
    /// Square windows that do not overlap, without padding.
    pub fn new(pooling: Pooling, kernel: usize) -> Self {
        Self { pooling, kernel: kernel.into(), stride: None, padding: Pair::zero(), ceil: false }
    }

    fn window(&self) -> Window {
        let stride = self.stride.unwrap_or(self.kernel).0;
        Window { kernel: self.kernel.0, stride, padding: self.padding.0, ceil: self.ceil }
    }
}

impl Layer for Pool2d {
    fn label(&self) -> String {
        match self.stride {
            Some(stride) => format!("{} pool {} stride {stride}", self.pooling.name(), self.kernel),
            None => format!("{} pool {}", self.pooling.name(), self.kernel),
        }
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, height, width] = image(shape)?;
        self.kernel.check("window")?;
        self.padding.check("padding")?;
        self.stride.map_or(Ok(()), |stride| stride.check("stride"))?;
        let window = self.window();
        Ok(vec![channels, window.outputs(0, height)?, window.outputs(1, width)?])
    }

    fn forward(&self, build: &mut Build, _: &str, x: NodeId) -> Result<NodeId> {
        self.pooling.forward(build, x, self.window())
    }
}

/// Reduces each channel to one number: `[channels, height, width]` becomes `[channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalPool(pub Pooling);

impl Layer for GlobalPool {
    fn label(&self) -> String {
        format!("global {} pool", self.0.name())
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        Ok(vec![image(shape)?[0]])
    }

    fn forward(&self, build: &mut Build, _: &str, x: NodeId) -> Result<NodeId> {
        if self.0 == Pooling::Average {
            return build.global_average_pool(x);
        }
        let &[batch, channels, height, width] = build.dims(x) else { return Ok(x) };
        let whole = [height, width];
        let y = self.0.forward(build, x, Window { kernel: whole, stride: whole, padding: [0, 0], ceil: false })?;
        build.reshape(y, [batch, channels])
    }
}
