//! Runs on disk: recipes, run directories, checkpoints, and weights from and for other programs.
//!
//! ```
//! use gpunn::runs::RunDirectory;
//! use gpunn::train::{Checkpoint, Recipe, Trainer};
//! use gpunn::{Engine, data::glyphs};
//!
//! let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("model.safetensors");
//! let dataset = glyphs::dataset();
//! let mut trainer = Recipe::new("mlp").trainer(&dataset)?;
//! trainer.save(&path)?;
//! assert_eq!(Checkpoint::read(&path)?.classes, dataset.classes);
//! let again = Trainer::load(Engine::cpu(), &path, &dataset)?;
//! assert_eq!(again.recipe(), trainer.recipe());
//!
//! // A run directory holds the recipe, the metrics and the checkpoints of one run.
//! let run = RunDirectory::create(&folder.path().join("run"), trainer.recipe(), false)?;
//! assert_eq!(&run.recipe()?, trainer.recipe());
//! # Ok::<(), gpunn::Error>(())
//! ```

mod automatic;
mod checkpoint;
mod choice;
mod class_weights;
mod clock;
mod directory;
mod diverged;
mod events;
mod experiment;
mod lock;
pub mod onnx;
mod recipe;
mod run_images;
mod trace;
pub mod weights;

pub use automatic::{Choice, Start, VAL_FRACTION, for_folder, run_name, val_fraction};
pub use choice::{choose, model};
pub use class_weights::class_weights;
pub use clock::clock;
pub use directory::{ImportedFrom, RunDirectory};
#[cfg(feature = "reports")]
pub(crate) use directory::{PLOTS, REPORT};
pub use events::EventWriter;
pub use experiment::{Experiment, Observer, Reopen, RunOutcome, SAVE_EVERY};
pub use recipe::load_other;
pub use run_images::RunImages;
pub use trace::trace;
pub use weights::first_weights;
