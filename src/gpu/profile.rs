//! Measures kernel times with timestamps around each dispatch. Each dispatch has its own pass, because every backend
//! with timestamps supports them between passes.

use std::ops::Range;

use super::executor::{Executor, Loaded};
use crate::profile::Timed;
use crate::{Error, Result};

/// The maximum number of dispatches in a query set. Each needs two queries, and WebGPU allows 4,096.
const MOST_DISPATCHES: usize = 2048;

impl Executor {
    /// Runs scheduled steps and waits for them. Each dispatch has its own pass between two timestamps.
    ///
    /// # Errors
    /// When the device has no timestamps, was not opened for profiling, or is lost.
    pub async fn profile(&mut self, program: usize, range: std::ops::Range<usize>) -> Result<Vec<Timed>> {
        if !self.device.has_timestamps() {
            return Err(Error::Device(format!("{} has no timestamps to profile with", self.device.description())));
        }
        let mut timed = Vec::new();
        for step in range {
            timed.extend(self.profile_step(program, step).await?);
        }
        let first = timed.iter().map(|dispatch| dispatch.start).fold(f64::INFINITY, f64::min);
        timed.iter_mut().for_each(|dispatch| dispatch.start -= first);
        Ok(timed)
    }

    async fn profile_step(&mut self, program: usize, step: usize) -> Result<Vec<Timed>> {
        let mut timed = Vec::new();
        for piece in self.submissions(program) {
            for first in piece.clone().step_by(MOST_DISPATCHES) {
                let dispatches = first..piece.end.min(first + MOST_DISPATCHES);
                timed.extend(self.profile_dispatches(program, step, dispatches).await?);
            }
        }
        Ok(timed)
    }

    async fn profile_dispatches(&mut self, program: usize, step: usize, range: Range<usize>) -> Result<Vec<Timed>> {
        let count = range.len() as u32;
        let queries = self.device.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("profile"),
            ty: wgpu::QueryType::Timestamp,
            count: 2 * count,
        });
        let bytes = 16 * range.len();
        let resolved = self.device.buffer("profile", bytes, wgpu::BufferUsages::QUERY_RESOLVE);
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for (index, ready) in (0..).zip(&self.loaded[program].ready[range.clone()]) {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &queries,
                    beginning_of_pass_write_index: Some(2 * index),
                    end_of_pass_write_index: Some(2 * index + 1),
                }),
            });
            self.encode(&mut pass, program, ready, step);
        }
        encoder.resolve_query_set(&queries, 0..2 * count, &resolved, 0);
        self.device.submit(encoder);
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&self.device.read(&resolved, 0, bytes).await?);
        let period = f64::from(self.device.queue.get_timestamp_period());
        let Loaded { plan, ready, .. } = &self.loaded[program];
        let times = ready[range].iter().zip(ticks.chunks_exact(2)).map(|(ready, ticks)| {
            let work = &plan.work[ready.work];
            let dispatch = &work.lowering.dispatches[ready.dispatch];
            Timed {
                kernel: dispatch.kernel.label.clone(),
                node: plan.graph.node(work.node).name.clone(),
                step,
                start: ticks[0] as f64 * period,
                duration: ticks[1].saturating_sub(ticks[0]) as f64 * period,
                flops: dispatch.flops,
                bytes: dispatch.bytes,
            }
        });
        Ok(times.collect())
    }
}
