//! What `gpunn check` found on an adapter, remembered for each adapter and driver: kernel variants that it computes wrongly, which are
//! avoided from then on, and ops that it computes wrongly by their plain kernels, because of which it is not used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::files::KeptFile;
use crate::gpu::Adapter;
use crate::graph::kernel::ForcedVariant;
use crate::ops::table::force;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

use super::kept;

/// What is wrong on an adapter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Ops and their variants.
    variants: BTreeSet<(String, String)>,
    /// Ops whose plain kernel is wrong, with a sentence that names the case and the element.
    ops: BTreeMap<String, String>,
}

impl Verdict {
    /// What is remembered of an adapter in the user's cache folder.
    pub fn of(adapter: &Adapter) -> Self {
        crate::datasets::cache_dir().map(|cache| Self::read(&record(&cache, adapter))).unwrap_or_default()
    }

    /// Remembers it of an adapter, in the user's cache folder. Where nothing is wrong, no file is left.
    ///
    /// # Errors
    /// When the file cannot be written or removed.
    pub fn keep(&self, adapter: &Adapter) -> Result<()> {
        let Some(cache) = crate::datasets::cache_dir() else { return Ok(()) };
        self.write(&record(&cache, adapter))
    }

    /// A file that cannot be believed is removed: only `gpunn check` makes it anew.
    fn read(file: &KeptFile) -> Self {
        let known = file.read().unwrap_or_else(|error| {
            eprintln!("warning: {error}. It is removed; `gpunn check` finds again what is wrong on the device.");
            let _ = std::fs::remove_file(file.path());
            None
        });
        known.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn write(&self, file: &KeptFile) -> Result<()> {
        if *self == Self::default() {
            return match std::fs::remove_file(file.path()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(Error::file("cannot remove", file.path())(error))
                }
                _ => Ok(()),
            };
        }
        let path = file.path().display();
        file.write(&serde_json::to_vec(self).map_err(|error| Error::data(format!("{path}: {error}")))?)
    }

    /// Forgets that an op is wrong.
    pub fn forget_op(&mut self, op: &str) {
        self.ops.remove(op);
    }

    /// Forgets the wrong variants of an op.
    pub fn forget_variants(&mut self, op: &str) {
        self.variants.retain(|(own, _)| own != op);
    }

    /// Notes a variant that is wrong.
    pub fn add_variant(&mut self, variant: ForcedVariant) {
        let [op, variant] = variant.names();
        self.variants.insert((op.into(), variant.into()));
    }

    /// Notes an op whose plain kernel is wrong.
    pub fn add_op(&mut self, op: &str, sentence: String) {
        self.ops.entry(op.into()).or_insert(sentence);
    }

    /// Notes what another verdict says.
    pub fn extend(&mut self, other: &Self) {
        self.variants.extend(other.variants.iter().cloned());
        self.ops.extend(other.ops.clone());
    }

    /// Whether an op's plain kernel is wrong.
    pub fn is_wrong(&self, op: &str) -> bool {
        self.ops.contains_key(op)
    }

    /// What is wrong, as OP/VARIANT, or OP for a plain kernel.
    pub fn names(&self) -> BTreeSet<String> {
        let variants = self.variants.iter().map(|(op, variant)| format!("{op}/{variant}"));
        variants.chain(self.ops.keys().cloned()).collect()
    }

    /// The variants to avoid. Names that this version does not know are left out.
    pub fn avoided(&self) -> Vec<ForcedVariant> {
        self.variants.iter().filter_map(|(op, variant)| force(op, variant).ok()).collect()
    }

    /// The first op whose plain kernel is wrong, and its sentence.
    pub fn wrong_op(&self) -> Option<(&str, &str)> {
        self.ops.first_key_value().map(|(op, sentence)| (op.as_str(), sentence.as_str()))
    }
}

/// What kernels are not used, as a sentence.
pub fn avoided_sentence(avoided: &[ForcedVariant]) -> String {
    let names: Vec<String> =
        avoided.iter().map(|variant| variant.names()).map(|[op, name]| format!("{op}/{name}")).collect();
    format!("not used here, because `gpunn check` found it wrong: {}; plain kernels take its place", names.join(", "))
}

/// The file of an adapter. Other kernels or another driver may be right, so its key has both versions.
fn record(cache: &Path, adapter: &Adapter) -> KeptFile {
    let info = adapter.info();
    let versions = env!("CARGO_PKG_VERSION");
    kept::file(cache, "checked", format!("{} {:x} {:x} {versions}", adapter.description(), info.vendor, info.device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_kept_until_nothing_is_wrong() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = kept::file(folder.path(), "checked", "an adapter".into());
        let mut verdict = Verdict::default();
        verdict.write(&file).expect("nothing to remove");
        let variant = force("matmul", "subgroup").expect("a variant");
        verdict.add_variant(variant);
        verdict.add_op("softmax", "a sentence".into());
        verdict.write(&file).expect("written");
        let known = Verdict::read(&file);
        assert_eq!((known.avoided(), known.wrong_op()), (vec![variant], Some(("softmax", "a sentence"))));
        // A name of another version is passed over.
        file.write(br#"{"variants":[["matmul","telepathy"]],"ops":{}}"#).expect("written");
        assert!(Verdict::read(&file).avoided().is_empty());
        verdict.forget_op("softmax");
        assert_eq!((verdict.avoided(), verdict.wrong_op()), (vec![variant], None));
        verdict.forget_variants("matmul");
        verdict.write(&file).expect("removed");
        assert!(!file.path().exists());
        std::fs::write(file.path(), "{").expect("written");
        assert_eq!(Verdict::read(&file), Verdict::default());
    }
}
