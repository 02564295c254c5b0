//! Text from photos.

use std::path::PathBuf;

use gpunn::blocking::block_on;
use gpunn::cli::calls::{checkpoint, open_device};
use gpunn::ocr::{PageText, ReadOptions, Reader, read_with};
use pyo3::prelude::*;

use super::errors::raised;
use super::given::{Image, images_of};
use super::values::{json, to_python};
use super::waiting::away;

/// The text of a photo.
#[pyclass(frozen, module = "gpunn")]
#[derive(Debug)]
pub struct Page {
    page: PageText,
    /// The image's file, if it has one.
    #[pyo3(get)]
    image: Option<String>,
}

#[pymethods]
impl Page {
    /// The text, with a line for each line of the photo.
    #[getter]
    fn text(&self) -> String {
        self.page.to_string()
    }

    /// The lines, with their words and characters, each with its box.
    #[getter]
    fn lines<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &json(&self.page.lines).map_err(raised)?)
    }

    /// The width and the height of the photo in pixels.
    #[getter]
    fn size(&self) -> (u32, u32) {
        (self.page.width, self.page.height)
    }

    /// The clockwise rotation in degrees that makes the photo upright.
    #[getter]
    fn turned(&self) -> f64 {
        self.page.turned
    }

    /// Whether the writing is lighter than its background.
    #[getter]
    fn light_ink(&self) -> bool {
        self.page.light_ink
    }

    fn __str__(&self) -> String {
        self.text()
    }

    fn __repr__(&self) -> String {
        format!("Page({:?})", self.text())
    }
}

/// Reads handwritten capitals and digits.
#[pyfunction]
#[pyo3(signature = (images, *, run = None, raw = false, device = "auto", quiet = false))]
pub fn read<'py>(
    py: Python<'py>,
    images: &Bound<'py, PyAny>,
    run: Option<PathBuf>,
    raw: bool,
    device: &str,
    quiet: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let images = images_of(images)?;
    let (many, device) = (images.many, device.to_owned());
    let pages = away(py, move || {
        let engine = open_device(&device, quiet)?;
        let mut reader = match run {
            Some(run) => Reader::of(engine, &checkpoint(&run, false)?)?,
            None => Reader::new(engine)?,
        };
        let options = ReadOptions { raw };
        let read = |image: Image| {
            let name = image.name();
            let page = block_on(read_with(&image.open()?, &mut reader, options))?;
            match page.fault(name.as_deref().unwrap_or("the image")) {
                Some(fault) => Err(fault),
                None => Ok(Page { page, image: name }),
            }
        };
        images.all.into_iter().map(read).collect::<gpunn::Result<Vec<Page>>>()
    })?;
    let mut pages = pages.into_iter().map(|page| Bound::new(py, page)).collect::<PyResult<Vec<_>>>()?;
    match pages.pop() {
        Some(page) if !many => Ok(page.into_any()),
        last => {
            pages.extend(last);
            Ok(pages.into_pyobject(py)?.into_any())
        }
    }
}
