//! Holding out a part of images with any number of labels: iterative stratification (K. Sechidis, G. Tsoumakas and I. Vlahavas, "On the
//! stratification of multi-label data", ECML PKDD 2011).

use std::collections::BTreeMap;

use super::hold_out::{keys, quota};
use super::{LabelSets, Split};
use crate::Result;

/// Images with equal pixels, which stay together: their numbers, and how many of them have each class.
struct Group {
    key: u64,
    images: Vec<u32>,
    counts: BTreeMap<u32, usize>,
}

/// Holds out a fraction (0 to 1) of images whose labels are numbers of sets, as [`split_off`](super::split_off) does for images with one
/// label. The fraction of each class is about the same. At least one image of each class stays, and one is held out if the class has two.
///
/// # Errors
/// When images on the disk cannot be read.
pub fn split_off_sets(train: Split, sets: &LabelSets, fraction: f64, seed: u64) -> Result<(Split, Split)> {
    let mut groups = groups(&train, sets, keys(&train, seed)?);
    let classes = sets.largest().map_or(0, |largest| largest as usize + 1);
    let all = sets.counts(&train.labels, classes);
    let held_of = |count: usize| quota(count, fraction) as i64;
    // What each side still wants: of every class, and in all.
    let mut held_wants: Vec<i64> = all.iter().map(|&count| held_of(count)).collect();
    let mut kept_wants: Vec<i64> = all.iter().zip(&held_wants).map(|(&count, held)| count as i64 - held).collect();
    let mut in_all = [held_of(train.len()), train.len() as i64 - held_of(train.len())];
    // What is not held out so far.
    let mut staying = all;
    let mut held = Vec::new();
    while let Some(class) = rarest(&groups, classes) {
        let (of_class, others): (Vec<Group>, Vec<Group>) =
            groups.into_iter().partition(|group| class.is_none_or(|class| group.counts.contains_key(&class)));
        groups = others;
        for group in of_class {
            let (held_wanted, kept_wanted) = match class {
                Some(class) => (held_wants[class as usize], kept_wants[class as usize]),
                None => (in_all[0], in_all[1]),
            };
            let stays = |(&class, &count): (&u32, &usize)| staying[class as usize] > count;
            let wanted = (held_wanted, in_all[0]) > (kept_wanted, in_all[1]) && group.counts.iter().all(stays);
            let (wants, side) = if wanted { (&mut held_wants, 0) } else { (&mut kept_wants, 1) };
            group.counts.iter().for_each(|(&class, &count)| wants[class as usize] -= count as i64);
            in_all[side] -= group.images.len() as i64;
            if wanted {
                group.counts.iter().for_each(|(&class, &count)| staying[class as usize] -= count);
                held.extend(group.images);
            }
        }
    }
    held.sort_unstable();
    let kept: Vec<u32> = (0..train.len() as u32).filter(|number| held.binary_search(number).is_err()).collect();
    Ok((train.select(&kept), train.select(&held)))
}

/// The images in groups of equal pixels, in the order of their keys, which is random.
fn groups(train: &Split, sets: &LabelSets, keys: Vec<u64>) -> Vec<Group> {
    let mut groups: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    keys.into_iter().zip(0..).for_each(|(key, number)| groups.entry(key).or_default().push(number));
    let group = |(key, images): (u64, Vec<u32>)| {
        let mut counts = BTreeMap::new();
        let all = images.iter().flat_map(|&number| sets.get(train.labels[number as usize]));
        all.for_each(|&class| *counts.entry(class).or_insert(0) += 1);
        Group { key, images, counts }
    };
    let mut groups: Vec<Group> = groups.into_iter().map(group).collect();
    groups.sort_by_key(|group| group.key);
    groups
}

/// The class of which the fewest images are left, `Some(None)` if only images without classes are left, and `None` if none is.
fn rarest(groups: &[Group], classes: usize) -> Option<Option<u32>> {
    if groups.is_empty() {
        return None;
    }
    let mut left = vec![0; classes];
    groups.iter().flat_map(|group| &group.counts).for_each(|(&class, &count)| left[class as usize] += count);
    let there = (0..).zip(left).filter(|&(_, count): &(u32, usize)| count > 0);
    Some(there.min_by_key(|&(_, count)| count).map(|(class, _)| class))
}

#[cfg(test)]
mod tests {
    use super::super::Pixels;
    use super::*;

    /// 300 images of one or two bytes, of which 20 are equal to others: class 0 has half of them, class 1 a third, class 2 a tenth, class 3
    /// three images, and class 4 one.
    fn sample() -> (Split, LabelSets) {
        let classes = |i: u32| {
            let has = [i % 2 == 1, i % 3 == 1, i % 10 == 1, i % 100 == 7, i == 50];
            (0..).zip(has).filter(|(_, has)| *has).map(|(class, _)| class).collect()
        };
        let (sets, labels) = LabelSets::of((0..300).map(classes));
        let pixels = (0..300_u32).flat_map(|i| (if i >= 280 { i - 280 } else { i }).to_le_bytes()[..2].to_vec());
        (Split::new(Pixels::U8(pixels.collect()), labels), sets)
    }

    #[test]
    fn each_class_has_its_share_on_both_sides() {
        let (all, sets) = sample();
        let counts = |split: &Split| sets.counts(&split.labels, 5);
        let whole = counts(&all);
        for seed in 1..6 {
            let (kept, held) = split_off_sets(all.clone(), &sets, 0.2, seed).expect("in memory");
            assert_eq!(kept.len() + held.len(), 300);
            assert!((56..=64).contains(&held.len()), "{}", held.len());
            let (kept, held) = (counts(&kept), counts(&held));
            for class in 0..5 {
                let wanted = (0.2 * whole[class] as f64).round() as i64;
                assert!((held[class] as i64 - wanted).abs() <= 3, "class {class}: {held:?} of {whole:?}");
                assert!(kept[class] > 0, "{kept:?}");
            }
            assert!(held[3] > 0 && held[4] == 0, "{held:?}");
        }
    }

    #[test]
    fn equal_images_stay_together_and_the_place_does_not_matter() {
        let (all, sets) = sample();
        let (kept, held) = split_off_sets(all.clone(), &sets, 0.2, 3).expect("in memory");
        let images = |split: &Split| (0..split.len()).map(|i| format!("{:?}", split.image(i))).collect::<Vec<_>>();
        assert!(images(&held).iter().all(|image| !images(&kept).contains(image)));
        let backwards: Vec<u32> = (0..300).rev().collect();
        let (_, again) = split_off_sets(all.select(&backwards), &sets, 0.2, 3).expect("in memory");
        let sorted = |split: &Split| {
            let mut all = images(split);
            all.sort();
            all
        };
        assert_eq!(sorted(&held), sorted(&again));
        let (_, other) = split_off_sets(all, &sets, 0.2, 4).expect("in memory");
        assert_ne!(sorted(&held), sorted(&other));
    }
}
