//! Keyword arguments as the settings of a command.

use std::ffi::OsString;

use gpunn::cli::calls::{Value, settings, words};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyTuple};

use super::errors::{raised, usage};

/// The names of the settings of one of the program's commands.
#[pyfunction]
pub fn settings_of(command: &str) -> Vec<String> {
    settings(command)
}

/// The words of a command line for keyword arguments. One that is None is not given.
pub fn words_of(command: &str, given: Option<&Bound<'_, PyDict>>) -> PyResult<Vec<OsString>> {
    let mut all = Vec::new();
    for (name, value) in given.into_iter().flatten() {
        let name: String = name.extract()?;
        if !value.is_none() {
            let value = value_of(&name, &value)?;
            all.push((name, value));
        }
    }
    words(command, &all).map_err(raised)
}

/// The value of a setting: a yes or no, a number, a text, a path, or a list of these.
fn value_of(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Ok(switch) = value.cast::<PyBool>() {
        return Ok(Value::Switch(switch.is_true()));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let parts = value.try_iter()?.map(|part| text(name, &part?)).collect::<PyResult<Vec<OsString>>>()?;
        return Ok(Value::Text(parts.join(&OsString::from(","))));
    }
    text(name, value).map(Value::Text)
}

/// A number, a text or a path as words.
pub fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<OsString> {
    if let Ok(path) = value.extract::<std::path::PathBuf>() {
        return Ok(path.into());
    }
    // Numbers of NumPy say what they are by these, too.
    let is_number = value.hasattr("__index__")? || value.hasattr("__float__")?;
    if is_number && !value.hasattr("__len__")? {
        let number = match value.hasattr("__index__")? {
            true => value.call_method0("__index__")?,
            false => value.call_method0("__float__")?,
        };
        return Ok(number.repr()?.to_string().into());
    }
    let kind = value.get_type().name()?;
    Err(usage(format!("{name} has to be a number, a text, a path, or a list of these, not of the type {kind}.")))
}
