//! What went wrong with a device.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::{Error, Result};

/// Why a device cannot go on. A new one can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Its driver was reset, or the GPU is gone.
    Lost,
    /// It completed no submission within the time limit.
    Hung,
    /// It had no memory for a buffer or a submission.
    OutOfMemory,
}

/// What went wrong so far. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    lost: Arc<AtomicBool>,
    hung: Arc<AtomicBool>,
    out_of_memory: Arc<AtomicBool>,
    /// What the device refused.
    refused: Arc<Mutex<Vec<String>>>,
}

impl Failures {
    /// Learns of what goes wrong with a device from now on.
    pub fn watch(&self, device: &wgpu::Device) {
        let failures = self.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                failures.note(Failure::Lost);
            }
            drop(message);
        });
        let failures = self.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            if matches!(error, wgpu::Error::OutOfMemory { .. }) {
                failures.note(Failure::OutOfMemory);
            }
            if let Ok(mut refused) = failures.refused.lock() {
                refused.push(error.to_string());
            }
        }));
    }

    /// Notes a failure.
    pub fn note(&self, failure: Failure) {
        self.flag(failure).store(true, SeqCst);
    }

    fn flag(&self, failure: Failure) -> &AtomicBool {
        match failure {
            Failure::Lost => &self.lost,
            Failure::Hung => &self.hung,
            Failure::OutOfMemory => &self.out_of_memory,
        }
    }

    /// The failure that keeps the device from going on, if there is one; of several the one that explains the others.
    pub fn gravest(&self) -> Option<Failure> {
        // A lost device completes nothing, and refuses whatever is asked of it.
        [Failure::Lost, Failure::Hung, Failure::OutOfMemory]
            .into_iter()
            .find(|&failure| self.flag(failure).load(SeqCst))
    }

    /// Takes what was refused since the last call: a device that refused a kernel stays usable, because nothing has run yet.
    pub fn take_refused(&self) -> Option<String> {
        self.refused.lock().ok().and_then(|mut refused| std::mem::take(&mut *refused).into_iter().next())
    }

    /// An error if something went wrong with the device of this description.
    pub fn check(&self, description: &str) -> Result<()> {
        match self.gravest() {
            Some(Failure::Lost) => {
                return Err(Error::Device(format!(
                    "{description} was lost, perhaps reset by its driver; results since the last checkpoint are gone. Try a smaller \
                     batch, or --device cpu"
                )));
            }
            Some(Failure::OutOfMemory) => {
                return Err(Error::Memory(format!(
                    "{description} has no memory left, perhaps because another program uses it. Try a smaller batch, or --device cpu"
                )));
            }
            Some(Failure::Hung) => return Err(Error::Device(format!("{description} did not finish its work"))),
            None => {}
        }
        match self.refused.lock().ok().and_then(|refused| refused.first().cloned()) {
            Some(error) => Err(refused(description, &error)),
            None => Ok(()),
        }
    }
}

/// The error for what a device refused.
pub(super) fn refused(description: &str, error: &str) -> Error {
    Error::Device(format!("{description} refused: {error}"))
}
