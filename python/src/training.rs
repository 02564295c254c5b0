//! Training.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};

use gpunn::cli::calls;
use gpunn::cli::stop::StopFlag;
use gpunn::runs::Observer;
use gpunn::train::{EpochLine, EpochProgress};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict};

use super::errors::raised;
use super::run::Run;
use super::settings::{text, words_of};
use super::values::{json, to_python};
use super::waiting::{joined, next, notes_to_python};

/// Trains as `gpunn train` does.
#[pyfunction]
#[pyo3(signature = (data = None, *, callbacks = None, **settings))]
pub fn train(
    py: Python<'_>,
    data: Option<&Bound<'_, PyAny>>,
    callbacks: Option<&Bound<'_, PyAny>>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Run> {
    let mut words = words_of("train", settings)?;
    if let Some(data) = data.filter(|data| !data.is_none()) {
        let mut word = OsString::from("--dataset=");
        word.push(text("data", data)?);
        words.push(word);
    }
    let given = |name: &str| settings.and_then(|settings| settings.get_item(name).ok().flatten());
    let device = given("device").map_or_else(|| "auto".into(), |device| device.to_string());
    let quiet = given("quiet").is_some_and(|quiet| quiet.is_truthy().unwrap_or(false));
    let trained = watched(py, words, &functions(callbacks)?)?;
    Ok(Run::at(trained.run, false, (&device, quiet)))
}

/// The functions to call after each epoch.
fn functions<'py>(callbacks: Option<&Bound<'py, PyAny>>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    match callbacks {
        None => Ok(Vec::new()),
        Some(one) if one.is_callable() => Ok(vec![one.clone()]),
        Some(several) => several.try_iter()?.collect(),
    }
}

/// Trains on a thread of its own. This one waits, calls the functions, and looks for Ctrl-C, which stops the training after the steps that
/// are under way; so does a function that raises, or returns False.
fn watched(py: Python<'_>, words: Vec<OsString>, functions: &[Bound<'_, PyAny>]) -> PyResult<calls::TrainedRun> {
    notes_to_python();
    let (sender, mut events) = channel::<Event>();
    let (stop, begun) = (StopFlag::default(), Arc::new(AtomicBool::new(false)));
    let mut watch = Watch { sender, stop: stop.clone(), begun: begun.clone() };
    let flag = stop.clone();
    let thread = std::thread::spawn(move || calls::train(words, flag, &mut watch));
    let mut fault: Option<PyErr> = None;
    loop {
        match next(py, &mut events) {
            Ok(None) => break,
            Ok(Some(None)) => {}
            Ok(Some(Some(event))) => {
                match told(py, functions, &event.line) {
                    Ok(true) => {}
                    Ok(false) => stop.ask(),
                    Err(error) => {
                        stop.ask();
                        fault.get_or_insert(error);
                    }
                }
                // The thread goes on.
                drop(event);
            }
            Err(interrupt) => {
                let again = stop.is_set();
                stop.ask();
                // While images are loaded nothing is lost, and the thread ends before its first step.
                if again || !begun.load(Ordering::SeqCst) {
                    return Err(interrupt);
                }
                fault = Some(interrupt);
            }
        }
    }
    match (fault, joined(py, thread).map_err(raised)) {
        (None, trained) => trained,
        (Some(fault), Ok(_)) => Err(fault),
        (Some(fault), Err(error)) => {
            fault.set_cause(py, Some(error));
            Err(fault)
        }
    }
}

/// Calls the functions with an epoch's metrics. Returns whether to go on: False of a function stops the run, None does not.
fn told(py: Python<'_>, functions: &[Bound<'_, PyAny>], line: &EpochLine) -> PyResult<bool> {
    let mut goes_on = true;
    for function in functions {
        let metrics = to_python(py, &json(line).map_err(raised)?)?;
        let answer = function.call1((metrics,))?;
        goes_on &= answer.cast::<PyBool>().map_or(true, |answer| answer.is_true());
    }
    Ok(goes_on)
}

/// An epoch that has ended. The training waits until this is dropped.
struct Event {
    line: EpochLine,
    _heard: Sender<()>,
}

/// What the training's thread tells the one that waits.
struct Watch {
    sender: Sender<Event>,
    stop: StopFlag,
    begun: Arc<AtomicBool>,
}

impl Observer for Watch {
    fn progress(&mut self, _epoch: u32, _at: EpochProgress) -> bool {
        self.begun.store(true, Ordering::SeqCst);
        !self.stop.is_set()
    }

    fn epoch(&mut self, line: &EpochLine) -> bool {
        self.begun.store(true, Ordering::SeqCst);
        let (heard, answer) = channel::<()>();
        if self.sender.send(Event { line: line.clone(), _heard: heard }).is_ok() {
            // Nothing is ever sent: the other end is dropped when the functions have returned.
            let _ = answer.recv();
        }
        !self.stop.is_set()
    }

    // The display tells these.
    fn not_written(&mut self, _error: &gpunn::Error) {}
    fn not_finite(&mut self, _what: &str) {}
    fn device_failed(&mut self, _error: &gpunn::Error, _now_on: &str) {}
}
