//! The reliability diagram: how often answers are right, by how probable the network says they are.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::draw::{
    Area, CAPTION_COLOR, CURVE_COLORS, Drawing, Drawn, GRID_COLOR, LETTERS, SCALE, TEXT_COLOR, Tooltip, text, upright,
};
use crate::train::{CalibrationBin, Measures};

/// Side of the square between the axes.
const SIDE: i32 = 300 * SCALE;
/// Space left of the square, above it, right of it and below it.
const LEFT: i32 = 66 * SCALE;
const TOP: i32 = 40 * SCALE;
const RIGHT: i32 = 20 * SCALE;
const BOTTOM: i32 = 56 * SCALE;
/// The marks of both axes, in percent.
const MARKS: [i32; 6] = [0, 20, 40, 60, 80, 100];

/// Accuracy by confidence, over ranges of equal width from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct ReliabilityDiagram {
    /// The ranges, in order.
    pub bins: Vec<CalibrationBin>,
    /// The expected calibration error.
    pub error: f64,
}

/// The place of a fraction on the x axis.
fn across(fraction: f64) -> i32 {
    LEFT + (fraction * f64::from(SIDE)).round() as i32
}

/// The place of a fraction on the y axis.
fn up(fraction: f64) -> i32 {
    TOP + SIDE - (fraction * f64::from(SIDE)).round() as i32
}

impl ReliabilityDiagram {
    /// The diagram of a classifier's measures.
    pub fn of(measures: &Measures) -> Self {
        Self { bins: measures.calibration.clone(), error: measures.calibration_error }
    }

    /// The bins that have images, each with the ends of its range.
    fn filled(&self) -> impl Iterator<Item = (f64, f64, &CalibrationBin)> {
        let count = self.bins.len() as f64;
        let ends = move |(number, bin)| (number as f64 / count, (number as f64 + 1.0) / count, bin);
        self.bins.iter().enumerate().map(ends).filter(|(_, _, bin)| bin.images > 0)
    }
}

impl Drawing for ReliabilityDiagram {
    fn label(&self) -> String {
        format!("Accuracy by confidence; the expected calibration error is {:.2} %", 100.0 * self.error)
    }

    fn size(&self) -> (u32, u32) {
        ((LEFT + SIDE + RIGHT) as u32, (TOP + SIDE + BOTTOM) as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let title = text(LETTERS + 2 * SCALE, TEXT_COLOR, (HPos::Left, VPos::Top));
        area.draw(&Text::new("accuracy by confidence, %", (10 * SCALE, 10 * SCALE), title))?;
        for mark in MARKS {
            let fraction = f64::from(mark) / 100.0;
            let (x, y) = (across(fraction), up(fraction));
            area.draw(&PathElement::new(vec![(LEFT, y), (LEFT + SIDE, y)], GRID_COLOR.stroke_width(SCALE as u32)))?;
            let style = |pos| text(LETTERS, TEXT_COLOR, pos);
            area.draw(&Text::new(mark.to_string(), (LEFT - 6 * SCALE, y), style((HPos::Right, VPos::Center))))?;
            area.draw(&Text::new(mark.to_string(), (x, TOP + SIDE + 6 * SCALE), style((HPos::Center, VPos::Top))))?;
        }
        for (low, high, bin) in self.filled() {
            let corners = [(across(low) + SCALE, up(bin.accuracy)), (across(high) - SCALE, up(0.0))];
            area.draw(&Rectangle::new(corners, CURVE_COLORS[0].mix(0.6).filled()))?;
        }
        let ideal = vec![(across(0.0), up(0.0)), (across(1.0), up(1.0))];
        area.draw(&PathElement::new(ideal, CAPTION_COLOR.stroke_width(SCALE as u32)))?;
        // The distance of a dot from the line is what the error adds up.
        for (_, _, bin) in self.filled() {
            let at = (across(bin.confidence), up(bin.accuracy));
            area.draw(&Circle::new(at, 4 * SCALE, CURVE_COLORS[1].filled()))?;
        }
        let caption = |pos| text(LETTERS, CAPTION_COLOR, pos);
        let (middle, lowest) = (LEFT + SIDE / 2, TOP + SIDE + BOTTOM - 6 * SCALE);
        area.draw(&Text::new("confidence", (middle, lowest), caption((HPos::Center, VPos::Bottom))))?;
        let style = upright(LETTERS, CAPTION_COLOR, (HPos::Center, VPos::Top));
        area.draw(&Text::new("accuracy", (6 * SCALE, TOP + SIDE / 2), style))
    }

    fn tooltips(&self) -> Vec<Tooltip> {
        let hint = |(low, high, bin): (f64, f64, &CalibrationBin)| {
            let [low_percent, high_percent, confidence, accuracy] =
                [low, high, bin.confidence, bin.accuracy].map(|fraction| format!("{:.1} %", 100.0 * fraction));
            let text = format!(
                "confidence {low_percent} to {high_percent}: {} images, mean confidence {confidence}, accuracy {accuracy}",
                bin.images
            );
            Tooltip { place: [across(low), TOP, across(high) - across(low), SIDE], text }
        };
        self.filled().map(hint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::draw;

    #[test]
    fn bins_with_images_are_drawn_with_a_hint_each() {
        let mut bins = vec![CalibrationBin::default(); 15];
        bins[14] = CalibrationBin { images: 9, confidence: 0.97, accuracy: 1.0 };
        bins[6] = CalibrationBin { images: 2, confidence: 0.45, accuracy: 0.5 };
        let diagram = ReliabilityDiagram { bins, error: 0.03 };
        let page = draw::inline(&diagram).expect("drawn").into_string();
        assert_eq!(page.matches("<circle").count(), 2, "{page}");
        let hint = "confidence 93.3 % to 100.0 %: 9 images, mean confidence 97.0 %, accuracy 100.0 %";
        assert!(page.contains(hint) && page.matches("<title>").count() == 2, "{page}");
        // The dot is at 45 % and 50 % of the square.
        assert!(page.contains(&format!("cx=\"{}\" cy=\"{}\"", LEFT + 270, TOP + 300)), "{page}");
        assert!(draw::png(&diagram).is_ok());
    }
}
