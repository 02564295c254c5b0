//! Values of the library as objects of Python.

use gpunn::{Error, Result};
use pyo3::prelude::*;

/// A value in JSON, as the program prints it.
pub fn json(value: &(impl serde::Serialize + ?Sized)) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::data(format!("A value has no form in JSON: {error}.")))
}

/// The object of Python for a text in JSON: dicts, lists, numbers and texts.
pub fn to_python<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (json,))
}
