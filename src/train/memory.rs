//! What plans need together, and the largest batch that fits.

use std::collections::BTreeMap;

use crate::graph::{BufferKind, Graph, Passes, Plan, PlanOptions, Target, optimise};
use crate::{Error, Result};

/// Optimises and plans a graph.
pub(super) fn plan(graph: &Graph, target: &Target, options: PlanOptions) -> Result<Plan> {
    Plan::new(optimise(graph, Passes::default())?, target, options)
}

/// Bytes of all buffers of several plans on one engine: those that persist count once.
pub(super) fn planned_bytes<'a>(plans: impl IntoIterator<Item = &'a Plan>) -> usize {
    let mut persistent: BTreeMap<&str, usize> = BTreeMap::new();
    let mut own = 0;
    for plan in plans {
        for buffer in &plan.buffers {
            if buffer.kind == BufferKind::Persistent {
                persistent.insert(&buffer.name, buffer.bytes);
            } else {
                own += buffer.bytes;
            }
        }
    }
    own + persistent.values().sum::<usize>()
}

/// Plans a training step for a batch; where it does not fit, the error says which batch would.
pub(super) fn plan_training(
    batch: usize,
    target: &Target,
    options: PlanOptions,
    graph: impl Fn(usize) -> Result<Graph>,
) -> Result<Plan> {
    let planned = |batch: usize| plan(&graph(batch)?, target, options);
    let reason = match planned(batch) {
        Err(Error::Memory(reason)) => reason,
        other => return other,
    };
    // Between a batch that fits and one that does not; 0 fits always, and is no batch.
    let (mut fits, mut fails) = (0, batch);
    while fails - fits > 1 {
        let middle = fits + (fails - fits) / 2;
        match planned(middle) {
            Ok(_) => fits = middle,
            Err(Error::Memory(_)) => fails = middle,
            Err(other) => return Err(other),
        }
    }
    Err(Error::Memory(match fits {
        0 => format!(
            "A step does not fit the device even with a batch of 1: {reason}. Try --device cpu or a smaller model."
        ),
        _ => format!(
            "A step with a batch of {batch} does not fit the device: {reason}. The largest batch that fits is {fits}: \
             --batch-size {fits}."
        ),
    }))
}
