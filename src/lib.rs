//! gpunn.
pub mod data;
pub mod error;
pub mod formats;
pub mod random;
pub use error::{Error, Result};
