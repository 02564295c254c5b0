//! The confusion matrix, and the pairs of classes that are confused most often.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::draw::{
    Area, CAPTION_COLOR, CURVE_COLORS, Drawing, Drawn, GRID_COLOR, INK_ON_STRONG, SCALE, TEXT_COLOR, Tooltip, text,
    upright,
};
use super::raster::em;
use crate::images::text::{shortened, width};

const MARGIN: i32 = 8 * SCALE;
/// Side of the matrix without the class names, and the smallest and largest side of a cell.
const SIDE: i32 = 620 * SCALE;
const CELL_SIDES: [i32; 2] = [8 * SCALE, 90 * SCALE];
/// The smallest cell side at which the count is written into the cell.
const MIN_CELL_WITH_COUNT: i32 = 26 * SCALE;
/// The largest width of a class name in ems; longer names are shortened in their middle.
const MAX_NAME: f32 = 11.0;

/// How many images of each true class (row) were predicted as each class (column).
#[derive(Clone, Debug, PartialEq)]
pub struct ConfusionMatrix {
    /// Class names.
    pub classes: Vec<String>,
    /// Counts by true class, then by predicted class.
    pub counts: Vec<Vec<u64>>,
}

/// Two classes and how often each was predicted as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfusedPair {
    /// Class indices, the lower one first.
    pub classes: [usize; 2],
    /// Images of the first class predicted as the second, and images of the second predicted as the first.
    pub counts: [u64; 2],
}

impl ConfusedPair {
    /// Mistakes in either direction.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl ConfusionMatrix {
    /// The unordered pairs that were confused, the most frequent first; pairs with equal counts in class order.
    pub fn pairs(&self) -> Vec<ConfusedPair> {
        let classes = self.counts.len();
        let all = (0..classes).flat_map(|a| (a + 1..classes).map(move |b| [a, b]));
        let pair =
            |[a, b]: [usize; 2]| ConfusedPair { classes: [a, b], counts: [self.counts[a][b], self.counts[b][a]] };
        let mut pairs: Vec<ConfusedPair> = all.map(pair).filter(|pair| pair.total() > 0).collect();
        pairs.sort_by_key(|pair| std::cmp::Reverse(pair.total()));
        pairs
    }

    fn cell(&self) -> i32 {
        (SIDE / self.counts.len().max(1) as i32).clamp(CELL_SIDES[0], CELL_SIDES[1])
    }

    /// Font size of the class names.
    fn letters(&self) -> i32 {
        (self.cell() - SCALE).clamp(7 * SCALE, 15 * SCALE)
    }

    /// Pixels an em of the class names.
    fn em(&self) -> f32 {
        em(f64::from(self.letters()))
    }

    /// The names of the classes as they are drawn, and the width of the widest one.
    fn names(&self) -> (Vec<String>, i32) {
        let most = (MAX_NAME * self.em()) as u32;
        let names = self.classes.iter().map(|name| shortened(name, self.em(), most));
        let names: Vec<String> = names.collect();
        let widest = names.iter().map(|name| width(name, self.em())).max().unwrap_or(0);
        (names, widest as i32)
    }

    /// Space for the class names and the axis title, left of and above the cells.
    fn names_width(&self) -> i32 {
        wider(self.names().1.max(self.letters())) + 2 * MARGIN + 19 * SCALE
    }

    fn places(&self) -> impl Iterator<Item = (usize, usize, [i32; 2])> {
        let (cell, start) = (self.cell(), MARGIN + self.names_width());
        let classes = self.counts.len();
        let at = move |index: usize| start + index as i32 * cell;
        (0..classes).flat_map(move |row| (0..classes).map(move |column| (row, column, [at(column), at(row)])))
    }
}

/// The width of a text in a browser, whose own font may be wider than ours.
fn wider(width: i32) -> i32 {
    width * 5 / 4
}

/// The color of a cell with this share of its row's images, its opacity, and the color of the count in it. Correct is blue, wrong is
/// orange.
fn shade(correct: bool, share: f64) -> (RGBColor, f64, RGBColor) {
    // The square root makes rare mistakes visible.
    let strength = 0.08 + 0.84 * share.sqrt();
    let ink = if strength < 0.64 { TEXT_COLOR } else { INK_ON_STRONG };
    (if correct { CURVE_COLORS[0] } else { CURVE_COLORS[1] }, strength, ink)
}

impl Drawing for ConfusionMatrix {
    fn label(&self) -> String {
        format!("Confusion matrix of {} classes; the most confused pairs are listed below it", self.classes.len())
    }

    fn size(&self) -> (u32, u32) {
        let side = (2 * MARGIN + self.names_width() + self.counts.len() as i32 * self.cell()) as u32;
        (side, side)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let (cell, letters, names) = (self.cell(), self.letters(), self.names_width());
        let start = MARGIN + names;
        let end = start + self.counts.len() as i32 * cell;
        let middle = (start + end) / 2;
        let (beside, above) = (HPos::Center, VPos::Top);
        area.draw(&Text::new("predicted", (middle, MARGIN), text(15 * SCALE, CAPTION_COLOR, (beside, above))))?;
        area.draw(&Text::new(
            "true class",
            (MARGIN, middle),
            upright(15 * SCALE, CAPTION_COLOR, (HPos::Center, VPos::Top)),
        ))?;
        let (written, widest) = self.names();
        for (class, name) in (0..self.counts.len()).zip(written) {
            let at = start + class as i32 * cell + cell / 2;
            let (row, column) = (text(letters, TEXT_COLOR, (HPos::Right, VPos::Center)), (HPos::Left, VPos::Center));
            area.draw(&Text::new(name.clone(), (start - 3 * SCALE, at), row))?;
            let above = (at, start - 3 * SCALE);
            if wider(widest) <= cell {
                area.draw(&Text::new(name, above, text(letters, TEXT_COLOR, (HPos::Center, VPos::Bottom))))?;
            } else {
                area.draw(&Text::new(name, above, upright(letters, TEXT_COLOR, column)))?;
            }
        }
        for (row, column, [x, y]) in self.places() {
            let (count, all) = (self.counts[row][column], self.counts[row].iter().sum::<u64>());
            if count == 0 {
                continue;
            }
            let share = count as f64 / all.max(1) as f64;
            let (colour, strength, ink) = shade(row == column, share);
            area.draw(&Rectangle::new([(x, y), (x + cell, y + cell)], colour.mix(strength).filled()))?;
            if cell >= MIN_CELL_WITH_COUNT {
                let style = text((cell / 3).min(14 * SCALE), ink, (HPos::Center, VPos::Center));
                area.draw(&Text::new(count.to_string(), (x + cell / 2, y + cell / 2), style))?;
            }
        }
        for line in 0..=self.counts.len() {
            let at = start + line as i32 * cell;
            area.draw(&PathElement::new(vec![(start, at), (end, at)], GRID_COLOR.stroke_width(1)))?;
            area.draw(&PathElement::new(vec![(at, start), (at, end)], GRID_COLOR.stroke_width(1)))?;
        }
        Ok(())
    }

    fn tooltips(&self) -> Vec<Tooltip> {
        let cell = self.cell();
        let hint = |(row, column, [x, y]): (usize, usize, [i32; 2])| {
            let (count, all) = (self.counts[row][column], self.counts[row].iter().sum::<u64>());
            let (shown, taken) = (&self.classes[row], &self.classes[column]);
            let text = match row == column {
                true => format!("{shown}: {count} of {all} correct"),
                false => format!("{shown} predicted as {taken}: {count} of {all}"),
            };
            (count > 0).then_some(Tooltip { place: [x, y, cell, cell], text })
        };
        self.places().filter_map(hint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::draw;

    fn matrix(classes: usize) -> ConfusionMatrix {
        let count = |row: usize, column: usize| if row == column { 40 } else { ((row * 7 + column * 3) % 5) as u64 };
        let counts = (0..classes).map(|row| (0..classes).map(|column| count(row, column)).collect()).collect();
        ConfusionMatrix { classes: (0..classes).map(|class| format!("class {class}")).collect(), counts }
    }

    #[test]
    fn pairs_are_unordered_and_the_most_frequent_come_first() {
        let counts = vec![vec![9, 1, 0], vec![4, 9, 2], vec![0, 5, 9]];
        let pairs = ConfusionMatrix { classes: vec!["a".into(), "b".into(), "c".into()], counts }.pairs();
        assert_eq!(pairs[0], ConfusedPair { classes: [1, 2], counts: [2, 5] });
        assert_eq!((pairs[1].classes, pairs[1].total(), pairs.len()), ([0, 1], 5, 2));
    }

    #[test]
    fn two_classes_and_a_hundred_are_drawn_with_a_hint_a_cell() {
        for classes in [1, 2, 36, 100] {
            let matrix = matrix(classes);
            let page = draw::inline(&matrix).expect("drawn").into_string();
            assert_eq!(page.matches("<title>").count(), matrix.tooltips().len(), "{classes}");
            assert!(page.len() < 2_000_000, "{classes}: {}", page.len());
            assert!(page.contains("class 0: 40 of "), "{classes}");
            let (width, _) = matrix.size();
            assert!((200..2600).contains(&width), "{classes}: {width}");
            assert!(draw::png(&matrix).is_ok());
        }
    }

    /// The contrast of two colors (W3C, "Web content accessibility guidelines 2.1", 2018).
    fn contrast(colours: [[f64; 3]; 2]) -> f64 {
        let linear = |value: f64| if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) };
        let light =
            |[red, green, blue]: [f64; 3]| 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue) + 0.05;
        let [a, b] = colours.map(light);
        a.max(b) / a.min(b)
    }

    #[test]
    fn counts_are_legible_in_every_cell_of_both_colour_schemes() {
        for (scheme, paper) in draw::schemes().into_iter().zip(["#ffffff", "#0d1117"]) {
            let bytes = |hex: &str| {
                [1, 3, 5].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")) / 255.0)
            };
            let shown = |colour: RGBColor| {
                bytes(
                    draw::variable(colour)
                        .and_then(|name| scheme.split(&format!("--{name}: ")).nth(1))
                        .expect("a color"),
                )
            };
            for (correct, percent) in
                [true, false].into_iter().flat_map(|correct| (1..=100).map(move |percent| (correct, percent)))
            {
                let (colour, strength, ink) = shade(correct, f64::from(percent) / 100.0);
                let (over, under) = (shown(colour), bytes(paper));
                let cell = [0, 1, 2].map(|at| strength * over[at] + (1.0 - strength) * under[at]);
                let contrast = contrast([cell, shown(ink)]);
                assert!(contrast >= 4.0, "{correct} {percent} % on {paper}: {contrast}");
            }
        }
    }

    #[test]
    fn long_names_lose_their_middle() {
        let classes = vec!["a name that goes on and on".into(), "küche".into()];
        let (names, widest) = ConfusionMatrix { classes, counts: vec![vec![1, 0], vec![0, 1]] }.names();
        assert!(names[0].starts_with("a name") && names[0].ends_with("and on") && names[0].contains('…'), "{names:?}");
        assert_eq!(names[1], "küche");
        assert!((100..330 * SCALE).contains(&widest), "{widest}");
    }
}
