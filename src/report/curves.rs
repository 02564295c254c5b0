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
/// The name of the plot of learning rates.
pub const LEARNING_RATE: &str = "learning rate";
/// Curves with at most this many epochs have a dot for each epoch.
const MAX_DOTS: usize = 40;

/// One metric of one run over epochs, or the results of several runs over a setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Epoch (from 1) or setting, and value.
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

/// What the x axis shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Across {
    /// Epochs, of which one may be marked as the best.
    Epochs(Option<u32>),
    /// The values of a setting with this name.
    Setting(String),
}

/// A plot of one or more curves over epochs, or over the values of a setting.
#[derive(Clone, Debug, PartialEq)]
pub struct CurvePlot {
    /// What the y axis shows, such as `accuracy`.
    pub what: String,
    /// Its unit.
    pub unit: Unit,
    /// What the x axis shows.
    pub across: Across,
    /// The curves; after the first seven, colors repeat with dashed lines.
    pub curves: Vec<Curve>,
}

/// The curve of the value that `of` reads from each epoch; none when no epoch has that value.
pub fn curve(name: &str, metrics: &[EpochLine], of: impl Fn(&EpochLine) -> Option<f64>) -> Option<Curve> {
    let points = metrics.iter().filter_map(|epoch| Some((f64::from(epoch.epoch), of(epoch)?)));
    let points: Vec<_> = points.filter(|(_, value)| value.is_finite()).collect();
    (!points.is_empty()).then(|| Curve { name: name.into(), points })
}

/// The plots of one run, each with its file name. The epoch `best` is marked.
pub fn of_run(metrics: &[EpochLine], best: Option<u32>) -> Vec<(&'static str, CurvePlot)> {
    let curves = |file, what: &str, unit, lines: [Option<Curve>; 2]| {
        let curves: Vec<Curve> = lines.into_iter().flatten().collect();
        let across = Across::Epochs(best);
        (!curves.is_empty()).then(|| (file, CurvePlot { what: what.into(), unit, across, curves }))
    };
    let train_accuracy = curve("train", metrics, |epoch| epoch.train_accuracy);
    let val_accuracy = curve("validation", metrics, |epoch| epoch.val_accuracy);
    let (train_loss, val_loss) =
        (curve("train", metrics, |epoch| Some(epoch.train_loss)), curve("validation", metrics, |epoch| epoch.val_loss));
    let exact = [
        curve("train", metrics, |epoch| epoch.train_exact_match),
        curve("validation", metrics, |epoch| epoch.val_exact_match),
    ];
    let map = curve("validation", metrics, |epoch| epoch.val_map);
    let psnr = curve("validation", metrics, |epoch| epoch.val_psnr);
    let rate = curve("learning rate", metrics, |epoch| Some(epoch.lr));
    let all = [
        curves("accuracy", "accuracy", Unit::Percent, [train_accuracy, val_accuracy]),
        curves("map", "mean average precision", Unit::Percent, [None, map]),
        curves("exact_match", "images with all labels right", Unit::Percent, exact),
        curves("psnr", "peak signal-to-noise ratio", Unit::Decibel, [None, psnr]),
        curves("loss", "loss per image", Unit::Plain, [train_loss, val_loss]),
        curves("learning_rate", LEARNING_RATE, Unit::Plain, [rate, None]),
    ];
    all.into_iter().flatten().collect()
}

/// A linear axis or a logarithmic one, whose places are decimal logarithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    Logarithmic,
}

impl Scale {
    /// Logarithmic for values above 0 that span more than a factor of 10.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = ends(values);
        if low > 0.0 && high > 10.0 * low { Self::Logarithmic } else { Self::Linear }
    }

    fn place(self, value: f64) -> f64 {
        if self == Self::Logarithmic { value.log10() } else { value }
    }

    /// The label at a place; on a logarithmic axis only powers of 10 have one.
    fn mark(self, place: f64, linear: impl Fn(f64) -> String) -> String {
        match self {
            Self::Linear => linear(place),
            Self::Logarithmic if (place - place.round()).abs() > 1e-9 => String::new(),
            Self::Logarithmic if (-4.0..6.0).contains(&place) => format!("{}", 10.0_f64.powi(place.round() as i32)),
            Self::Logarithmic => format!("1e{place:.0}"),
        }
    }
}

/// The smallest and the largest value.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

impl CurvePlot {
    /// The best epoch, if it is marked and in the plot.
    fn best(&self) -> Option<u32> {
        let Across::Epochs(best) = self.across else { return None };
        let (first, last) = ends(self.points().map(|(epoch, _)| epoch));
        best.filter(|&best| (first..=last).contains(&f64::from(best)))
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.curves.iter().flat_map(|line| &line.points).copied()
    }

    /// The scales of the axes. A setting has a logarithmic axis if its values span more than a factor of 10; so have the learning
    /// rates of several runs whose first values do. The form of one schedule is seen best on a linear axis.
    fn scales(&self) -> [Scale; 2] {
        let firsts = || self.curves.iter().filter_map(|line| line.points.first().copied());
        match self.across {
            Across::Setting(_) => [Scale::of(self.points().map(|(at, _)| at)), Scale::Linear],
            Across::Epochs(_) if self.what == LEARNING_RATE => {
                [Scale::Linear, Scale::of(firsts().map(|(_, rate)| rate))]
            }
            Across::Epochs(_) => [Scale::Linear; 2],
        }
    }

    fn x_name(&self) -> &str {
        match &self.across {
            Across::Epochs(_) => "epoch",
            Across::Setting(name) => name,
        }
    }

    /// The legend's entries: name and last value of each curve.
    fn names(&self) -> Vec<String> {
        if matches!(self.across, Across::Setting(_)) {
            return self.curves.iter().map(|line| line.name.clone()).collect();
        }
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
        let [x, y] = self.scales();
        let (first, last) = ends(self.points().map(|(at, _)| x.place(at)));
        if y == Scale::Logarithmic {
            // A learning rate that ends at 0 has no logarithm.
            let (low, high) = ends(self.points().map(|(_, value)| value).filter(|&value| value > 0.0));
            return [wide(first, last, 1.0), (y.place(low) - 0.1, y.place(high) + 0.1)];
        }
        let (low, high) = ends(self.points().map(|(_, value)| value));
        let room = if high > low { 0.06 * (high - low) } else { (0.5 * high.abs()).max(1e-6) };
        // An axis of values near 0 that are never negative starts at 0.
        let bottom = if low >= 0.0 && low < 0.4 * high { 0.0 } else { low - room };
        let top = if self.unit == Unit::Percent { (high + room).min(1.0) } else { high + room };
        let top = if top > bottom { top } else { bottom + 1e-6 };
        [wide(first, last, 1.0), (bottom, top)]
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
        if let Some(best) = self.best() {
            let (right, middle) = (WIDTH - 2 * MARGIN, MARGIN + LETTERS / 2);
            let name = format!("best epoch {best}");
            let dashes = right - name.len() as i32 * LETTERS / 2 - 8 * SCALE;
            for dash in 0..3 {
                let left = dashes - (3 - dash) * 8 * SCALE;
                area.draw(&PathElement::new(vec![(left, middle), (left + 5 * SCALE, middle)], marked()))?;
            }
            let style = text(LETTERS, CAPTION_COLOR, (HPos::Right, VPos::Center));
            area.draw(&Text::new(name, (right, middle), style))?;
        }
        for (number, ((x, row), name)) in self.legend().into_iter().zip(self.names()).enumerate() {
            let (left, middle) = (MARGIN + x, MARGIN + LEGEND_ROW + row * LEGEND_ROW + LEGEND_ROW / 2);
            let sample = vec![(left, middle), (left + 22 * SCALE, middle)];
            area.draw(&PathElement::new(sample, stroke(number)))?;
            let style = text(LETTERS, TEXT_COLOR, (HPos::Left, VPos::Center));
            area.draw(&Text::new(name, (left + 28 * SCALE, middle), style))?;
        }
        let ([x_scale, y_scale], [(first, last), (bottom, top)]) = (self.scales(), self.ranges());
        let plot = area.margin(head, MARGIN, MARGIN, 2 * MARGIN);
        let mut chart = ChartBuilder::on(&plot)
            .x_label_area_size(46 * SCALE)
            .y_label_area_size(60 * SCALE)
            .build_cartesian_2d(first..last, bottom..top)?;
        let letters = |colour: RGBColor| font(LETTERS).color(&colour);
        let whole = |value: f64| if value.fract() == 0.0 { format!("{value}") } else { String::new() };
        let at_x = |place: &f64| match self.across {
            Across::Epochs(_) => whole(*place),
            Across::Setting(_) => x_scale.mark(*place, |value| Unit::Plain.mark(value, (last - first) / 8.0)),
        };
        let at_y = |place: &f64| y_scale.mark(*place, |value| self.unit.mark(value, (top - bottom) / 6.0));
        chart
            .configure_mesh()
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&at_x)
            .y_label_formatter(&at_y)
            .x_desc(self.x_name())
            .axis_desc_style(letters(CAPTION_COLOR))
            .label_style(letters(TEXT_COLOR))
            .axis_style(CAPTION_COLOR.stroke_width(SCALE as u32))
            .bold_line_style(GRID_COLOR.stroke_width(SCALE as u32))
            .light_line_style(TRANSPARENT)
            .draw()?;
        if let Some(best) = self.best() {
            let line = [(f64::from(best), bottom), (f64::from(best), top)];
            chart.draw_series(DashedLineSeries::new(line, 5 * SCALE, 4 * SCALE, marked()))?;
        }
        let place = |&(x, y): &(f64, f64)| (x_scale.place(x), y_scale.place(y));
        for (number, line) in self.curves.iter().enumerate() {
            let points = || line.points.iter().map(place).filter(|(_, y)| y.is_finite());
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

/// The dashed line at the best epoch.
fn marked() -> ShapeStyle {
    CAPTION_COLOR.stroke_width(SCALE as u32)
}

/// A range of an axis. A single value gets room on both sides.
fn wide(first: f64, last: f64, room: f64) -> (f64, f64) {
    if last > first { (first, last) } else { (first - room, first + room) }
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
            train_exact_match: None,
            val_exact_match: None,
            val_map: None,
            lr,
            seconds: 1.0,
            images_per_second: 1.0,
            loader_wait: None,
        }
    }

    #[test]
    fn a_run_has_the_curves_that_it_measured() {
        let metrics = [epoch(1, 2.0, Some(0.5)), epoch(2, 1.0, Some(0.75))];
        let files: Vec<&str> = of_run(&metrics, Some(2)).iter().map(|&(file, _)| file).collect();
        assert_eq!(files, ["accuracy", "loss", "learning_rate"]);
        let (_, accuracy) = &of_run(&metrics, Some(2))[0];
        assert_eq!(accuracy.names(), ["train: 75.00 %"]);
        let page = draw::svg(accuracy).expect("drawn");
        assert!(page.contains("epoch") && page.contains("accuracy, %"), "{page}");
        assert!(page.contains("best epoch 2"), "{page}");
        assert!(!draw::svg(&of_run(&metrics, None)[0].1).expect("drawn").contains("best epoch"));
        assert!(of_run(&[], None).is_empty());
    }

    #[test]
    fn one_epoch_and_one_value_are_drawn() {
        for (_, curves) in of_run(&[epoch(1, 0.0, Some(1.0))], Some(1)) {
            assert!(draw::png(&curves).is_ok() && draw::svg(&curves).is_ok(), "{curves:?}");
        }
    }

    #[test]
    fn many_names_take_rows_and_room() {
        let lines = (0..20).map(|i| Curve { name: format!("a run of a long name {i}"), points: vec![(1.0, 1.0)] });
        let across = Across::Epochs(None);
        let curves = CurvePlot { what: "loss".into(), unit: Unit::Plain, across, curves: lines.collect() };
        assert!(curves.legend().iter().all(|&(x, _)| x < WIDTH / 2 + 1));
        assert_eq!(curves.size().1 as i32, curves.head() + PLOT_HEIGHT);
        assert!(draw::svg(&curves).is_ok());
    }

    /// The plot of the accuracies that these values of a setting gave.
    fn swept(values: &[f64]) -> CurvePlot {
        let points = values.iter().map(|&value| (value, 0.5)).collect();
        let curves = vec![Curve { name: "accuracy".into(), points }];
        CurvePlot { what: "accuracy".into(), unit: Unit::Percent, across: Across::Setting("rate".into()), curves }
    }

    #[test]
    fn a_setting_over_more_than_a_factor_of_10_has_a_logarithmic_axis() {
        assert_eq!(swept(&[0.001, 0.01]).scales()[0], Scale::Linear);
        assert_eq!(swept(&[0.0, 0.1, 10.0]).scales()[0], Scale::Linear);
        let plot = swept(&[0.001, 0.01, 0.1]);
        assert_eq!(plot.scales()[0], Scale::Logarithmic);
        let page = draw::svg(&plot).expect("drawn");
        assert!(["0.001", "0.01", "0.1", "rate"].iter().all(|label| page.contains(&format!("\n{label}\n"))), "{page}");
        // The dots are equally far from each other.
        let xs: Vec<i32> = page
            .split("<circle cx=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().expect("x").parse().expect("a number"))
            .collect();
        assert!(((xs[1] - xs[0]) - (xs[2] - xs[1])).abs() <= 1, "{xs:?}");
    }
}
