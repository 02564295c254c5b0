//! The embedded dataset `glyphs`: 36 characters, A to Z and 0 to 9, in images of 32 x 32 pixels, white on black. They look as
//! if many people had written them. Only the skeletons in [`strokes`] are stored. Each image is drawn from a skeleton with
//! counter-based random numbers.
//!
//! Every machine draws the same bytes, because drawing uses only additions, multiplications, divisions, square roots and
//! comparisons, which IEEE 754 defines exactly. A test compares a hash of the test split.

pub mod strokes;

use super::{Dataset, Pixels, Split};
use crate::parallel::*;
use crate::random::{CounterRng, Purpose, unit};
use strokes::{SKELETONS, Stroke};

/// The side of an image in pixels.
pub const SIDE: usize = 32;
/// The number of images per class in the train, validation and test split.
pub const PER_CLASS: [usize; 3] = [300, 100, 50];

/// The number of pixels that are drawn together.
const LANES: usize = 8;

/// The seed of all images. Another seed would give another dataset.
const SEED: u64 = 36;

/// The dataset: splits of 10,800, 3,600 and 1,800 images, each sorted by class.
pub fn dataset() -> Dataset {
    let split = |which: u32| {
        let per_class = PER_CLASS[which as usize];
        let labels: Vec<u32> = (0..SKELETONS.len() * per_class).map(|i| (i / per_class) as u32).collect();
        let mut pixels = vec![0; labels.len() * SIDE * SIDE];
        pixels
            .par_chunks_mut(SIDE * SIDE)
            .zip(&labels)
            .enumerate()
            .for_each(|(i, (image, &class))| draw(class as usize, which, i as u32, image));
        Split::new(Pixels::U8(pixels), labels)
    };
    Dataset {
        name: "glyphs".into(),
        input: [1, SIDE, SIDE],
        classes: super::letters_and_digits(),
        sets: None,
        train: split(0),
        val: Some(split(1)),
        test: Some(split(2)),
        folder: None,
        skipped: Vec::new(),
        absent: Vec::new(),
    }
}

/// The random numbers of one image, in order.
pub(crate) struct Hand {
    numbers: CounterRng,
    next: u32,
    /// The words of the current block, after its first number was read.
    words: [u32; 4],
}

impl Hand {
    /// Starts at the first number of a sequence.
    pub(crate) fn new(numbers: CounterRng) -> Self {
        Self { numbers, next: 0, words: [0; 4] }
    }

    /// A uniform number between `low` and `high`.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        if self.next.is_multiple_of(4) {
            self.words = self.numbers.block(self.next / 4);
        }
        let word = self.words[(self.next % 4) as usize];
        self.next += 1;
        low + (high - low) * unit(word)
    }

    /// An approximately normal number with mean 0 and the given standard deviation, at most 3.5 times the deviation. It is the
    /// sum of four uniform numbers, which needs no logarithm.
    pub(crate) fn about(&mut self, deviation: f32) -> f32 {
        let sum = (0..4).fold(0.0, |sum, _| sum + self.between(-1.0, 1.0));
        sum * deviation * 0.866_025_4
    }
}

/// A straight segment of a stroke: its two ends in pixels.
type Segment = [[f32; 2]; 2];

/// Draws image `index` of a split, which shows class `class`, into `image` (`SIDE` rows of `SIDE` bytes).
fn draw(class: usize, split: u32, index: u32, image: &mut [u8]) {
    let mut hand = Hand::new(CounterRng::new(SEED, Purpose::Glyphs, split, index));
    let ways = SKELETONS[class].ways;
    let way = ways[(hand.between(0.0, ways.len() as f32) as usize).min(ways.len() - 1)];

    // The shape of the whole character: size, aspect ratio, slant, rotation, bend and position.
    let height = hand.between(16.5, 25.0);
    let width = height * hand.between(0.54, 0.92);
    let slant = hand.about(0.14);
    let turn = hand.about(0.055); // tangent of half the angle
    let bend = [hand.about(0.10), hand.about(0.08)];
    let jitter = hand.between(0.015, 0.055);
    let place = [hand.about(1.15), hand.about(1.15)];
    let (cos, sin) = ((1.0 - turn * turn) / (1.0 + turn * turn), 2.0 * turn / (1.0 + turn * turn));
    let to_pixels = |[x, y]: [f32; 2]| {
        let (x, y) = (x - 0.5, y - 0.5);
        let (x, y) = (x + bend[0] * (1.0 - 4.0 * y * y), y + bend[1] * (1.0 - 4.0 * x * x));
        let (x, y) = (x * width - slant * y * height, y * height);
        let middle = SIDE as f32 / 2.0;
        [middle + place[0] + cos * x - sin * y, middle + place[1] + sin * x + cos * y]
    };
    let mut segments = Vec::with_capacity(64);
    for stroke in way {
        // Each stroke and each of its points are moved a little.
        let off = [hand.about(jitter * 0.7), hand.about(jitter * 0.7)];
        let mut wobble = |&[x, y]: &[f32; 2]| [x + off[0] + hand.about(jitter), y + off[1] + hand.about(jitter)];
        let mut path = match stroke {
            Stroke::Line(points) => points.iter().map(&mut wobble).collect(),
            Stroke::Curve(points) => smooth(&points.iter().map(&mut wobble).collect::<Vec<_>>(), false),
            Stroke::Loop(points) => smooth(&points.iter().map(&mut wobble).collect::<Vec<_>>(), true),
        };
        path.iter_mut().for_each(|point| *point = to_pixels(*point));
        segments.extend(path.windows(2).map(|pair| [pair[0], pair[1]]));
    }

    let half_width = hand.between(0.55, 1.7);
    let softness = hand.between(0.7, 1.3);
    let ink = ink(&segments, half_width, softness);
    let gain = hand.between(165.0, 255.0);
    let blur = hand.between(0.0, 0.2);
    let noise = hand.between(0.0, 22.0);
    let grain = CounterRng::new(SEED, Purpose::Glyphs, split | 1 << 31, index);
    for (y, row) in image.chunks_exact_mut(SIDE).enumerate() {
        // The sixteen bytes of a block of words are the noise of sixteen pixels.
        let words = [0, 1].map(|half| grain.block((y * SIDE / 16 + half) as u32).map(u32::to_le_bytes));
        let bytes = words.as_flattened().as_flattened();
        for ((byte, &grain), ink) in row.iter_mut().zip(bytes).zip(blurred(&ink, y, blur)) {
            let level = gain * ink + noise * (f32::from(grain) / 127.5 - 1.0);
            *byte = (level + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
}

/// Points on a smooth curve through `points`: the spline of Catmull and Rom (1974), with five steps between two points.
pub(super) fn smooth(points: &[[f32; 2]], closed: bool) -> Vec<[f32; 2]> {
    const STEPS: usize = 5;
    let count = points.len();
    let at = |i: isize| match closed {
        true => points[i.rem_euclid(count as isize) as usize],
        false => points[i.clamp(0, count as isize - 1) as usize],
    };
    let spans = if closed { count } else { count - 1 };
    let mut path = vec![points[0]];
    for span in 0..spans as isize {
        let [a, b, c, d] = [at(span - 1), at(span), at(span + 1), at(span + 2)];
        for step in 1..=STEPS {
            let t = step as f32 / STEPS as f32;
            let along = |k: usize| {
                let slope = c[k] - a[k];
                let square = 2.0 * a[k] - 5.0 * b[k] + 4.0 * c[k] - d[k];
                let cube = 3.0 * b[k] - a[k] - 3.0 * c[k] + d[k];
                b[k] + 0.5 * t * (slope + t * (square + t * cube))
            };
            path.push([along(0), along(1)]);
        }
    }
    path
}

/// The ink of an image, from 0 to 1, with an empty border of one pixel: pixel (y, x) is `[y + 1][x + 1]`.
type Ink = [[f32; SIDE + 2]; SIDE + 2];

/// The ink at the centre of each pixel. It is 1 up to the distance `half_width` from a segment, and falls to 0 over the
/// distance `softness`.
fn ink(segments: &[Segment], half_width: f32, softness: f32) -> Ink {
    let reach = half_width + softness;
    let mut ink = [[0.0_f32; SIDE + 2]; SIDE + 2];
    for &[from, to] in segments {
        let along = [to[0] - from[0], to[1] - from[1]];
        let square = (along[0] * along[0] + along[1] * along[1]).max(1e-6);
        let range = |k: usize| {
            let first = (from[k].min(to[k]) - reach - 0.5).max(0.0) as usize;
            let end = (from[k].max(to[k]) + reach + 0.5).max(0.0) as usize + 1;
            first.min(SIDE)..end.min(SIDE)
        };
        let columns = range(0);
        for y in range(1) {
            let down = y as f32 + 0.5 - from[1];
            // Whole vectors are faster. Their additional pixels are out of reach or computed twice, which changes nothing.
            for first in columns.clone().step_by(LANES).map(|x| x.min(SIDE - LANES)) {
                let pixels = &mut ink[y + 1][first + 1..][..LANES];
                for (lane, pixel) in pixels.iter_mut().enumerate() {
                    let right = (first as f32 + lane as f32) + 0.5 - from[0];
                    let t = ((right * along[0] + down * along[1]) / square).clamp(0.0, 1.0);
                    let [dx, dy] = [right - t * along[0], down - t * along[1]];
                    let distance = (dx * dx + dy * dy).sqrt();
                    let level = ((reach - distance) / softness).clamp(0.0, 1.0);
                    *pixel = pixel.max(level);
                }
            }
        }
    }
    ink
}

/// The blurred ink of a row of pixels. Each of the four neighbours of a pixel contributes the fraction `share`. There is no ink
/// outside the image.
fn blurred(ink: &Ink, y: usize, share: f32) -> [f32; SIDE] {
    let [above, own, below] = [&ink[y], &ink[y + 1], &ink[y + 2]];
    let mut row = [0.0; SIDE];
    for (x, level) in row.iter_mut().enumerate() {
        let around = own[x] + own[x + 2] + above[x + 1] + below[x + 1];
        *level = (1.0 - 4.0 * share) * own[x + 1] + share * around;
    }
    row
}

/// Draws a character without random changes into an image of ink from 0 to 1. It is `size` pixels high and 0.6 times as wide,
/// two pixels from the upper and left edge. `None` for a character that the dataset does not have.
pub fn plain(character: char, size: f32) -> Option<[[f32; SIDE]; SIDE]> {
    let skeleton = SKELETONS.iter().find(|skeleton| skeleton.name == character)?;
    let mut segments: Vec<Segment> = Vec::new();
    for stroke in skeleton.ways[0] {
        let mut path = match stroke {
            Stroke::Line(points) => points.to_vec(),
            Stroke::Curve(points) => smooth(points, false),
            Stroke::Loop(points) => smooth(points, true),
        };
        path.iter_mut().for_each(|[x, y]| (*x, *y) = (2.0 + *x * size * 0.6, 2.0 + *y * size));
        segments.extend(path.windows(2).map(|pair| [pair[0], pair[1]]));
    }
    let ink = ink(&segments, 0.4, 0.9);
    Some(std::array::from_fn(|y| std::array::from_fn(|x| ink[y + 1][x + 1])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(split: &Split) -> &[u8] {
        match &split.pixels {
            Pixels::U8(bytes) => bytes,
            Pixels::F32(_) | Pixels::Stored(_) => panic!("glyphs are bytes in memory"),
        }
    }

    fn hash(bytes: &[u8]) -> String {
        let mut hash = crate::hash::Fnv1a::new();
        hash.add(bytes);
        hash.hex()
    }

    #[test]
    fn the_set_has_its_sizes_and_is_the_same_everywhere() {
        let set = dataset();
        let (val, test) = (set.val.as_ref().expect("there"), set.test.as_ref().expect("there"));
        for (split, per_class) in [&set.train, val, test].into_iter().zip(PER_CLASS) {
            assert_eq!((split.len(), split.pixels.len()), (36 * per_class, 36 * per_class * SIDE * SIDE));
            assert!((0..36).all(|c| split.labels.iter().filter(|&&l| l == c).count() == per_class));
        }
        assert_eq!(set.classes.len(), 36);
        assert!(set.classes.iter().zip(&SKELETONS).all(|(name, skeleton)| *name == skeleton.name.to_string()));
        assert_eq!(hash(bytes(test)), "b7761ac1cbb86937");
    }

    #[test]
    fn every_image_has_ink_and_no_two_are_alike() {
        let set = dataset();
        let mut seen = std::collections::HashSet::new();
        for split in [&set.train, set.val.as_ref().expect("there"), set.test.as_ref().expect("there")] {
            for image in bytes(split).chunks_exact(SIDE * SIDE) {
                assert!(image.iter().filter(|&&b| b > 100).count() >= 12);
                assert!(seen.insert(hash(image)));
            }
        }
    }
}
