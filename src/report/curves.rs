//! Plots of metrics over epochs: axes, grid, curves and legend.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::draw::{
    Area, CAPTION_COLOR, CURVE_COLORS, Drawing, Drawn, GRID_COLOR, LETTERS, SCALE, TEXT_COLOR, font, text,
};
use crate::train::EpochLine;

const WIDTH: i32 = 520 * SCALE;
/// Height of the plot area, with the axis labels.
const PLOT_HEIGHT: i32 = 290 * SCALE;
/// Height of a line of the legend.
const LEGEND_ROW: i32 = 23 * SCALE;
const MARGIN: i32 = 10 * SCALE;
/// Curves with at most this many epochs have a dot for each epoch.
const MAX_DOTS: usize = 40;

/// One metric of one run over epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Epoch (from 1) and value.
    pub points: Vec<(f64, f64)>,
}

/// How values are formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Fractions, written as percent.
    Percent,
    /// Plain numbers.
    Plain,
    /// Decibels.
    Decibel,
}

impl Unit {
    /// A value with its unit.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{:.2} %", 100.0 * value),
            Self::Decibel => format!("{value:.2} dB"),
            Self::Plain if value != 0.0 && value.abs() < 0.01 => format!("{value:.1e}"),
            Self::Plain => format!("{value:.4}"),
        }
    }

    /// The label of an axis tick; ticks are `step` apart.
    fn mark(self, value: f64, step: f64) -> String {
        let (value, step) = if self == Self::Percent { (100.0 * value, 100.0 * step) } else { (value, step) };
        if value != 0.0 && value.abs() < 0.001 {
            return format!("{value:.0e}");
        }
        let digits = (-step.abs().max(1e-9).log10().floor()).clamp(0.0, 6.0) as usize;
        format!("{value:.digits$}")
    }
}

/// A plot of one or more curves over epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct CurvePlot {
    /// What the y axis shows, such as `accuracy`.
    pub what: String,
    /// Its unit.
    pub unit: Unit,
    /// The curves; after the first seven, colors repeat with dashed lines.
    pub curves: Vec<Curve>,
}

/// The curve of the value that `of` reads from each epoch; none when no epoch has that value.
pub fn curve(name: &str, metrics: &[EpochLine], of: impl Fn(&EpochLine) -> Option<f64>) -> Option<Curve> {
    let points = metrics.iter().filter_map(|epoch| Some((f64::from(epoch.epoch), of(epoch)?)));
    let points: Vec<_> = points.filter(|(_, value)| value.is_finite()).collect();
    (!points.is_empty()).then(|| Curve { name: name.into(), points })
}

/// The plots of one run, each with its file name.
pub fn of_run(metrics: &[EpochLine]) -> Vec<(&'static str, CurvePlot)> {
    let curves = |file, what: &str, unit, lines: [Option<Curve>; 2]| {
        let lines: Vec<Curve> = lines.into_iter().flatten().collect();
        (!lines.is_empty()).then(|| (file, CurvePlot { what: what.into(), unit, curves: lines }))
    };
    let train_accuracy = curve("train", metrics, |epoch| epoch.train_accuracy);
    let val_accuracy = curve("validation", metrics, |epoch| epoch.val_accuracy);
    let (train_loss, val_loss) =
        (curve("train", metrics, |epoch| Some(epoch.train_loss)), curve("validation", metrics, |epoch| epoch.val_loss));
    let psnr = curve("validation", metrics, |epoch| epoch.val_psnr);
    let rate = curve("learning rate", metrics, |epoch| Some(epoch.lr));
    let all = [
        curves("accuracy", "accuracy", Unit::Percent, [train_accuracy, val_accuracy]),
        curves("psnr", "peak signal-to-noise ratio", Unit::Decibel, [None, psnr]),
        curves("loss", "loss per image", Unit::Plain, [train_loss, val_loss]),
        curves("learning_rate", "learning rate", Unit::Plain, [rate, None]),
    ];
    all.into_iter().flatten().collect()
}

impl CurvePlot {
    /// The legend's entries: name and last value of each curve.
    fn names(&self) -> Vec<String> {
        let last = |line: &Curve| line.points.last().map_or(0.0, |&(_, value)| value);
        self.curves.iter().map(|line| format!("{}: {}", line.name, self.unit.show(last(line)))).collect()
    }

    /// Left edge and row of each legend entry.
    fn legend(&self) -> Vec<(i32, i32)> {
        let (mut x, mut row) = (0, 0);
        let room = WIDTH - 7 * MARGIN;
        let place = |name: &String| {
            // An estimate: a browser's own font may be wider than ours.
            let width = name.chars().count() as i32 * LETTERS * 3 / 5 + 44 * SCALE;
            if x > 0 && x + width > room {
                (x, row) = (0, row + 1);
            }
            x += width;
            (x - width, row)
        };
        self.names().iter().map(place).collect()
    }

    fn head(&self) -> i32 {
        let rows = self.legend().last().map_or(0, |&(_, row)| row + 1);
        MARGIN + LEGEND_ROW + rows * LEGEND_ROW
    }

    /// The ranges of the axes: epochs, values.
    fn ranges(&self) -> [(f64, f64); 2] {
        let points = || self.curves.iter().flat_map(|line| &line.points);
        let over = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
        };
        let (first, last) = over(&mut points().map(|&(epoch, _)| epoch));
        let (low, high) = over(&mut points().map(|&(_, value)| value));
        let room = if high > low { 0.06 * (high - low) } else { (0.5 * high.abs()).max(1e-6) };
        // An axis of values near 0 that are never negative starts at 0.
        let bottom = if low >= 0.0 && low < 0.4 * high { 0.0 } else { low - room };
        let top = if self.unit == Unit::Percent { (high + room).min(1.0) } else { high + room };
        let top = if top > bottom { top } else { bottom + 1e-6 };
        [if last > first { (first, last) } else { (first - 1.0, first + 1.0) }, (bottom, top)]
    }
}

impl Drawing for CurvePlot {
    fn label(&self) -> String {
        format!("{} by epoch; last values: {}", self.what, self.names().join(", "))
    }

    fn size(&self) -> (u32, u32) {
        (WIDTH as u32, (self.head() + PLOT_HEIGHT) as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let head = self.head();
        let unit = if self.unit == Unit::Percent {
            ", %"
        } else if self.unit == Unit::Decibel {
            ", dB"
        } else {
            ""
        };
        let title = text(LETTERS + 2 * SCALE, TEXT_COLOR, (HPos::Left, VPos::Top));
        area.draw(&Text::new(format!("{}{unit}", self.what), (MARGIN, MARGIN), title))?;
        for (number, ((x, row), name)) in self.legend().into_iter().zip(self.names()).enumerate() {
            let (left, middle) = (MARGIN + x, MARGIN + LEGEND_ROW + row * LEGEND_ROW + LEGEND_ROW / 2);
            let sample = vec![(left, middle), (left + 22 * SCALE, middle)];
            area.draw(&PathElement::new(sample, stroke(number)))?;
            let style = text(LETTERS, TEXT_COLOR, (HPos::Left, VPos::Center));
            area.draw(&Text::new(name, (left + 28 * SCALE, middle), style))?;
        }
        let [(first, last), (bottom, top)] = self.ranges();
        let plot = area.margin(head, MARGIN, MARGIN, 2 * MARGIN);
        let mut chart = ChartBuilder::on(&plot)
            .x_label_area_size(46 * SCALE)
            .y_label_area_size(60 * SCALE)
            .build_cartesian_2d(first..last, bottom..top)?;
        let letters = |colour: RGBColor| font(LETTERS).color(&colour);
        let whole = |value: &f64| if value.fract() == 0.0 { format!("{value}") } else { String::new() };
        chart
            .configure_mesh()
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&whole)
            .y_label_formatter(&|value| self.unit.mark(*value, (top - bottom) / 6.0))
            .x_desc("epoch")
            .axis_desc_style(letters(CAPTION_COLOR))
            .label_style(letters(TEXT_COLOR))
            .axis_style(CAPTION_COLOR.stroke_width(SCALE as u32))
            .bold_line_style(GRID_COLOR.stroke_width(SCALE as u32))
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (number, line) in self.curves.iter().enumerate() {
            let points = || line.points.iter().copied();
            if number < CURVE_COLORS.len() {
                chart.draw_series(LineSeries::new(points(), stroke(number)))?;
            } else {
                // The second curve with the same color is dashed.
                chart.draw_series(DashedLineSeries::new(points(), 6 * SCALE, 4 * SCALE, stroke(number)))?;
            }
            if line.points.len() <= MAX_DOTS {
                let mark = |point| Circle::new(point, 2 * SCALE, CURVE_COLORS[number % CURVE_COLORS.len()].filled());
                chart.draw_series(points().map(mark))?;
            }
        }
        Ok(())
    }
}

fn stroke(number: usize) -> ShapeStyle {
    CURVE_COLORS[number % CURVE_COLORS.len()].stroke_width(2 * SCALE as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::draw;

    fn epoch(epoch: u32, loss: f64, accuracy: Option<f64>) -> EpochLine {
        let (val_loss, val_accuracy, val_psnr) = (None, None, None);
        let (train_loss, train_accuracy, lr) = (loss, accuracy, 0.01);
        EpochLine {
            epoch,
            train_loss,
            train_accuracy,
            val_loss,
            val_accuracy,
            val_psnr,
            lr,
            seconds: 1.0,
            images_per_second: 1.0,
            loader_wait: None,
        }
    }

    #[test]
    fn a_run_has_the_curves_that_it_measured() {
        let metrics = [epoch(1, 2.0, Some(0.5)), epoch(2, 1.0, Some(0.75))];
        let files: Vec<&str> = of_run(&metrics).iter().map(|&(file, _)| file).collect();
        assert_eq!(files, ["accuracy", "loss", "learning_rate"]);
        let (_, accuracy) = &of_run(&metrics)[0];
        assert_eq!(accuracy.names(), ["train: 75.00 %"]);
        let page = draw::svg(accuracy).expect("drawn");
        assert!(page.contains("epoch") && page.contains("accuracy, %"), "{page}");
        assert!(of_run(&[]).is_empty());
    }

    #[test]
    fn one_epoch_and_one_value_are_drawn() {
        for (_, curves) in of_run(&[epoch(1, 0.0, Some(1.0))]) {
            assert!(draw::png(&curves).is_ok() && draw::svg(&curves).is_ok(), "{curves:?}");
        }
    }

    #[test]
    fn many_names_take_rows_and_room() {
        let lines = (0..20).map(|i| Curve { name: format!("a run of a long name {i}"), points: vec![(1.0, 1.0)] });
        let curves = CurvePlot { what: "loss".into(), unit: Unit::Plain, curves: lines.collect() };
        assert!(curves.legend().iter().all(|&(x, _)| x < WIDTH / 2 + 1));
        assert_eq!(curves.size().1 as i32, curves.head() + PLOT_HEIGHT);
        assert!(draw::svg(&curves).is_ok());
    }
}
