//! `--live`: a page beside a training.

use crate::Result;
use crate::runs::Observer;
use crate::serve::{Live, LiveEnd};

use super::train::{RUN_HEADING, Trained};

#[derive(Debug, clap::Args)]
pub struct LiveArgs {
    /// Serve a page to this machine while the run trains: its curves as they grow, a button that stops it, one that saves a checkpoint now,
    /// and the report at the end [default port: 7878, else a free one; with GPUNN_TOKEN set, it needs that token]
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, conflicts_with = "folds", help_heading = RUN_HEADING)]
    live: Option<Option<u16>>,
}

impl LiveArgs {
    /// Trains, watched by the page if one was asked for.
    pub fn watched(&self, train: impl FnOnce(Option<&mut dyn Observer>) -> Result<Trained>) -> Result<Trained> {
        let Some(port) = self.live else { return train(None) };
        let mut live = Live::start(port, super::serve::token()?)?;
        // Without its address the page is of no use.
        eprintln!("live: {}", live.url());
        let trained = match train(Some(&mut live)) {
            Ok(trained) => trained,
            Err(error) => {
                live.end(LiveEnd::Failed(&error));
                return Err(error);
            }
        };
        live.end(LiveEnd::Outcome(&trained.outcome, trained.page.as_deref()));
        Ok(trained)
    }
}
