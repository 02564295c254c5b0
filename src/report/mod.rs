//! Reports of runs: one self-contained HTML page per run, its plots as files, and a page that compares runs.
//!
//! A report needs only the run directory (`metrics.jsonl`, `summary.json`, the checkpoint) and the dataset, so it can be
//! written again at any time. Missing parts are named on the page and in [`WrittenReport::left_out`].
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
mod content;
mod curves;
mod draw;
mod embed;
mod examples;
mod groups;
mod heat;
mod loaded_run;
mod measured;
mod nearest;
mod noise;
mod page;
mod predictions;
mod raster;
mod reliability;
mod run;
mod sections;
mod settings;
mod step;
mod swept;
mod tags;
mod weights;

pub use compare::{compare, compare_grouped};
pub use curves::{Across, Curve, CurvePlot, Unit};
pub use draw::svg;
pub use groups::{Group, groups, verdict};
pub use noise::{Difference, Sample};
pub use run::{ReportOptions, WrittenReport, write};
pub use settings::{Settings, flat};
pub use step::bytes;
