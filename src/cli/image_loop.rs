//! The loop over the images of a command: decodes some while the network computes with those before them.

use std::io::IsTerminal;
use std::sync::mpsc::{SyncSender, sync_channel};

use indicatif::ProgressBar;
use rayon::prelude::*;

use super::predict::inputs::Source;
use super::working::TICK;
use crate::inference::{IMAGES_AT_ONCE, prepare_for};
use crate::train::Checkpoint;
use crate::{Error, Result};

/// Images with their pixels, or the reason why they cannot be read.
type Chunk = Vec<(Source, Result<Vec<f32>>)>;

/// A loop over images that are prepared for a network, with a progress bar at a terminal.
pub struct ImageLoop<'a> {
    checkpoint: &'a Checkpoint,
    skip_bad: bool,
    skipped: usize,
    bar: ProgressBar,
}

impl<'a> ImageLoop<'a> {
    /// With `skip_bad`, images that cannot be decoded are named and left out. The bar is hidden if `quiet` or for few images.
    pub fn new(checkpoint: &'a Checkpoint, skip_bad: bool, (images, quiet): (usize, bool)) -> Self {
        let shows = !quiet && images > IMAGES_AT_ONCE && std::io::stderr().is_terminal();
        let bar = if shows { ProgressBar::new(images as u64) } else { ProgressBar::hidden() };
        if shows {
            bar.enable_steady_tick(TICK);
        }
        Self { checkpoint, skip_bad, skipped: 0, bar }
    }

    /// The bar, which advances by itself.
    pub fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// Calls `take` with some images at a time, in their order. Memory use does not grow with their number.
    pub fn each(
        &mut self,
        sources: Vec<Source>,
        mut take: impl FnMut(&[Source], &[Vec<f32>]) -> Result<()>,
    ) -> Result<()> {
        let checkpoint = self.checkpoint;
        std::thread::scope(|scope| {
            let (sender, loaded) = sync_channel(1);
            scope.spawn(move || load_ahead(sources, checkpoint, &sender));
            loaded.into_iter().try_for_each(|chunk| self.chunk(chunk, &mut take))
        })
    }

    fn chunk(&mut self, chunk: Chunk, take: &mut impl FnMut(&[Source], &[Vec<f32>]) -> Result<()>) -> Result<()> {
        let (mut sources, mut images) = (Vec::new(), Vec::new());
        let mut bad = None;
        for (source, pixels) in chunk {
            match pixels {
                Ok(pixels) => {
                    sources.push(source);
                    images.push(pixels);
                }
                Err(error) if self.skip_bad => {
                    self.skipped += 1;
                    self.bar.suspend(|| eprintln!("skipped: {error}"));
                }
                // The images before it are used.
                Err(error) => {
                    bad = Some(error);
                    break;
                }
            }
        }
        if !images.is_empty() {
            take(&sources, &images)?;
            self.bar.inc(images.len() as u64);
        }
        bad.map_or(Ok(()), Err)
    }

    /// Removes the bar.
    pub fn end_bar(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints how many images were skipped, if any were.
    pub fn print_skipped(&self) {
        if self.skipped > 0 {
            eprintln!("{}", super::images::number_skipped(self.skipped));
        }
    }
}

/// Decodes images in parallel, and waits until they are taken.
fn load_ahead(sources: Vec<Source>, checkpoint: &Checkpoint, to: &SyncSender<Chunk>) {
    let mut sources = sources.into_iter();
    loop {
        let chunk: Vec<Source> = sources.by_ref().take(IMAGES_AT_ONCE).collect();
        let read = |source: Source| {
            let pixels = source.open().map(|image| prepare_for(&image, checkpoint));
            (source, pixels)
        };
        let chunk: Chunk = chunk.into_par_iter().map(read).collect();
        // The receiver is gone after an error.
        if chunk.is_empty() || to.send(chunk).is_err() {
            return;
        }
    }
}

/// The error for a command that was given no image it can use: all were skipped.
pub fn none_left() -> Error {
    Error::data("No image could be decoded, so there is nothing to compute.")
}
