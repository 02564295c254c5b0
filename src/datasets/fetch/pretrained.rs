//! Downloads ImageNet weights from their makers.

use super::transfer::{self, Wanted};
use super::{FetchOutcome, Progress, directory_for, make};
use crate::Result;
use crate::datasets::pretrained::{PublishedWeights, find};
use std::path::Path;

/// Downloads the ImageNet weights of a network into the data directory of [`get`](super::get). An interrupted download is
/// continued. The file gets its name when its digest is correct.
///
/// # Errors
/// [`Error::Usage`](crate::Error::Usage) for a network without published weights and without a data directory; else as [`get_weights_from`].
pub fn get_weights(model: &str, data_dir: Option<&Path>, progress: Progress) -> Result<FetchOutcome> {
    get_weights_from(find(model)?, &directory_for(data_dir)?, progress)
}

/// Downloads published weights into `directory`, like [`get_weights`].
///
/// # Errors
/// [`Error::Network`](crate::Error::Network) when no address has the file or the connection breaks, [`Error::Data`](crate::Error::Data) for a wrong digest,
/// [`Error::File`](crate::Error::File) when the file cannot be written.
pub fn get_weights_from(weights: &PublishedWeights, directory: &Path, progress: Progress) -> Result<FetchOutcome> {
    let path = weights.path(directory);
    // The makers state the length in MiB.
    let most = ((weights.mebibytes + 1.0) * f64::from(1 << 20)) as u64;
    let file = Wanted { name: weights.file, bytes: None, most, sha256: weights.sha256 };
    if file.is_at(&path)? {
        return Ok(FetchOutcome::AlreadyPresent(path));
    }
    make(&directory.join(weights.folder))?;
    transfer::fetch(weights.addresses, &file, &path, progress)?;
    Ok(FetchOutcome::Fetched(path))
}
