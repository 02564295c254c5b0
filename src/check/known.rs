//! Failures of checks that are known, and expected, on some adapters.

use std::sync::OnceLock;

use serde::Deserialize;

use crate::{Error, Result};

/// A known failure: checks of an op that fail on some adapters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFailure {
    /// A part of the adapter's description.
    pub adapter: String,
    /// Another part of it: the driver's name or version.
    pub driver: String,
    /// The op.
    pub op: String,
    /// A part of the case's label. All cases if it is empty.
    #[serde(default)]
    pub case: String,
    /// Why it fails, and where that is reported.
    pub reason: String,
}

impl KnownFailure {
    /// Whether it is about the adapter of this [description](crate::gpu::Adapter::description).
    pub fn is_of(&self, adapter: &str) -> bool {
        adapter.contains(&self.adapter) && adapter.contains(&self.driver)
    }
    /// Whether it is about this case of an op.
    pub fn covers(&self, op: &str, case: &str) -> bool {
        self.op == op && case.contains(&self.case)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    failure: Vec<KnownFailure>,
}

/// Reads a list of known failures.
///
/// # Errors
/// When the text is not such a list, or names an op that is not in the table.
pub fn parse_known_failures(text: &str) -> Result<Vec<KnownFailure>> {
    let file: File = toml::from_str(text).map_err(|error| Error::data(format!("The known failures: {error}")))?;
    for failure in &file.failure {
        if crate::ops::table::TABLE.iter().all(|entry| entry.name != failure.op) {
            return Err(Error::data(format!("The known failures name the op '{}', which does not exist.", failure.op)));
        }
    }
    Ok(file.failure)
}

/// The known failures of this version, from `src/check/known-failures.toml`.
pub fn known_failures() -> &'static [KnownFailure] {
    static KNOWN: OnceLock<Vec<KnownFailure>> = OnceLock::new();
    KNOWN.get_or_init(|| parse_known_failures(include_str!("known-failures.toml")).expect("a test reads the list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str =
        "[[failure]]\nadapter = \"llvmpipe\"\ndriver = \"Mesa 22\"\nop = \"exp\"\nreason = \"a double\"\n";

    #[test]
    fn the_list_that_ships_can_be_read() {
        assert!(known_failures().iter().all(|failure| !failure.reason.is_empty()));
    }

    #[test]
    fn a_failure_is_known_by_adapter_driver_op_and_case() {
        let all = parse_known_failures(LIST).expect("a list");
        let of = |adapter: &str| all[0].is_of(adapter);
        assert!(of("llvmpipe (LLVM 15.0.6, 256 bits) (vulkan, llvmpipe Mesa 22.3.6 (LLVM 15.0.6))"));
        assert!(!of("llvmpipe (LLVM 19.1, 256 bits) (vulkan, llvmpipe Mesa 25.0.1)"));
        assert!(!of("SwiftShader (vulkan, Mesa 22)"));
        assert!(all[0].covers("exp", "3x4") && !all[0].covers("log", "3x4"));
        let one = parse_known_failures(&LIST.replace("reason", "case = \"5x\"\nreason")).expect("a list");
        assert!(one[0].covers("exp", "5x2 (checked)") && !one[0].covers("exp", "3x4"));
        for (from, to) in [("exp", "expo"), ("driver", "drivers")] {
            assert!(parse_known_failures(&LIST.replace(from, to)).is_err(), "{to}");
        }
    }
}
