//! The program `gpunn`.

use gpunn::cli;

#[global_allocator]
static ALLOCATOR: cli::memory::OrEnd = cli::memory::OrEnd;

fn main() -> std::process::ExitCode {
    quiet_device_selection();
    cli::main(std::env::args_os())
}

/// Keeps Mesa's device-selection layer from printing warnings on machines without a display.
#[expect(unsafe_code, reason = "Mesa's layer has no other switch than the environment")]
fn quiet_device_selection() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: no other thread runs yet, so nothing reads the environment at the same time.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}
