//! Connected components of the ink, stored as runs of pixels.

use image::{GrayImage, Luma};
use imageproc::region_labelling::{Connectivity, connected_components};

use super::ink::InkMap;
use super::page::BoundingBox;

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

/// The connected components of a mask that have at least one run for which `strong` is true.
fn of_mask(mask: &GrayImage, strong: impl Fn(&PixelRun) -> bool) -> Vec<Component> {
    let labels = connected_components(mask, Connectivity::Eight, Luma([0]));
    let count = labels.iter().copied().max().unwrap_or(0) as usize;
    let mut runs: Vec<Vec<PixelRun>> = vec![Vec::new(); count + 1];
    let mut kept = vec![false; count + 1];
    let width = mask.width() as usize;
    for (y, row) in (0..).zip(labels.as_raw().chunks_exact(width.max(1))) {
        let mut from = 0;
        while from < width {
            let label = row[from];
            let to = from + row[from..].iter().take_while(|&&other| other == label).count();
            if label != 0 {
                let run = PixelRun { y, from: from as u32, to: to as u32 };
                kept[label as usize] |= strong(&run);
                runs[label as usize].push(run);
            }
            from = to;
        }
    }
    runs.into_iter().zip(kept).filter(|(_, kept)| *kept).filter_map(|(runs, _)| Component::of(runs)).collect()
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
            mask.put_pixel(x, y, Luma([255]));
        }
        let components = of_mask(&mask, |run| run.from < 5);
        assert_eq!(components.len(), 1);
        assert_eq!(components[0].bounds, BoundingBox { left: 1, top: 1, width: 3, height: 2 });
    }
}
