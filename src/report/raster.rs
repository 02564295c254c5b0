//! Draws plots in pixels. plotters' own bitmap backend draws a text with one font, and knows no other for characters it lacks.

use std::convert::Infallible;

use image::{Rgb, RgbImage};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendTextStyle, DrawingBackend, DrawingErrorKind};

use crate::images::text;

/// Pixels an em of a font size of plotters.
pub fn em(size: f64) -> f32 {
    (size / 1.24) as f32
}

/// An image to draw on.
pub struct Raster<'i>(&'i mut RgbImage);

impl<'i> Raster<'i> {
    /// Draws on this image.
    pub fn new(image: &'i mut RgbImage) -> Self {
        Self(image)
    }
}

impl DrawingBackend for Raster<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.0.dimensions()
    }

    fn ensure_prepared(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn present(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn draw_pixel(
        &mut self,
        place: BackendCoord,
        BackendColor { rgb: (red, green, blue), alpha }: BackendColor,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        text::blend(self.0, place, Rgb([red, green, blue]), alpha as f32);
        Ok(())
    }

    /// Places a text as plotters' SVG does.
    fn draw_text<S: BackendTextStyle>(
        &mut self,
        written: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        let BackendColor { rgb: (red, green, blue), alpha } = style.color();
        let (colour, size) = (Rgb([red, green, blue]), em(style.size()));
        let across = match style.anchor().h_pos {
            HPos::Left => 0,
            HPos::Center => -(text::width(written, size) as i32) / 2,
            HPos::Right => -(text::width(written, size) as i32),
        };
        // Half the height of an `x` is about a quarter of an em.
        let down = match style.anchor().v_pos {
            VPos::Top => (0.76 * size) as i32,
            VPos::Center => (0.26 * size) as i32,
            VPos::Bottom => (-0.26 * size) as i32,
        };
        let turn = style.transform();
        text::each_pixel(written, size, |left, top, share| {
            let (right, below) = turn.transform(left + across, top + down);
            text::blend(self.0, (x + right, y + below), colour, share * alpha as f32);
        });
        Ok(())
    }
}
