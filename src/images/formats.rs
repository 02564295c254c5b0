//! The formats of image files: which are read, and what a file of another format is called.

use std::path::Path;

use image::ImageFormat;

/// The formats that are read.
pub const FORMATS: &str = "JPEG, PNG, WebP, GIF, TIFF or BMP";
/// The file extensions of these formats, in lower case.
const EXTENSIONS: [&str; 10] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "tif", "tiff", "bmp"];

/// Whether a file name has an extension of the formats that are read, in any case.
pub fn has_image_extension(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// The format of a file that begins with these bytes, if it is one that is read.
fn known(bytes: &[u8]) -> Option<ImageFormat> {
    image::guess_format(bytes).ok().filter(|format| {
        use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
        matches!(format, Jpeg | Png | WebP | Gif | Tiff | Bmp)
    })
}

/// What the first bytes of a file say about its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// An image of a format that is read.
    Image(&'static str),
    /// An image of another format. Programs convert it to one that is read.
    OtherImage(String),
    /// Another kind of file.
    File(String),
    /// A file without bytes.
    Empty,
    /// The bytes do not say.
    Unknown,
}

impl FileKind {
    /// The kind of a file that begins with these bytes; some hundred are enough.
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::Empty;
        }
        if let Some(format) = known(bytes) {
            return Self::Image(name(format));
        }
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_lowercase();
        if start.trim_start().starts_with('<') && start.contains("<svg") {
            return Self::OtherImage("SVG".into());
        }
        let Some(kind) = infer::get(bytes) else { return Self::Unknown };
        match (kind.matcher_type(), kind.extension()) {
            (_, "heif") => Self::OtherImage("HEIC".into()),
            (infer::MatcherType::Image, extension) => Self::OtherImage(extension.to_uppercase()),
            (_, extension) => Self::File(extension.to_uppercase()),
        }
    }
}

fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Gif => "GIF",
        ImageFormat::Tiff => "TIFF",
        _ => "BMP",
    }
}

/// What to do with an image of a format that is not read.
pub const CONVERT: &str = "convert it to JPEG or PNG, with ImageMagick: `magick FILE FILE.jpg`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        let image = |name: &str| FileKind::OtherImage(name.into());
        let file = |name: &str| FileKind::File(name.into());
        // The signatures are those that the makers of the formats publish.
        for (bytes, kind) in [
            (&b"\xff\xd8\xff\xe0"[..], FileKind::Image("JPEG")),
            (b"GIF89a\x01\0\x01\0", FileKind::Image("GIF")),
            (b"II*\0\x08\0\0\0", FileKind::Image("TIFF")),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", image("HEIC")),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", image("HEIC")),
            (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", image("AVIF")),
            (b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a\0", image("JXL")),
            (b"8BPS\0\x01", image("PSD")),
            (b"<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>", image("SVG")),
            (b"<svg width=\"3\"/>", image("SVG")),
            (b"%PDF-1.7\n", file("PDF")),
            (b"PK\x03\x04", file("ZIP")),
            (b"", FileKind::Empty),
            (b"a text", FileKind::Unknown),
        ] {
            assert_eq!(FileKind::of(bytes), kind, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn extensions_are_known_in_any_case() {
        for name in ["a.JPG", "b.jpe", "c.JFIF", "d.gif", "e.TIFF", "f.tif", "g.x.webp"] {
            assert!(has_image_extension(Path::new(name)), "{name}");
        }
        for name in ["jpg", "a.jpgs", "b.heic", ".png", "c."] {
            assert!(!has_image_extension(Path::new(name)), "{name}");
        }
    }
}
