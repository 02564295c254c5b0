//! Futures for GPU work. They complete when wgpu calls back.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// The longest time that work may take. After that it counts as hung.
#[cfg(not(target_arch = "wasm32"))]
pub(super) const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(120);

#[derive(Debug)]
struct State<T> {
    result: Option<Result<T, String>>,
    waker: Option<Waker>,
}

/// A future for work of the device. Its error says why the work failed.
#[derive(Debug)]
pub(super) struct Completion<T> {
    device: wgpu::Device,
    state: Arc<Mutex<State<T>>>,
}

/// Completes a [`Completion`].
#[derive(Debug)]
pub(super) struct Complete<T>(Arc<Mutex<State<T>>>);

impl<T> Complete<T> {
    pub fn with(self, result: Result<T, String>) {
        finish(&self.0, result);
    }
}

/// Keeps the first result and wakes the waiting task.
fn finish<T>(state: &Mutex<State<T>>, result: Result<T, String>) {
    let Ok(mut state) = state.lock() else { return };
    state.result.get_or_insert(result);
    if let Some(waker) = state.waker.take() {
        drop(state);
        waker.wake();
    }
}

impl<T> Completion<T> {
    /// A future and the handle that completes it.
    pub fn new(device: &wgpu::Device) -> (Self, Complete<T>) {
        let state = Arc::new(Mutex::new(State { result: None, waker: None }));
        (Self { device: device.clone(), state: state.clone() }, Complete(state))
    }

    /// Whether it has completed, according to the last poll.
    pub fn is_done(&self) -> bool {
        self.state.lock().is_ok_and(|state| state.result.is_some())
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
        let _ = self.device.poll(wgpu::PollType::Poll);
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
    /// Lets the thread wait in the driver, if it is a thread that may wait.
    fn wait_in_driver(&self) -> bool {
        let (device, state) = (self.device.clone(), self.state.clone());
        crate::blocking::leave(move || {
            let poll = wgpu::PollType::Wait { submission_index: None, timeout: Some(TIMEOUT) };
            if let Err(error) = device.poll(poll) {
                let seconds = TIMEOUT.as_secs();
                finish(
                    &state,
                    Err(format!("did not finish its work within {seconds} s ({error}); a smaller batch may help")),
                );
            }
        })
    }
}
