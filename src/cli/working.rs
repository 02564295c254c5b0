//! A word while something takes long: at a terminal a line that moves, elsewhere a line now and then.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// Work that is shorter needs no word.
const SHORT: Duration = Duration::from_millis(1500);
/// The time between two states of the line at a terminal.
pub const TICK: Duration = Duration::from_millis(500);
/// Elsewhere: the silence before the first line, and before each further one.
const SILENCE: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];

/// Says what is being done, from when it takes long until it is dropped.
pub struct Working {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

struct State {
    what: String,
    done: usize,
    /// 0 if it is not known.
    of: usize,
    since: Instant,
    /// When something was last printed.
    spoke: Instant,
    is_over: bool,
    bar: Option<ProgressBar>,
}

impl Working {
    /// Says nothing if `quiet`.
    pub fn new(what: &str, quiet: bool) -> Self {
        let now = Instant::now();
        let state = State { what: what.into(), done: 0, of: 0, since: now, spoke: now, is_over: false, bar: None };
        let shared = Arc::new(Shared { state: Mutex::new(state), ended: Condvar::new() });
        let thread = (!quiet).then(|| {
            let shared = shared.clone();
            let terminal = super::streams::at_terminal();
            std::thread::spawn(move || if terminal { shared.at_terminal() } else { shared.in_lines(SILENCE) })
        });
        Self { shared, thread }
    }

    /// What is being done now, and how far it is.
    pub fn at(&self, what: &str, done: usize, of: usize) {
        let mut state = self.shared.state();
        if state.what != what {
            state.what = what.into();
        }
        if done < state.done || of != state.of {
            state.since = Instant::now();
        }
        (state.done, state.of) = (done, of);
    }

    /// Prints something, above the line at a terminal.
    pub fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        let mut state = self.shared.state();
        state.spoke = Instant::now();
        match &state.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.shared.state().is_over = true;
        self.shared.ended.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits; none if the work is over.
    fn after(&self, time: Duration) -> Option<MutexGuard<'_, State>> {
        let waited = self.ended.wait_timeout_while(self.state(), time, |state| !state.is_over);
        let (state, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        (!state.is_over).then_some(state)
    }

    fn at_terminal(&self) {
        let Some(mut state) = self.after(SHORT) else { return };
        let bar = ProgressBar::new_spinner();
        bar.set_style(
            ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        state.bar = Some(bar.clone());
        let mut next = Some(state);
        while let Some(state) = next {
            bar.set_message(state.line());
            bar.tick();
            drop(state);
            next = self.after(TICK);
        }
        bar.finish_and_clear();
    }

    fn in_lines(&self, [first, further]: [Duration; 2]) {
        let mut silence = first;
        while let Some(mut state) = self.after(TICK.min(first)) {
            if state.spoke.elapsed() >= silence {
                eprintln!("{}", state.line());
                (silence, state.spoke) = (further, Instant::now());
            }
        }
    }
}

impl State {
    /// `evaluating test: 30 of 400 after 12 s, about 3 minutes left`.
    fn line(&self) -> String {
        let took = self.since.elapsed();
        let whole = |time: Duration| HumanDuration(Duration::from_secs(time.as_secs().max(1)));
        let far = if self.of > 0 { format!(" {} of {}", self.done, self.of) } else { String::new() };
        let left = match self.done {
            0 => String::new(),
            done => {
                let left = took.mul_f64(self.of.saturating_sub(done) as f64 / done as f64);
                format!(", about {:#} left", whole(left))
            }
        };
        format!("{}:{far} after {:#}{left}", self.what, whole(took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(done: usize, of: usize, seconds: u64) -> State {
        let since = Instant::now().checked_sub(Duration::from_secs(seconds)).expect("the clock is older");
        State { what: "checking exp".into(), done, of, since, spoke: since, is_over: false, bar: None }
    }

    #[test]
    fn a_line_says_what_how_far_and_how_long() {
        assert_eq!(state(0, 0, 12).line(), "checking exp: after 12s");
        assert_eq!(state(0, 50, 12).line(), "checking exp: 0 of 50 after 12s");
        assert_eq!(state(10, 50, 30).line(), "checking exp: 10 of 50 after 30s, about 2m left");
    }

    #[test]
    fn the_end_is_not_waited_for() {
        let start = Instant::now();
        let work = Working::new("nothing", false);
        work.at("something", 1, 2);
        assert_eq!(work.above(|| 5), 5);
        drop(work);
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
