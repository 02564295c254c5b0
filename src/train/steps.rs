//! The steps of an evaluation.

use crate::ops::Step;

/// The maximum number of images in an evaluation step.
pub(crate) const EVALUATION_BATCH: usize = 200;

/// The steps of an evaluation of `rows` images, in order.
pub(super) fn evaluation_steps(rows: usize, batch: usize) -> Vec<Step> {
    let step = |number: usize| {
        let first = number * batch;
        Step { first: first as u32, ..Step::new(number as u32, batch.min(rows - first) as u32, 0) }
    };
    (0..rows.div_ceil(batch)).map(step).collect()
}
