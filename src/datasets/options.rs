//! How a dataset is loaded.

use std::path::PathBuf;

use super::directories::cache_dir;
use crate::data::ImageOptions;

/// A CSV file with the labels of the images of a folder. Its first line names the columns `file` (or `path`, `filename`, `image`), `label`
/// (or `class`, `labels`, `tags`) and, if the images are divided, `split`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The file: as it is, or in the folder of images, or beside this folder.
    pub file: PathBuf,
    /// Whether an image has any number of labels, with `;` between them. `None` if the file decides: it does if a cell has a `;`.
    pub multi_label: Option<bool>,
}

/// Options for loading a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// The requested size, fit and channels for folders of images.
    pub image_options: ImageOptions,
    /// A file with the labels of a folder's images. Without it, the names of folders are the labels.
    pub labels: Option<Labels>,
    /// Skip images that cannot be decoded, instead of failing.
    pub skip_bad: bool,
    /// The folder for the cache of decoded images. `None` means no cache.
    pub cache: Option<PathBuf>,
    /// The maximum size in bytes of a folder's decoded images in memory. A larger folder stays in the cache, if there is
    /// one, and images are read when they are needed.
    pub memory_limit: usize,
}

/// The default limit: 2 GiB.
const MEMORY_LIMIT: usize = 1 << 31;

impl Default for LoadOptions {
    /// The dataset's own image size, no image skipped, the cache in [`cache_dir`], and up to 2 GiB in memory.
    fn default() -> Self {
        Self {
            image_options: ImageOptions::default(),
            labels: None,
            skip_bad: false,
            cache: cache_dir(),
            memory_limit: MEMORY_LIMIT,
        }
    }
}
