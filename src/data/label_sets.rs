//! Sets of classes, for images with any number of labels.

use std::collections::BTreeMap;

use super::Split;

/// The different sets of classes that the images of a dataset have. An image's label is the number of its set.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LabelSets {
    sets: Vec<Vec<u32>>,
}

impl LabelSets {
    /// The sets of images, which may have their classes in any order, and the number of each image's set. Sets are numbered in
    /// ascending order, so the numbers do not depend on the order of the images.
    pub fn of(images: impl IntoIterator<Item = Vec<u32>>) -> (Self, Vec<u32>) {
        let sorted = |mut set: Vec<u32>| {
            set.sort_unstable();
            set.dedup();
            set
        };
        let images: Vec<Vec<u32>> = images.into_iter().map(sorted).collect();
        let mut numbers: BTreeMap<&Vec<u32>, u32> = images.iter().map(|set| (set, 0)).collect();
        numbers.values_mut().zip(0..).for_each(|(number, place)| *number = place);
        let labels = images.iter().map(|set| numbers[set]).collect();
        (Self { sets: numbers.into_keys().cloned().collect() }, labels)
    }

    /// A set for each single class, so that the number of a class is that of its set.
    pub fn singles(classes: usize) -> Self {
        Self { sets: (0..classes as u32).map(|class| vec![class]).collect() }
    }

    /// The number of different sets.
    pub fn len(&self) -> usize {
        self.sets.len()
    }
    /// Whether there is no set.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
    /// The classes of a set, in ascending order. Empty for an image without labels.
    ///
    /// # Panics
    /// When the number is not below [`LabelSets::len`].
    pub fn get(&self, number: u32) -> &[u32] {
        &self.sets[number as usize]
    }
    /// Whether a set has a class.
    pub fn has(&self, number: u32, class: usize) -> bool {
        self.get(number).iter().any(|&own| own as usize == class)
    }

    /// The largest class number of all sets.
    pub(super) fn largest(&self) -> Option<u32> {
        self.sets.iter().filter_map(|set| set.last()).max().copied()
    }

    /// The targets of images with these labels, `[images, classes]`: 1 for the classes of an image, else 0.
    pub fn targets(&self, labels: &[u32], classes: usize) -> Vec<f32> {
        let mut targets = vec![0.0; labels.len() * classes];
        for (row, &label) in targets.chunks_mut(classes.max(1)).zip(labels) {
            self.get(label).iter().for_each(|&class| row[class as usize] = 1.0);
        }
        targets
    }

    /// The number of images with these labels that have each class.
    pub fn counts(&self, labels: &[u32], classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        labels.iter().flat_map(|&label| self.get(label)).for_each(|&class| counts[class as usize] += 1);
        counts
    }

    /// The names of a set's classes, joined by `;`.
    pub fn names(&self, number: u32, classes: &[String]) -> String {
        self.get(number).iter().map(|&class| classes[class as usize].as_str()).collect::<Vec<_>>().join(";")
    }

    /// Each image once for each of its classes, with that class as its label. Images without classes are left out.
    pub fn spread(&self, split: &Split) -> Split {
        let each =
            (0..).zip(&split.labels).flat_map(|(image, &set)| self.get(set).iter().map(move |&class| (image, class)));
        let (images, labels): (Vec<u32>, Vec<u32>) = each.unzip();
        Split { labels, ..split.select(&images) }
    }

    /// The same sets with other numbers for the classes: those of `places`. The numbers of the sets stay.
    #[must_use]
    pub fn renumbered(&self, places: &[u32]) -> Self {
        let renumber = |set: &Vec<u32>| {
            let mut set: Vec<u32> = set.iter().map(|&class| places[class as usize]).collect();
            set.sort_unstable();
            set
        };
        Self { sets: self.sets.iter().map(renumber).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pixels;
    use super::*;

    fn sample() -> (LabelSets, Vec<u32>) {
        LabelSets::of([vec![2, 0], vec![], vec![1], vec![0, 2, 2], vec![1]])
    }

    #[test]
    fn equal_sets_have_one_number_whatever_their_order() {
        let (sets, labels) = sample();
        assert_eq!((sets.len(), labels.as_slice()), (3, &[1, 0, 2, 1, 2][..]));
        assert_eq!((sets.get(0), sets.get(1), sets.has(1, 2), sets.has(1, 1)), (&[][..], &[0, 2][..], true, false));
        assert_eq!(sets.counts(&labels, 3), [2, 2, 2]);
        assert_eq!(sets.targets(&labels[..3], 3), [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        let names = ["a", "b", "c"].map(String::from);
        assert_eq!([0, 1, 2].map(|set| sets.names(set, &names)), ["", "a;c", "b"]);
        assert_eq!(sets.renumbered(&[2, 1, 0]).get(1), [0, 2]);
        assert_eq!(sets.largest(), Some(2));
    }

    #[test]
    fn an_image_is_spread_over_its_classes() {
        let (sets, labels) = sample();
        let split = sets.spread(&Split::new(Pixels::U8(vec![10, 11, 12, 13, 14]), labels));
        assert_eq!(split, Split::new(Pixels::U8(vec![10, 10, 12, 13, 13, 14]), vec![0, 2, 1, 0, 2, 1]));
    }
}
