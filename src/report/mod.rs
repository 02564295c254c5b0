//! What a person looks at after a run: one HTML page that needs nothing else, and its plots as files.
//!
//! Everything is drawn from the run directory (`metrics.jsonl`, `summary.json`, the checkpoint) and from the data set where
//! it is found, so that any run can be reported again. What is missing is said on the page and by [`Report::left_out`].
//!
//! ```no_run
//! use gpunn::Engine;
//! use gpunn::report::{ReportOptions, write};
//!
//! let mut engine = Engine::cpu();
//! let written = write("runs/mine".as_ref(), &mut engine, ReportOptions::default());
//! println!("{}", gpunn::blocking::block_on(written)?.page.display());
//! # Ok::<(), gpunn::Error>(())
//! ```

mod compare;
mod confusion;
mod curves;
mod draw;
mod embed;
mod examples;
mod material;
mod page;
mod predictions;
mod run;
mod sections;
mod settings;
mod step;
mod weights;

pub use compare::compare;
pub use run::{Report, ReportOptions, write};
pub use step::bytes;
