//! Proves on the machine at hand that every op's kernels and gradients are right: the op table's cases on an engine,
//! against the definitions in double precision.
//!
//! ```
//! use gpunn::{Engine, check, ops};
//!
//! let cases = ops::relu::cases();
//! let results = gpunn::blocking::block_on(check::check_op(&mut Engine::cpu(), "relu", &cases[..2]))?;
//! assert!(results.iter().all(check::CheckResult::passed));
//! # Ok::<(), gpunn::Error>(())
//! ```

mod compare;
mod gradient;
mod parity;
mod verify;

pub use compare::{Worst, compare};
pub use gradient::{central_difference, check_gradient, gradient_graph};
pub use parity::{Inputs, check_value};
pub use verify::{NodeCheck, verify};

use crate::ops::case::Case;
use crate::ops::table::Entry;
use crate::ops::tolerance::Tolerance;
use crate::{Engine, Result};

/// What a check looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The op's value, and the states it updates.
    Value,
    /// The gradients by its inputs.
    Gradient,
}

/// One case of one op, checked.
#[derive(Clone, Debug)]
pub struct CheckResult {
    /// The op.
    pub op: &'static str,
    /// The case.
    pub case: String,
    /// Value or gradient.
    pub kind: Kind,
    /// The worst element, and of which tensor.
    pub worst: Worst,
    /// What the worst element is part of: `y`, `state0`, `gradient by input1`.
    pub tensor: String,
    /// The shape of that tensor.
    pub shape: String,
}

impl CheckResult {
    /// Whether it is within the tolerance.
    pub fn passed(&self) -> bool {
        self.worst.excess <= 1.0
    }
    /// One line: the case, and the worst element with its place and both values.
    pub fn sentence(&self) -> String {
        let Worst { index, value, reference, excess } = self.worst;
        format!(
            "{} [{}] {}: element {index} of {} ({}) is {value:e}, must be {reference:e}; {excess:.2} times what is allowed",
            self.op,
            self.case,
            if self.kind == Kind::Value { "value" } else { "gradient" },
            self.tensor,
            self.shape,
        )
    }
}

/// Checks an op of any crate: each case's value and gradients on an engine against the definition in double precision, and the
/// definition's gradients against central differences. `tolerance` is how far the value may be from the definition:
/// [`crate::ops::tolerance`] has some, with their reasons.
///
/// # Errors
/// When a graph cannot be built or the device fails. A wrong value is no error: see [`CheckResult::passed`].
pub async fn check_op(
    engine: &mut Engine,
    op: &'static str,
    tolerance: Tolerance,
    cases: &[Case],
) -> Result<Vec<CheckResult>> {
    let entry = Entry { name: op, summary: "", tolerance, cases: Vec::new, variants: Vec::new };
    let mut results = Vec::new();
    for case in cases {
        results.push(check_value(engine, &entry, case).await?);
        if !case.differentiable.is_empty() {
            results.push(check_gradient(engine, op, case).await?);
            results.push(central_difference(op, case)?);
        }
    }
    Ok(results)
}

/// Checks one case's value and gradients.
///
/// # Errors
/// When the graph cannot be built or the device fails.
pub async fn check_case(engine: &mut Engine, entry: &Entry, case: &Case) -> Result<Vec<CheckResult>> {
    let mut outcomes = vec![check_value(engine, entry, case).await?];
    if !case.differentiable.is_empty() {
        outcomes.push(check_gradient(engine, entry.name, case).await?);
    }
    Ok(outcomes)
}
