//! Training progress: a line per epoch, and on a terminal a progress bar.

use std::path::Path;
use std::time::Duration;

use super::stop::StopFlag;
use super::streams::at_terminal;
use super::working::{TICK, Working};
use crate::runs::{Observer, RunOutcome};
use crate::train::{EpochLine, EpochProgress, Trainer, Training};
use console::Term;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// Characters of a sparkline, from low to high.
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Largest width of a sparkline; half of it on a narrow terminal.
const SPARK_WIDTH: usize = 24;
/// Terminals with fewer columns get a short bar.
const WIDE_COLUMNS: usize = 80;

/// The progress display of a run.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Without a terminal, a line now and then in epochs that take long.
    lines: Option<Working>,
    training: Training,
    /// Steps of an epoch.
    steps: u32,
    stop: StopFlag,
    /// Training loss of each epoch so far.
    losses: Vec<f64>,
    /// Total seconds and number of the epochs that this process trained.
    took: (f64, u32),
}

impl Progress {
    /// Progress of a run of this length with so many steps in a whole epoch; `before` are the epochs already done.
    pub fn new(training: Training, steps: u32, before: &[EpochLine], quiet: bool, stop: &StopFlag) -> Self {
        let bar = (!quiet && at_terminal()).then(|| {
            // No colors, so NO_COLOR needs no handling.
            let width = if columns() < WIDE_COLUMNS { 10 } else { 20 };
            let template =
                format!("{{spinner}} {{prefix}} {{bar:{width}}} {{percent:>3}} %  {{eta}} left  {{wide_msg}}");
            let bar = ProgressBar::new(u64::from(steps));
            bar.set_style(ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            // It moves within a step that takes long, too.
            bar.enable_steady_tick(TICK);
            bar
        });
        let lines = (!quiet && bar.is_none()).then(|| Working::new("training", quiet));
        let losses: Vec<f64> = before.iter().map(|line| line.train_loss).collect();
        let progress = Self { bar, lines, training, steps, stop: stop.clone(), losses, took: (0.0, 0) };
        progress.begin(before.len() as u32 + 1);
        progress
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Shows an empty bar for an epoch, with a sparkline of the losses and the remaining time of the run.
    fn begin(&self, epoch: u32) {
        let Some(bar) = &self.bar else { return };
        let (seconds, epochs) = self.took;
        let left =
            f64::from(self.training.begun_epochs().saturating_sub(epoch - 1)) * seconds / f64::from(epochs.max(1));
        let all = match epochs {
            0 => String::new(),
            _ => format!("all {:#}  ", HumanDuration(Duration::from_secs_f64(left.max(1.0).round()))),
        };
        bar.reset();
        bar.set_length(u64::from(self.training.steps_of(epoch - 1, self.steps)));
        bar.set_prefix(format!("epoch {epoch:>3}/{}", self.training.begun_epochs()));
        let width = if columns() < WIDE_COLUMNS { SPARK_WIDTH / 2 } else { SPARK_WIDTH };
        bar.set_message(format!("{all}{}", spark_line(&self.losses, width)));
    }

    /// Prints a line above the bar.
    fn say(&self, line: String) {
        match &self.bar {
            Some(bar) => bar.println(super::streams::visible(&line)),
            None => eprintln!("{line}"),
        }
    }
}

impl Observer for Progress {
    fn progress(&mut self, epoch: u32, at: EpochProgress) -> bool {
        let (part, done, of) = match at {
            EpochProgress::Trained(step) => (None, step, self.training.steps_of(epoch - 1, self.steps)),
            EpochProgress::Repeated(step) => {
                (Some("repeating".into()), step, self.training.steps_of(epoch - 1, self.steps))
            }
            EpochProgress::Recovered | EpochProgress::Computing => return !self.stop.is_set(),
            EpochProgress::Features { split, batches, of } => (Some(format!("features of {split}")), batches, of),
            EpochProgress::Evaluated { split, batches, of } => (Some(format!("evaluating {split}")), batches, of),
        };
        if let Some(bar) = &self.bar {
            let part = part.map_or_else(String::new, |part| format!(" {part}"));
            let prefix = format!("epoch {epoch:>3}/{}{part}", self.training.begun_epochs());
            if bar.prefix() != prefix {
                bar.reset();
                bar.set_length(u64::from(of));
                bar.set_prefix(prefix);
            }
            bar.set_position(u64::from(done));
        } else if let Some(lines) = &self.lines {
            let part = part.map_or_else(String::new, |part| format!(", {part}"));
            lines.at(&format!("epoch {epoch}/{}{part}", self.training.begun_epochs()), done as usize, of as usize);
        }
        !self.stop.is_set()
    }

    fn epoch(&mut self, line: &EpochLine) -> bool {
        self.losses.push(line.train_loss);
        self.took = (self.took.0 + line.seconds, self.took.1 + 1);
        match &self.bar {
            Some(bar) => {
                bar.println(joined_to_fit(&fields(line, self.training.begun_epochs()), columns()));
                if line.epoch < self.training.begun_epochs() {
                    self.begin(line.epoch + 1);
                }
            }
            None => {
                if let Some(lines) = &self.lines {
                    let line = joined_to_fit(&fields(line, self.training.begun_epochs()), usize::MAX);
                    lines.above(|| eprintln!("{line}"));
                }
            }
        }
        !self.stop.is_set()
    }

    fn not_written(&mut self, error: &crate::Error) {
        self.say(format!("warning: {error}; training goes on"));
    }

    fn not_finite(&mut self, what: &str) {
        self.say(format!("warning: {what}"));
    }

    fn device_failed(&mut self, error: &crate::Error, now_on: &str) {
        self.say(format!("warning: {error}. Training goes on from the last checkpoint on {now_on}"));
    }
}

/// A display beside which another observer watches. Either can stop the run.
pub struct Watched<'a> {
    /// The display.
    pub shown: &'a mut Progress,
    /// The other one.
    pub watch: &'a mut dyn Observer,
}

impl Observer for Watched<'_> {
    fn begun(&mut self, run: &Path, trainer: &Trainer, before: &[EpochLine]) {
        self.watch.begun(run, trainer, before);
    }

    fn ended(&mut self, outcome: &RunOutcome) {
        self.watch.ended(outcome);
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.watch.wants_checkpoint()
    }

    fn saved(&mut self, epoch: u32, steps: u32) {
        self.watch.saved(epoch, steps);
    }

    fn progress(&mut self, epoch: u32, at: EpochProgress) -> bool {
        self.shown.progress(epoch, at) & self.watch.progress(epoch, at)
    }

    fn epoch(&mut self, line: &EpochLine) -> bool {
        self.shown.epoch(line) & self.watch.epoch(line)
    }

    fn not_written(&mut self, error: &crate::Error) {
        self.shown.not_written(error);
        self.watch.not_written(error);
    }

    fn not_finite(&mut self, what: &str) {
        self.shown.not_finite(what);
        self.watch.not_finite(what);
    }

    fn device_failed(&mut self, error: &crate::Error, now_on: &str) {
        self.shown.device_failed(error, now_on);
        self.watch.device_failed(error, now_on);
    }
}

/// Width of the terminal in columns.
fn columns() -> usize {
    usize::from(Term::stderr().size().1)
}

/// Numbers as a line of bars; more than `width` numbers are averaged in groups.
fn spark_line(numbers: &[f64], width: usize) -> String {
    let each = numbers.len().div_ceil(width.max(1)).max(1);
    let means: Vec<f64> = numbers.chunks(each).map(|group| group.iter().sum::<f64>() / group.len() as f64).collect();
    let (low, high) = means.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
    let most = (SPARKS.len() - 1) as f64;
    let height = |mean: f64| if high > low { ((mean - low) / (high - low) * most).round() as usize } else { 0 };
    means.iter().map(|&mean| SPARKS[height(mean).min(SPARKS.len() - 1)]).collect()
}

/// The progress display of downloads: a bar on a terminal, else one line per file.
pub struct DownloadProgress {
    bar: Option<ProgressBar>,
    quiet: bool,
    file: String,
}

impl DownloadProgress {
    /// Shows nothing if `quiet`.
    pub fn new(quiet: bool) -> Self {
        let bar = (!quiet && at_terminal()).then(|| {
            let template = "{msg}  {bar:30} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta}";
            let bar = ProgressBar::new(0);
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, quiet, file: String::new() }
    }

    /// Shows that `done` of `total` bytes of a file are downloaded.
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
                eprintln!("downloading {file} ({})", super::bytes(usize::try_from(total).unwrap_or(usize::MAX)));
            }
            None => {}
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The fields of an epoch's line, each with a rank. If the terminal is too narrow, the fields with the highest rank are left
/// out; rank 0 always stays.
fn fields(line: &EpochLine, epochs: u32) -> Vec<(u8, String)> {
    let mut fields =
        vec![(0, format!("epoch {:>3}/{epochs}", line.epoch)), (2, format!("loss {:.4}", line.train_loss))];
    if let Some(accuracy) = line.train_accuracy {
        fields.push((3, format!("acc {}", super::percent(accuracy))));
    }
    if let Some(exact) = line.train_exact_match {
        fields.push((3, format!("exact {}", super::percent(exact))));
    }
    if let Some(loss) = line.val_loss {
        fields.push((4, format!("val loss {loss:.4}")));
    }
    if let Some(accuracy) = line.val_accuracy {
        fields.push((1, format!("val acc {}", super::percent(accuracy))));
    }
    if let Some(exact) = line.val_exact_match {
        fields.push((3, format!("val exact {}", super::percent(exact))));
    }
    if let Some(map) = line.val_map {
        fields.push((1, format!("val mAP {}", super::percent(map))));
    }
    if let Some(psnr) = line.val_psnr {
        fields.push((1, format!("val {psnr:.2} dB")));
    }
    fields.push((5, format!("{:.2} s", line.seconds)));
    fields.push((6, format!("{:.0} images/s", line.images_per_second)));
    if let Some(wait) = line.loader_wait {
        fields.push((7, format!("waited {wait:.3} s for images")));
    }
    fields
}

/// Joins fields into a line of limited width, without the fields that do not fit.
fn joined_to_fit(fields: &[(u8, String)], columns: usize) -> String {
    let line = |most: u8| {
        let kept = fields.iter().filter(|(rank, _)| *rank <= most).map(|(_, part)| part.as_str());
        kept.collect::<Vec<_>>().join("  ")
    };
    let highest = fields.iter().map(|&(rank, _)| rank).max().unwrap_or(0);
    (0..=highest).rev().map(line).find(|line| line.len() <= columns).unwrap_or_else(|| line(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spark_line_goes_from_the_smallest_to_the_largest() {
        assert_eq!(spark_line(&[8.0, 4.0, 2.0, 1.0, 1.0], 24), "█▄▂▁▁");
        assert_eq!(spark_line(&[], 24), "");
        assert_eq!(spark_line(&[3.0, 3.0], 24), "▁▁");
        // Five numbers in two places: groups of three.
        assert_eq!(spark_line(&[9.0, 9.0, 9.0, 1.0, 1.0], 2), "█▁");
        assert_eq!(spark_line(&[2.0; 100], 24).chars().count(), 20);
    }

    #[test]
    fn a_line_loses_what_matters_least_on_a_narrow_terminal() {
        let fields = [(0, "epoch 1/2"), (2, "loss 0.5"), (3, "acc 50 %"), (1, "val acc 40 %")];
        let fields = fields.map(|(rank, part)| (rank, part.to_owned()));
        assert_eq!(joined_to_fit(&fields, usize::MAX), "epoch 1/2  loss 0.5  acc 50 %  val acc 40 %");
        assert_eq!(joined_to_fit(&fields, 43), "epoch 1/2  loss 0.5  acc 50 %  val acc 40 %");
        assert_eq!(joined_to_fit(&fields, 42), "epoch 1/2  loss 0.5  val acc 40 %");
        assert_eq!(joined_to_fit(&fields, 24), "epoch 1/2  val acc 40 %");
        assert_eq!(joined_to_fit(&fields, 3), "epoch 1/2");
    }
}
