//! Drawings as SVG files, as PNG files and as inline SVG of a page. plotters draws all three from one description.
//!
//! A drawing uses only the colors of this file. On a page each color becomes a CSS variable, so that one drawing serves the
//! light and the dark color scheme. A file has the colors themselves on a white background.

use image::RgbImage;
use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontTransform;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::raster::Raster;
use crate::{Error, Result};

/// Pixels of a drawing per CSS pixel of the page: lines can be thin, and PNG files are sharp.
pub const SCALE: i32 = 2;
/// Default font size in a drawing.
pub const LETTERS: i32 = 16 * SCALE;

/// Color of text and axes.
pub const TEXT_COLOR: RGBColor = RGBColor(0x1f, 0x23, 0x28);
/// Color of axis titles.
pub const CAPTION_COLOR: RGBColor = RGBColor(0x59, 0x63, 0x6e);
/// Color of grid lines.
pub const GRID_COLOR: RGBColor = RGBColor(0xdf, 0xe3, 0xe8);
/// Colors of curves that color-blind people can distinguish: M. Okabe and K. Ito, "Color universal design", 2008. Their yellow
/// is left out, because it is hard to see on white.
pub const CURVE_COLORS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x50, 0x50, 0x50),
];

/// Color of text on a strong color, which is rather light in both color schemes.
pub const INK_ON_STRONG: RGBColor = RGBColor(0, 0, 0);

/// The area to draw on.
pub type Area<B> = DrawingArea<B, Shift>;
/// The result of drawing.
pub type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// A rectangle of a drawing that shows a text under the mouse pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tooltip {
    /// Left, top, width and height.
    pub place: [i32; 4],
    /// The text.
    pub text: String,
}

/// A plot that can be drawn by any backend.
pub trait Drawing {
    /// A description for screen readers.
    fn label(&self) -> String;
    /// Width and height.
    fn size(&self) -> (u32, u32);
    /// Draws on an area of that size.
    ///
    /// # Errors
    /// When the backend fails.
    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B>;
    /// Texts under the mouse pointer.
    fn tooltips(&self) -> Vec<Tooltip> {
        Vec::new()
    }
}

/// A text style of this font size, color and anchor.
pub fn text(letters: i32, colour: RGBColor, pos: (HPos, VPos)) -> TextStyle<'static> {
    styled(font(letters), colour, pos)
}

/// The same, rotated to read from bottom to top.
pub fn upright(letters: i32, colour: RGBColor, pos: (HPos, VPos)) -> TextStyle<'static> {
    styled(font(letters).transform(FontTransform::Rotate270), colour, pos)
}

fn styled(font: FontDesc<'static>, colour: RGBColor, (across, down): (HPos, VPos)) -> TextStyle<'static> {
    TextStyle { font, color: colour.to_backend_color(), pos: Pos::new(across, down) }
}

/// The font of all drawings: SVG uses the viewer's sans-serif font, PNG the fonts of [`images::text`](crate::images).
pub fn font(letters: i32) -> FontDesc<'static> {
    ("sans-serif", letters).into_font()
}

/// A drawing as an SVG file; text stays text.
///
/// # Errors
/// When it cannot be drawn.
pub fn svg(drawing: &impl Drawing) -> Result<String> {
    let mut whole = String::new();
    {
        let area = SVGBackend::with_string(&mut whole, drawing.size()).into_drawing_area();
        area.fill(&WHITE).map_err(refused)?;
        drawing.draw(&area).map_err(refused)?;
        area.present().map_err(refused)?;
    }
    Ok(with_tooltips(&whole, drawing))
}

/// A drawing as inline SVG: colors are CSS variables, and the width follows the page.
///
/// # Errors
/// When it cannot be drawn.
pub fn inline(drawing: &impl Drawing) -> Result<Markup> {
    let mut whole = String::new();
    {
        let area = SVGBackend::with_string(&mut whole, drawing.size()).into_drawing_area();
        drawing.draw(&area).map_err(refused)?;
        area.present().map_err(refused)?;
    }
    let whole = with_tooltips(&whole, drawing);
    let mut inside = whole.split_once('\n').map_or("", |(_, rest)| rest).replace("</svg>\n", "");
    for (colour, variable) in variables() {
        inside = inside.replace(&format!("\"{}\"", hex(colour)), &format!("\"var(--{variable})\""));
    }
    let (width, height) = drawing.size();
    Ok(html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(drawing.label())
            style=(format!("max-width:{}px", width as i32 / SCALE)) {
            (PreEscaped(inside))
        }
    })
}

/// A drawing as the bytes of a PNG.
///
/// # Errors
/// When it cannot be drawn.
pub fn png(drawing: &impl Drawing) -> Result<Vec<u8>> {
    let (width, height) = drawing.size();
    let mut image = RgbImage::new(width, height);
    {
        let area = Raster::new(&mut image).into_drawing_area();
        area.fill(&WHITE).map_err(refused)?;
        drawing.draw(&area).map_err(refused)?;
        area.present().map_err(refused)?;
    }
    super::embed::png(&image)
}

/// What the pages' style says for the light and for the dark color scheme.
#[cfg(test)]
pub fn schemes() -> [&'static str; 2] {
    let (light, dark) = include_str!("../../pages/style.css").split_once("@media").unwrap_or_default();
    [light, dark]
}

/// The colors of this file, each with its CSS variable.
fn variables() -> Vec<(RGBColor, String)> {
    let fixed = [(TEXT_COLOR, "ink"), (CAPTION_COLOR, "faint"), (GRID_COLOR, "rule"), (INK_ON_STRONG, "strong")]
        .map(|(colour, name)| (colour, name.to_owned()));
    let series = CURVE_COLORS.into_iter().enumerate().map(|(number, colour)| (colour, format!("s{number}")));
    fixed.into_iter().chain(series).collect()
}

/// The CSS variable of a color of this file.
#[cfg(test)]
pub fn variable(colour: RGBColor) -> Option<String> {
    variables().into_iter().find(|(other, _)| *other == colour).map(|(_, name)| name)
}

/// A color in the notation that plotters writes.
fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Adds the hints to an SVG as invisible rectangles.
fn with_tooltips(whole: &str, drawing: &impl Drawing) -> String {
    let tooltips = drawing.tooltips();
    if tooltips.is_empty() {
        return whole.into();
    }
    let mut over = String::from("<g fill=\"none\" pointer-events=\"all\">\n");
    for Tooltip { place: [x, y, width, height], text } in tooltips {
        let rect = format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\">");
        let title = html! { title { (text) } }.into_string();
        over += &format!("{rect}{title}</rect>\n");
    }
    whole.replace("</svg>", &format!("{over}</g>\n</svg>"))
}

fn refused<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> Error {
    Error::data(format!("A plot cannot be drawn: {error}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample;

    impl Drawing for Sample {
        fn label(&self) -> String {
            "a <sample>".into()
        }
        fn size(&self) -> (u32, u32) {
            (80, 40)
        }
        fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
            let ink = text(LETTERS, TEXT_COLOR, (HPos::Left, VPos::Top));
            area.draw(&Rectangle::new([(0, 0), (40, 40)], CURVE_COLORS[0].filled()))?;
            area.draw(&Text::new("x < y", (44, 4), ink))
        }
        fn tooltips(&self) -> Vec<Tooltip> {
            vec![Tooltip { place: [0, 0, 40, 40], text: "A & B".into() }]
        }
    }

    #[test]
    fn a_file_has_its_colours_and_a_page_its_variables() {
        let file = svg(&Sample).expect("drawn");
        assert!(file.contains("fill=\"#0072B2\"") && file.contains("xmlns="), "{file}");
        let page = inline(&Sample).expect("drawn").into_string();
        assert!(page.contains("fill=\"var(--s0)\"") && !page.contains("0072B2") && !page.contains("http"), "{page}");
        assert!(page.contains("A &amp; B") && page.contains("x &lt; y") && page.contains("a &lt;sample&gt;"), "{page}");
        assert_eq!((page.matches("<svg").count(), page.matches("</svg>").count()), (1, 1));
    }

    #[test]
    fn pixels_have_text() {
        let image = image::load_from_memory(&png(&Sample).expect("drawn")).expect("a PNG").to_rgb8();
        assert_eq!(image.dimensions(), (80, 40));
        let dark =
            (44..80).flat_map(|x| (0..40).map(move |y| (x, y))).filter(|&(x, y)| image.get_pixel(x, y).0[0] < 128);
        assert!(dark.count() > 20, "letters are drawn");
    }

    #[test]
    fn both_schemes_have_every_colour() {
        let [light, dark] = schemes();
        for (colour, variable) in variables() {
            let name = format!("--{variable}: #");
            assert!(light.contains(&name) && dark.contains(&name), "{name}");
            let line = format!("--{variable}: {};", hex(colour).to_lowercase());
            assert!(light.contains(&line), "{line}");
        }
    }
}
