//! The page of a training: its curves as they grow, and buttons that stop it or save a checkpoint.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::access::Access;
use super::failure::Failure;
use super::server::Server;
use super::{PORT, assets};
use crate::runs::{Observer, RunOutcome};
use crate::train::{EpochLine, EpochProgress, Trainer, Training};
use crate::{Error, Result};

/// A page that asked within this time is still open. It asks without a pause of its own, because browsers stop the clocks of hidden pages.
const OPEN: Duration = Duration::from_secs(3);
/// The longest time that an open page is given to show the report, or an end without one.
const SHOW: Duration = Duration::from_secs(10);
/// The time until a page is answered that asked already, and the pause between two looks at whether something ended.
const ANSWER: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(50);
/// The most notes that are kept.
const NOTES: usize = 100;
/// What a report may load: it holds all that it shows.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'";

/// What a training does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    Preparing,
    Training,
    Reporting,
    Done,
    Stopped,
    Failed,
}

/// What the page shows.
#[derive(Clone, Debug, serde::Serialize)]
struct Shown {
    phase: Phase,
    /// How it ended, in a sentence.
    end: Option<String>,
    run: String,
    recipe: String,
    model: String,
    dataset: String,
    device: String,
    parameters: usize,
    planned_bytes: usize,
    epochs: f64,
    /// The epoch that is computed, from 1, what of it, and how far that is.
    epoch: u32,
    part: String,
    done: u32,
    of: u32,
    /// Warnings, and the checkpoints that the page asked for.
    notes: Vec<String>,
    has_report: bool,
    /// The last epoch that is done. After a failure of the device, epochs come again.
    last: u32,
    /// The lines of the epochs from the one that was asked for.
    lines: Vec<EpochLine>,
}

struct Watched {
    shown: Shown,
    report: Option<PathBuf>,
    /// When a page last asked.
    asked: Option<Instant>,
    /// Whether a page said that it shows the end.
    seen: bool,
}

#[derive(Clone)]
struct Shared {
    watched: Arc<Mutex<Watched>>,
    stop: Arc<AtomicBool>,
    save: Arc<AtomicBool>,
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches a run, and serves its page.
pub struct Live {
    shared: Shared,
    url: String,
    /// How long the run is, and the steps of a whole epoch.
    length: Option<(Training, u32)>,
    /// Whether the page asked for the next checkpoint.
    owes_note: bool,
}

/// How a training ended.
#[derive(Clone, Copy, Debug)]
pub enum LiveEnd<'a> {
    /// It ended well or was stopped. The report, if one was written.
    Outcome(&'a RunOutcome, Option<&'a Path>),
    /// It failed.
    Failed(&'a Error),
}

impl Live {
    /// Serves the page on a port of this machine. Without one it takes [`PORT`], or any if that is in use. With a token, each request
    /// needs it.
    ///
    /// # Errors
    /// [`Error::Usage`] when the port is in use, [`Error::Device`] when the system gives no thread.
    pub fn start(port: Option<u16>, token: Option<String>) -> Result<Self> {
        let address = std::net::IpAddr::from([127, 0, 0, 1]);
        let access = Access::new(address, token)?;
        let listen = |port| Server::listen((address, port).into(), access.clone());
        let server = match port {
            Some(port) => listen(port)?,
            None => listen(PORT).or_else(|_| listen(0))?,
        };
        let shown = Shown {
            phase: Phase::Preparing,
            end: None,
            run: String::new(),
            recipe: String::new(),
            model: String::new(),
            dataset: String::new(),
            device: String::new(),
            parameters: 0,
            planned_bytes: 0,
            epochs: 0.0,
            epoch: 1,
            part: String::new(),
            done: 0,
            of: 0,
            notes: Vec::new(),
            has_report: false,
            last: 0,
            lines: Vec::new(),
        };
        let watched = Watched { shown, report: None, asked: None, seen: false };
        let shared = Shared { watched: Arc::new(Mutex::new(watched)), stop: Arc::default(), save: Arc::default() };
        let (url, router) = (server.url("localhost"), router(shared.clone()));
        let serve = move || server.run(router, 1);
        let started = std::thread::Builder::new().name("live".into()).spawn(serve);
        started.map_err(|error| Error::Device(format!("the system gives no thread: {error}")))?;
        Ok(Self { shared, url, length: None, owes_note: false })
    }

    /// The address of the page.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Shows the end, and waits a moment for an open page to take it.
    pub fn end(&self, end: LiveEnd<'_>) {
        let open = {
            let mut watched = self.shared.watched();
            let (phase, sentence, report) = match end {
                LiveEnd::Outcome(RunOutcome::Finished(_), report) => {
                    (Phase::Done, "The training is done.".into(), report)
                }
                LiveEnd::Outcome(RunOutcome::Interrupted { epochs, steps }, _) => {
                    let run = &watched.shown.run;
                    let sentence = format!(
                        "Stopped after epoch {epochs} and {steps} steps. It goes on with: gpunn train --resume {run}"
                    );
                    (Phase::Stopped, sentence, None)
                }
                LiveEnd::Failed(error) => (Phase::Failed, error.to_string(), None),
            };
            (watched.shown.phase, watched.shown.end, watched.shown.has_report) =
                (phase, Some(sentence), report.is_some());
            watched.report = report.map(Path::to_owned);
            watched.asked.is_some_and(|asked| asked.elapsed() < OPEN)
        };
        let began = Instant::now();
        while open && !self.shared.watched().seen && began.elapsed() < SHOW {
            std::thread::sleep(LOOK);
        }
    }

    fn note(&self, sentence: String) {
        let mut watched = self.shared.watched();
        let notes = &mut watched.shown.notes;
        if notes.len() == NOTES {
            notes.remove(0);
        }
        notes.push(sentence);
    }
}

impl Observer for Live {
    fn begun(&mut self, run: &Path, trainer: &Trainer, before: &[EpochLine]) {
        let recipe = trainer.recipe();
        let (training, steps) = (recipe.training.clone(), trainer.steps());
        let mut watched = self.shared.watched();
        let shown = &mut watched.shown;
        shown.phase = Phase::Training;
        shown.run = run.display().to_string();
        (shown.recipe, shown.model) = (recipe.name.clone(), recipe.model.name.clone());
        (shown.dataset, shown.device) = (recipe.data.name.clone(), trainer.engine().device_name());
        shown.parameters = trainer.model().parameters().count();
        (shown.planned_bytes, shown.epochs) = (trainer.planned_bytes(), recipe.training.epochs);
        shown.epoch = trainer.counters().epoch + 1;
        shown.of = training.steps_of(shown.epoch - 1, steps);
        shown.lines = before.to_vec();
        shown.last = trainer.counters().epoch;
        self.length = Some((training, steps));
    }

    fn progress(&mut self, epoch: u32, at: EpochProgress) -> bool {
        let (part, done, of) = match at {
            EpochProgress::Trained(step) => ("training".into(), step, None),
            EpochProgress::Repeated(step) => ("repeating".into(), step, None),
            EpochProgress::Features { split, batches, of } => (format!("features of {split}"), batches, Some(of)),
            EpochProgress::Evaluated { split, batches, of } => (format!("evaluating {split}"), batches, Some(of)),
            EpochProgress::Recovered | EpochProgress::Computing => return !self.shared.stop.load(Ordering::SeqCst),
        };
        let mut watched = self.shared.watched();
        let shown = &mut watched.shown;
        let steps = self.length.as_ref().map_or(0, |(training, steps)| training.steps_of(epoch - 1, *steps));
        (shown.epoch, shown.part, shown.done, shown.of) = (epoch, part, done, of.unwrap_or(steps));
        !self.shared.stop.load(Ordering::SeqCst)
    }

    fn epoch(&mut self, line: &EpochLine) -> bool {
        let mut watched = self.shared.watched();
        // After a device failed, epochs come again.
        watched.shown.lines.retain(|earlier| earlier.epoch < line.epoch);
        watched.shown.lines.push(line.clone());
        watched.shown.last = line.epoch;
        !self.shared.stop.load(Ordering::SeqCst)
    }

    fn wants_checkpoint(&mut self) -> bool {
        // A checkpoint that cannot be written is not tried again for the same wish.
        let wanted = self.shared.save.swap(false, Ordering::SeqCst);
        self.owes_note |= wanted;
        wanted
    }

    fn saved(&mut self, epoch: u32, steps: u32) {
        if std::mem::take(&mut self.owes_note) {
            self.note(format!("Saved in epoch {epoch}, after {steps} steps."));
        }
    }

    fn ended(&mut self, outcome: &RunOutcome) {
        if matches!(outcome, RunOutcome::Finished(_)) {
            self.shared.watched().shown.phase = Phase::Reporting;
        }
    }

    fn not_written(&mut self, error: &Error) {
        self.note(format!("Warning: {error}; training goes on."));
    }

    fn not_finite(&mut self, what: &str) {
        self.note(format!("Warning: {what}"));
    }

    fn device_failed(&mut self, error: &Error, now_on: &str) {
        self.note(format!("Warning: {error}. Training goes on from the last checkpoint on {now_on}."));
        self.shared.watched().shown.device = now_on.into();
    }
}

fn router(shared: Shared) -> Router {
    let stop = |State(shared): State<Shared>| async move { shared.stop.store(true, Ordering::SeqCst) };
    let seen = |State(shared): State<Shared>| async move { shared.watched().seen = true };
    let save = |State(shared): State<Shared>| async move { shared.save.store(true, Ordering::SeqCst) };
    let router: Router<Shared> = assets::router(&assets::LIVE)
        .route("/state", get(state))
        .route("/stop", post(stop))
        .route("/save", post(save))
        .route("/seen", post(seen))
        .route("/report", get(report));
    router.with_state(shared)
}

/// What the words after `?` of `/state` say: the epochs that the page has, and whether the answer may wait for half a second.
#[derive(Debug, serde::Deserialize)]
struct Known {
    #[serde(default)]
    after: u32,
    #[serde(default)]
    wait: bool,
}

async fn state(
    State(shared): State<Shared>,
    known: std::result::Result<Query<Known>, QueryRejection>,
) -> std::result::Result<Response, Failure> {
    let Query(Known { after, wait }) = known?;
    let begun = Instant::now();
    shared.watched().asked = Some(begun);
    while wait && begun.elapsed() < ANSWER && shared.watched().shown.end.is_none() {
        tokio::time::sleep(LOOK).await;
    }
    let mut watched = shared.watched();
    watched.asked = Some(Instant::now());
    let mut shown = watched.shown.clone();
    shown.lines.retain(|line| line.epoch > after);
    Ok(Json(shown).into_response())
}

async fn report(State(shared): State<Shared>) -> std::result::Result<Response, Failure> {
    let nothing = || Failure::new(StatusCode::NOT_FOUND, "There is no report yet.");
    let path = shared.watched().report.clone().ok_or_else(nothing)?;
    let page = std::fs::read(path).map_err(|_| nothing())?;
    let mut response = ([(header::CONTENT_TYPE, assets::PAGE)], page).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(REPORT_POLICY));
    Ok(response)
}
