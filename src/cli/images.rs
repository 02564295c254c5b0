//! The flags for folders of images, what is said of images left out, and images that are written.

use gpunn::data::Dataset;
use gpunn::data::{Fit, ImageOptions, Size};

#[derive(Debug, clap::Args)]
pub struct ImageArgs {
    /// For a folder of images: the size that they are brought to, as in 64 or HEIGHTxWIDTH [default: 64]
    #[arg(long, value_name = "SIZE")]
    size: Option<Size>,
    /// How: centre-crop, resize, resize-crop (scaled and cut to the proportions), or resize-middle (scaled to 8/7 and cut)
    /// [default: resize-crop]
    #[arg(long, value_name = "NAME")]
    fit: Option<Fit>,
    /// 3 for images in colour, 1 for grey ones [default: 3]
    #[arg(long, value_name = "N")]
    channels: Option<usize>,
    /// Go on without images that cannot be decoded
    #[arg(long)]
    pub skip_bad: bool,
}

impl ImageArgs {
    /// What the flags ask for; `before` where they leave it open.
    pub fn or(&self, before: ImageOptions) -> ImageOptions {
        ImageOptions {
            size: self.size.or(before.size),
            fit: self.fit.or(before.fit),
            channels: self.channels.or(before.channels),
        }
    }
}

/// Says on standard error how many images were left out, and names the first few.
pub fn say_skipped(dataset: &Dataset) {
    const NAMED: usize = 5;
    let skipped = &dataset.skipped;
    if skipped.is_empty() {
        return;
    }
    for sentence in skipped.iter().take(NAMED) {
        eprintln!("left out: {sentence}");
    }
    let noun =
        if skipped.len() == 1 { "image that cannot be decoded was" } else { "images that cannot be decoded were" };
    eprintln!("{} {noun} left out of {}", skipped.len(), dataset.name);
}

pub use gpunn::images::write_png;
