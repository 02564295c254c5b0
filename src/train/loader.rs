//! Images prepared for the steps that need them, from the host's memory or from the disk. With the feature `threads` a thread
//! does so ahead, while the device computes; else each piece is prepared when it is taken.

use std::ops::Range;
use std::sync::Arc;

use crate::Result;
use crate::data::Pixels;

#[cfg(not(feature = "threads"))]
pub(super) use serial::Loader;
#[cfg(feature = "threads")]
pub(super) use threaded::Loader;

/// What the thread is to prepare.
#[derive(Debug)]
pub(super) struct Work {
    /// Where images come from.
    pub pixels: Arc<Pixels>,
    /// Values of an image.
    pub width: usize,
    /// The numbers of images, in the order of the steps.
    pub order: Vec<u32>,
    /// The parts of that order that the submits take.
    pub pieces: Vec<Range<usize>>,
    /// The bytes that a piece may fill.
    pub room: usize,
}

impl Work {
    /// The bytes of one piece, in a buffer that was used before. They end with a whole word where there is room.
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

    /// Submits whose images may lie ready, beside the one that is being prepared.
    const AHEAD: usize = 2;

    impl Work {
        /// Prepares piece after piece, until all are done, one fails, or nobody waits for them any more.
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

    /// A thread that prepares images, and what it has ready.
    #[derive(Debug)]
    pub struct Loader {
        filled: Receiver<Result<Vec<u8>>>,
        emptied: Sender<Vec<u8>>,
    }

    impl Loader {
        /// Begins to prepare. The thread ends with the work, or when the loader goes.
        ///
        /// # Errors
        /// When the system gives no thread.
        pub fn start(work: Work) -> Result<Self> {
            let (to_filled, filled) = sync_channel(AHEAD);
            let (emptied, from_emptied) = channel();
            let thread = Builder::new().name("loader".into()).spawn(move || work.run(&to_filled, &from_emptied));
            thread.map_err(|error| {
                Error::Device(format!("The thread that loads images ahead could not be started: {error}."))
            })?;
            Ok(Self { filled, emptied })
        }

        /// The next piece's bytes, waited for where they are not ready.
        ///
        /// # Errors
        /// What kept the thread from reading them.
        pub fn take(&mut self) -> Result<Vec<u8>> {
            self.filled.recv().unwrap_or_else(|_| {
                Err(Error::Device("The thread that loads images ahead has ended too early.".into()))
            })
        }

        /// Gives a buffer back, to be filled again.
        pub fn give_back(&mut self, bytes: Vec<u8>) {
            // A thread that is done needs none.
            let _ = self.emptied.send(bytes);
        }
    }
}

#[cfg(not(feature = "threads"))]
mod serial {
    use super::Work;
    use crate::{Error, Result};

    /// Prepares images when they are taken.
    #[derive(Debug)]
    pub struct Loader {
        work: Work,
        next: usize,
        buffer: Vec<u8>,
    }

    impl Loader {
        /// Begins before the first piece.
        ///
        /// # Errors
        /// None; with threads there are.
        pub fn start(work: Work) -> Result<Self> {
            Ok(Self { work, next: 0, buffer: Vec::new() })
        }

        /// The next piece's bytes.
        ///
        /// # Errors
        /// What kept them from being read.
        pub fn take(&mut self) -> Result<Vec<u8>> {
            let piece =
                self.work.pieces.get(self.next).ok_or_else(|| Error::usage("There are no more images to load."))?;
            self.next += 1;
            self.work.prepare(piece, std::mem::take(&mut self.buffer))
        }

        /// Gives a buffer back, to be filled again.
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
        assert!(sentence.contains("Image 2 was asked for"), "{sentence}");
    }
}
