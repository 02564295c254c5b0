//! Every kernel of the table against the CPU, on this browser's device.

use gpunn::Engine;
use gpunn::check::{CheckResult, check_case};
use gpunn::ops::case::Case;
use gpunn::ops::table::{OpEntry, TABLE};
use wasm_bindgen::prelude::*;

use crate::{Opened, json, open, thrown};

/// The checks of all ops, one case after the other.
#[wasm_bindgen]
pub struct Checking {
    engine: Engine,
    device: String,
    reason: String,
    cases: Vec<(&'static OpEntry, Case)>,
    next: usize,
}

/// What came out for a case.
#[derive(serde::Serialize)]
struct Checked {
    op: &'static str,
    case: String,
    passed: bool,
    /// A sentence for each check: of the value, and of gradients.
    sentences: Vec<String>,
}

#[wasm_bindgen]
impl Checking {
    /// Opens the device. Cases that are made to be timed are left out.
    pub async fn begin(cpu: bool) -> Checking {
        let Opened { engine, name, reason } = open(cpu).await;
        let of = |entry: &'static OpEntry| {
            (entry.cases)().into_iter().filter(|case| !case.timed).map(move |case| (entry, case))
        };
        let cases = TABLE.iter().flat_map(of).collect();
        Self { engine, device: name, reason, cases, next: 0 }
    }

    /// The device's name.
    pub fn device(&self) -> String {
        self.device.clone()
    }

    /// Why it is the CPU; empty on a GPU.
    pub fn reason(&self) -> String {
        self.reason.clone()
    }

    /// The number of cases.
    pub fn count(&self) -> usize {
        self.cases.len()
    }

    /// Checks the next case: the result as JSON, empty after the last one.
    pub async fn next(&mut self) -> Result<String, JsError> {
        let Some((entry, case)) = self.cases.get(self.next) else { return Ok(String::new()) };
        self.next += 1;
        let found = check_case(&mut self.engine, entry, case).await.map_err(thrown)?;
        json(&Checked {
            op: entry.name,
            case: case.label.clone(),
            passed: found.iter().all(CheckResult::passed),
            sentences: found.iter().map(CheckResult::sentence).collect(),
        })
    }
}
