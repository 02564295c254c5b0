//! Estimates the skew of a page: the angle by which its lines of text are turned.
//!
//! The ink is projected onto an axis. Across the lines the projection is a row of steps, because lines and the gaps between
//! them alternate; in any other direction it is smooth. The skew is the angle with the largest sum of squared steps, as in W.
//! Postl, "Detection of linear oblique structures and skew scan in digitized documents", 1986. Ruled lines add to it. Lines may
//! also run along the other axis, so angles are found up to a quarter turn.

use rayon::prelude::*;

use super::components::{Component, usual_stroke};

/// The largest skew in degrees. A larger one is a quarter turn with a smaller skew.
const LARGEST: i32 = 45;
/// Pages with a smaller skew in degrees are read as they are.
pub(super) const SMALL: f32 = 3.0;
/// The step in degrees of the second search, around the best angles of the first, which has steps of one degree.
const FINE: f32 = 0.25;
/// Other angles are returned, too, if they are this many degrees away and have this fraction of the largest sum.
const APART: f32 = 8.0;
const CLOSE: f32 = 0.5;
/// The maximum number of angles.
const ANGLES: usize = 3;
/// The side of a bin of the projection, in widths of the strokes.
const BIN: f32 = 1.5;
/// The number of points of ink that are projected.
const POINTS: u64 = 40_000;

/// The angles in degrees by which the page may be turned clockwise, from -45 to 45, the most likely one first. None without ink.
pub(super) fn candidates(components: &[Component]) -> Vec<f32> {
    let Some(stroke) = usual_stroke(components) else { return Vec::new() };
    let writing: Vec<&Component> = components.iter().filter(|component| !component.is_solid(stroke)).collect();
    let points = points(&writing);
    let bin = (BIN * stroke).max(2.0);
    let measured = |angle: f32| (angle, sharpness(&points, angle, bin));
    let coarse: Vec<(f32, f32)> = (-LARGEST..LARGEST).into_par_iter().map(|angle| measured(angle as f32)).collect();
    let mut sorted = coarse;
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut chosen: Vec<(f32, f32)> = Vec::new();
    for &(angle, sum) in &sorted {
        let apart = |&(other, _): &(f32, f32)| difference(angle, other) >= APART;
        let close = chosen.first().is_none_or(|(_, largest)| sum >= CLOSE * largest);
        if chosen.len() < ANGLES && close && chosen.iter().all(apart) {
            chosen.push((angle, sum));
        }
    }
    let fine = |&(angle, _): &(f32, f32)| {
        let near = (-3..=3).map(|step| measured(angle + step as f32 * FINE));
        near.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(angle, |(angle, _)| angle)
    };
    chosen.iter().map(fine).collect()
}

/// The difference of two angles in degrees, up to quarter turns.
fn difference(a: f32, b: f32) -> f32 {
    let apart = (a - b).rem_euclid(90.0);
    apart.min(90.0 - apart)
}

/// Points of the ink on a square grid.
fn points(components: &[&Component]) -> Vec<[f32; 2]> {
    let ink: u64 = components.iter().map(|component| u64::from(component.ink)).sum();
    let step = ((ink / POINTS) as f64).sqrt().ceil().max(1.0) as u32;
    let runs = components.iter().flat_map(|component| &component.runs).filter(|run| run.y % step == 0);
    let on_grid = |run: &super::components::PixelRun| {
        let y = run.y as f32;
        (run.from.next_multiple_of(step)..run.to).step_by(step as usize).map(move |x| [x as f32, y])
    };
    runs.flat_map(on_grid).collect()
}

/// The sum of squared steps of the projection across the lines of a page that is turned clockwise by an angle in degrees: the
/// larger one of both axes.
fn sharpness(points: &[[f32; 2]], angle: f32, bin: f32) -> f32 {
    let (sin, cos) = angle.to_radians().sin_cos();
    let down = |[x, y]: &[f32; 2]| y * cos - x * sin;
    let along = |[x, y]: &[f32; 2]| x * cos + y * sin;
    steps(points.iter().map(down), bin).max(steps(points.iter().map(along), bin))
}

/// The sum of squared differences of neighbouring bins of a histogram.
fn steps(places: impl Iterator<Item = f32> + Clone, bin: f32) -> f32 {
    let (least, most) =
        places.clone().fold((f32::MAX, f32::MIN), |(least, most), place| (least.min(place), most.max(place)));
    if least > most {
        return 0.0;
    }
    let mut counts = vec![0.0_f32; ((most - least) / bin) as usize + 3];
    places.for_each(|place| counts[((place - least) / bin) as usize + 1] += 1.0);
    counts.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::super::components::PixelRun;
    use super::*;

    /// Lines of bars that are turned clockwise around the middle of a page.
    fn turned(angle: f32) -> Vec<Component> {
        let (sin, cos) = angle.to_radians().sin_cos();
        let mut components = Vec::new();
        for (line, column) in (0..6_i32).flat_map(|line| (0..20_i32).map(move |column| (line, column))) {
            let (x, y) = ((40 * column - 400) as f32, (70 * line - 175 + (column * 7) % 5) as f32);
            let place = |[x, y]: [f32; 2]| [x * cos - y * sin + 600.0, x * sin + y * cos + 600.0];
            let dots = (0..40).flat_map(|down| (0..6).map(move |right| [x + right as f32, y + down as f32]));
            let runs = dots.map(place).map(|[x, y]| PixelRun { y: y as u32, from: x as u32, to: x as u32 + 1 });
            components.extend(Component::of(runs.collect()));
        }
        components
    }

    #[test]
    fn lines_of_any_angle_are_found() {
        for angle in [-44.0, -30.5, -7.0, 0.0, 3.25, 20.0, 44.5] {
            let found = candidates(&turned(angle));
            assert!(difference(found[0], angle) < 0.6, "{angle}: {found:?}");
        }
        for angle in [80.0_f32, -100.0, 200.0] {
            let found = candidates(&turned(angle));
            assert!(difference(found[0], angle) < 0.6, "{angle}: {found:?}");
        }
        assert!(candidates(&[]).is_empty());
    }
}
