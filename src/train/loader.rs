//! Prepares streamed images for the steps that need them, from the host's memory or from the disk. With the feature `threads`
//! a thread prepares them ahead, while the device computes. Without it, each piece is prepared when it is needed.

use std::ops::Range;
use std::sync::Arc;

use crate::Result;
use crate::data::Pixels;

#[cfg(not(feature = "threads"))]
pub(super) use serial::Loader;
#[cfg(feature = "threads")]
pub(super) use threaded::Loader;

/// The images to prepare.
#[derive(Debug)]
pub(super) struct Work {
    /// The source of the images.
    pub pixels: Arc<Pixels>,
    /// The number of values of an image.
    pub width: usize,
    /// The image numbers in the order of the steps.
    pub order: Vec<u32>,
    /// The range of the order that each submit needs.
    pub pieces: Vec<Range<usize>>,
    /// The maximum size of a piece in bytes: the size of the ring of slots.
    pub room: usize,
}

impl Work {
    /// Reads the bytes of a piece into a buffer, which is reused. They are padded to whole words of 4 bytes, unless the ring
    /// ends within a word.
    fn prepare(&self, piece: &Range<usize>, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        let rows = &self.order[piece.clone()];
        let length = rows.len() * self.width * self.pixels.value_bytes();
        bytes.resize(length.next_multiple_of(4).min(self.room), 0);
        self.pixels.read(self.width, rows, &mut bytes[..length])?;
        Ok(bytes)
    }
}

#[cfg(feature = "threads")]
mod threaded {
    use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
    use std::thread::Builder;

    use super::Work;
    use crate::{Error, Result};

    /// The maximum number of submits whose images are ready, besides the one that is being prepared.
    const AHEAD: usize = 2;

    impl Work {
        /// Prepares the pieces in order, until all are done, one fails, or the loader is dropped.
        fn run(self, filled: &SyncSender<Result<Vec<u8>>>, emptied: &Receiver<Vec<u8>>) {
            for piece in &self.pieces {
                let prepared = self.prepare(piece, emptied.try_recv().unwrap_or_default());
                let failed = prepared.is_err();
                if filled.send(prepared).is_err() || failed {
                    return;
                }
            }
        }
    }

    /// A thread that prepares images, and its queue of prepared pieces.
    #[derive(Debug)]
    pub struct Loader {
        filled: Receiver<Result<Vec<u8>>>,
        emptied: Sender<Vec<u8>>,
    }

    impl Loader {
        /// Starts the thread. It ends when the work is done or the loader is dropped.
        ///
        /// # Errors
        /// When the system cannot start a thread.
        pub fn start(work: Work) -> Result<Self> {
            let (to_filled, filled) = sync_channel(AHEAD);
            let (emptied, from_emptied) = channel();
            let thread = Builder::new().name("loader".into()).spawn(move || work.run(&to_filled, &from_emptied));
            thread.map_err(|error| {
                Error::Device(format!("The thread that loads images ahead could not be started: {error}."))
            })?;
            Ok(Self { filled, emptied })
        }

        /// The bytes of the next piece. Waits until they are ready.
        ///
        /// # Errors
        /// When the thread could not read the images, or there are no more pieces.
        pub fn take(&mut self) -> Result<Vec<u8>> {
            self.filled
                .recv()
                .unwrap_or_else(|_| Err(Error::Device("The thread that loads images ahead ended too early.".into())))
        }

        /// Returns a buffer for reuse.
        pub fn give_back(&mut self, bytes: Vec<u8>) {
            // This fails if the thread has ended, which then needs no buffer.
            let _ = self.emptied.send(bytes);
        }
    }
}

#[cfg(not(feature = "threads"))]
mod serial {
    use super::Work;
    use crate::{Error, Result};

    /// Prepares each piece of images when it is needed.
    #[derive(Debug)]
    pub struct Loader {
        work: Work,
        next: usize,
        buffer: Vec<u8>,
    }

    impl Loader {
        /// Creates a loader at the first piece.
        ///
        /// # Errors
        /// Never. The form with a thread can fail.
        pub fn start(work: Work) -> Result<Self> {
            Ok(Self { work, next: 0, buffer: Vec::new() })
        }

        /// The bytes of the next piece.
        ///
        /// # Errors
        /// When the images cannot be read, or there are no more pieces.
        pub fn take(&mut self) -> Result<Vec<u8>> {
            let piece =
                self.work.pieces.get(self.next).ok_or_else(|| Error::usage("There are no more images to load."))?;
            self.next += 1;
            self.work.prepare(piece, std::mem::take(&mut self.buffer))
        }

        /// Returns a buffer for reuse.
        pub fn give_back(&mut self, bytes: Vec<u8>) {
            self.buffer = bytes;
        }
    }
}

#[cfg(all(test, feature = "threads"))]
mod tests {
    use super::*;

    fn work(pixels: Pixels, pieces: Vec<Range<usize>>) -> Work {
        Work { pixels: Arc::new(pixels), width: 3, order: vec![2, 0, 1, 2, 1], pieces, room: 8 }
    }

    #[test]
    fn pieces_come_in_order_and_end_with_whole_words_where_there_is_room() {
        let pieces = vec![0..2, 2..3, 3..5, 0..1];
        let mut loader = Loader::start(work(Pixels::U8((0..9).collect()), pieces)).expect("a thread");
        let mut next = || {
            let bytes = loader.take().expect("prepared");
            loader.give_back(bytes.clone());
            bytes
        };
        assert_eq!(next(), [6, 7, 8, 0, 1, 2, 0, 0]);
        assert_eq!(next()[..3], [3, 4, 5]);
        assert_eq!(next()[..6], [6, 7, 8, 3, 4, 5]);
        assert_eq!(next().len(), 4);
        assert!(loader.take().expect_err("no more").to_string().contains("ended too early"));
        let floats = Work { room: 12, ..work(Pixels::F32(vec![0.5; 9]), vec![1..2, 2..3]) };
        assert_eq!(Loader::start(floats).expect("a thread").take().expect("prepared"), [0, 0, 0, 63].repeat(3));
    }

    #[test]
    fn what_fails_in_the_thread_is_told() {
        let mut loader = Loader::start(work(Pixels::U8((0..6).collect()), vec![1..3, 0..1])).expect("a thread");
        assert!(loader.take().is_ok());
        let sentence = loader.take().expect_err("image 2 is not there").to_string();
        assert!(sentence.contains("Image 2 does not exist"), "{sentence}");
    }
}
