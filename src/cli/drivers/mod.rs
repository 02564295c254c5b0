//! The drivers of GPUs. `missing.rs` finds what a driver lacks. The others keep a driver that crashes or hangs from taking the program
//! with it: `identity.rs` finds the drivers without loading them, `trial.rs` tries them in a process of its own, and `usable.rs`
//! remembers the outcome and lists the adapters of the drivers that are left.

mod identity;
pub mod missing;
pub mod trial;
mod usable;

pub use usable::{Usable, again, usable};
