//! Image files and pixels: decoded, brought to a size, drawn side by side.
//!
//! ```no_run
//! use std::path::Path;
//!
//! let image = gpunn::images::open(Path::new("letter.png"))?;
//! // The values that a network for characters of 32 x 32 takes.
//! let values = gpunn::images::prepare(&image, [1, 32, 32]);
//! assert_eq!(values.len(), 32 * 32);
//! # Ok::<(), gpunn::Error>(())
//! ```

mod decode;
mod prepare;
mod rule;
mod sheet;

pub use decode::{decode, open};
pub use prepare::prepare;
pub use rule::Rule;
pub use sheet::{beside, sheet};

/// The formats that are read.
pub const KINDS: &str = "JPEG, PNG, WebP or BMP";
