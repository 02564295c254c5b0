//! The character datasets in MAT files: NIST36, NIST26 and emnist36, which has the same layout. There is one file for each
//! split. It has two arrays: `SPLIT_data`, N x 1024, with an image in each row, and `SPLIT_labels`, N x classes, one-hot.
//! The labels may also be class numbers, as a column or row of N.
//!
//! **Each row is an image in column-major order**, as MATLAB stores it: value `32 * x + y` of a row is the pixel in column x
//! and row y. Images are transposed here.

use super::info::DatasetInfo;
use crate::data::{Dataset, Pixels, Split, SplitName, glyphs::SIDE, letters_and_digits};
use crate::error::all_or_first;
use crate::formats::mat::{self, MatArray};
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::Path;

/// The splits in the names of the files.
const NAMES: [&str; 3] = ["train", "valid", "test"];

/// Loads dataset `info` from the folder of its name in `directory`. All three files are required, except for `nist26`, where
/// one is enough.
///
/// # Errors
/// [`Error::Usage`] for missing files, [`Error::Data`] for damaged or wrong files.
pub fn load(info: &DatasetInfo, directory: &Path) -> Result<Dataset> {
    let partial = info.name == "nist26";
    let mut classes = letters_and_digits();
    if partial {
        classes.truncate(26);
    }
    let folder = directory.join(info.name);
    let read = |name: &&str| {
        let path = folder.join(format!("{}_{name}.mat", info.name));
        if !path.exists() {
            if partial {
                return Ok(None);
            }
            return Err(Error::usage(format!(
                "The dataset {} was requested, but {} is not there; it needs {}.",
                info.name,
                path.display(),
                info.files.join(", ")
            )));
        }
        let arrays = mat::read(&path)?;
        let file = path.display().to_string();
        let pixels = upright(array(&arrays, &format!("{name}_data"), &file)?, &file)?;
        let count = pixels.len() / (SIDE * SIDE);
        let labels = labels(array(&arrays, &format!("{name}_labels"), &file)?, count, classes.len(), &file)?;
        Ok(Some((pixels, labels, file)))
    };
    let mut loaded: Vec<Option<(Vec<f32>, Labels, String)>> = all_or_first(NAMES.par_iter().map(read).collect())?;
    if loaded.iter().all(Option::is_none) {
        return Err(Error::usage(format!(
            "The dataset {} was requested, but {} holds none of {}.",
            info.name,
            folder.display(),
            info.files.join(", ")
        )));
    }
    // Class numbers begin at 1, as in MATLAB, unless a 0 occurs in any of the dataset's files.
    let numbers = |entry: &Option<(Vec<f32>, Labels, String)>| match entry {
        Some((_, Labels::Numbers(numbers), _)) => numbers.contains(&0),
        _ => false,
    };
    let first = if loaded.iter().any(numbers) { 0 } else { 1 };
    let mut splits = Vec::new();
    for entry in loaded.drain(..) {
        let Some((pixels, labels, file)) = entry else {
            splits.push(None);
            continue;
        };
        let labels = match labels {
            Labels::Classes(labels) => labels,
            Labels::Numbers(numbers) => from_numbers(&numbers, first, classes.len(), &file)?,
        };
        splits.push(Some(Split::new(Pixels::F32(pixels), labels)));
    }
    let mut next = splits.into_iter().map(|split| split.filter(|split: &Split| !split.is_empty()));
    Ok(Dataset {
        name: info.name.into(),
        input: info.input,
        classes,
        sets: None,
        train: next.next().flatten().unwrap_or_else(Split::empty),
        val: next.next().flatten(),
        test: next.next().flatten(),
        folder: Some(directory.to_owned()),
        skipped: Vec::new(),
        absent: absent(info, &folder),
    })
}

/// For each split, the file that is missing.
fn absent(info: &DatasetInfo, folder: &Path) -> Vec<(SplitName, String)> {
    let of = |split: SplitName| {
        let path = folder.join(info.file_of(split)?);
        Some((split, format!("Its file {} does not exist.", path.display())))
    };
    [SplitName::Train, SplitName::Val, SplitName::Test].into_iter().filter_map(of).collect()
}

fn array<'a>(arrays: &'a [MatArray], name: &str, file: &str) -> Result<&'a MatArray> {
    arrays.iter().find(|array| array.name == name).ok_or_else(|| {
        let there: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
        let there = if there.is_empty() { "no numeric array".into() } else { format!("only {}", there.join(", ")) };
        Error::data(format!("{file} must hold the array `{name}`, but holds {there}."))
    })
}

/// Transposes the rows of an N x 1024 array to row-major images.
fn upright(data: &MatArray, file: &str) -> Result<Vec<f32>> {
    const SIZE: usize = SIDE * SIDE;
    let count = match *data.dims.as_slice() {
        [count, SIZE] if u32::try_from(count).is_ok() => count,
        _ => {
            return Err(Error::data(format!(
                "{file}: `{}` must be N x {SIZE}, an image of {SIDE} x {SIDE} in each row, but is {}.",
                data.name,
                shape(&data.dims)
            )));
        }
    };
    let mut pixels = vec![0.0; count * SIZE];
    // Value (row, column) of the array is at row + count * column. Blocks of few rows keep the written values in the cache.
    const ROWS: usize = 16;
    pixels.par_chunks_mut(ROWS * SIZE).enumerate().for_each(|(block, images)| {
        for column in 0..SIZE {
            let (x, y) = (column / SIDE, column % SIDE);
            let from = &data.values[column * count + block * ROWS..];
            for (image, &value) in images.chunks_exact_mut(SIZE).zip(from) {
                image[y * SIDE + x] = value;
            }
        }
    });
    if let Some(bad) = pixels.iter().position(|value| !value.is_finite()) {
        return Err(Error::data(format!(
            "{file}: row {} of `{}` holds {}, which is not a valid pixel value; repair or remove that image.",
            bad / SIZE + 1,
            data.name,
            pixels[bad]
        )));
    }
    from_zero_to_one(&mut pixels).map_err(|[low, high]| {
        Error::data(format!(
            "{file}: the pixels of `{}` are from {low} to {high}, but must be from 0 to 1, or whole numbers from 0 to 255; scale them.",
            data.name
        ))
    })?;
    Ok(pixels)
}

/// Divides pixels that are bytes, whole numbers from 0 to 255, by 255. Pixels of published files exceed the range from 0 to 1
/// slightly; they stay as they are.
///
/// # Errors
/// The smallest and largest pixel, if the pixels are neither.
fn from_zero_to_one(pixels: &mut [f32]) -> std::result::Result<(), [f32; 2]> {
    const SLIGHTLY: f32 = 0.5;
    let [low, high] = pixels.iter().fold([0.0_f32, 0.0], |[low, high], &value| [low.min(value), high.max(value)]);
    if low >= -SLIGHTLY && high <= 1.0 + SLIGHTLY {
        return Ok(());
    }
    if low < 0.0 || high > 255.0 || pixels.iter().any(|value| value.fract() != 0.0) {
        return Err([low, high]);
    }
    pixels.iter_mut().for_each(|value| *value /= 255.0);
    Ok(())
}

/// The labels in a file.
enum Labels {
    /// Class indices from 0, from one-hot rows.
    Classes(Vec<u32>),
    /// Class numbers, which begin at 0 or 1.
    Numbers(Vec<u32>),
}

fn labels(array: &MatArray, count: usize, classes: usize, file: &str) -> Result<Labels> {
    let wrong = |sentence: String| Error::data(format!("{file}: {sentence}"));
    let name = &array.name;
    match *array.dims.as_slice() {
        [rows, columns] if rows == count && columns == classes => {
            let mut labels = vec![u32::MAX; count];
            for class in 0..classes {
                for (row, &value) in array.values[class * count..(class + 1) * count].iter().enumerate() {
                    if value == 1.0 && labels[row] == u32::MAX {
                        labels[row] = class as u32;
                    } else if value != 0.0 {
                        return Err(wrong(format!(
                            "row {} of `{name}` is not one-hot: it holds {value} in column {}, but must have a single 1 among zeros.",
                            row + 1,
                            class + 1
                        )));
                    }
                }
            }
            match labels.iter().position(|&label| label == u32::MAX) {
                Some(row) => {
                    Err(wrong(format!("row {} of `{name}` is not one-hot: no class is marked by a 1.", row + 1)))
                }
                None => Ok(Labels::Classes(labels)),
            }
        }
        [rows, columns] if (rows == count && columns == 1) || (rows == 1 && columns == count) => {
            let number = |(row, &value): (usize, &f32)| {
                // A number may be as high as the number of classes, if numbers begin at 1.
                if value.fract() != 0.0 || !(0.0..=classes as f32).contains(&value) {
                    return Err(wrong(format!(
                        "label {} of `{name}` is {value}, but the dataset has {classes} classes, numbered from 1 (or from 0).",
                        row + 1
                    )));
                }
                Ok(value as u32)
            };
            array.values.iter().enumerate().map(number).collect::<Result<_>>().map(Labels::Numbers)
        }
        _ => Err(wrong(format!(
            "`{name}` must be {count} x {classes} (one-hot) or {count} x 1 (class numbers) to fit the images, but is {}.",
            shape(&array.dims)
        ))),
    }
}

/// Converts class numbers that begin at `first` into indices that begin at 0.
fn from_numbers(numbers: &[u32], first: u32, classes: usize, file: &str) -> Result<Vec<u32>> {
    let index = |&number: &u32| {
        let index = number.checked_sub(first).filter(|&index| (index as usize) < classes);
        index.ok_or_else(|| {
            Error::data(format!(
                "{file}: class number {number} is out of range: {classes} classes numbered from {first} end at {}. (Numbers \
                 begin at 0 only if a 0 occurs in one of the dataset's files.)",
                classes as u32 + first - 1
            ))
        })
    };
    numbers.iter().map(index).collect()
}

fn shape(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(name: &str, dims: [usize; 2], values: Vec<f32>) -> MatArray {
        MatArray { name: name.into(), dims: dims.to_vec(), values }
    }

    #[test]
    fn bytes_are_scaled_and_other_ranges_are_refused() {
        let scaled = |values: &[f32]| {
            let mut pixels = values.to_vec();
            from_zero_to_one(&mut pixels).map(|()| pixels)
        };
        assert_eq!(scaled(&[0.0, 1.02, -0.01]), Ok(vec![0.0, 1.02, -0.01]));
        assert_eq!(scaled(&[0.0, 51.0, 255.0]), Ok(vec![0.0, 0.2, 1.0]));
        assert_eq!(scaled(&[0.0, 0.5, 255.0]), Err([0.0, 255.0]));
        assert_eq!(scaled(&[-1.0, 1.0]), Err([-1.0, 1.0]));
        assert_eq!(scaled(&[0.0, 65535.0]), Err([0.0, 65535.0]));
    }

    #[test]
    fn images_are_transposed() {
        // Two images; value 32 x + y of a row is pixel (x, y).
        let mut values = vec![0.0; 2048];
        let mut set = |image: usize, x: usize, y: usize, value| values[image + 2 * (32 * x + y)] = value;
        set(0, 5, 1, 0.5);
        set(1, 0, 31, -0.1);
        let pixels = upright(&matrix("d", [2, 1024], values), "f").expect("fits");
        assert_eq!((pixels[32 + 5], pixels[1024 + 31 * 32]), (0.5, -0.1));
        assert_eq!(pixels.iter().filter(|&&v| v != 0.0).count(), 2);
    }

    #[test]
    fn labels_are_read_one_hot_and_as_numbers() {
        let hot = matrix("l", [2, 3], vec![0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        assert!(matches!(labels(&hot, 2, 3, "f"), Ok(Labels::Classes(labels)) if labels == [2, 0]));
        for dims in [[2, 1], [1, 2]] {
            let column = matrix("l", dims, vec![3.0, 1.0]);
            assert!(matches!(labels(&column, 2, 3, "f"), Ok(Labels::Numbers(numbers)) if numbers == [3, 1]));
        }
        assert_eq!(from_numbers(&[3, 1], 1, 3, "f").expect("in range"), [2, 0]);
        assert_eq!(from_numbers(&[2, 0], 0, 3, "f").expect("in range"), [2, 0]);
        assert!(from_numbers(&[3, 0], 0, 3, "f").is_err());
    }

    #[test]
    fn wrong_labels_are_errors() {
        let says = |array: &MatArray| labels(array, 2, 3, "f").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(says(&matrix("l", [2, 3], vec![0.0; 6])).contains("no class is marked"));
        assert!(says(&matrix("l", [2, 3], vec![1.0; 6])).contains("not one-hot"));
        assert!(says(&matrix("l", [2, 3], vec![f32::NAN; 6])).contains("not one-hot"));
        assert!(says(&matrix("l", [2, 1], vec![1.0, 4.0])).contains("is 4"));
        assert!(says(&matrix("l", [2, 1], vec![1.5, 1.0])).contains("is 1.5"));
        assert!(says(&matrix("l", [2, 1], vec![f32::NAN, 1.0])).contains("is NaN"));
        assert!(says(&matrix("l", [3, 3], vec![0.0; 9])).contains("3 x 3"));
    }
}
