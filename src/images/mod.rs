//! Image files and pixels: decoding, encoding, preprocessing, and contact sheets.
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
mod encode;
mod fonts;
pub mod grey;
mod heat;
mod jpeg;
mod prepare;
mod preprocessing;
mod sheet;
#[cfg(feature = "files")]
mod system_fonts;
pub(crate) mod text;

pub use decode::{decode, is_image, open, size};
#[cfg(feature = "reports")]
pub use encode::data_uri;
#[cfg(feature = "files")]
pub use encode::{check_name, write};
pub use encode::{from_values, jpeg, png, resize_longer_side};
pub use heat::{ExplainedImage, explanation_sheet, heat_over};
pub use prepare::prepare;
pub use preprocessing::Preprocessing;
pub use sheet::{comparison_sheet, sheet};

/// The supported formats of image files.
pub const FORMATS: &str = "JPEG, PNG, WebP or BMP";
/// The file extensions of images, in lower case.
const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "jfif", "png", "webp", "bmp"];

/// Whether a file name has an extension of the supported formats, in any case.
pub fn has_image_extension(path: &std::path::Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}
