//! Images from the arrays of NumPy.

use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};
use numpy::{Element, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::errors::usage;

/// The images of an array, and whether it has an axis for them: H x W, H x W x C, or N x H x W x C, of bytes, or of floats from 0 to 1.
pub fn of_array(array: &Bound<'_, PyUntypedArray>) -> PyResult<(Vec<DynamicImage>, bool)> {
    let sides = Sides::of(array.shape())?;
    let bytes = if let Some(bytes) = values::<u8>(array) {
        bytes
    } else if let Some(floats) = values::<f32>(array) {
        as_bytes(floats)?
    } else if let Some(floats) = values::<f64>(array) {
        as_bytes(floats)?
    } else {
        return Err(usage(format!(
            "The array has the dtype {}, but images are uint8, from 0 to 255, or float32 or float64, from 0 to 1.",
            array.dtype()
        )));
    };
    let each = sides.height * sides.width * sides.channels;
    let images = bytes.chunks_exact(each).map(|bytes| sides.image(bytes)).collect::<PyResult<_>>()?;
    Ok((images, sides.many))
}

/// The values of an array in the order of its axes, if they are of this type. They are copied once: the array belongs to Python.
fn values<T: Element + Copy>(array: &Bound<'_, PyUntypedArray>) -> Option<Vec<T>> {
    let array = array.cast::<PyArrayDyn<T>>().ok()?;
    let array: PyReadonlyArrayDyn<'_, T> = array.readonly();
    Some(match array.as_slice() {
        // A slice may also be that of an array in Fortran's order.
        Ok(whole) if array.is_c_contiguous() => whole.to_vec(),
        _ => array.as_array().iter().copied().collect(),
    })
}

/// Floats from 0 to 1 as bytes.
fn as_bytes<T: Into<f64> + Copy>(floats: Vec<T>) -> PyResult<Vec<u8>> {
    let byte = |value: &T| {
        let value: f64 = (*value).into();
        match (0.0..=1.0).contains(&value) {
            true => Ok((value * 255.0).round() as u8),
            false => Err(usage(format!(
                "The array holds {value}, but floats of images are from 0 to 1. Divide values from 0 to 255 by 255, or give them as \
                 uint8."
            ))),
        }
    };
    floats.iter().map(byte).collect()
}

/// The shape of an array of images.
struct Sides {
    many: bool,
    height: usize,
    width: usize,
    channels: usize,
}

impl Sides {
    fn of(shape: &[usize]) -> PyResult<Self> {
        let (many, height, width, channels) = match *shape {
            [height, width] => (false, height, width, 1),
            [height, width, channels @ (1 | 3 | 4)] => (false, height, width, channels),
            [_, height, width, channels @ (1 | 3 | 4)] => (true, height, width, channels),
            _ => return Err(refused(shape)),
        };
        match height.min(width) {
            0 => Err(usage(format!("The array has the shape {shape:?}, so its images have no pixels."))),
            _ => Ok(Self { many, height, width, channels }),
        }
    }

    fn image(&self, bytes: &[u8]) -> PyResult<DynamicImage> {
        let too_large = || usage(format!("An image of {} x {} pixels is too large.", self.height, self.width));
        let side = |side: usize| u32::try_from(side).map_err(|_| too_large());
        let (width, height, bytes) = (side(self.width)?, side(self.height)?, bytes.to_vec());
        let image = match self.channels {
            1 => GrayImage::from_vec(width, height, bytes).map(DynamicImage::from),
            3 => RgbImage::from_vec(width, height, bytes).map(DynamicImage::from),
            _ => RgbaImage::from_vec(width, height, bytes).map(DynamicImage::from),
        };
        image.ok_or_else(too_large)
    }
}

/// The error for a shape, with what is probably meant.
fn refused(shape: &[usize]) -> PyErr {
    let hint = match *shape {
        [1 | 3 | 4, _, _] => " The channels come last: array.transpose(1, 2, 0).",
        [_, 1 | 3 | 4, _, _] => " The channels come last: array.transpose(0, 2, 3, 1).",
        [_, _, _] => " Several grey images need an axis for their channel: array[..., None].",
        _ => "",
    };
    usage(format!(
        "The array has the shape {shape:?}, but an image is height x width or height x width x channels, with 1, 3 or 4 channels, and \
         several images are images x height x width x channels.{hint}"
    ))
}
