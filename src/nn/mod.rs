//! Layers, initialisers, and models built of them.
//!
//! A [`Model`] is a [`Sequence`] of named layers, some of which are made of layers themselves. It knows its parameters ([`Parameters`]: names, shapes, initial values and
//! places in the one flat buffer) before any graph exists; [`Model::forward`] then puts its nodes into a graph, as
//! often and for as many batch sizes and modes as are asked for, always over the same parameters.

mod activation;
mod batch_norm;
mod branches;
mod build;
mod conv2d;
mod conv_transpose2d;
mod dropout;
mod initialiser;
mod layer;
mod linear;
mod model;
pub mod models;
pub mod network;
mod pair;
mod parameters;
mod pool;
mod residual;
mod resize;
mod scale;
mod sequence;
mod tune;
mod whitening;

pub use activation::Activation;
pub use batch_norm::BatchNorm2d;
pub use branches::Branches;
pub use build::{Build, Mode, PARAMS, STATISTICS};
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::Conv2d;
pub use dropout::Dropout;
pub use initialiser::{Initialiser, Scheme};
pub use layer::{Child, Flatten, InitialValues, Layer, Unflatten};
pub use linear::Linear;
pub use model::{Bottleneck, Description, Model};
pub use pair::Pair;
pub use parameters::{
    GROUP_FROZEN, GROUP_NO_DECAY, GROUP_SHIFTS, GROUP_WEIGHTS, Parameter, ParameterGroup, ParameterLayout, Parameters,
    Tuning, Weights,
};
pub use pool::{GlobalPool, Pool2d, Pooling};
pub use residual::Residual;
pub use resize::Resize;
pub use scale::Scale;
pub use sequence::Sequence;
pub use tune::Unfreeze;
pub use whitening::Whitening;
