//! Layers, initialisers, and models made of layers.
//!
//! A [`Model`] is a [`Sequence`] of named layers. Some layers contain layers themselves. A model knows its [`Parameters`]
//! before any graph exists: their names, shapes, initial values and offsets in one flat buffer. [`Model::forward`] adds
//! the model's nodes to a graph. It can be called for several batch sizes and modes; all graphs share the parameters.
//!
//! A layer of your own: a learned gain for each feature.
//!
//! ```
//! use gpunn::Result;
//! use gpunn::graph::NodeId;
//! use gpunn::nn::{Build, Flatten, GROUP_WEIGHTS, Initialiser, Layer, Linear, Model, Parameters, Scheme, Sequence};
//!
//! #[derive(Debug)]
//! struct Gain;
//!
//! impl Layer for Gain {
//!     fn label(&self) -> String {
//!         "gain".into()
//!     }
//!     fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
//!         Ok(shape.to_vec())
//!     }
//!     fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
//!         parameters.add(format!("{name}.weight"), shape, Initialiser::Constant(1.0), GROUP_WEIGHTS);
//!     }
//!     fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
//!         let gain = build.parameter(&format!("{name}.weight"))?;
//!         build.mul(x, gain)
//!     }
//! }
//!
//! let layers = Sequence::new().with("flatten", Flatten).with("gain", Gain).with("fc", Linear::new(10, Scheme::Xavier));
//! let model = Model::new("mine", &[1, 28, 28], layers)?;
//! assert_eq!(model.parameters().count(), 784 + 784 * 10 + 10);
//! # Ok::<(), gpunn::Error>(())
//! ```

mod activation;
mod batch_norm;
mod branches;
mod build;
mod channel_scale;
mod conv2d;
mod conv_transpose2d;
mod dropout;
pub(crate) mod fault;
mod initialiser;
mod kind;
mod layer;
mod layer_norm2d;
mod linear;
mod model;
pub mod models;
pub mod network;
pub mod operators;
mod pair;
mod parameters;
mod pointwise_linear;
mod pool;
mod residual;
mod resize;
mod scale;
mod sequence;
mod squeeze_excitation;
mod tune;
mod whitening;

pub use activation::Activation;
pub use batch_norm::BatchNorm2d;
pub use branches::Branches;
pub use build::{BATCH_STATISTICS, Build, Mode, PARAMS, Running, RunningUpdate, STATISTICS};
pub use channel_scale::ChannelScale;
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::Conv2d;
pub use dropout::Dropout;
pub use initialiser::{Initialiser, Scheme};
pub use kind::ParameterKind;
pub use layer::{Child, Flatten, InitialValues, Layer, Unflatten};
pub use layer_norm2d::LayerNorm2d;
pub use linear::Linear;
pub use model::{Bottleneck, Description, Model};
pub use pair::Pair;
pub use parameters::{
    GROUP_FROZEN, GROUP_NO_DECAY, GROUP_SCALES, GROUP_SHIFTS, GROUP_WEIGHTS, GROUP_WHITENING_BIAS, Parameter,
    ParameterGroup, ParameterLayout, Parameters, Tuning, Weights,
};
pub use pointwise_linear::PointwiseLinear;
pub use pool::{GlobalPool, Pool2d, Pooling};
pub use residual::Residual;
pub use resize::Resize;
pub use scale::Scale;
pub use sequence::Sequence;
pub use squeeze_excitation::SqueezeExcitation;
pub use tune::Unfreeze;
pub use whitening::Whitening;
