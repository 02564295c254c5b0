//! The order of the training images, and the selection of images.

use super::{LabelSets, Pixels, Split};
use crate::random::{CounterRng, Purpose};

/// The order of the `n` training images in epoch `epoch` (from 0) of a run with this seed.
///
/// # Panics
/// When `n` does not fit into 32 bits. No dataset has such a split.
pub fn epoch_order(n: usize, seed: u64, epoch: u32) -> Vec<u32> {
    CounterRng::new(seed, Purpose::Shuffle, 0, epoch).permutation(n as u32)
}

/// The stream of [`Purpose::Split`] that [`limit`] draws from.
const LIMITED: u32 = 1;

/// Selects `n` images of a split. The numbers of images per class differ by at most one, unless a class
/// has too few images. A split of at most `n` images is returned unchanged.
///
/// The images of each class are shuffled by `seed`. Then one image of each class is selected in turn until there are `n`. The
/// selected images keep their order. A larger `n` selects the same images and more.
pub fn limit(split: Split, n: usize, seed: u64) -> Split {
    if n >= split.len() { split } else { split.select(&limited(&split, n, seed)) }
}

/// As [`limit`]. If labels are numbers of sets, images are selected whatever their labels are: those of rare sets would be too many.
pub fn limit_labelled(split: Split, sets: Option<&LabelSets>, n: usize, seed: u64) -> Split {
    match sets {
        Some(_) if n < split.len() => {
            let alike = Split { labels: vec![0; split.len()], pixels: Pixels::U8(Vec::new()), files: Vec::new() };
            split.select(&limited(&alike, n, seed))
        }
        _ => limit(split, n, seed),
    }
}

/// The numbers of the images that [`limit`] selects, in ascending order.
pub fn limited(split: &Split, n: usize, seed: u64) -> Vec<u32> {
    if n >= split.len() {
        return (0..split.len() as u32).collect();
    }
    let classes = shuffled_classes(split, LIMITED, seed);
    let longest = classes.iter().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..longest).flat_map(|turn| classes.iter().filter_map(move |class| class.get(turn).copied()));
    let mut chosen: Vec<u32> = in_turn.take(n).collect();
    chosen.sort_unstable();
    chosen
}

/// The image numbers of each class, in a random order.
fn shuffled_classes(split: &Split, stream: u32, seed: u64) -> Vec<Vec<u32>> {
    let mut classes: Vec<Vec<u32>> = Vec::new();
    for (i, &label) in split.labels.iter().enumerate() {
        if label as usize >= classes.len() {
            classes.resize_with(label as usize + 1, Vec::new);
        }
        classes[label as usize].push(i as u32);
    }
    for (class, numbers) in classes.iter_mut().enumerate() {
        let order = CounterRng::new(seed, Purpose::Split, stream, class as u32).permutation(numbers.len() as u32);
        *numbers = order.into_iter().map(|i| numbers[i as usize]).collect();
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images of one pixel: 3 classes of 10, 20 and 30.
    fn sample() -> Split {
        let labels: Vec<u32> = (0..60).map(|i| [0, 1, 1, 2, 2, 2][i % 6]).collect();
        Split::new(Pixels::U8((0..60).collect()), labels)
    }

    fn counts(split: &Split) -> Vec<usize> {
        (0..3).map(|class| split.labels.iter().filter(|&&label| label == class).count()).collect()
    }

    #[test]
    fn orders_differ_by_epoch_and_seed() {
        let order = epoch_order(100, 1, 0);
        assert_eq!(order, epoch_order(100, 1, 0));
        assert_ne!(order, epoch_order(100, 1, 1));
        assert_ne!(order, epoch_order(100, 2, 0));
    }

    #[test]
    fn a_limit_is_balanced_and_grows_by_adding() {
        let few = limit(sample(), 7, 5);
        assert_eq!(counts(&few), [3, 2, 2]);
        let more = limit(sample(), 40, 5);
        assert_eq!(counts(&more), [10, 15, 15]);
        let (Pixels::U8(few), Pixels::U8(more)) = (few.pixels, more.pixels) else { panic!("bytes stay bytes") };
        assert!(few.iter().all(|image| more.contains(image)));
        assert_eq!(limit(sample(), 60, 5), sample());
        assert_eq!(limit(sample(), 0, 5).len(), 0);
    }
}
