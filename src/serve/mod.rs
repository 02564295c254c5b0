//! Pages for a browser on this machine: a trained network to try, with an HTTP interface for programs ([`TryIt`]), and the curves of a
//! training as they grow ([`Live`]). The pages themselves are in the folder `pages/`.
//!
//! Nothing is read from the disk because of an address: the pages are inside the program. See [`Access`] for who is answered.

mod access;
mod assets;
mod examples;
mod failure;
mod live;
mod network;
mod server;
mod try_it;

pub use access::Access;
pub use examples::Examples;
pub use live::{Live, LiveEnd};
pub use network::{MOST_TOGETHER, Network};
pub use server::Server;
pub use try_it::{Limits, TryIt};

/// The port on which pages are served, unless another is asked for.
pub const PORT: u16 = 7878;
