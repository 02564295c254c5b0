//! Layers, initialisers, and models built of them.
//!
//! A [`Model`] is a list of named layers. It knows its parameters ([`Parameters`]: names, shapes, initial values and
//! places in the one flat buffer) before any graph exists; [`Model::forward`] then puts its nodes into a graph, as
//! often and for as many batch sizes and modes as are asked for, always over the same parameters.

mod activation;
mod build;
mod dropout;
mod initialiser;
mod layer;
mod linear;
mod model;
pub mod models;
mod parameters;

pub use activation::Activation;
pub use build::{Build, Mode, PARAMS, STATISTICS};
pub use dropout::Dropout;
pub use initialiser::{Initialiser, Scheme};
pub use layer::{Flatten, Layer};
pub use linear::Linear;
pub use model::{Description, Model};
pub use parameters::{GROUP_FROZEN, GROUP_SPARED, GROUP_WEIGHTS, Group, Layout, Parameter, Parameters, Weights};
