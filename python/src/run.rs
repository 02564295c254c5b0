//! Runs: what a training left, and what is done with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gpunn::cli::calls;
use gpunn::runs::RunDirectory;
use gpunn::{Error, Result};
use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors::raised;
use super::given::images_of;
use super::network::{Network, Prediction};
use super::settings::words_of;
use super::values::{json, to_python};
use super::waiting::away;

/// The height of a report in a notebook, in pixels.
const FRAME: u32 = 640;

/// A run directory, or a checkpoint file.
#[pyclass(frozen, module = "gpunn")]
#[derive(Debug)]
pub struct Run {
    path: PathBuf,
    /// Further runs, which answer together with this one.
    ensemble: Vec<PathBuf>,
    last: bool,
    device: String,
    quiet: bool,
    network: OnceLock<Network>,
}

/// Opens a run directory or a checkpoint file.
#[pyfunction]
#[pyo3(signature = (path, *, ensemble = None, last = false, device = "auto", quiet = false))]
pub fn load(
    path: PathBuf,
    ensemble: Option<&Bound<'_, PyAny>>,
    last: bool,
    device: &str,
    quiet: bool,
) -> PyResult<Run> {
    let mut run = Run::at(path, last, (device, quiet));
    run.ensemble = match ensemble {
        None => Vec::new(),
        Some(given) => given.extract().map(|one: PathBuf| vec![one]).or_else(|_| given.extract())?,
    };
    for path in [&run.path].into_iter().chain(&run.ensemble).filter(|path| !path.is_file()) {
        RunDirectory::open(path).map_err(raised)?;
    }
    Ok(run)
}

impl Run {
    /// The run of a directory that is there.
    pub fn at(path: PathBuf, last: bool, (device, quiet): (&str, bool)) -> Self {
        let (device, ensemble) = (device.into(), Vec::new());
        Self { path, ensemble, last, device, quiet, network: OnceLock::new() }
    }

    /// The trained network. The first use reads it.
    fn network(&self, py: Python<'_>) -> PyResult<&Network> {
        if self.network.get().is_none() {
            let open = || Network::open(&self.path, &self.ensemble, (self.last, &self.device, self.quiet));
            let network = py.detach(open).map_err(raised)?;
            // Another thread may have been faster.
            let _ = self.network.set(network);
        }
        self.network.get().ok_or_else(|| raised(Error::data("The network was not kept.")))
    }

    /// The directory. A checkpoint file has none.
    fn directory(&self) -> Result<RunDirectory> {
        match self.path.is_file() {
            true => Err(Error::usage(format!(
                "{} is a checkpoint file. Metrics and reports are in run directories.",
                self.path.display()
            ))),
            false => RunDirectory::open(&self.path),
        }
    }

    /// The words of a command about this run, on its device and with its checkpoint.
    fn words(&self, command: &str, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Vec<OsString>> {
        let mut words = words_of(command, settings)?;
        words.insert(0, self.path.clone().into());
        if self.last {
            words.push("--last".into());
        }
        // `export` computes nothing.
        if command != "export" {
            words.push(format!("--device={}", self.device).into());
            words.extend(self.quiet.then(|| "--quiet".into()));
        }
        Ok(words)
    }

    /// The report's page, if it has been written.
    fn page(&self) -> Option<PathBuf> {
        Some(self.directory().ok()?.report_page()).filter(|page| page.is_file())
    }
}

#[pymethods]
impl Run {
    /// The run directory, or the checkpoint file.
    #[getter]
    fn path(&self) -> &Path {
        &self.path
    }

    /// The metrics of each epoch.
    #[getter]
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let lines = self.directory().and_then(|run| json(&run.metrics()?));
        to_python(py, &lines.map_err(raised)?)
    }

    /// The summary of a run that has ended, else None.
    #[getter]
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let summary = self.directory().and_then(|run| json(&run.summary()?));
        to_python(py, &summary.map_err(raised)?)
    }

    /// The recipe.
    #[getter]
    fn recipe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let recipe = match self.path.is_file() {
            true => json(&self.network(py)?.checkpoint().recipe),
            false => self.directory().and_then(|run| json(&run.recipe()?)),
        };
        to_python(py, &recipe.map_err(raised)?)
    }

    /// The names of the classes, in index order.
    #[getter]
    fn classes(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(self.network(py)?.checkpoint().classes.clone())
    }

    /// Channels, height and width of the network's input.
    #[getter]
    fn input(&self, py: Python<'_>) -> PyResult<(usize, usize, usize)> {
        let [channels, height, width] = self.network(py)?.checkpoint().input;
        Ok((channels, height, width))
    }

    /// The answers for images.
    fn predict<'py>(&self, py: Python<'py>, images: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let images = images_of(images)?;
        let many = images.many;
        let mut answers = self.network(py)?.predict(py, images)?;
        match (many, answers.pop()) {
            (false, Some(answer)) => Ok(Bound::new(py, answer)?.into_any()),
            (_, last) => {
                answers.extend(last);
                let answers: Vec<Bound<'py, Prediction>> =
                    answers.into_iter().map(|answer| Bound::new(py, answer)).collect::<PyResult<_>>()?;
                Ok(answers.into_pyobject(py)?.into_any())
            }
        }
    }

    /// What the network knows of images, as numbers.
    fn embed<'py>(&self, py: Python<'py>, images: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let images = images_of(images)?;
        let many = images.many;
        let codes = self.network(py)?.embed(py, images)?;
        let (rows, width) = (codes.len(), codes.first().map_or(0, Vec::len));
        let array = PyArray1::from_vec(py, codes.concat());
        Ok(if many { array.reshape([rows, width])?.into_any() } else { array.into_any() })
    }

    /// Evaluates a split of the dataset.
    #[pyo3(signature = (split = None, **settings))]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        split: Option<&str>,
        settings: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut words = self.words("eval", settings)?;
        words.extend(self.ensemble.iter().map(|path| {
            let mut word = OsString::from("--ensemble=");
            word.push(path);
            word
        }));
        words.extend(split.map(|split| format!("--split={split}").into()));
        let found = away(py, move || calls::evaluate(words))?;
        to_python(py, &found)
    }

    /// Writes the network as a file.
    #[pyo3(signature = (out, **settings))]
    fn export(&self, py: Python<'_>, out: PathBuf, settings: Option<&Bound<'_, PyDict>>) -> PyResult<PathBuf> {
        let mut words = self.words("export", settings)?;
        let mut word = OsString::from("--out=");
        word.push(&out);
        words.push(word);
        away(py, move || calls::export(words))?;
        Ok(out)
    }

    /// Writes the report again.
    #[pyo3(signature = (**settings))]
    fn report(&self, py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<PathBuf> {
        self.directory().map_err(raised)?;
        let words = self.words("report", settings)?;
        away(py, move || calls::report(words))
    }

    fn __repr__(&self) -> String {
        format!("Run({:?})", self.path.display().to_string())
    }

    fn _repr_html_(&self) -> PyResult<String> {
        match self.page() {
            Some(page) => {
                let text = std::fs::read_to_string(&page).map_err(Error::file("cannot read", page)).map_err(raised)?;
                Ok(framed(&text))
            }
            None => Ok(format!(
                "<code>{}</code><p>There is no report yet: <code>run.report()</code> writes it.</p>",
                escaped(&self.__repr__())
            )),
        }
    }
}

/// A page in a frame of its own, so that its styles stay in it.
fn framed(page: &str) -> String {
    format!(
        "<iframe srcdoc=\"{}\" sandbox=\"\" style=\"width: 100%; height: {FRAME}px; border: 0\"></iframe>",
        escaped(page)
    )
}

/// A text as it stands in HTML, also between quotation marks.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}
