//! The extension module `gpunn._gpunn`. The package around it is in `package/gpunn`; `package/gpunn/__init__.pyi` documents what a user
//! sees. It holds the whole program, too, so that a wheel has the engine once.

mod errors;
mod given;
mod network;
mod pixels;
mod program;
mod reading;
mod run;
mod settings;
mod training;
mod values;
mod waiting;

/// Where there is no memory, the process ends with a sentence, as the program does.
#[global_allocator]
static ALLOCATOR: gpunn::cli::memory::OrEnd = gpunn::cli::memory::OrEnd;

/// The module.
#[pyo3::pymodule]
mod _gpunn {
    #[pymodule_export]
    use super::network::Prediction;
    #[pymodule_export]
    use super::program::{main, set_program, set_threads};
    #[pymodule_export]
    use super::reading::{Page, read};
    #[pymodule_export]
    use super::run::{Run, load};
    #[pymodule_export]
    use super::settings::settings_of;
    #[pymodule_export]
    use super::training::train;

    /// The version of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
