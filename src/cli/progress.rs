//! What a person sees of a run: a bar on a terminal, plain lines elsewhere; and Ctrl-C.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gpunn::train::{EpochLine, Observer};
use indicatif::{ProgressBar, ProgressStyle};

/// Watches a run.
pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    epochs: u32,
    steps: u32,
    stop: Arc<AtomicBool>,
}

impl Progress {
    /// For a run of so many epochs of so many steps.
    pub fn new(epochs: u32, steps: u32, quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            // No colours, so that there are none for NO_COLOR to take away.
            let template = "{bar:30} {percent:>3} %  {elapsed} < {eta}  {msg}";
            let bar = ProgressBar::new(u64::from(epochs) * u64::from(steps));
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        // Without a handler Ctrl-C ends the process as always, and the last epoch's checkpoint remains.
        let _ = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            eprintln!("\nstopping after this step; press Ctrl-C again to stop at once");
        });
        Self { bar, quiet, epochs, steps, stop }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn go_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }
}

impl Observer for Progress {
    fn step(&mut self, epoch: u32, step: u32) -> bool {
        if let Some(bar) = &self.bar {
            bar.set_position(u64::from(epoch - 1) * u64::from(self.steps) + u64::from(step));
        }
        self.go_on()
    }

    fn epoch(&mut self, line: &EpochLine) -> bool {
        let text = describe(line, self.epochs);
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None if !self.quiet => eprintln!("{text}"),
            None => {}
        }
        self.go_on()
    }
}

/// Watches a download: a bar on a terminal, a line for each file elsewhere.
pub struct Download {
    bar: Option<ProgressBar>,
    quiet: bool,
    file: String,
}

impl Download {
    /// Nothing is shown where it is to be quiet.
    pub fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let template = "{msg}  {bar:30} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta}";
            let bar = ProgressBar::new(0);
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, quiet, file: String::new() }
    }

    /// So many bytes of a file of `total` are there.
    pub fn show(&mut self, file: &str, done: u64, total: u64) {
        let begins = self.file != file;
        if begins {
            self.file = file.into();
        }
        match &self.bar {
            Some(bar) => {
                if begins {
                    bar.reset();
                    bar.set_length(total);
                    bar.set_message(self.file.clone());
                }
                bar.set_position(done);
            }
            None if begins && !self.quiet => {
                eprintln!("fetching {file} ({})", super::bytes(usize::try_from(total).unwrap_or(usize::MAX)));
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// An epoch in a line.
fn describe(line: &EpochLine, epochs: u32) -> String {
    let mut text = format!("epoch {:>3}/{epochs}  loss {:.4}", line.epoch, line.train_loss);
    if let Some(accuracy) = line.train_accuracy {
        text += &format!("  acc {}", super::percent(accuracy));
    }
    if let Some(loss) = line.val_loss {
        text += &format!("  val loss {loss:.4}");
    }
    if let Some(accuracy) = line.val_accuracy {
        text += &format!("  val acc {}", super::percent(accuracy));
    }
    if let Some(psnr) = line.val_psnr {
        text += &format!("  val {psnr:.2} dB");
    }
    text += &format!("  {:.2} s  {:.0} images/s", line.seconds, line.images_per_second);
    if let Some(wait) = line.loader_wait {
        text += &format!("  waited {wait:.3} s for pictures");
    }
    text
}
