//! Networks as ONNX files. A graph for inference is written operator by operator; a few patterns of several nodes, such as batch norm
//! with given statistics, become one operator of ONNX. The first axis of the input and the output is a batch of any size.
//!
//! With the feature `files`, `read` makes layers of the operators of a file. What the operators do is in [`nn::operators`](crate::nn::operators).
//!
//! [`saved::onnx`](crate::saved::onnx) adds what a run knows of images and classes.

mod functions;
mod normalise;
mod patterns;
#[cfg(feature = "files")]
pub mod quantise;
#[cfg(feature = "files")]
pub mod read;
mod write;

pub use write::{FindWeight, NEWEST_OPSET, Network, OLDEST_OPSET, Written, write};
