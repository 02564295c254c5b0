//! The harness of the fuzz tests: random inputs of a seed, each in bounded time and memory. A test runs for a second, or for as many as
//! GPUNN_FUZZ_SECONDS says. Its seed is a constant, or GPUNN_FUZZ_SEED.
//!
//! Each test runs in a process of its own, which has nothing else to do. So its memory can be counted, and an input that ends the process
//! or never ends is named.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Seek, SeekFrom, Write};
use std::process::Command;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The longest time for one input. Most take microseconds; a large image takes seconds on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);
/// The most memory of all that an input takes, in bytes.
const MOST_MEMORY: usize = 512 << 20;
/// The fewest inputs of a test, however slow they are.
const FEWEST: u64 = 5;

/// The file to which the process of a test writes the state of each input, for the process that waits for it.
const CHILD: &str = "GPUNN_FUZZ_STATE_FILE";

fn variable(name: &str, missing: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(missing)
}

/// A linear congruential generator: the inputs of a seed are always the same.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A number below a bound; 0 if there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound.max(1) as u64) as usize
    }
    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
    /// One of a list.
    pub fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// A fuzz test in its own process.
pub struct Fuzz {
    test: &'static str,
    /// Where the state of each input is written.
    state: std::fs::File,
    /// The longest time for one input.
    pub longest: Duration,
}

impl Fuzz {
    /// Runs the calling test, which has this name, in a process of its own. There it is returned; here is nothing more to do.
    ///
    /// # Panics
    /// Where the test fails there. The message says with which seed the input that failed comes first.
    pub fn alone(test: &'static str) -> Option<Self> {
        let Some(path) = std::env::var_os(CHILD) else {
            in_a_process(test);
            return None;
        };
        Some(Self { test, state: std::fs::File::create(path).expect("a file"), longest: LONGEST })
    }

    /// Runs `run` on one input of `make` after another until the time is over.
    ///
    /// # Panics
    /// Where an input panics, or takes too much memory. One that takes too long ends the process.
    pub fn inputs<T>(mut self, mut make: impl FnMut(&mut Dice) -> T, mut run: impl FnMut(T)) {
        let handled = count_handled_panics();
        let end = Instant::now() + Duration::from_secs(variable("GPUNN_FUZZ_SECONDS", 1));
        let mut dice = Dice(variable("GPUNN_FUZZ_SEED", 1));
        watch(self.longest);
        let (mut count, mut slowest) = (0, (Duration::ZERO, 0));
        while Instant::now() < end || count < FEWEST {
            let seed = dice.0;
            self.state.seek(SeekFrom::Start(0)).expect("a place");
            self.state.write_all(format!("{seed:<20}").as_bytes()).expect("written");
            let input = make(&mut dice);
            NUMBER.fetch_add(1, Relaxed);
            let begun = Instant::now();
            run(input);
            slowest = slowest.max((begun.elapsed(), seed));
            assert!(REFUSED.load(Relaxed) == 0, "an input takes too much memory");
            count += 1;
        }
        LIMIT.store(usize::MAX, Relaxed);
        let (handled, most) = (handled.load(Relaxed), PEAK.load(Relaxed) >> 20);
        let handled = if handled == 0 { String::new() } else { format!(", {handled} handled panics") };
        let (slowest, seed) = slowest;
        println!(
            "{}: {count} inputs, the slowest (seed {seed}) took {slowest:.1?}, {most} MiB at most{handled}",
            self.test
        );
    }
}

/// The number of panics that become an error of a file. They are no fault, but the first one is printed.
fn count_handled_panics() -> &'static AtomicU64 {
    static HANDLED: AtomicU64 = AtomicU64::new(0);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !gpunn::error::panic_is_handled() || HANDLED.fetch_add(1, Relaxed) == 0 {
            usual(panic);
        }
    }));
    &HANDLED
}

/// Runs this one test in a new process.
fn in_a_process(test: &str) {
    let state = tempfile::NamedTempFile::new().expect("a file");
    let cache = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env_remove("GPUNN_DATA").env("XDG_CACHE_HOME", cache.path());
    command.args([test, "--exact", "--nocapture", "--test-threads", "1"]).env(CHILD, state.path());
    let output = command.output().expect("it starts");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    println!("{said}");
    let seed = std::fs::read_to_string(state.path()).unwrap_or_default();
    assert!(output.status.success(), "{test} fails ({}): GPUNN_FUZZ_SEED={seed} begins with that input", output.status);
    assert!(said.contains(&format!("{test}: ")), "there is no test {test}");
}

/// The number of the input that runs.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Begins to count memory, and ends the process where one input takes too long.
fn watch(longest: Duration) {
    HELD.store(0, Relaxed);
    LIMIT.store(MOST_MEMORY, Relaxed);
    std::thread::spawn(move || {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(250));
            let now = NUMBER.load(Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > longest {
                eprintln!("an input takes longer than {longest:?}");
                std::process::exit(101);
            }
        }
    });
}

/// The system's allocator, which counts while a fuzz test runs and gives no more than [`MOST_MEMORY`] then.
pub struct Counting;

static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
/// What is held. What was allocated before counting began and is freed later makes it wrap below 0, so it is read as signed.
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// The size of the first allocation that was refused.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

impl Counting {
    fn take(bytes: usize) -> bool {
        let limit = LIMIT.load(Relaxed);
        if limit == usize::MAX {
            return true;
        }
        let held = HELD.fetch_add(bytes, Relaxed).wrapping_add(bytes);
        let held = if held > isize::MAX as usize { 0 } else { held };
        if bytes <= limit && held <= limit {
            PEAK.fetch_max(held, Relaxed);
            return true;
        }
        HELD.fetch_sub(bytes, Relaxed);
        if REFUSED.swap(bytes, Relaxed) == 0 {
            // Standard error has no buffer, so nothing is allocated here.
            let _ = writeln!(std::io::stderr(), "{bytes} bytes more than {held} are asked for, the limit is {limit}");
        }
        false
    }

    fn give(bytes: usize) {
        if LIMIT.load(Relaxed) != usize::MAX {
            HELD.fetch_sub(bytes, Relaxed);
        }
    }
}

// SAFETY: every call is passed on to the system's allocator with the same arguments, or answered with a null pointer.
#[expect(unsafe_code, reason = "the interface of allocators")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        if Self::take(layout.size()) { unsafe { System.alloc(layout) } } else { std::ptr::null_mut() }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        if Self::take(layout.size()) { unsafe { System.alloc_zeroed(layout) } } else { std::ptr::null_mut() }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let more = size.saturating_sub(layout.size());
        if !Self::take(more) {
            return std::ptr::null_mut();
        }
        Self::give(layout.size().saturating_sub(size));
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::give(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}
