//! The layout of a split's images on the device. They are there completely, in as many shards as the limit of a binding
//! requires. If they are larger, or the recipe asks for streaming, there is only a ring of slots, which the host fills before
//! the steps that need them.

use std::ops::Range;
use std::sync::Arc;

use super::loader::{Loader, Work};
use crate::data::{LabelSets, Pixels, Split};
use crate::graph::Target;
use crate::nn::models::Task;
use crate::ops::shards::MAX_SHARDS;
use crate::{Engine, Error, Program, Result};

/// The maximum number of slots of a ring. A slot holds one batch. The steps of a submit use all slots.
const MOST_SLOTS: usize = 8;

/// The number of images that are read from the disk and uploaded together. As it is a multiple of 4, their bytes are whole
/// words for every image size.
const READ_AT_ONCE: usize = 256;

/// The layout of a split's images on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceData {
    /// The prefix of the names of its buffers, such as `train`, `val` or `test`.
    pub name: &'static str,
    /// The number of images.
    pub rows: usize,
    /// Whether the values are bytes. Otherwise they are floats.
    pub bytes: bool,
    /// An image's channels, height and width.
    pub input: [usize; 3],
    /// The number of images of a shard. The last shard may have fewer.
    pub each: usize,
    /// The number of slots of the ring, each for one batch. `None` if all images are on the device.
    pub slots: Option<usize>,
}

impl DeviceData {
    /// The layout of images that are on the device in one piece.
    pub fn whole(name: &'static str, rows: usize, bytes: bool, input: [usize; 3]) -> Self {
        Self { name, rows, bytes, input, each: rows, slots: None }
    }

    /// The layout of a split for batches of `batch` images. It is streamed if `stream` is true, or if it needs more than
    /// [`MAX_SHARDS`] shards on the target.
    pub fn of(
        name: &'static str,
        split: &Split,
        input: [usize; 3],
        target: &Target,
        (batch, stream): (usize, bool),
    ) -> Self {
        Self::of_rows(name, (split.len(), split.pixels.value_bytes() == 1), input, target, (batch, stream))
    }

    /// The layout of `rows` images that do not exist yet, of bytes or floats: as [`DeviceData::of`].
    pub fn of_rows(
        name: &'static str,
        (rows, bytes): (usize, bool),
        input: [usize; 3],
        target: &Target,
        (batch, stream): (usize, bool),
    ) -> Self {
        let image = input.iter().product::<usize>() * if bytes { 1 } else { 4 };
        let most = (target.max_binding.min(target.max_buffer) / image.max(1)).max(1);
        let shards = rows.div_ceil(most).max(1);
        let ring = (stream || shards > MAX_SHARDS).then(|| (most / batch.max(1)).clamp(1, MOST_SLOTS));
        let each = rows.div_ceil(shards);
        Self { each, slots: ring, ..Self::whole(name, rows, bytes, input) }
    }

    /// The name of one of its buffers: `pixels`, `labels` or `targets`, `order` or `sums`.
    pub fn buffer(&self, what: &str) -> String {
        format!("{}.{what}", self.name)
    }

    /// The names of the buffers of its images, each with its number of rows, for batches of `batch` images.
    pub fn shards(&self, batch: usize) -> Vec<(String, usize)> {
        let of = |(number, first): (usize, usize)| {
            let name = if number == 0 { "pixels".into() } else { format!("pixels.{number}") };
            (self.buffer(&name), self.each.min(self.rows - first))
        };
        match self.slots {
            Some(slots) => vec![(self.buffer("pixels"), slots * batch)],
            None => (0..self.rows).step_by(self.each.max(1)).enumerate().map(of).collect(),
        }
    }

    /// The number of values of an image.
    fn width(&self) -> usize {
        self.input.iter().product()
    }

    /// Uploads a split: its images if they are not streamed, its labels for a classifier or the targets of its `sets`, and an ascending
    /// order. `classes` is the number of classes.
    ///
    /// # Errors
    /// When the device is lost, or images cannot be read.
    pub fn upload(
        &self,
        engine: &mut Engine,
        (task, classes): (Task, usize),
        split: &Split,
        sets: Option<&LabelSets>,
    ) -> Result<()> {
        if self.slots.is_none() {
            let mut first = 0;
            for (buffer, rows) in self.shards(0) {
                let range = first * self.width()..(first + rows) * self.width();
                match &split.pixels {
                    Pixels::U8(values) => engine.write(&buffer, 0, &values[range])?,
                    Pixels::F32(values) => engine.write(&buffer, 0, &values[range])?,
                    pixels @ Pixels::Stored(_) => self.read_to(engine, &buffer, pixels, first..first + rows)?,
                }
                first += rows;
            }
        }
        match (task, sets) {
            (Task::Classify, _) => engine.write(&self.buffer("labels"), 0, &split.labels)?,
            (Task::Tag, Some(sets)) => {
                engine.write(&self.buffer("targets"), 0, &sets.targets(&split.labels, classes))?
            }
            (Task::Tag, None) => return Err(Error::data("The images have no sets of labels.")),
            (Task::Reconstruct, _) => {}
        }
        let order: Vec<u32> = (0..split.len() as u32).collect();
        engine.write(&self.buffer("order"), 0, &order)
    }

    /// Uploads images from the disk to one of its buffers.
    fn read_to(&self, engine: &mut Engine, buffer: &str, pixels: &Pixels, rows: Range<usize>) -> Result<()> {
        let first = rows.start;
        let mut bytes = Vec::new();
        for start in rows.clone().step_by(READ_AT_ONCE) {
            let numbers: Vec<u32> = (start..rows.end.min(start + READ_AT_ONCE)).map(|row| row as u32).collect();
            bytes.resize(numbers.len() * self.width(), 0);
            pixels.read(self.width(), &numbers, &mut bytes)?;
            engine.write(buffer, (start - first) * self.width(), &bytes)?;
        }
        Ok(())
    }

    /// The steps of the next submit, from step `first` on: at most `at_once` of them. For a ring, they are the steps up to the
    /// ring's end, because the slots are filled together.
    pub fn submit(&self, first: usize, steps: usize, at_once: usize) -> Range<usize> {
        let end = match self.slots {
            Some(slots) => (first / slots + 1) * slots,
            None => first + at_once,
        };
        first..end.min(steps)
    }

    /// Starts a loader for the images of `steps`, with batches of `batch` images, in the given order. `None` without a ring.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(super) fn loader(
        &self,
        pixels: &Arc<Pixels>,
        order: Vec<u32>,
        batch: usize,
        steps: Range<usize>,
    ) -> Result<Option<Loader>> {
        let Some(slots) = self.slots else { return Ok(None) };
        let mut pieces = Vec::new();
        let mut next = steps.start;
        while next < steps.end {
            let submit = self.submit(next, steps.end, 1);
            // A piece starts at the ring's start even if the steps start later: uploads must start at a whole word.
            pieces.push(submit.start / slots * slots * batch..order.len().min(submit.end * batch));
            next = submit.end;
        }
        let room = slots * batch * self.width() * pixels.value_bytes();
        Loader::start(Work { pixels: pixels.clone(), width: self.width(), order, pieces, room }).map(Some)
    }

    /// Fills the ring with the images of the next submit; without a loader it does nothing. A GPU queues the upload after its
    /// earlier work and does not wait.
    ///
    /// # Errors
    /// When the images cannot be read, or the device is lost.
    pub(super) fn feed(&self, engine: &mut Engine, loader: Option<&mut Loader>) -> Result<()> {
        let Some(loader) = loader else { return Ok(()) };
        let bytes = loader.take()?;
        self.fill(engine, loader, bytes)
    }

    /// Runs the first `steps` scheduled steps. If `output` names an output, calls `each` with the number of each step and its
    /// output, and also without an output while a long step computes. Returns whether it came to the end: not if `each` returned
    /// false.
    ///
    /// # Errors
    /// As [`DeviceData::feed`].
    pub(super) async fn run_each(
        &self,
        engine: &mut Engine,
        program: Program,
        mut loader: Option<Loader>,
        steps: usize,
        output: Option<&str>,
        mut each: impl FnMut(usize, Option<&[f32]>) -> bool,
    ) -> Result<bool> {
        let mut done = 0;
        while done < steps {
            let submit = self.submit(done, steps, 1);
            self.feed(engine, loader.as_mut())?;
            done = submit.end;
            for number in submit {
                engine.ready().await?;
                if !engine.run_while(program, number..number + 1, &mut || each(number, None)).await? {
                    return Ok(false);
                }
                if let Some(output) = output
                    && !each(number, Some(&engine.read_output(program, output).await?))
                {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Fills the ring with bytes from a loader.
    pub(super) fn fill(&self, engine: &mut Engine, loader: &mut Loader, bytes: Vec<u8>) -> Result<()> {
        engine.write(&self.buffer("pixels"), 0, &bytes)?;
        loader.give_back(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(rows: usize, width: usize) -> Split {
        Split::new(Pixels::U8(vec![0; rows * width]), vec![0; rows])
    }

    #[test]
    fn a_set_lies_in_as_many_shards_as_it_needs_and_else_in_a_ring() {
        let of = |max_binding: usize, stream: bool| {
            let target = Target { max_binding, ..Target::cpu() };
            DeviceData::of("train", &split(100, 12), [3, 2, 2], &target, (8, stream))
        };
        let rows = |data: DeviceData| data.shards(8).into_iter().map(|(_, rows)| rows).collect::<Vec<_>>();
        assert_eq!(rows(of(1200, false)), [100]);
        assert_eq!(rows(of(1199, false)), [50, 50]);
        assert_eq!(rows(of(420, false)), [34, 34, 32]);
        assert_eq!(rows(of(300, false)), [25; 4]);
        assert_eq!((of(299, false).slots, rows(of(299, false))), (Some(3), vec![24]));
        assert_eq!(of(usize::MAX, true).slots, Some(MOST_SLOTS));
        assert_eq!(of(420, false).shards(8)[2].0, "train.pixels.2");
    }

    #[test]
    fn submits_of_a_ring_end_where_it_does() {
        let ring = DeviceData { slots: Some(3), ..DeviceData::whole("train", 100, true, [1, 2, 2]) };
        assert_eq!([ring.submit(0, 13, 9), ring.submit(4, 13, 9), ring.submit(12, 13, 9)], [0..3, 4..6, 12..13]);
        assert_eq!(DeviceData { slots: None, ..ring }.submit(4, 9, 3), 4..7);
    }
}
