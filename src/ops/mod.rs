//! The ops, one file each: shape rule, gradient, definition on the CPU, and GPU dispatches.
//!
//! An op is applied to nodes of a graph. For an op of your own, [`elementwise`] has a complete example of a function of each
//! element, and [`Op`] one of any other op, both with their WGSL.
//!
//! ```
//! use gpunn::graph::{Graph, TensorType};
//! use gpunn::ops::softmax::Softmax;
//!
//! let mut graph = Graph::new();
//! let x = graph.leaf("x", 0, TensorType::f32([2, 5]))?;
//! let y = graph.apply(Softmax { log: false }, &[x])?;
//! assert_eq!(graph.dims(y), [2, 5]);
//! # Ok::<(), gpunn::Error>(())
//! ```

pub mod case;
pub mod elementwise;
pub(crate) mod lanes;
pub(crate) mod op;
pub(crate) mod rows;
pub mod shards;
pub(crate) mod software;
pub(crate) mod splits;
pub mod table;
pub mod tolerance;
pub(crate) mod variant;

pub mod abs;
pub mod accumulate_gradient;
pub mod across_ranks;
pub mod add;
pub mod augment;
pub mod average;
pub mod batch;
pub mod batch_norm;
pub mod binary_cross_entropy;
pub mod ceil;
pub mod clip;
pub mod concat;
pub mod conv2d;
pub mod cos;
pub mod cross_entropy;
pub mod divide;
pub mod dropout;
pub mod elu;
pub mod erf;
pub mod exp;
pub mod floor;
pub mod gather;
pub mod gelu;
pub mod gelu_erf;
mod gradient;
pub(crate) mod half;
pub mod hard_sigmoid;
pub mod hard_swish;
pub mod lamb;
pub mod layer_norm2d;
pub mod leaky_relu;
pub mod log;
pub mod lookahead;
pub mod matmul;
pub mod maximum;
pub mod minimum;
pub mod multiply;
pub mod muon;
pub mod pack;
pub mod pool2d;
pub mod power;
pub(crate) mod product;
pub mod relu;
pub mod resize2d;
pub mod rmsprop;
pub mod round;
pub mod scale;
pub mod sigmoid;
pub mod sign;
pub mod silu;
pub mod sin;
pub(crate) mod single;
pub mod softmax;
pub mod softplus;
pub mod sqrt;
pub mod square;
pub mod squared_error;
pub mod stochastic_depth;
pub mod strided;
pub mod subtract;
pub mod sum;
pub mod tanh;
pub mod update;

pub use crate::graph::{Call, Lower, Op, Step, StepGroup, TensorData, TensorOut, Types};
pub use op::{Real, defined_by, expect_inputs, in_pieces, total};
