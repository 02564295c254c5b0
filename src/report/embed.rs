//! Images of datasets and weights, embedded in a page.

use image::RgbImage;
use maud::{Markup, html};

use crate::Result;
pub use crate::images::{EXACT, compact_png as png, data_uri, from_values as pixels};
use crate::images::{SHRUNK, thumbnail};

/// An `img` element with the image inside it; large images are scaled down.
///
/// # Errors
/// When it cannot be written.
pub fn inside(image: &RgbImage, described: &str) -> Result<Markup> {
    let (kind, bytes) = thumbnail(image)?;
    let width = if image.width().max(image.height()) <= EXACT { EXACT } else { SHRUNK };
    Ok(html! { img src=(data_uri(kind, &bytes)) alt=(described) width=(width); })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_inside_the_page() {
        let page = inside(&pixels(&[0.2; 3 * 300 * 200], [3, 300, 200]), "a & b").expect("inside").into_string();
        assert!(page.contains("data:image/jpeg;base64,") && page.contains("a &amp; b") && page.len() < 4000, "{page}");
    }
}
