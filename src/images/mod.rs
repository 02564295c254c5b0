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
#[cfg(feature = "files")]
mod folder;
mod fonts;
mod formats;
pub mod grey;
mod heat;
mod jpeg;
mod prepare;
mod preprocessing;
pub(crate) mod scale;
mod sheet;
#[cfg(feature = "files")]
mod system_fonts;
pub(crate) mod text;
mod thumbnail;

pub use decode::{MOST_PIXELS, decode, most_pixels, open, set_most_pixels, size};
#[cfg(feature = "reports")]
pub use encode::data_uri;
#[cfg(feature = "files")]
pub use encode::{check_name, write};
pub use encode::{from_values, jpeg, png, resize_longer_side};
#[cfg(feature = "files")]
pub use folder::{Found, walk};
pub use formats::{CONVERT, FORMATS, FileKind, has_image_extension};
pub use heat::{ExplainedImage, explanation_sheet, heat_over};
pub use prepare::prepare;
pub use preprocessing::Preprocessing;
pub use sheet::{CaptionedImage, captioned_sheet, comparison_sheet, sheet};
pub use thumbnail::{EXACT, SHRUNK, compact_png, thumbnail};
