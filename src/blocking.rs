//! Waiting for a future on the thread at hand, for programs and tests without an executor of their own. Nothing else in the
//! library waits.
//!
//! ```
//! let sum = gpunn::blocking::block_on(async { 1 + 2 });
//! assert_eq!(sum, 3);
//! ```

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

type Wait = Box<dyn FnOnce()>;

thread_local! {
    /// What the futures under way on this thread wait for, while [`block_on`] runs here.
    static WAITS: RefCell<Option<Vec<Wait>>> = const { RefCell::new(None) };
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end. While it waits for a GPU, the thread sleeps in the driver.
///
/// Other executors run this library's futures as well; but as a GPU's work is noticed only by those who ask, they ask
/// again and again.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        let outer = WAITS.replace(Some(Vec::new()));
        let polled = future.as_mut().poll(&mut context);
        let waits = WAITS.replace(outer).unwrap_or_default();
        match polled {
            Poll::Ready(output) => return output,
            Poll::Pending if waits.is_empty() => std::thread::park(),
            Poll::Pending => waits.into_iter().for_each(|wait| wait()),
        }
    }
}

/// Leaves `wait` to the [`block_on`] of this thread; where none is running, says so.
pub(crate) fn leave(wait: impl FnOnce() + 'static) -> bool {
    WAITS.with_borrow_mut(|waits| match waits {
        Some(waits) => {
            waits.push(Box::new(wait));
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn what_a_future_leaves_is_waited_for() {
        let (done, polls) = (Rc::new(Cell::new(false)), Cell::new(0));
        let future = std::future::poll_fn(|_| {
            polls.set(polls.get() + 1);
            if done.get() {
                return Poll::Ready(7);
            }
            let done = done.clone();
            assert!(leave(move || done.set(true)));
            Poll::Pending
        });
        assert_eq!((block_on(future), polls.get()), (7, 2));
        assert!(!leave(|| ()));
    }

    #[test]
    fn a_future_that_another_thread_wakes_ends() {
        let (sender, receiver) = std::sync::mpsc::channel::<Waker>();
        let thread = std::thread::spawn(move || receiver.recv().expect("a waker").wake());
        let mut asked = false;
        block_on(std::future::poll_fn(|context| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            sender.send(context.waker().clone()).expect("sent");
            Poll::Pending
        }));
        thread.join().expect("ended");
    }
}
