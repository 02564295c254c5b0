//! Counts the requests to a device. wgpu's own counters show which objects exist now. These counters show what
//! happened, so a test can check that a step is one submit and nothing else.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The number of requests since the device was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Buffers created.
    pub buffers: u64,
    /// Pipelines created.
    pub pipelines: u64,
    /// Bind groups created.
    pub bind_groups: u64,
    /// Submissions.
    pub submits: u64,
    /// Uploads through the queue.
    pub writes: u64,
    /// Buffers mapped for reading.
    pub maps: u64,
    /// Polls that waited.
    pub waits: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub buffers: AtomicU64,
    pub pipelines: AtomicU64,
    pub bind_groups: AtomicU64,
    pub submits: AtomicU64,
    pub writes: AtomicU64,
    pub maps: AtomicU64,
    pub waits: AtomicU64,
}

impl Counters {
    pub fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }
    pub fn counts(&self) -> Counts {
        Counts {
            buffers: self.buffers.load(Relaxed),
            pipelines: self.pipelines.load(Relaxed),
            bind_groups: self.bind_groups.load(Relaxed),
            submits: self.submits.load(Relaxed),
            writes: self.writes.load(Relaxed),
            maps: self.maps.load(Relaxed),
            waits: self.waits.load(Relaxed),
        }
    }
}
