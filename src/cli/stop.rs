//! Signals that ask the program to stop: Ctrl-C, and on Unix those of `kill`, `timeout` and a closed terminal.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Signals within this time are one wish: `timeout` sends two, one to the program and one to its group.
const TOGETHER: Duration = Duration::from_millis(500);

/// Whether a signal asked the program to stop. A second one ends it at once.
#[derive(Clone, Debug, Default)]
pub struct StopFlag {
    /// The exit code of the first signal, 0 before it.
    code: Arc<AtomicU8>,
    /// Whether a signal ends the process at once, because no training is under way.
    at_once: Arc<AtomicBool>,
}

impl StopFlag {
    /// Installs the handler. Call it once per process. If it cannot be installed, a signal ends the process; the last checkpoint
    /// remains.
    pub fn on_signals() -> Self {
        Self::on_signals_that(|| {
            eprintln!("\nstopping after the steps that are under way; press Ctrl-C again to stop at once");
        })
    }

    /// As [`StopFlag::on_signals`], in the first of several processes. A launcher sends a signal also when another process died.
    pub fn on_signals_to_all() -> Self {
        Self::on_signals_that(|| {
            eprintln!(
                "\nasked to stop: all processes stop after this update; if one of them has died, the last checkpoint stays, and --resume \
                 goes on from it"
            );
        })
    }

    /// As [`StopFlag::on_signals`], in a process beside one that says it.
    pub fn on_signals_in_silence() -> Self {
        Self::on_signals_that(|| {})
    }

    fn on_signals_that(tell: impl Fn() + Send + 'static) -> Self {
        let stop = Self::default();
        let Self { code, at_once } = stop.clone();
        let mut first: Option<Instant> = None;
        listen(move |own| {
            if at_once.load(Ordering::SeqCst) || first.is_some_and(|first| first.elapsed() > TOGETHER) {
                std::process::exit(own.into());
            }
            if first.is_none() {
                first = Some(Instant::now());
                code.store(own, Ordering::SeqCst);
                tell();
            }
        });
        stop
    }

    /// Asks the training to stop, as Ctrl-C does.
    pub fn ask(&self) {
        self.code.store(130, Ordering::SeqCst);
    }

    /// Whether the training was asked to stop.
    pub fn is_set(&self) -> bool {
        self.code.load(Ordering::SeqCst) != 0
    }

    /// The exit code of a program that a signal stopped: 128 and the number of the signal.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code.load(Ordering::SeqCst))
    }

    /// From now on, a signal ends the process at once.
    pub fn end_at_once(&self) {
        self.at_once.store(true, Ordering::SeqCst);
    }
}

/// Calls a function with the exit code of each signal that asks the program to stop.
#[cfg(unix)]
fn listen(mut asked: impl FnMut(u8) + Send + 'static) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    // `nohup` has SIGHUP ignored, and that must stay so.
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| signal != SIGHUP || !is_ignored(signal));
    if let Ok(mut signals) = signal_hook::iterator::Signals::new(wanted) {
        std::thread::spawn(move || signals.forever().for_each(|signal| asked(128 + signal as u8)));
    }
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "no safe interface tells whether a signal is ignored")]
fn is_ignored(signal: i32) -> bool {
    // SAFETY: a null action changes nothing. `sigaction` fills the other argument, for which all zeros are a valid value.
    unsafe {
        let mut found: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut found) == 0 && found.sa_sigaction == libc::SIG_IGN
    }
}

#[cfg(not(unix))]
fn listen(mut asked: impl FnMut(u8) + Send + 'static) {
    let _ = ctrlc::set_handler(move || asked(130));
}

/// Lets a file that grows beyond `ulimit -f` be an error of that file. Otherwise the system would end the program.
pub fn survive_file_limit() {
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}
