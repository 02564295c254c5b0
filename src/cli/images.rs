//! The flags for folders of images, and warnings about skipped images.

use crate::data::Dataset;
use crate::data::{Fit, ImageOptions, Size};

#[derive(Debug, clap::Args)]
pub struct ImageArgs {
    /// Size in pixels of the images of a folder, as 64 or HEIGHTxWIDTH [default: 64, or the known dataset's size]
    #[arg(long, value_name = "SIZE")]
    size: Option<Size>,
    /// How images get that size: centre-crop, resize, resize-crop (scale, then crop to the aspect ratio) or resize-middle
    /// (scale to 8/7 of the size, then crop) [default: resize-crop]
    #[arg(long, value_name = "NAME")]
    fit: Option<Fit>,
    /// Channels: 3 for color images, 1 for gray images [default: 3]
    #[arg(long, value_name = "N", value_parser = super::numbers::whole::<usize>(1))]
    channels: Option<usize>,
    /// Skip images that cannot be decoded, instead of stopping with an error
    #[arg(long)]
    pub skip_bad: bool,
}

impl ImageArgs {
    /// `before` with the changes of the flags.
    pub fn or(&self, before: ImageOptions) -> ImageOptions {
        ImageOptions {
            size: self.size.or(before.size),
            fit: self.fit.or(before.fit),
            channels: self.channels.or(before.channels),
        }
    }
}

/// Prints to standard error how many images were skipped, and the first few of them.
pub fn print_skipped(dataset: &Dataset) {
    const NAMED: usize = 5;
    let skipped = &dataset.skipped;
    if skipped.is_empty() {
        return;
    }
    for sentence in skipped.iter().take(NAMED) {
        eprintln!("skipped: {sentence}");
    }
    eprintln!("{} in {}", number_skipped(skipped.len()), dataset.name);
}

/// How many images were skipped, without a full stop.
pub fn number_skipped(count: usize) -> String {
    match count {
        1 => "1 image that cannot be decoded was skipped".into(),
        _ => format!("{count} images that cannot be decoded were skipped"),
    }
}
