//! Errors of the library as exceptions. The classes are in `package/gpunn/errors.py`.

use gpunn::Error;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The exception for an error. Its class is that of the error's kind.
pub fn raised(error: Error) -> PyErr {
    let class = match &error {
        Error::Usage(_) => "UsageError",
        Error::Shape(_) => "ShapeError",
        Error::Data(_) => "DataError",
        Error::Diverged(_) => "DivergedError",
        Error::Device(_) | Error::Ranks(_) => "DeviceError",
        Error::Memory(_) => "DeviceMemoryError",
        Error::Network(_) => "NetworkError",
        Error::File { .. } => "FileError",
    };
    Python::attach(|py| {
        let found = py.import("gpunn.errors").and_then(|module| module.getattr(class));
        match found.and_then(|class| Ok(class.cast_into::<PyType>()?)) {
            Ok(class) => PyErr::from_type(class, error.to_string()),
            Err(missing) => missing,
        }
    })
}

/// The exception for a wrong call.
pub fn usage(sentence: impl Into<String>) -> PyErr {
    raised(Error::usage(sentence))
}
