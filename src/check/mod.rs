//! Checks on the user's machine that the kernels and gradients of every op are correct. It runs the cases of the op
//! table on an engine and compares them with the definitions in double precision.
//!
//! ```
//! use gpunn::{Engine, check, ops};
//!
//! let cases = ops::relu::cases();
//! let results = check::check_op_blocking(&mut Engine::cpu(), "relu", ops::tolerance::EXACT, &cases[..2])?;
//! assert!(results.iter().all(check::CheckResult::passed));
//! # Ok::<(), gpunn::Error>(())
//! ```

mod blame;
mod compare;
mod gradient;
mod half;
mod known;
mod node;
mod nonfinite;
mod parity;
mod verify;

pub use blame::{Blame, blame};
pub use compare::{Worst, compare};
pub use gradient::{central_difference, check_gradient, gradient_graph};
pub use half::half_precision;
pub use known::{KnownFailure, known_failures, parse_known_failures};
pub use nonfinite::{NonFinite, first_nonfinite};
pub use parity::{Inputs, check_value};
pub use verify::{NodeCheck, verify};

use crate::ops::case::Case;
use crate::ops::table::OpEntry;
use crate::ops::tolerance::Tolerance;
use crate::{Engine, Result};

/// What a check compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// The op's value, and the states that it updates, against the definition.
    Value,
    /// The gradients by the inputs on the engine against the gradients of the definition.
    Gradient,
    /// The gradients of the definition against central differences of its value. The engine takes no part.
    Differences,
}

impl CheckKind {
    /// `value`, `gradient` or `central differences`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Gradient => "gradient",
            Self::Differences => "central differences",
        }
    }
}

/// The result of checking one case of one op.
#[derive(Clone, Debug)]
pub struct CheckResult {
    /// The op.
    pub op: &'static str,
    /// The case.
    pub case: String,
    /// What was compared.
    pub kind: CheckKind,
    /// The element with the largest error.
    pub worst: Worst,
    /// The tensor that contains the worst element: `y`, `state0`, `gradient by input1`.
    pub tensor: String,
    /// The shape of that tensor.
    pub shape: String,
}

impl CheckResult {
    /// Whether all elements are within the tolerance.
    pub fn passed(&self) -> bool {
        self.worst.excess <= 1.0
    }
    /// One line with the case, and the index, value and reference of the worst element.
    pub fn sentence(&self) -> String {
        let Worst { index, value, reference, excess } = self.worst;
        format!(
            "{} [{}] {}: element {index} of {} ({}) is {value:.7e}, expected {reference:.7e}; \
             {excess:.2} times the allowed error",
            self.op,
            self.case,
            self.kind.name(),
            self.tensor,
            self.shape,
        )
    }
}

/// Checks an op of any crate: each case's value and gradients on an engine against the definition in double precision, and the
/// definition's gradients against central differences. `op` is the name in the results. `tolerance` is how far the value may be
/// from the definition: [`tolerance`](crate::ops::tolerance) has some, with their reasons. Gradients
/// are always compared with [`GRADIENT`](crate::ops::tolerance::GRADIENT). The CPU does not read an op's WGSL: check it on a GPU
/// too.
///
/// # Errors
/// When a graph cannot be built or the device fails. A wrong value is no error: see [`CheckResult::passed`].
pub async fn check_op(
    engine: &mut Engine,
    op: &'static str,
    tolerance: Tolerance,
    cases: &[Case],
) -> Result<Vec<CheckResult>> {
    let entry = OpEntry { name: op, summary: "", tolerance, cases: Vec::new, variants: Vec::new };
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

/// [`check_op`] for callers that are not async.
///
/// # Errors
/// As [`check_op`].
#[cfg(not(target_arch = "wasm32"))]
pub fn check_op_blocking(
    engine: &mut Engine,
    op: &'static str,
    tolerance: Tolerance,
    cases: &[Case],
) -> Result<Vec<CheckResult>> {
    crate::blocking::block_on(check_op(engine, op, tolerance, cases))
}

/// Checks one case's value and gradients.
///
/// # Errors
/// When the graph cannot be built or the device fails.
pub async fn check_case(engine: &mut Engine, entry: &OpEntry, case: &Case) -> Result<Vec<CheckResult>> {
    let mut outcomes = vec![check_value(engine, entry, case).await?];
    if !case.differentiable.is_empty() {
        outcomes.push(check_gradient(engine, entry.name, case).await?);
    }
    Ok(outcomes)
}
