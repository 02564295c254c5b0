//! What all ranks have in common: the state that they begin with, and whether they go on.

use super::super::Trainer;
use super::Ranks;
use crate::collective::{self, Collective as _};
use crate::data::SplitName;
use crate::hash::Fnv1a;
use crate::train::checkpoint::{Checkpoint, Counters};
use crate::train::progress::Watch;
use crate::{Error, Result};

/// Two words of a hash.
fn words(hash: u64) -> [u32; 2] {
    [hash as u32, (hash >> 32) as u32]
}

/// A hash of a checkpoint's tensors, and of how far it is.
fn hash_of(checkpoint: &Checkpoint) -> Fnv1a {
    let mut hash = Fnv1a::new();
    let Counters { epoch, step, number, halved, skipped, .. } = checkpoint.counters;
    hash.add(bytemuck::cast_slice(&[epoch, step, number, halved, skipped]));
    checkpoint.tensors.values().for_each(|(_, values)| hash.add(bytemuck::cast_slice(values)));
    hash
}

impl Ranks {
    /// The state of rank 0, which it sends to all.
    fn send_state(&mut self, mut own: Checkpoint) -> Result<Checkpoint> {
        let text = toml::to_string(&own.counters).map_err(|error| Error::Ranks(error.to_string()))?;
        let text = collective::broadcast(&mut self.collective, text.as_bytes())?;
        let values: Vec<u8> =
            own.tensors.values().flat_map(|(_, values)| bytemuck::cast_slice::<f32, u8>(values)).copied().collect();
        let mut sent = &collective::broadcast(&mut self.collective, &values)?[..];
        let refuse = |why: String| Error::Ranks(format!("The state of rank 0 does not fit this rank: {why}."));
        own.counters = toml::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
        for (_, values) in own.tensors.values_mut() {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(values);
            let (first, rest) = sent.split_at_checked(bytes.len()).ok_or_else(|| refuse("it is shorter".into()))?;
            bytes.copy_from_slice(first);
            sent = rest;
        }
        if sent.is_empty() { Ok(own) } else { Err(refuse("it is longer".into())) }
    }
}

impl Trainer {
    /// Whether all ranks want to go on. A trainer that is alone wants what it is asked.
    ///
    /// # Errors
    /// [`Error::Ranks`] when another rank has ended.
    pub fn agree(&mut self, goes_on: bool) -> Result<bool> {
        let Some(ranks) = &mut self.ranks else { return Ok(goes_on) };
        let all = collective::all_gather_equal(&mut ranks.collective, &[u32::from(goes_on)])?;
        Ok(all.iter().all(|words| words[0] == 1))
    }

    /// Sees to it that all ranks have the state of rank 0 before an epoch. It differs where only rank 0 has read weights or a
    /// checkpoint, and later where devices do not compute alike.
    pub(in super::super) async fn begin_together(&mut self) -> Result<()> {
        if self.ranks.is_none() {
            return Ok(());
        }
        let state = self.checkpoint().await?;
        let Some(ranks) = &mut self.ranks else { return Ok(()) };
        let own = [words(ranks.images), words(hash_of(&state).value())].concat();
        let all = collective::all_gather_equal(&mut ranks.collective, &own)?;
        if let Some(other) = all.iter().position(|words| words[..2] != all[0][..2]) {
            return Err(Error::Ranks(format!(
                "Rank {other} has other images than rank 0. All ranks need the same dataset, and the same flags for it."
            )));
        }
        let differs = all.iter().position(|words| words[2..] != all[0][2..]);
        if let Some(other) = differs {
            let (rank, begun) = (ranks.collective.rank(), ranks.has_begun);
            let sent = ranks.send_state(state)?;
            if rank > 0 {
                self.restore(&sent)?;
            } else {
                // No rank goes back to before this state.
                self.sentinel.forget();
            }
            if begun {
                self.sentinel.warn(format!(
                    "rank {other} has other weights than rank 0 after the same updates, as its device computes otherwise. All go on with \
                     those of rank 0"
                ));
            }
        }
        if let Some(ranks) = &mut self.ranks {
            ranks.has_begun = true;
        }
        Ok(())
    }

    /// Trains as another rank does that writes the run, rank 0: to the last epoch, or until one rank stops. Then it evaluates the test
    /// split with it, if there is one: rank 0 calls [`Trainer::fit`] and [`Trainer::evaluate`], or runs an
    /// `Experiment`.
    ///
    /// # Errors
    /// As [`Trainer::epoch`], and [`Error::Ranks`] when another rank has ended.
    pub async fn follow(&mut self, progress: &mut dyn FnMut() -> bool) -> Result<()> {
        while self.goes_on().await? {
            let mut stopped = false;
            self.epoch(&mut |_| {
                stopped |= !progress();
                !stopped
            })
            .await?;
            self.take_warnings();
            if !self.agree(!stopped || self.is_over())? {
                return Ok(());
            }
        }
        if self.has(SplitName::Test) {
            let watch: &mut Watch<'_> = &mut |_| progress();
            self.evaluate_part(SplitName::Test, watch).await?;
        }
        Ok(())
    }
}
