//! Pieces of ink that hang together, as runs of pixels.

use image::{GrayImage, Luma};
use imageproc::region_labelling::{Connectivity, connected_components};

use super::ink::Ink;
use super::page::Area;

/// Pixels of a row side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The row.
    pub y: u32,
    /// The first column.
    pub from: u32,
    /// The column after the last.
    pub to: u32,
}

impl Run {
    /// Its pixels.
    pub fn len(&self) -> u32 {
        self.to - self.from
    }
}

/// A piece of ink.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Component {
    /// The box around it.
    pub area: Area,
    /// Its pixels.
    pub runs: Vec<Run>,
    /// How many they are.
    pub ink: u32,
    /// How wide its strokes are, in pixels.
    pub stroke: f32,
}

impl Component {
    /// A piece of ink of these runs, which may come from several pieces; none of none.
    pub fn of(mut runs: Vec<Run>) -> Option<Self> {
        runs.sort_unstable_by_key(|run| (run.y, run.from));
        let (first, last) = (runs.first()?, runs.last()?);
        let (top, bottom) = (first.y, last.y + 1);
        let left = runs.iter().map(|run| run.from).min()?;
        let right = runs.iter().map(|run| run.to).max()?;
        let ink = runs.iter().map(Run::len).sum();
        let area = Area { left, top, width: right - left, height: bottom - top };
        let stroke = stroke(&runs, ink);
        Some(Self { area, runs, ink, stroke })
    }

    /// The ink of several pieces as one; none of none.
    pub fn joined<'a>(components: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        Self::of(components.into_iter().flat_map(|part| part.runs.iter().copied()).collect())
    }

    /// Its ink left and right of a column; none on a side without.
    pub fn cut(&self, column: u32) -> [Option<Self>; 2] {
        let side = |from: u32, to: u32| {
            let clip = |run: &Run| Run { y: run.y, from: run.from.max(from), to: run.to.min(to) };
            Self::of(self.runs.iter().map(clip).filter(|run| run.from < run.to).collect())
        };
        [side(0, column), side(column, u32::MAX)]
    }

    /// How many pixels are ink in each column of its box.
    pub fn columns(&self) -> Vec<u32> {
        let mut change = vec![0_i32; self.area.width as usize + 1];
        for run in &self.runs {
            change[(run.from - self.area.left) as usize] += 1;
            change[(run.to - self.area.left) as usize] -= 1;
        }
        change.pop();
        let running = change.iter().scan(0, |count, step| {
            *count += step;
            Some(*count as u32)
        });
        running.collect()
    }
}

/// How wide strokes are whose pixels are these: their area over half of their outline. An outline of pixels is 4 / pi times as
/// long as the one that it stands for, on the mean over all directions.
fn stroke(runs: &[Run], ink: u32) -> f32 {
    // Each run has two ends; between rows, what is not shared with the row below is outline, and so above.
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

/// The pieces of an image's ink: what is weakly ink, hangs together over sides and corners, and is strongly ink somewhere.
pub(super) fn find(ink: &Ink) -> Vec<Component> {
    let mut mask = ink.contrast.clone();
    mask.iter_mut().for_each(|value| *value = if *value >= ink.weak { 255 } else { 0 });
    let contrast = &ink.contrast;
    of_mask(&mask, |run| {
        let row = (run.y * contrast.width()) as usize;
        contrast.as_raw()[row + run.from as usize..row + run.to as usize].iter().any(|&value| value >= ink.strong)
    })
}

/// The pieces of a mask of which `strong` says yes to a run at least.
fn of_mask(mask: &GrayImage, strong: impl Fn(&Run) -> bool) -> Vec<Component> {
    let labels = connected_components(mask, Connectivity::Eight, Luma([0]));
    let count = labels.iter().copied().max().unwrap_or(0) as usize;
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); count + 1];
    let mut kept = vec![false; count + 1];
    let width = mask.width() as usize;
    for (y, row) in (0..).zip(labels.as_raw().chunks_exact(width.max(1))) {
        let mut from = 0;
        while from < width {
            let label = row[from];
            let to = from + row[from..].iter().take_while(|&&other| other == label).count();
            if label != 0 {
                let run = Run { y, from: from as u32, to: to as u32 };
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

    fn block(left: u32, top: u32, width: u32, height: u32) -> Vec<Run> {
        (top..top + height).map(|y| Run { y, from: left, to: left + width }).collect()
    }

    #[test]
    fn strokes_are_as_wide_as_they_were_drawn() {
        let bar = Component::of(block(3, 2, 4, 60)).expect("ink");
        // An upright bar's outline is 4 / pi times shorter than the mean direction's.
        assert!((bar.stroke * std::f32::consts::FRAC_PI_4 - 3.75).abs() < 0.01, "{}", bar.stroke);
        assert_eq!(bar.area, Area { left: 3, top: 2, width: 4, height: 60 });
    }

    #[test]
    fn a_cut_divides_the_ink() {
        let part = Component::of([block(0, 0, 10, 2), block(4, 2, 2, 5)].concat()).expect("ink");
        assert_eq!(part.columns(), [2, 2, 2, 2, 7, 7, 2, 2, 2, 2]);
        let [left, right] = part.cut(5).map(|side| side.expect("ink"));
        assert_eq!((left.ink, right.ink), (15, 15));
        assert_eq!(Component::joined([&left, &right]).map(|joined| joined.ink), Some(30));
        assert_eq!(part.cut(0)[0], None);
    }

    #[test]
    fn pieces_hang_together_over_corners_and_weak_ones_are_left_out() {
        let mut mask = GrayImage::new(12, 6);
        for (x, y) in [(1, 1), (2, 2), (3, 2), (8, 1), (8, 2)] {
            mask.put_pixel(x, y, Luma([255]));
        }
        let components = of_mask(&mask, |run| run.from < 5);
        assert_eq!(components.len(), 1);
        assert_eq!(components[0].area, Area { left: 1, top: 1, width: 3, height: 2 });
    }
}
