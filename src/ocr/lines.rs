//! Which pieces of ink stand on one line: those whose heights overlap, followed from left to right, so that lines may slope and
//! bend; and which are too small, too large or too far off to be letters.

use super::components::Component;
use super::page::Area;

/// Letters are between these parts of the usual letter's height.
const LETTERS: std::ops::Range<f32> = 0.42..3.2;
/// Ink that is smaller than that part of the usual letter's height, both ways, is a speck.
const SPECK: f32 = 0.06;
/// The steepest slope of lines that is looked for, and the number of slopes to either side.
const STEEPEST: f32 = 0.3;
const SLOPES: i32 = 30;
/// What overlaps a line by that part of the lower of both belongs to it.
const SHARED: f32 = 0.45;
/// Letters by which a line's place is told further on.
const LAST: usize = 6;

/// The writing on one line.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// Pieces as high as letters, from left to right.
    pub letters: Vec<Component>,
    /// Smaller ones: dots, bars, dashes.
    pub marks: Vec<Component>,
}

/// The height of a page's usual letter; none where there is no ink.
pub(super) fn letter_height(components: &[Component], width: u32, height: u32) -> Option<f32> {
    // Desks and shadows beside the page reach into the image from its edge.
    let foreign = |part: &&Component| {
        let area = &part.area;
        let at_edge = area.left == 0 || area.top == 0 || area.right() == width || area.bottom() == height;
        at_edge && (area.width > width / 4 || area.height > height / 4) && components.len() > 1
    };
    let mut heights: Vec<(u32, u32)> =
        components.iter().filter(|part| !foreign(part)).map(|part| (part.area.height, part.ink)).collect();
    heights.sort_unstable();
    let half = heights.iter().map(|(_, ink)| u64::from(*ink)).sum::<u64>() / 2;
    let mut seen = 0;
    let middle = heights.iter().find(|(_, ink)| {
        seen += u64::from(*ink);
        seen > half
    });
    middle.map(|&(height, _)| height as f32)
}

/// Divides the pieces of a page among its lines, from top to bottom.
pub(super) fn rows(components: Vec<Component>, usual: f32) -> Vec<Row> {
    let is_speck = |area: &Area| (area.width.max(area.height) as f32) < (SPECK * usual).max(2.0);
    let (mut letters, others): (Vec<Component>, Vec<Component>) =
        components.into_iter().filter(|part| !is_speck(&part.area)).partition(|part| {
            let area = &part.area;
            LETTERS.contains(&(area.height as f32 / usual)) && (area.width as f32) < 12.0 * usual
        });
    let marks = others.into_iter().filter(|part| (part.area.height as f32) < LETTERS.start * usual);
    letters.sort_by_key(|part| part.area.left + part.area.right());
    let slope = slope(&letters, usual);
    let mut tracks = follow(&letters, slope);
    tracks = joined(tracks);
    tracks.sort_by(|a, b| a.middle().total_cmp(&b.middle()));
    let mut rows: Vec<Row> = vec![Row::default(); tracks.len()];
    let mut row_of = vec![0; letters.len()];
    for (row, track) in tracks.iter().enumerate() {
        track.members.iter().for_each(|member| row_of[member.index] = row);
    }
    for (letter, row) in letters.into_iter().zip(row_of) {
        rows[row].letters.push(letter);
    }
    for mark in marks {
        let nearest = (0..).zip(&tracks).map(|(row, track): (usize, _)| (row, track.distance(&mark.area, slope)));
        let nearest = nearest.min_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((row, _)) = nearest.filter(|(_, distance)| *distance < 0.5 * usual) {
            rows[row].marks.push(mark);
        }
    }
    rows
}

/// The slope along which the letters' middles lie most together.
fn slope(letters: &[Component], usual: f32) -> f32 {
    let bin = usual / 3.0;
    let sharpness = |slope: f32| -> f32 {
        let mut heights: Vec<f32> = letters.iter().map(|part| middle(&part.area, slope)).collect();
        heights.sort_by(f32::total_cmp);
        // Pairs that lie closer than a bin: those after the first of each that do.
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
    // Where little is written, level is as likely as it can be.
    let worth = |slope: f32| sharpness(slope) * (1.0 - slope.abs());
    slopes.map(|slope| (slope, worth(slope))).max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0.0, |(slope, _)| slope)
}

/// A box's middle column.
fn across(area: &Area) -> f32 {
    area.left as f32 + area.width as f32 / 2.0
}

/// The height of a box's middle, with the slope taken out.
fn middle(area: &Area, slope: f32) -> f32 {
    area.top as f32 + area.height as f32 / 2.0 - slope * across(area)
}

/// A letter of a line, with the slope taken out.
#[derive(Clone, Copy, Debug)]
struct Member {
    index: usize,
    left: f32,
    right: f32,
    top: f32,
    bottom: f32,
}

impl Member {
    fn of(index: usize, area: &Area, slope: f32) -> Self {
        let (middle, half) = (middle(area, slope), area.height as f32 / 2.0);
        let (left, right) = (area.left as f32, area.right() as f32);
        Self { index, left, right, top: middle - half, bottom: middle + half }
    }
}

/// A line as it is followed.
#[derive(Clone, Debug, Default)]
struct Track {
    members: Vec<Member>,
}

impl Track {
    /// Top and bottom of the line near a column: of the members nearest to it, the mean.
    fn band(&self, column: f32) -> (f32, f32) {
        let after = self.members.partition_point(|member| (member.left + member.right) / 2.0 < column);
        let first = after.saturating_sub(LAST / 2).min(self.members.len().saturating_sub(LAST));
        let near = &self.members[first..(first + LAST).min(self.members.len())];
        let mean = |edge: fn(&Member) -> f32| near.iter().map(edge).sum::<f32>() / near.len().max(1) as f32;
        (mean(|member| member.top), mean(|member| member.bottom))
    }

    /// What a letter shares with the line's height, of the lower of both.
    fn shares(&self, letter: &Member) -> f32 {
        let (top, bottom) = self.band((letter.left + letter.right) / 2.0);
        let shared = letter.bottom.min(bottom) - letter.top.max(top);
        shared / (bottom - top).min(letter.bottom - letter.top).max(1.0)
    }

    /// How far a mark is from the line's height.
    fn distance(&self, area: &Area, slope: f32) -> f32 {
        let (top, bottom) = self.band(across(area));
        let place = middle(area, slope);
        (top - place).max(place - bottom).max(0.0)
    }

    fn middle(&self) -> f32 {
        let sum: f32 = self.members.iter().map(|member| member.top + member.bottom).sum();
        sum / (2 * self.members.len().max(1)) as f32
    }
}

/// Follows lines through letters that are sorted from left to right.
fn follow(letters: &[Component], slope: f32) -> Vec<Track> {
    let mut tracks: Vec<Track> = Vec::new();
    for (index, letter) in letters.iter().enumerate() {
        let member = Member::of(index, &letter.area, slope);
        let best = tracks.iter_mut().map(|track| (track.shares(&member), track));
        let best = best.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(shared, _)| *shared > SHARED);
        match best {
            Some((_, track)) => track.members.push(member),
            None => tracks.push(Track { members: vec![member] }),
        }
    }
    tracks
}

/// Joins lines that are pieces of one: of which each overlaps the other's height where they come nearest.
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
    use super::super::components::Run;
    use super::*;

    fn block(left: u32, top: u32, width: u32, height: u32) -> Component {
        Component::of((top..top + height).map(|y| Run { y, from: left, to: left + width }).collect()).expect("ink")
    }

    #[test]
    fn sloping_lines_stay_apart() {
        // Two lines that fall by 60 over 1200 pixels, 55 apart, of letters 30 high.
        let mut components = Vec::new();
        for x in 0..24 {
            for line in 0..2 {
                components.push(block(50 * x, 100 + 5 * x / 2 + 55 * line, 20, 30));
            }
        }
        let usual = letter_height(&components, 1300, 400).expect("ink");
        let rows = rows(components, usual);
        assert_eq!(usual, 30.0);
        assert_eq!(rows.iter().map(|row| row.letters.len()).collect::<Vec<_>>(), [24, 24]);
        assert!(rows[0].letters.windows(2).all(|pair| pair[0].area.left < pair[1].area.left));
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
    fn no_ink_has_no_height() {
        assert_eq!(letter_height(&[], 10, 10), None);
    }
}
