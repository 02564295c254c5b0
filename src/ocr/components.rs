//! Connected components of the ink, stored as runs of pixels.

use image::GrayImage;

use super::ink::InkMap;
use super::page::BoundingBox;

/// Components with strokes of more than this many usual widths are no writing.
const SOLID: f32 = 3.0;

/// A run: neighbouring pixels of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelRun {
    /// The row.
    pub y: u32,
    /// The first column.
    pub from: u32,
    /// The column after the last.
    pub to: u32,
}

impl PixelRun {
    /// The number of its pixels.
    pub fn len(&self) -> u32 {
        self.to - self.from
    }
}

/// A piece of ink: a connected component, or several joined ones, or a part of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Component {
    /// The box around it.
    pub bounds: BoundingBox,
    /// Its pixels.
    pub runs: Vec<PixelRun>,
    /// The number of its pixels.
    pub ink: u32,
    /// The width of its strokes in pixels.
    pub stroke_width: f32,
}

impl Component {
    /// Makes a piece of ink from runs. `None` for no runs.
    pub fn of(mut runs: Vec<PixelRun>) -> Option<Self> {
        runs.sort_unstable_by_key(|run| (run.y, run.from));
        let (first, last) = (runs.first()?, runs.last()?);
        let (top, bottom) = (first.y, last.y + 1);
        let left = runs.iter().map(|run| run.from).min()?;
        let right = runs.iter().map(|run| run.to).max()?;
        let ink = runs.iter().map(PixelRun::len).sum();
        let bounds = BoundingBox { left, top, width: right - left, height: bottom - top };
        let stroke_width = stroke_width(&runs, ink);
        Some(Self { bounds, runs, ink, stroke_width })
    }

    /// Joins several pieces into one. `None` for no pieces.
    pub fn joined<'a>(components: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        Self::of(components.into_iter().flat_map(|component| component.runs.iter().copied()).collect())
    }

    /// Cuts the piece at a column, into the left and the right side. `None` for a side without ink.
    pub fn cut(&self, column: u32) -> [Option<Self>; 2] {
        let side = |from: u32, to: u32| {
            let clip = |run: &PixelRun| PixelRun { y: run.y, from: run.from.max(from), to: run.to.min(to) };
            Self::of(self.runs.iter().map(clip).filter(|run| run.from < run.to).collect())
        };
        [side(0, column), side(column, u32::MAX)]
    }

    /// Whether its strokes are too wide for writing, where most strokes have the width `usual`.
    pub fn is_solid(&self, usual: f32) -> bool {
        self.stroke_width > SOLID * usual
    }

    /// The number of ink pixels in each column of its box.
    pub fn columns(&self) -> Vec<u32> {
        let mut change = vec![0_i32; self.bounds.width as usize + 1];
        for run in &self.runs {
            change[(run.from - self.bounds.left) as usize] += 1;
            change[(run.to - self.bounds.left) as usize] -= 1;
        }
        change.pop();
        let running = change.iter().scan(0, |count, step| {
            *count += step;
            Some(*count as u32)
        });
        running.collect()
    }
}

/// The median width of strokes, by component. Specks do not count. `None` without components.
pub(super) fn usual_stroke(components: &[Component]) -> Option<f32> {
    let side = |component: &Component| component.bounds.width.max(component.bounds.height);
    let speck = components.iter().map(side).max()?.min(400) / 50;
    let mut widths: Vec<f32> =
        components.iter().filter(|component| side(component) > speck).map(|component| component.stroke_width).collect();
    widths.sort_by(f32::total_cmp);
    widths.get(widths.len() / 2).copied()
}

/// Estimates the stroke width as the number of pixels divided by half of the outline. The outline along pixel edges is 4 / pi
/// times as long as the true outline, on average over all directions.
fn stroke_width(runs: &[PixelRun], ink: u32) -> f32 {
    // Each run has two ends. Between rows, edges that are not shared with the next row are outline.
    let mut shared = 0;
    let mut below = 0;
    for run in runs {
        while runs.get(below).is_some_and(|other| (other.y, other.to) <= (run.y + 1, run.from)) {
            below += 1;
        }
        let mut next = below;
        while let Some(other) = runs.get(next).filter(|other| other.y == run.y + 1 && other.from < run.to) {
            shared += other.to.min(run.to) - other.from.max(run.from);
            next += 1;
        }
    }
    let outline = 2 * runs.len() as u32 + 2 * (ink - shared);
    2.0 * ink as f32 / (outline as f32 * std::f32::consts::FRAC_PI_4)
}

/// Finds the connected components of pixels above the weak threshold that have a pixel above the strong one. Pixels that
/// touch at corners are connected (8-connectivity).
pub(super) fn find(ink: &InkMap) -> Vec<Component> {
    let mut mask = ink.contrast.clone();
    mask.iter_mut().for_each(|value| *value = if *value >= ink.weak { 255 } else { 0 });
    let contrast = &ink.contrast;
    of_mask(&mask, |run| {
        let row = (run.y * contrast.width()) as usize;
        contrast.as_raw()[row + run.from as usize..row + run.to as usize].iter().any(|&value| value >= ink.strong)
    })
}

/// The connected components of a mask that have at least one run for which `strong` is true, in the order of their first
/// pixels.
///
/// The two passes of A. Rosenfeld and J. L. Pfaltz ("Sequential Operations in Digital Picture Processing", 1966), over runs
/// instead of pixels. The first joins each run with those that it touches in the row above. The second collects the runs.
fn of_mask(mask: &GrayImage, strong: impl Fn(&PixelRun) -> bool) -> Vec<Component> {
    let runs = runs(mask);
    // A forest: each run leads to an earlier one of its component, and the first leads to itself.
    let mut earlier: Vec<usize> = (0..runs.len()).collect();
    let mut above = 0;
    for (number, run) in runs.iter().enumerate() {
        while (runs[above].y + 1, runs[above].to) < (run.y, run.from) {
            above += 1;
        }
        let mut next = above;
        while runs[next].y + 1 == run.y && runs[next].from <= run.to {
            let (a, b) = (first(&mut earlier, next), first(&mut earlier, number));
            earlier[a.max(b)] = a.min(b);
            next += 1;
        }
    }
    let mut components: Vec<(Vec<PixelRun>, bool)> = Vec::new();
    let mut places = vec![0; runs.len()];
    for (number, &run) in runs.iter().enumerate() {
        let first = first(&mut earlier, number);
        if first == number {
            places[number] = components.len();
            components.push((Vec::new(), false));
        }
        let (runs, kept) = &mut components[places[first]];
        *kept |= strong(&run);
        runs.push(run);
    }
    components.into_iter().filter(|(_, kept)| *kept).filter_map(|(runs, _)| Component::of(runs)).collect()
}

/// The first run of the component that a run belongs to. Shortens the way to it.
fn first(earlier: &mut [usize], mut run: usize) -> usize {
    while earlier[run] != run {
        earlier[run] = earlier[earlier[run]];
        run = earlier[run];
    }
    run
}

/// The runs of pixels of a mask that are not 0, row by row.
fn runs(mask: &GrayImage) -> Vec<PixelRun> {
    let mut runs = Vec::new();
    for (y, row) in (0..).zip(mask.chunks_exact(mask.width().max(1) as usize)) {
        let mut from = 0;
        for part in row.chunk_by(|&a, &b| (a == 0) == (b == 0)) {
            let to = from + part.len() as u32;
            if part[0] != 0 {
                runs.push(PixelRun { y, from, to });
            }
            from = to;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(left: u32, top: u32, width: u32, height: u32) -> Vec<PixelRun> {
        (top..top + height).map(|y| PixelRun { y, from: left, to: left + width }).collect()
    }

    #[test]
    fn strokes_are_as_wide_as_they_were_drawn() {
        let bar = Component::of(block(3, 2, 4, 60)).expect("ink");
        // The outline of a vertical bar along pixel edges is exact.
        assert!((bar.stroke_width * std::f32::consts::FRAC_PI_4 - 3.75).abs() < 0.01, "{}", bar.stroke_width);
        assert_eq!(bar.bounds, BoundingBox { left: 3, top: 2, width: 4, height: 60 });
    }

    #[test]
    fn a_cut_divides_the_ink() {
        let component = Component::of([block(0, 0, 10, 2), block(4, 2, 2, 5)].concat()).expect("ink");
        assert_eq!(component.columns(), [2, 2, 2, 2, 7, 7, 2, 2, 2, 2]);
        let [left, right] = component.cut(5).map(|side| side.expect("ink"));
        assert_eq!((left.ink, right.ink), (15, 15));
        assert_eq!(Component::joined([&left, &right]).map(|joined| joined.ink), Some(30));
        assert_eq!(component.cut(0)[0], None);
    }

    #[test]
    fn corners_connect_and_weak_components_are_ignored() {
        let mut mask = GrayImage::new(12, 6);
        for (x, y) in [(1, 1), (2, 2), (3, 2), (8, 1), (8, 2)] {
            mask.put_pixel(x, y, image::Luma([255]));
        }
        let components = of_mask(&mask, |run| run.from < 5);
        assert_eq!(components.len(), 1);
        assert_eq!(components[0].bounds, BoundingBox { left: 1, top: 1, width: 3, height: 2 });
    }

    #[test]
    fn components_are_scipys() {
        let rows = ["##..#...#", "..#....#.", ".....##..", "#.#.#....", "#.#.#.##.", "#.###.#..", "......##."];
        // scipy 1.17: ndimage.label(mask, numpy.ones((3, 3))).
        let wanted = ["11..2...3", "..1....3.", ".....33..", "4.3.3....", "4.3.3.55.", "4.333.5..", "......55."];
        let mask = rows.concat().bytes().map(|pixel| if pixel == b'#' { 255 } else { 0 }).collect();
        let mask = GrayImage::from_raw(9, 7, mask).expect("of this size");
        let mut labels = vec![vec![b'.'; 9]; 7];
        for (label, component) in (b'1'..).zip(of_mask(&mask, |_| true)) {
            for run in &component.runs {
                labels[run.y as usize][run.from as usize..run.to as usize].fill(label);
            }
        }
        assert_eq!(labels, wanted.map(str::as_bytes));
    }
}
