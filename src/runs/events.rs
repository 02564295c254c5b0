//! Event files for TensorBoard: TFRecords with TensorFlow's `Event` messages (`tensorflow/core/util/event.proto` and
//! `framework/summary.proto`). The few fields that are needed are encoded by hand.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::formats::tfrecord;
use crate::train::EpochLine;
use crate::{Error, Result};

/// The prefix by which TensorBoard finds event files.
const PREFIX: &str = "events.out.tfevents";

/// Writes an event file.
#[derive(Debug)]
pub struct EventWriter {
    file: std::fs::File,
    path: PathBuf,
}

impl EventWriter {
    /// Creates a new event file in a folder, and the folder if it does not exist. `before` are the earlier epochs of the run.
    /// The first file of a folder gets these. A later file tells TensorBoard to ignore later epochs in the other files,
    /// because the run may be resumed from an older checkpoint.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub fn create(folder: &Path, before: &[EpochLine]) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::file("cannot make the folder", folder))?;
        let is_events = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(PREFIX);
        let entries = std::fs::read_dir(folder).map_err(Error::file("cannot read the folder", folder))?;
        let first = !entries.flatten().any(is_events);
        let (file, path) = new_file(folder)?;
        let mut events = Self { file, path };
        let version = bytes_field(3, b"brain.Event:2");
        events.write(&event(0, &version))?;
        if first {
            return before.iter().try_for_each(|line| events.write_epoch(line)).map(|()| events);
        }
        const START: u64 = 1;
        let done = before.last().map_or(0, |line| line.epoch);
        events.write(&event(u64::from(done) + 1, &bytes_field(7, &number_field(1, START))))?;
        Ok(events)
    }

    /// Writes the metrics of an epoch, without buffering.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses.
    pub fn write_epoch(&mut self, line: &EpochLine) -> Result<()> {
        let metrics = [
            ("loss/train", Some(line.train_loss)),
            ("loss/val", line.val_loss),
            ("accuracy/train", line.train_accuracy),
            ("accuracy/val", line.val_accuracy),
            ("exact_match/train", line.train_exact_match),
            ("exact_match/val", line.val_exact_match),
            ("map/val", line.val_map),
            ("psnr/val", line.val_psnr),
            ("lr", Some(line.lr)),
            ("images_per_second", Some(line.images_per_second)),
        ];
        let value = |(tag, metric): (&str, f64)| {
            let scalar = [bytes_field(1, tag.as_bytes()), float_field(2, metric as f32)].concat();
            bytes_field(1, &scalar)
        };
        let present = metrics.into_iter().filter_map(|(tag, metric)| metric.map(|metric| (tag, metric)));
        let summary: Vec<u8> = present.flat_map(value).collect();
        self.write(&event(u64::from(line.epoch), &bytes_field(5, &summary)))
    }

    fn write(&mut self, event: &[u8]) -> Result<()> {
        self.file.write_all(&tfrecord::record(event)).map_err(Error::file("cannot write", &self.path))
    }
}

/// Creates a new file `events.out.tfevents.SECONDS.gpunn.NUMBER`. TensorBoard reads the files of a folder in name order.
fn new_file(folder: &Path) -> Result<(std::fs::File, PathBuf)> {
    let seconds = now().as_secs();
    for number in 0_u32.. {
        let path = folder.join(format!("{PREFIX}.{seconds:010}.gpunn.{number}"));
        match std::fs::OpenOptions::new().append(true).create_new(true).open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => return made.map_err(Error::file("cannot write", &path)).map(|file| (file, path)),
        }
    }
    Err(Error::usage(format!("{} has too many event files.", folder.display())))
}

fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Encodes an `Event`: field 1 is `wall_time`, field 2 is `step`, and `what` is one other field.
fn event(step: u64, what: &[u8]) -> Vec<u8> {
    [&[1 << 3 | 1][..], &now().as_secs_f64().to_le_bytes(), &number_field(2, step), what].concat()
}

/// A field of wire type 0: a number.
fn number_field(field: u8, number: u64) -> Vec<u8> {
    let mut bytes = vec![field << 3];
    varint(number, &mut bytes);
    bytes
}

/// A field of wire type 2: bytes, text or a message.
fn bytes_field(field: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![field << 3 | 2];
    varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// A field of wire type 5: a float.
fn float_field(field: u8, value: f32) -> Vec<u8> {
    [&[field << 3 | 5][..], &value.to_le_bytes()].concat()
}

/// Encodes a number with seven bits in each byte, the lowest first. The eighth bit means that more bytes follow.
fn varint(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(epoch: u32) -> EpochLine {
        EpochLine {
            epoch,
            train_loss: 1.5,
            train_accuracy: Some(0.25),
            val_loss: None,
            val_accuracy: None,
            val_psnr: None,
            train_exact_match: None,
            val_exact_match: None,
            val_map: None,
            lr: 0.01,
            seconds: 1.0,
            images_per_second: 300.0,
            loader_wait: None,
        }
    }

    /// The records of each file of a folder in name order, without the nine bytes of the time.
    fn written(folder: &Path) -> Vec<Vec<Vec<u8>>> {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder).expect("listed").map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        let of = |path: &PathBuf| {
            let bytes = std::fs::read(path).expect("read");
            let records = tfrecord::parse(&bytes, "it").expect("sound");
            records.into_iter().map(|record| record[9..].to_vec()).collect()
        };
        paths.iter().map(of).collect()
    }

    #[test]
    fn an_epochs_metrics_are_an_event() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().join("tensorboard");
        EventWriter::create(&at, &[]).expect("begun").write_epoch(&line(300)).expect("written");
        let files = written(&at);
        assert_eq!(files[0][0], b"\x10\x00\x1a\x0dbrain.Event:2");
        // Step 300, then a summary whose first value is loss/train = 1.5.
        let event = &files[0][1];
        assert_eq!(event[..3], [0x10, 0xac, 0x02]);
        assert_eq!(event[3], 5 << 3 | 2);
        assert_eq!(usize::from(event[4]), event.len() - 5);
        assert_eq!(event[5..24], *b"\x0a\x11\x0a\x0aloss/train\x15\x00\x00\xc0\x3f");
        let text = String::from_utf8_lossy(event);
        assert!(text.contains("accuracy/train") && text.contains("lr") && !text.contains("val"), "{text}");
    }

    #[test]
    fn a_resumed_run_writes_a_file_that_overrides_the_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let before = [line(1), line(2)];
        drop(EventWriter::create(folder.path(), &before).expect("begun"));
        drop(EventWriter::create(folder.path(), &before).expect("begun"));
        let files = written(folder.path());
        assert_eq!(files.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(files[0][2][..2], [0x10, 2]);
        // Session log, field 7, status 1: start, at step 3.
        assert_eq!(files[1][1], [0x10, 3, 0x3a, 2, 8, 1]);
    }
}
