//! Image files and pixels: decoding, encoding, preprocessing, and contact sheets.

mod decode;
mod encode;
pub mod grey;
mod prepare;
mod preprocessing;
mod sheet;

pub use decode::{decode, open};
#[cfg(feature = "reports")]
pub use encode::data_uri;
#[cfg(feature = "files")]
pub use encode::write_png;
pub use encode::{from_values, jpeg, png, resize_longer_side};
pub use prepare::prepare;
pub use preprocessing::Preprocessing;
pub use sheet::{comparison_sheet, sheet};

/// The supported formats of image files.
pub const FORMATS: &str = "JPEG, PNG, WebP or BMP";
