//! How far training is: what a program shows, and where it can stop a run.

use crate::data::SplitName;

/// How far an epoch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochProgress {
    /// This number of training steps is done.
    Trained(u32),
    /// Steps or a batch compute, and take long. False gives them up.
    Computing,
    /// A number was not finite: the steps from this one on run again, to find the first wrong one.
    Repeated(u32),
    /// The sentinel has done something about a number that was not finite: see [`Trainer::take_warnings`](super::Trainer::take_warnings).
    Recovered,
    /// The outputs of the frozen layers are computed for a number of batches of a split.
    Features {
        /// The split.
        split: SplitName,
        /// The batches that are done.
        batches: u32,
        /// All batches.
        of: u32,
    },
    /// A number of batches of a split is evaluated.
    Evaluated {
        /// The split.
        split: SplitName,
        /// The batches that are done.
        batches: u32,
        /// All batches.
        of: u32,
    },
}

/// Gets how far training is, and returns whether to continue.
pub(super) type Watch<'a> = dyn FnMut(EpochProgress) -> bool + 'a;
