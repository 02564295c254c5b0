//! Datasets from images in memory, and the checks of every dataset before training.

use super::{Dataset, LabelSets, Pixels, Split, SplitName, split_off_labelled};
use crate::{Error, Result};

impl From<Vec<u8>> for Pixels {
    fn from(values: Vec<u8>) -> Self {
        Self::U8(values)
    }
}

impl From<Vec<f32>> for Pixels {
    fn from(values: Vec<f32>) -> Self {
        Self::F32(values)
    }
}

impl Dataset {
    /// A dataset from images in memory. It has only a training split. [`Dataset::with_validation`], [`Dataset::with_test`] and
    /// [`Dataset::hold_out`] add the other splits.
    ///
    /// `pixels` holds the concatenated images, row-major. `shape` is the shape of an image: channels, height and width. Bytes
    /// (`Vec<u8>`) are divided by 255. Floats (`Vec<f32>`) are used unchanged and are usually from 0 to 1. `labels` holds the
    /// class number of each image, from 0.
    ///
    /// ```
    /// use gpunn::data::Dataset;
    ///
    /// // Four images of 1 x 2 x 2 bytes.
    /// let pixels = vec![0_u8, 0, 9, 9, 0, 0, 8, 8, 9, 9, 0, 0, 8, 8, 0, 0];
    /// let dataset = Dataset::from_images(pixels, [1, 2, 2], vec![0, 0, 1, 1], ["floor", "ceiling"])?;
    /// assert_eq!(dataset.train.len(), 4);
    ///
    /// // A label without a class is an error, and so is a missing pixel.
    /// assert!(Dataset::from_images(vec![0_u8; 8], [1, 2, 2], vec![0, 2], ["floor", "ceiling"]).is_err());
    /// assert!(Dataset::from_images(vec![0_u8; 7], [1, 2, 2], vec![0, 1], ["floor", "ceiling"]).is_err());
    /// # Ok::<(), gpunn::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] when the number of values does not fit the shape and the number of labels, there are no images, a label
    /// is not below the number of classes, a class has no image, two classes have the same name, or a float is NaN or infinite.
    pub fn from_images(
        pixels: impl Into<Pixels>,
        shape: [usize; 3],
        labels: Vec<u32>,
        classes: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self> {
        Self::in_memory(Split::new(pixels.into(), labels), shape, None, classes).checked()
    }

    /// As [`Dataset::from_images`], for images with any number of classes: `labels` holds the class numbers of each image.
    ///
    /// ```
    /// use gpunn::data::Dataset;
    ///
    /// let labels = vec![vec![0], vec![0, 1], vec![]];
    /// let dataset = Dataset::from_tagged_images(vec![7_u8; 3], [1, 1, 1], labels, ["outdoor", "dog"])?;
    /// assert_eq!(dataset.training_images_of_each(), [2, 1]);
    /// # Ok::<(), gpunn::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Dataset::from_images`].
    pub fn from_tagged_images(
        pixels: impl Into<Pixels>,
        shape: [usize; 3],
        labels: Vec<Vec<u32>>,
        classes: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self> {
        let (sets, labels) = LabelSets::of(labels);
        Self::in_memory(Split::new(pixels.into(), labels), shape, Some(sets), classes).checked()
    }

    fn in_memory(
        train: Split,
        input: [usize; 3],
        sets: Option<LabelSets>,
        classes: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            name: "images".into(),
            input,
            classes: classes.into_iter().map(Into::into).collect(),
            sets,
            train,
            val: None,
            test: None,
            folder: None,
            skipped: Vec::new(),
            absent: Vec::new(),
        }
    }

    /// The checks of images in memory.
    fn checked(self) -> Result<Self> {
        let shape = self.input;
        if shape.contains(&0) {
            return Err(Error::data(format!("An image of shape {shape:?} has no pixel.")));
        }
        for (number, class) in self.classes.iter().enumerate() {
            if self.classes[..number].contains(class) {
                return Err(Error::data(format!("Two classes have the name `{class}`.")));
            }
        }
        if self.train.is_empty() {
            return Err(Error::data("There is no image to train on."));
        }
        self.validate()?;
        self.every_class_has_an_image()?;
        Ok(self)
    }

    /// The same dataset with another name, which recipes and checkpoints store.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The same dataset with a validation split. Its images are given as in [`Dataset::from_images`], with the same shape and
    /// classes.
    ///
    /// # Errors
    /// As [`Dataset::from_images`], but a class may have no image.
    pub fn with_validation(mut self, pixels: impl Into<Pixels>, labels: Vec<u32>) -> Result<Self> {
        self.val = Some(Split::new(pixels.into(), labels));
        self.validate()?;
        Ok(self)
    }

    /// The same dataset with a test split. Its images are given as in [`Dataset::from_images`], with the same shape and
    /// classes.
    ///
    /// # Errors
    /// As [`Dataset::from_images`], but a class may have no image.
    pub fn with_test(mut self, pixels: impl Into<Pixels>, labels: Vec<u32>) -> Result<Self> {
        self.test = Some(Split::new(pixels.into(), labels));
        self.validate()?;
        Ok(self)
    }

    /// Moves a fraction of the training images into a new validation or test split. The fraction is the same for each class,
    /// rounded to whole images: at least one of each class, and not all. [`split_off`](super::split_off) says how `seed` selects them.
    ///
    /// # Errors
    /// [`Error::Usage`] when the fraction is not between 0 and 1, the split exists already, or it is the training split.
    /// [`Error::Data`] when no image would be moved, because no class has two images. [`Error::File`] when images on the disk cannot
    /// be read.
    pub fn hold_out(mut self, split: SplitName, fraction: f64, seed: u64) -> Result<Self> {
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::usage(format!(
                "The fraction to hold out is {fraction}, but has to be between 0 and 1."
            )));
        }
        self.validate()?;
        let place = match split {
            SplitName::Train => {
                return Err(Error::usage("Images are held out for the split val or test, not for train."));
            }
            SplitName::Val => &mut self.val,
            SplitName::Test => &mut self.test,
        };
        if place.is_some() {
            return Err(Error::usage(format!("The dataset {} has a {split} split already.", self.name)));
        }
        let (kept, held) = {
            let train = std::mem::replace(&mut self.train, Split::empty());
            split_off_labelled(train, self.sets.as_ref(), fraction, seed)?
        };
        if held.is_empty() {
            return Err(Error::data(format!(
                "No class of {} has two different images, so nothing would be held out.",
                self.name
            )));
        }
        (self.train, *place) = (kept, Some(held));
        self.every_class_has_an_image()?;
        Ok(self)
    }

    /// Checks that each split has the values of as many images as labels, that each label has a class, and that floats are
    /// finite. Training and evaluation start with this check. Images on the disk are not read.
    ///
    /// # Errors
    /// [`Error::Data`] when a check fails. The message names the split, the image and the reason.
    pub fn validate(&self) -> Result<()> {
        let splits = [("training", Some(&self.train)), ("validation", self.val.as_ref()), ("test", self.test.as_ref())];
        for (name, split) in splits.into_iter().filter_map(|(name, split)| Some((name, split?))) {
            self.validate_split(split).map_err(|reason| {
                Error::data(format!("The {name} split of the dataset {} is wrong: {reason}.", self.name))
            })?;
        }
        Ok(())
    }

    fn validate_split(&self, split: &Split) -> Result<(), String> {
        let [channels, height, width] = self.input;
        let size = channels * height * width;
        if u32::try_from(split.len()).is_err() {
            return Err(format!("it has {} images, but may have {} at most", split.len(), u32::MAX));
        }
        if split.pixels.len() != split.len() * size {
            return Err(format!(
                "{} labels stand for as many images of {channels} x {height} x {width} = {size} values, {} in all, but there are \
                 {} values",
                split.len(),
                split.len() * size,
                split.pixels.len()
            ));
        }
        let (classes, sets) = (self.classes.len(), self.sets.as_ref());
        let (labels, what) = sets.map_or((classes, "classes"), |sets| (sets.len(), "sets of classes"));
        if let Some(image) = split.labels.iter().position(|&label| label as usize >= labels) {
            return Err(format!(
                "image {image} has the label {}, but there are {labels} {what}, numbered from 0",
                split.labels[image]
            ));
        }
        if let Some(class) = sets.and_then(LabelSets::largest).filter(|&class| class as usize >= classes) {
            return Err(format!("a set has the class {class}, but there are {classes} classes, numbered from 0"));
        }
        if let Pixels::F32(values) = &split.pixels
            && let Some(at) = values.iter().position(|value| !value.is_finite())
        {
            return Err(format!("image {} holds the value {}, which is not finite", at / size.max(1), values[at]));
        }
        Ok(())
    }

    /// The number of training images of each class.
    pub fn training_images_of_each(&self) -> Vec<usize> {
        let (labels, classes) = (&self.train.labels, self.classes.len());
        match &self.sets {
            Some(sets) => sets.counts(labels, classes),
            None => {
                let mut counts = vec![0; classes];
                labels.iter().for_each(|&label| counts[label as usize] += 1);
                counts
            }
        }
    }

    /// Checks that each class has a training image.
    pub(crate) fn every_class_has_an_image(&self) -> Result<()> {
        let counts = self.training_images_of_each();
        match counts.iter().position(|&count| count == 0) {
            Some(class) => Err(Error::data(format!(
                "The class `{}` (number {class}) has no training image, so it cannot be learned.",
                self.classes[class]
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [1, 1, 2];

    fn ten() -> Dataset {
        let labels = (0..10).map(|i| i % 2).collect();
        Dataset::from_images((0..20).collect::<Vec<u8>>(), SHAPE, labels, ["a", "b"]).expect("a dataset")
    }

    fn refused<T: std::fmt::Debug>(result: Result<T>, part: &str) {
        let sentence = result.expect_err("refused").to_string();
        assert!(sentence.contains(part) && sentence.ends_with('.'), "{sentence}");
    }

    #[test]
    fn images_that_do_not_fit_are_refused() {
        let of = |pixels: Vec<u8>, labels: &[u32]| Dataset::from_images(pixels, SHAPE, labels.to_vec(), ["a", "b"]);
        assert!(of(vec![0; 4], &[0, 1]).is_ok());
        refused(of(vec![0; 3], &[0, 1]), "4 in all, but there are 3 values");
        refused(of(vec![0; 5], &[0, 1]), "there are 5 values");
        refused(of(vec![0; 4], &[0, 2]), "image 1 has the label 2, but there are 2 classes");
        refused(of(vec![0; 4], &[0, 0]), "`b` (number 1) has no training image");
        refused(of(Vec::new(), &[]), "no image to train on");
        refused(Dataset::from_images(Vec::<u8>::new(), [1, 0, 2], vec![0, 1], ["a", "b"]), "has no pixel");
        refused(Dataset::from_images(vec![0_u8; 4], SHAPE, vec![0, 1], ["a", "a"]), "the name `a`");
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let pixels = vec![0.0, 0.5, value, 1.0];
            refused(Dataset::from_images(pixels, SHAPE, vec![0, 1], ["a", "b"]), "image 1 holds the value");
        }
    }

    #[test]
    fn other_splits_are_checked_too() {
        let set = ten().with_validation(vec![1_u8, 2], vec![1]).expect("valid").with_test(vec![3_u8; 4], vec![0, 0]);
        let set = set.expect("valid");
        assert_eq!((set.val.as_ref().map(Split::len), set.test.as_ref().map(Split::len)), (Some(1), Some(2)));
        refused(ten().with_validation(vec![1_u8, 2], vec![2]), "The validation split of the dataset images");
        refused(ten().with_validation(vec![f32::NAN, 2.0], vec![0]), "not finite");
        refused(ten().with_test(vec![1_u8, 2, 3], vec![0]), "The test split");
    }

    #[test]
    fn a_fraction_is_held_out_of_each_class() {
        let set = ten().hold_out(SplitName::Val, 0.2, 1).expect("held out");
        let set = set.hold_out(SplitName::Test, 0.25, 1).expect("held out").named("mine");
        let count = |split: &Split, label: u32| split.labels.iter().filter(|&&found| found == label).count();
        let (val, test) = (set.val.as_ref().expect("there"), set.test.as_ref().expect("there"));
        for label in [0, 1] {
            assert_eq!([&set.train, val, test].map(|split| count(split, label)), [3, 1, 1]);
        }
        assert!(set.validate().is_ok());
        refused(set.hold_out(SplitName::Val, 0.2, 1), "mine has a val split already");
        refused(ten().hold_out(SplitName::Train, 0.2, 1), "not for train");
        // An image of each class is held out, and one stays, whatever the fraction is.
        for (fraction, held) in [(0.01, 2), (0.99, 8)] {
            let set = ten().hold_out(SplitName::Val, fraction, 1).expect("held out");
            assert_eq!((set.train.len(), set.split(SplitName::Val).expect("a split").len()), (10 - held, held));
        }
        let single = Dataset::from_images(vec![0_u8, 1, 2, 3], SHAPE, vec![0, 1], ["a", "b"]).expect("a dataset");
        refused(single.hold_out(SplitName::Val, 0.5, 1), "nothing would be held out");
        for fraction in [0.0, 1.0, -0.5, f64::NAN] {
            refused(ten().hold_out(SplitName::Val, fraction, 1), "between 0 and 1");
        }
    }
}
