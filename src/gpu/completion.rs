//! Futures for GPU work. They complete when wgpu calls back.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use web_time::Instant;

use super::failure::Failures;

/// The longest time in which no submission is completed. After that the device counts as hung.
pub(super) const TIMEOUT: Duration = Duration::from_secs(120);

/// What the completions of a device share.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub device: wgpu::Device,
    /// The number of completions so far.
    pub completed: Arc<AtomicU64>,
    #[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "no thread waits in a browser"))]
    pub timeout: Duration,
    #[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "no thread waits in a browser"))]
    pub failures: Failures,
}

#[derive(Debug)]
struct State<T> {
    result: Option<Result<T, String>>,
    done_at: Option<Instant>,
    waker: Option<Waker>,
}

/// A future for work of the device. Its error says why the work failed.
#[derive(Debug)]
pub(super) struct Completion<T> {
    waiting: Waiting,
    /// The submission of the work.
    #[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "no thread waits in a browser"))]
    index: Option<wgpu::SubmissionIndex>,
    state: Arc<Mutex<State<T>>>,
}

/// Completes a [`Completion`].
#[derive(Debug)]
pub(super) struct Complete<T>(Arc<Mutex<State<T>>>, Arc<AtomicU64>);

impl<T> Complete<T> {
    pub fn with(self, result: Result<T, String>) {
        self.1.fetch_add(1, SeqCst);
        finish(&self.0, result);
    }
}

/// Keeps the first result and wakes the waiting task.
fn finish<T>(state: &Mutex<State<T>>, result: Result<T, String>) {
    let Ok(mut state) = state.lock() else { return };
    state.result.get_or_insert(result);
    state.done_at.get_or_insert_with(Instant::now);
    if let Some(waker) = state.waker.take() {
        drop(state);
        waker.wake();
    }
}

impl<T> Completion<T> {
    /// A future for work of a submission, and the handle that completes it.
    pub fn new(waiting: &Waiting, index: Option<wgpu::SubmissionIndex>) -> (Self, Complete<T>) {
        let state = Arc::new(Mutex::new(State { result: None, done_at: None, waker: None }));
        let complete = Complete(state.clone(), waiting.completed.clone());
        (Self { waiting: waiting.clone(), index, state }, complete)
    }

    /// When it was seen to be complete, by the last poll or submission.
    pub fn done_at(&self) -> Option<Instant> {
        self.state.lock().ok().and_then(|state| state.done_at)
    }

    fn take(&self) -> Option<Result<T, String>> {
        self.state.lock().ok().and_then(|mut state| state.result.take())
    }
}

impl<T: Send + 'static> Future for Completion<T> {
    type Output = Result<T, String>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Ok(mut state) = self.state.lock() {
            state.waker = Some(context.waker().clone());
        }
        // On a desktop, wgpu calls back only inside a poll. In a browser, the event loop does it.
        let _ = self.waiting.device.poll(wgpu::PollType::Poll);
        if let Some(result) = self.take() {
            return Poll::Ready(result);
        }
        #[cfg(not(target_arch = "wasm32"))]
        if !self.wait_in_driver() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + 'static> Completion<T> {
    /// Lets the thread wait in the driver, if it is a thread that may wait. A device that completes other submissions meanwhile is
    /// slow, not hung: the future is then polled again, and waits again.
    fn wait_in_driver(&self) -> bool {
        let (Waiting { device, completed, timeout, failures }, state) = (self.waiting.clone(), self.state.clone());
        let submission_index = self.index.clone();
        crate::blocking::leave(move || {
            let before = completed.load(SeqCst);
            if let Err(error) = device.poll(wgpu::PollType::Wait { submission_index, timeout: Some(timeout) }) {
                let _ = device.poll(wgpu::PollType::Poll);
                if completed.load(SeqCst) == before {
                    failures.note(super::failure::Failure::Hung);
                    let seconds = timeout.as_secs_f64();
                    finish(
                        &state,
                        Err(format!("did not finish its work within {seconds} s ({error}); a smaller batch may help")),
                    );
                }
            }
        })
    }
}
