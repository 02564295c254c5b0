//! Image files and pixels: decoded, brought to a size, drawn side by side.

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
