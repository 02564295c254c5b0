//! gpunn.
pub mod data;
pub mod error;
pub mod formats;
pub use error::{Error, Result};
