//! What a caller gives as images: paths, arrays, images of Pillow, and lists of these.

use std::path::PathBuf;

use gpunn::cli::calls::image_files;
use gpunn::{Result, images};
use image::DynamicImage;
use numpy::PyUntypedArray;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::errors::{raised, usage};
use super::pixels;

/// An image that a caller gave.
#[derive(Debug)]
pub enum Image {
    /// A file.
    File(PathBuf),
    /// The bytes of a file.
    Bytes(Vec<u8>),
    /// Pixels in memory.
    Pixels(DynamicImage),
}

impl Image {
    /// The file's name, if it has one.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::File(path) => Some(path.display().to_string()),
            Self::Bytes(_) | Self::Pixels(_) => None,
        }
    }

    /// The pixels, decoded as the program does.
    ///
    /// # Errors
    /// When a file cannot be read, or is not an image.
    pub fn open(self) -> Result<DynamicImage> {
        match self {
            Self::File(path) => images::open(&path),
            Self::Bytes(bytes) => images::decode(bytes, "The image"),
            Self::Pixels(image) => Ok(image),
        }
    }
}

/// Images, and whether they came as several.
#[derive(Debug)]
pub struct Images {
    /// In the order of the caller.
    pub all: Vec<Image>,
    /// Whether the result is a list.
    pub many: bool,
}

/// The images of an argument.
pub fn images_of(given: &Bound<'_, PyAny>) -> PyResult<Images> {
    if let Some(images) = one_or_array(given)? {
        return Ok(images);
    }
    // Bytes are a sequence, too, but are handled above.
    let Ok(each) = given.try_iter() else {
        return Err(not_an_image(given)?);
    };
    let mut all = Vec::new();
    for one in each {
        let one = one?;
        let images = one_or_array(&one)?.map_or_else(|| Err(not_an_image(&one)?), Ok)?;
        all.extend(images.all);
    }
    Ok(Images { all, many: true })
}

/// What is not a list: a path, bytes, an array or an image of Pillow.
fn one_or_array(given: &Bound<'_, PyAny>) -> PyResult<Option<Images>> {
    if let Ok(bytes) = given.cast::<PyBytes>() {
        return Ok(Some(Images { all: vec![Image::Bytes(bytes.as_bytes().to_vec())], many: false }));
    }
    if given.is_instance_of::<PyString>() || given.hasattr("__fspath__")? {
        return of_path(given.extract()?).map(Some);
    }
    if let Some(array) = as_array(given)? {
        let (all, many) = pixels::of_array(&array)?;
        return Ok(Some(Images { all: all.into_iter().map(Image::Pixels).collect(), many }));
    }
    Ok(None)
}

/// The files of a path: it may be a folder or a pattern.
fn of_path(path: PathBuf) -> PyResult<Images> {
    if path.is_file() {
        return Ok(Images { all: vec![Image::File(path)], many: false });
    }
    let many = path.is_dir() || path.to_string_lossy().contains(['*', '?']);
    let files = image_files(&path).map_err(raised)?;
    Ok(Images { all: files.into_iter().map(Image::File).collect(), many })
}

/// An array of NumPy, or what can become one: an image of Pillow, a tensor.
fn as_array<'py>(given: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyUntypedArray>>> {
    let of_pillow = given.hasattr("getbands")? && given.hasattr("convert")?;
    let has_values = given.hasattr("__array__")? || given.hasattr("__array_interface__")?;
    if !of_pillow && !has_values {
        return Ok(None);
    }
    let given = if of_pillow { upright(given)? } else { given.clone() };
    let array = given.py().import("numpy")?.call_method1("asarray", (given,))?;
    Ok(Some(array.cast_into::<PyUntypedArray>()?))
}

/// An image of Pillow in one of the modes whose values are pixels. One that was opened from a file and not changed is turned as the
/// camera was held; others are as they are.
fn upright<'py>(image: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = image.py();
    let opened = py.import("PIL.ImageFile")?.getattr("ImageFile")?;
    let mut image = image.clone();
    if image.is_instance(&opened)? {
        image = py.import("PIL.ImageOps")?.call_method1("exif_transpose", (image,))?;
    }
    let mode: String = image.getattr("mode")?.extract()?;
    if matches!(mode.as_str(), "L" | "RGB" | "RGBA") {
        return Ok(image);
    }
    let is_transparent = mode.ends_with(['A', 'a']) || image.getattr("info")?.contains("transparency")?;
    let wanted = match mode.as_str() {
        "I" | "F" => return Err(without_range(&mode)),
        _ if mode.starts_with("I;") => return Err(without_range(&mode)),
        _ if is_transparent => "RGBA",
        "1" => "L",
        _ => "RGB",
    };
    image.call_method1("convert", (wanted,))
}

/// The error for a mode in which Pillow does not say what is white.
fn without_range(mode: &str) -> PyErr {
    usage(format!(
        "The Pillow image has the mode {mode}, whose values have no fixed range. Give its file's path, or an array from 0 to 1."
    ))
}

/// The error for what is no image.
fn not_an_image(given: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let kind = given.get_type().name()?;
    Ok(usage(format!(
        "An image is a path, a NumPy array, a Pillow image or the bytes of a file, or a list of these, but this is of the type {kind}."
    )))
}
