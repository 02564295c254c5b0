//! Assigns pieces of ink to lines of text. Pieces whose vertical ranges overlap are tracked from left to right, so that lines
//! may slope and bend. Pieces that are too small, too large or too far away are dropped.

use super::components::{Component, usual_stroke};
use super::page::BoundingBox;

/// The height range of letters, relative to the typical letter height.
const LETTERS: std::ops::Range<f32> = 0.42..3.2;
/// Ink smaller than this in both directions, relative to the typical letter height, is a speck.
const SPECK: f32 = 0.06;
/// The maximum slope of lines, and the number of slopes to either side that are tried.
const STEEPEST: f32 = 0.3;
const SLOPES: i32 = 30;
/// A letter belongs to a line if their vertical overlap exceeds this fraction of the smaller height.
const SHARED: f32 = 0.45;
/// The number of nearby letters that define the position of a line.
const LAST: usize = 6;

/// The components of one line.
#[derive(Clone, Debug, Default)]
pub(super) struct LineComponents {
    /// Components of the height of letters, from left to right.
    pub letters: Vec<Component>,
    /// Smaller components: dots, bars, dashes.
    pub marks: Vec<Component>,
}

/// The typical letter height of a page of `width` x `height` pixels: the median height, weighted by ink. `cut` says whether the
/// edge of the image cuts off a component. `None` without ink.
pub(super) fn letter_height(
    components: &[Component],
    [width, height]: [u32; 2],
    cut: impl Fn(&Component) -> bool,
) -> Option<f32> {
    let usual = usual_stroke(components)?;
    // Large components at the edge of the image are desks and shadows, and large solid ones are edges of the paper.
    let foreign = |component: &&Component| {
        let bounds = &component.bounds;
        let large = bounds.width > width / 4 || bounds.height > height / 4;
        components.len() > 1 && large && (cut(component) || component.is_solid(usual))
    };
    let mut heights: Vec<(u32, u32)> = components
        .iter()
        .filter(|component| !foreign(component))
        .map(|component| (component.bounds.height, component.ink))
        .collect();
    heights.sort_unstable();
    let half = heights.iter().map(|(_, ink)| u64::from(*ink)).sum::<u64>() / 2;
    let mut seen = 0;
    let middle = heights.iter().find(|(_, ink)| {
        seen += u64::from(*ink);
        seen > half
    });
    middle.map(|&(height, _)| height as f32)
}

/// Whether ink is too small to be a letter or a mark.
fn is_speck(component: &Component, letter_height: f32) -> bool {
    (component.bounds.width.max(component.bounds.height) as f32) < (SPECK * letter_height).max(2.0)
}

/// The number of components that [`rows`] assigns to lines or leaves out one by one.
pub(super) fn pieces(components: &[Component], letter_height: f32) -> usize {
    components.iter().filter(|component| !is_speck(component, letter_height)).count()
}

/// Assigns the components of a page to lines, from top to bottom.
pub(super) fn rows(components: Vec<Component>, letter_height: f32) -> Vec<LineComponents> {
    let (mut letters, others): (Vec<Component>, Vec<Component>) =
        components.into_iter().filter(|component| !is_speck(component, letter_height)).partition(|component| {
            let bounds = &component.bounds;
            LETTERS.contains(&(bounds.height as f32 / letter_height)) && (bounds.width as f32) < 12.0 * letter_height
        });
    let marks = others.into_iter().filter(|component| (component.bounds.height as f32) < LETTERS.start * letter_height);
    letters.sort_by_key(|component| component.bounds.left + component.bounds.right());
    let slope = slope(&letters, letter_height);
    let mut tracks = follow(&letters, slope);
    tracks = joined(tracks);
    tracks.sort_by(|a, b| a.middle().total_cmp(&b.middle()));
    let mut rows: Vec<LineComponents> = vec![LineComponents::default(); tracks.len()];
    let mut row_of = vec![0; letters.len()];
    for (row, track) in tracks.iter().enumerate() {
        track.members.iter().for_each(|member| row_of[member.index] = row);
    }
    for (letter, row) in letters.into_iter().zip(row_of) {
        rows[row].letters.push(letter);
    }
    for mark in marks {
        let nearest = (0..).zip(&tracks).map(|(row, track): (usize, _)| (row, track.distance(&mark.bounds, slope)));
        let nearest = nearest.min_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((row, _)) = nearest.filter(|(_, distance)| *distance < 0.5 * letter_height) {
            rows[row].marks.push(mark);
        }
    }
    rows
}

/// The slope along which the centres of the letters are most concentrated.
fn slope(letters: &[Component], letter_height: f32) -> f32 {
    let bin = letter_height / 3.0;
    let sharpness = |slope: f32| -> f32 {
        let mut heights: Vec<f32> = letters.iter().map(|component| middle(&component.bounds, slope)).collect();
        heights.sort_by(f32::total_cmp);
        // The number of pairs that are closer than a bin.
        let mut last = 0;
        let mut pairs = 0;
        for (first, height) in heights.iter().enumerate() {
            while heights.get(last).is_some_and(|other| other - height < bin) {
                last += 1;
            }
            pairs += last - first;
        }
        pairs as f32
    };
    let slopes = (-SLOPES..=SLOPES).map(|step| step as f32 * STEEPEST / SLOPES as f32);
    // Prefer horizontal lines when there are few letters.
    let worth = |slope: f32| sharpness(slope) * (1.0 - slope.abs());
    slopes.map(|slope| (slope, worth(slope))).max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0.0, |(slope, _)| slope)
}

/// The centre column of a box.
fn across(bounds: &BoundingBox) -> f32 {
    bounds.left as f32 + bounds.width as f32 / 2.0
}

/// The centre row of a box, corrected for the slope.
fn middle(bounds: &BoundingBox, slope: f32) -> f32 {
    bounds.top as f32 + bounds.height as f32 / 2.0 - slope * across(bounds)
}

/// A letter of a line, corrected for the slope.
#[derive(Clone, Copy, Debug)]
struct Member {
    index: usize,
    left: f32,
    right: f32,
    top: f32,
    bottom: f32,
}

impl Member {
    fn of(index: usize, bounds: &BoundingBox, slope: f32) -> Self {
        let (middle, half) = (middle(bounds, slope), bounds.height as f32 / 2.0);
        let (left, right) = (bounds.left as f32, bounds.right() as f32);
        Self { index, left, right, top: middle - half, bottom: middle + half }
    }
}

/// A line that is being tracked.
#[derive(Clone, Debug, Default)]
struct Track {
    members: Vec<Member>,
}

impl Track {
    /// The top and bottom of the line near a column: the mean of the nearest members.
    fn band(&self, column: f32) -> (f32, f32) {
        let after = self.members.partition_point(|member| (member.left + member.right) / 2.0 < column);
        let first = after.saturating_sub(LAST / 2).min(self.members.len().saturating_sub(LAST));
        let near = &self.members[first..(first + LAST).min(self.members.len())];
        let mean = |edge: fn(&Member) -> f32| near.iter().map(edge).sum::<f32>() / near.len().max(1) as f32;
        (mean(|member| member.top), mean(|member| member.bottom))
    }

    /// The vertical overlap of a letter and the line, as a fraction of the smaller height.
    fn shares(&self, letter: &Member) -> f32 {
        let (top, bottom) = self.band((letter.left + letter.right) / 2.0);
        let shared = letter.bottom.min(bottom) - letter.top.max(top);
        shared / (bottom - top).min(letter.bottom - letter.top).max(1.0)
    }

    /// The vertical distance of a mark from the line.
    fn distance(&self, bounds: &BoundingBox, slope: f32) -> f32 {
        let (top, bottom) = self.band(across(bounds));
        let place = middle(bounds, slope);
        (top - place).max(place - bottom).max(0.0)
    }

    fn middle(&self) -> f32 {
        let sum: f32 = self.members.iter().map(|member| member.top + member.bottom).sum();
        sum / (2 * self.members.len().max(1)) as f32
    }
}

/// Tracks lines through letters that are sorted from left to right.
fn follow(letters: &[Component], slope: f32) -> Vec<Track> {
    let mut tracks: Vec<Track> = Vec::new();
    for (index, letter) in letters.iter().enumerate() {
        let member = Member::of(index, &letter.bounds, slope);
        let best = tracks.iter_mut().map(|track| (track.shares(&member), track));
        let best = best.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(shared, _)| *shared > SHARED);
        match best {
            Some((_, track)) => track.members.push(member),
            None => tracks.push(Track { members: vec![member] }),
        }
    }
    tracks
}

/// Joins tracks that are parts of one line: at their nearest ends they overlap vertically.
fn joined(mut tracks: Vec<Track>) -> Vec<Track> {
    tracks.sort_by_key(|track| std::cmp::Reverse(track.members.len()));
    let mut whole: Vec<Track> = Vec::new();
    for track in tracks {
        let share = |other: &Track| {
            let shares: f32 = track.members.iter().map(|member| other.shares(member)).sum();
            shares / track.members.len() as f32
        };
        let best = whole.iter_mut().map(|other| (share(other), other));
        match best.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(shared, _)| *shared > SHARED) {
            Some((_, other)) => {
                other.members.extend(track.members);
                other.members.sort_by(|a, b| (a.left + a.right).total_cmp(&(b.left + b.right)));
            }
            None => whole.push(track),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::super::components::PixelRun;
    use super::*;

    fn block(left: u32, top: u32, width: u32, height: u32) -> Component {
        Component::of((top..top + height).map(|y| PixelRun { y, from: left, to: left + width }).collect()).expect("ink")
    }

    #[test]
    fn sloping_lines_stay_apart() {
        // Two lines, 55 pixels apart, that fall by 60 over 1200 pixels. Letters are 30 high.
        let mut components = Vec::new();
        for x in 0..24 {
            for line in 0..2 {
                components.push(block(50 * x, 100 + 5 * x / 2 + 55 * line, 20, 30));
            }
        }
        let letter_height = letter_height(&components, [1300, 400], |_| false).expect("ink");
        let rows = rows(components, letter_height);
        assert_eq!(letter_height, 30.0);
        assert_eq!(rows.iter().map(|row| row.letters.len()).collect::<Vec<_>>(), [24, 24]);
        assert!(rows[0].letters.windows(2).all(|pair| pair[0].bounds.left < pair[1].bounds.left));
    }

    #[test]
    fn marks_go_to_the_nearest_line_and_specks_to_none() {
        let mut components: Vec<Component> = (0..6).map(|x| block(60 * x + 20, 50, 30, 50)).collect();
        components.push(block(85, 40, 6, 6));
        components.push(block(300, 99, 2, 2));
        components.push(block(200, 200, 5, 5));
        let rows = rows(components, 50.0);
        assert_eq!((rows.len(), rows[0].letters.len(), rows[0].marks.len()), (1, 6, 1));
    }

    #[test]
    fn without_ink_there_is_no_letter_height() {
        assert_eq!(letter_height(&[], [10, 10], |_| false), None);
    }
}
