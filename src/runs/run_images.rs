//! Which image files a run trains on, and which it holds out. A run directory keeps them, so that a held-out image stays held out when
//! files are added, removed or renamed.

use std::collections::HashSet;
use std::path::Path;

use super::directory::{IMAGES, RunDirectory};
use crate::data::{Dataset, ImageFile, Split, SplitName};
use crate::files::write_atomic;
use crate::train::Recipe;
use crate::{Error, Result};

/// The image files of a run's splits.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunImages {
    /// The images that the run trains on.
    pub train: Vec<ImageFile>,
    /// The images for validation.
    pub val: Vec<ImageFile>,
    /// The images for the final evaluation.
    pub test: Vec<ImageFile>,
}

impl RunImages {
    /// The files of a dataset. `None` if its images are not in files of their own.
    pub fn of(dataset: &Dataset) -> Option<Self> {
        let files = |name| dataset.split(name).map_or_else(|_| Vec::new(), |split| split.files.clone());
        let [train, val, test] = [SplitName::Train, SplitName::Val, SplitName::Test].map(files);
        (!train.is_empty()).then_some(Self { train, val, test })
    }

    /// Divides training images into those that the run trains on and those that it holds out. A file with the bytes of a file of
    /// the run is on the same side, wherever it is now; so is a file that has its path. New files are trained on.
    ///
    /// # Errors
    /// [`Error::Usage`] when no held-out image is left.
    pub fn divide(&self, train: Split) -> Result<(Split, Split)> {
        let hashes = |files: &[ImageFile]| files.iter().map(|file| file.hash).collect::<HashSet<_>>();
        let (trained, held) = (hashes(&self.train), hashes(&self.val));
        let held_paths: HashSet<&str> = self.val.iter().map(|file| file.path.as_str()).collect();
        let is_held = |&number: &u32| {
            let file = &train.files[number as usize];
            held.contains(&file.hash) || (!trained.contains(&file.hash) && held_paths.contains(file.path.as_str()))
        };
        let (held, kept): (Vec<u32>, Vec<u32>) = (0..train.len() as u32).partition(is_held);
        if held.is_empty() && !self.val.is_empty() {
            return Err(Error::usage(format!(
                "None of the {} images that the run held out for validation is left in the folder. Train a new run, or evaluate another \
                 folder with --dataset.",
                self.val.len()
            )));
        }
        Ok((train.select(&kept), train.select(&held)))
    }

    /// What is different in a dataset, in a sentence. `None` if nothing is.
    pub fn changes(&self, dataset: &Dataset) -> Option<String> {
        let now = Self::of(dataset)?;
        fn all(images: &RunImages) -> HashSet<u64> {
            [&images.train, &images.val, &images.test].into_iter().flatten().map(|file| file.hash).collect()
        }
        let (before, after) = (all(self), all(&now));
        let (new, gone) = (after.difference(&before).count(), before.difference(&after).count());
        let images = |count: usize| if count == 1 { "1 image".into() } else { format!("{count} images") };
        (new + gone > 0).then(|| {
            format!(
                "{} changed since the run began: {} new, {} gone; the images that the run held out are still held out",
                dataset.name,
                images(new),
                images(gone)
            )
        })
    }
}

impl RunDirectory {
    /// Writes which image files the run trains on and which it holds out. Nothing is written if images are not in files of their
    /// own.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub fn write_images(&self, dataset: &Dataset) -> Result<()> {
        RunImages::of(dataset).map_or(Ok(()), |images| self.write_list(&images))
    }

    /// Writes this list of the run's image files.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub fn write_list(&self, images: &RunImages) -> Result<()> {
        let text = serde_json::to_string(images)
            .map_err(|error| Error::data(format!("The list of images cannot be written as JSON: {error}.")))?;
        write_atomic(&self.path().join(IMAGES), text.as_bytes())
    }

    /// The run's image files. `None` if they are not known: images were not in files of their own, or the run is of an earlier
    /// version.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn images(&self) -> Result<Option<RunImages>> {
        self.read_json(IMAGES, "a valid list of images")
    }

    /// Loads the dataset of the run, as [`Recipe::load_data`] does, with the images held out that the run holds out. Also returns
    /// what changed in the dataset since the run began.
    ///
    /// # Errors
    /// As [`Recipe::load_data`], [`RunDirectory::images`] and [`RunImages::divide`].
    pub fn load_data(&self, recipe: &mut Recipe, data_dir: Option<&Path>) -> Result<(Dataset, Option<String>)> {
        let images = self.images()?;
        let dataset = recipe.load_data_as(images.as_ref(), data_dir)?;
        // With a limit, most files of the folder are not the run's.
        let known = images.filter(|_| recipe.data.limit_train.is_none());
        let changes = known.and_then(|images| images.changes(&dataset));
        Ok((dataset, changes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Pixels;

    /// A split of images of one pixel. The value is the content, and its path has this name.
    fn split(images: &[(u8, &str)]) -> Split {
        let files = images.iter().map(|&(value, path)| ImageFile { path: path.into(), bytes: 1, hash: value.into() });
        Split {
            pixels: Pixels::U8(images.iter().map(|&(value, _)| value).collect()),
            labels: vec![0; images.len()],
            files: files.collect(),
        }
    }

    fn values(split: &Split) -> Vec<u8> {
        match &split.pixels {
            Pixels::U8(values) => values.clone(),
            _ => panic!("bytes"),
        }
    }

    #[test]
    fn a_held_out_image_stays_held_out_when_files_come_go_move_and_change() {
        let images = RunImages {
            train: split(&[(1, "a/1"), (2, "a/2")]).files,
            val: split(&[(3, "a/3"), (4, "a/4")]).files,
            test: Vec::new(),
        };
        // 9 is new, 3 moved, 1 is gone, the file a/4 has other bytes, and 2 has the path of a held-out image.
        let now = split(&[(9, "a/9"), (3, "b/3"), (2, "a/3"), (5, "a/4")]);
        let (kept, held) = images.divide(now.clone()).expect("divided");
        assert_eq!((values(&kept), values(&held)), (vec![9, 2], vec![3, 5]));
        assert_eq!(held.file(0), Some("b/3"));

        let mut dataset = crate::data::glyphs::dataset().without_images([1, 1, 1]);
        dataset.train = now;
        let said = images.changes(&dataset).expect("changes");
        assert!(said.contains("2 images new, 2 images gone"), "{said}");
        let nothing = images.divide(split(&[(1, "a/1")])).expect_err("refused").to_string();
        assert!(nothing.contains("None of the 2 images"), "{nothing}");
    }
}
