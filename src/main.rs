//! The command line of gpunn.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
