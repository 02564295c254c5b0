//! The command line of gpunn.

mod cli;

fn main() -> std::process::ExitCode {
    quiet_device_selection();
    cli::main()
}

/// Mesa's device-selection layer looks for a display and complains on standard error where a machine has none.
fn quiet_device_selection() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: nothing has been started yet that could read the environment meanwhile.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}
