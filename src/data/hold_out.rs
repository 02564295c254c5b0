//! Holding out a part of the training images.

use std::collections::HashMap;

use super::{Fold, Split};
use crate::hash::Fnv1a;
use crate::{Error, Result};

/// Holds out a fraction (0 to 1) of a training split. Returns the remaining images and the held-out images, both in their old
/// order.
///
/// The fraction is the same for each class, rounded to whole images, but at least one image of each class is held out and at
/// least one stays. A class with a single image keeps it. Images with equal pixels stay together, so that no image is trained on
/// and measured. The seed and the pixels of an image decide whether it is held out, not its position: other images come and go
/// without moving it, except at the edge of the fraction.
///
/// # Errors
/// When images on the disk cannot be read.
pub fn split_off(train: Split, fraction: f64, seed: u64) -> Result<(Split, Split)> {
    let keys = keys(&train, seed)?;
    let classes = train.labels.iter().max().map_or(0, |&last| last as usize + 1);
    let mut of_class: Vec<Vec<u32>> = vec![Vec::new(); classes];
    let mut equal: HashMap<u64, Vec<u32>> = HashMap::new();
    for (number, (&label, &key)) in (0..).zip(train.labels.iter().zip(&keys)) {
        of_class[label as usize].push(number);
        equal.entry(key).or_default().push(number);
    }
    let mut remaining: Vec<usize> = of_class.iter().map(Vec::len).collect();
    let mut is_held = vec![false; train.len()];
    for (class, numbers) in of_class.iter_mut().enumerate() {
        let stay = numbers.len() - quota(numbers.len(), fraction);
        numbers.sort_by_key(|&number| keys[number as usize]);
        for &number in numbers.iter() {
            if remaining[class] <= stay {
                break;
            }
            let group = &equal[&keys[number as usize]];
            if !is_held[number as usize] && leaves_every_class(group, &train.labels, &remaining) {
                for &number in group {
                    is_held[number as usize] = true;
                    remaining[train.labels[number as usize] as usize] -= 1;
                }
            }
        }
    }
    let (held, kept): (Vec<u32>, Vec<u32>) = (0..train.len() as u32).partition(|&number| is_held[number as usize]);
    Ok((train.select(&kept), train.select(&held)))
}

/// Divides images into `folds` parts for cross-validation, and returns the part of each image, from 0. Each part has about the same
/// number of images of each class. Images with equal pixels are in the same part. As in [`split_off`], the seed and the pixels of the
/// images decide, not their positions.
///
/// # Errors
/// When images on the disk cannot be read.
pub fn folds(images: &Split, folds: usize, seed: u64) -> Result<Vec<usize>> {
    let keys = keys(images, seed)?;
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.sort_by_key(|&number| (images.labels[number], keys[number]));
    let mut part_of_key = HashMap::new();
    let mut parts = vec![0; images.len()];
    let mut next = 0;
    for number in order {
        parts[number] = *part_of_key.entry(keys[number]).or_insert_with(|| {
            next += 1;
            (next - 1) % folds.max(1)
        });
    }
    Ok(parts)
}

/// Holds out one part of [`folds`]. Returns the remaining images and the held-out images, both in their old order.
///
/// # Errors
/// As [`folds`]; [`Error::Usage`] when there are not enough different images for so many parts.
pub fn split_fold(images: Split, fold: Fold, seed: u64) -> Result<(Split, Split)> {
    let parts = folds(&images, fold.of, seed)?;
    let (held, kept): (Vec<u32>, Vec<u32>) =
        (0..images.len() as u32).partition(|&number| parts[number as usize] + 1 == fold.part);
    if held.is_empty() || kept.is_empty() {
        return Err(Error::usage(format!(
            "{} images, of which some may be equal, are too few for {} folds; use fewer.",
            images.len(),
            fold.of
        )));
    }
    Ok((images.select(&kept), images.select(&held)))
}

/// How many of a class's images are held out.
pub(super) fn quota(images: usize, fraction: f64) -> usize {
    let share = (images as f64 * fraction.clamp(0.0, 1.0)).round() as usize;
    if images < 2 { 0 } else { share.clamp(1, images - 1) }
}

/// Whether each class has an image left after these images are held out.
fn leaves_every_class(group: &[u32], labels: &[u32], remaining: &[usize]) -> bool {
    let of = |class: u32| group.iter().filter(|&&number| labels[number as usize] == class).count();
    group.iter().map(|&number| labels[number as usize]).all(|class| remaining[class as usize] > of(class))
}

/// A random number for each image, from the seed and the image's pixels. Equal images have equal numbers.
pub(super) fn keys(split: &Split, seed: u64) -> Result<Vec<u64>> {
    let width = split.pixels.len() / split.len().max(1);
    let mut bytes = vec![0; width * split.pixels.value_bytes()];
    (0..split.len() as u32)
        .map(|number| {
            split.pixels.read(width, &[number], &mut bytes)?;
            let mut hash = Fnv1a::new();
            hash.add(&seed.to_le_bytes());
            hash.add(&bytes);
            Ok(mixed(hash.value()))
        })
        .collect()
}

/// The finaliser of MurmurHash3 (A. Appleby): every bit of the result depends on every bit of `x`.
fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    use super::super::Pixels;
    use super::*;

    /// Images of one pixel.
    fn images(pixels: &[u8], labels: &[u32]) -> Split {
        Split::new(Pixels::U8(pixels.to_vec()), labels.to_vec())
    }

    /// 3 classes of 10, 20 and 30 images.
    fn sample() -> Split {
        let labels: Vec<u32> = (0..60).map(|i| [0, 1, 1, 2, 2, 2][i % 6]).collect();
        images(&(0..60).collect::<Vec<u8>>(), &labels)
    }

    fn counts(split: &Split, classes: u32) -> Vec<usize> {
        (0..classes).map(|class| split.labels.iter().filter(|&&label| label == class).count()).collect()
    }

    fn bytes(split: &Split) -> Vec<u8> {
        let Pixels::U8(bytes) = &split.pixels else { panic!("bytes stay bytes") };
        bytes.clone()
    }

    #[test]
    fn what_is_held_out_is_stratified_and_disjoint() {
        let (kept, held) = split_off(sample(), 0.1, 9).expect("in memory");
        assert_eq!((counts(&kept, 3), counts(&held, 3)), (vec![9, 18, 27], vec![1, 2, 3]));
        let mut all = [bytes(&kept), bytes(&held)].concat();
        all.sort_unstable();
        assert_eq!(all, bytes(&sample()));
    }

    #[test]
    fn every_class_keeps_an_image_and_holds_one_out() {
        for fraction in [1e-9, 0.5, 1.0] {
            let (kept, held) =
                split_off(images(&[1, 2, 3, 4, 5, 6], &[0, 1, 1, 2, 2, 2]), fraction, 1).expect("in memory");
            assert_eq!(counts(&kept, 3)[0], 1);
            for class in [1, 2] {
                assert!(counts(&kept, 3)[class] >= 1 && counts(&held, 3)[class] >= 1, "{fraction}");
            }
        }
    }

    #[test]
    fn folds_are_stratified_and_keep_equal_images_together() {
        let parts = folds(&sample(), 5, 3).expect("in memory");
        for part in 0..5 {
            let of = |class: u32| (0..60).filter(|&i| parts[i] == part && sample().labels[i] == class).count();
            assert_eq!([of(0), of(1), of(2)], [2, 4, 6]);
        }
        let pixels: Vec<u8> = (0..40).map(|i| i / 2).collect();
        let parts = folds(&images(&pixels, &(0..40).map(|i| i % 2).collect::<Vec<u32>>()), 4, 1).expect("in memory");
        assert!(parts.chunks(2).all(|pair| pair[0] == pair[1]));
        assert!((0..4).all(|part| parts.iter().filter(|&&of| of == part).count() == 10));
    }

    #[test]
    fn each_image_is_held_out_in_one_fold() {
        let all: Vec<u8> = (1..=5)
            .flat_map(|part| {
                let (kept, held) = split_fold(sample(), Fold { part, of: 5 }, 3).expect("in memory");
                assert_eq!((counts(&kept, 3), counts(&held, 3)), (vec![8, 16, 24], vec![2, 4, 6]));
                bytes(&held)
            })
            .collect();
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 60);
        let sentence = split_fold(images(&[7, 7, 8], &[0, 0, 1]), Fold { part: 3, of: 3 }, 1).expect_err("two images");
        assert!(sentence.to_string().contains("too few for 3 folds"), "{sentence}");
    }

    #[test]
    fn equal_images_stay_on_one_side() {
        // Pairs of equal images, the second of each with another label.
        let pixels: Vec<u8> = (0..40).map(|i| i / 2).collect();
        let labels: Vec<u32> = (0..40).map(|i| i % 2).collect();
        for seed in 0..20 {
            let (kept, held) = split_off(images(&pixels, &labels), 0.25, seed).expect("in memory");
            assert_eq!(held.len(), 10);
            assert!(bytes(&held).iter().all(|image| !bytes(&kept).contains(image)));
        }
        // All images of a class are equal: they stay.
        let (kept, held) = split_off(images(&[7, 7, 7, 1, 2, 3], &[0, 0, 0, 1, 1, 1]), 0.5, 1).expect("in memory");
        assert_eq!((counts(&kept, 2)[0], counts(&held, 2)[0]), (3, 0));
    }

    #[test]
    fn the_order_of_files_and_new_files_move_nothing_else() {
        let whole = sample();
        let (_, held) = split_off(whole.clone(), 0.2, 3).expect("in memory");
        let reversed: Vec<u32> = (0..60).rev().collect();
        let (_, other) = split_off(whole.select(&reversed), 0.2, 3).expect("in memory");
        let sorted = |split: &Split| {
            let mut bytes = bytes(split);
            bytes.sort_unstable();
            bytes
        };
        assert_eq!(sorted(&held), sorted(&other));
        let mut more = whole;
        let Pixels::U8(pixels) = &mut more.pixels else { panic!("bytes stay bytes") };
        pixels.extend([200, 201, 202, 203, 204]);
        more.labels.extend([2; 5]);
        let (_, grown) = split_off(more, 0.2, 3).expect("in memory");
        let moved = bytes(&held).iter().filter(|image| !bytes(&grown).contains(image)).count();
        assert!(moved <= 5 && grown.len() == held.len() + 1, "{moved} moved");
    }
}
