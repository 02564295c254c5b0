//! A device that fails within a run: it is opened again, and no bit of the result changes.

use std::cell::RefCell;
use std::rc::Rc;

use gpunn::gpu::{DeviceOptions, Failure};
use gpunn::runs::{Observer, RunOutcome};
use gpunn::train::{EpochLine, EpochProgress, TrainerOptions};
use gpunn::{Engine, Error};
use kernels_tests::gpu;
use kernels_tests::training::{begin, finish, small, trainer, with_a_schedule};

/// A failure, and what its message says.
const LOST: (Failure, &str) = (Failure::Lost, "was lost");

/// Breaks the device that is in use.
type Breaker = Rc<RefCell<Option<Box<dyn Fn(Failure)>>>>;

/// Breaks the device after these numbers of reports of progress, each counted from the loss before.
struct Breaking {
    breaker: Breaker,
    after: Vec<u32>,
    /// How it breaks, and what the message says.
    how: (Failure, &'static str),
    seen: u32,
    losses: u32,
}

impl Observer for Breaking {
    fn progress(&mut self, _: u32, _: EpochProgress) -> bool {
        self.seen += 1;
        if self.after.first() == Some(&self.seen) {
            self.after.remove(0);
            self.seen = 0;
            self.breaker.borrow().as_ref().expect("a device")(self.how.0);
        }
        true
    }
    fn epoch(&mut self, _: &EpochLine) -> bool {
        true
    }
    fn not_written(&mut self, error: &Error) {
        panic!("{error}");
    }
    fn not_finite(&mut self, what: &str) {
        panic!("{what}");
    }
    fn device_failed(&mut self, error: &Error, _: &str) {
        assert!(error.to_string().contains(self.how.1), "{error}");
        self.losses += 1;
    }
}

/// Opens the adapter, and keeps what breaks it.
fn opened(breaker: &Breaker) -> Option<Engine> {
    let engine = gpu(DeviceOptions::default())?;
    if let Engine::Gpu(executor) = &engine {
        *breaker.borrow_mut() = Some(Box::new(executor.device().breaker()));
    }
    Some(engine)
}

#[test]
fn a_lost_device_is_opened_again_and_no_bit_is_lost() {
    let breaker = Breaker::default();
    let Some(engine) = opened(&breaker) else { return };
    let (recipe, dataset) = small(1500, 3, with_a_schedule);
    let folder = tempfile::tempdir().expect("a folder");
    let wanted = finish(&mut begin(trainer(engine, &recipe, &dataset), &folder.path().join("whole"))).weights_hash;

    let full = (Failure::OutOfMemory, "has no memory left");
    let ways = [(std::time::Duration::ZERO, LOST), (gpunn::runs::SAVE_EVERY, LOST), (gpunn::runs::SAVE_EVERY, full)];
    for (number, (save_every, how)) in ways.into_iter().enumerate() {
        let path = folder.path().join(format!("broken-{number}"));
        let engine = opened(&breaker).expect("as before");
        let mut run = begin(trainer(engine, &recipe, &dataset), &path);
        run.save_every = save_every;
        // In the first epoch, before and in a validation, and twice in a row.
        let mut observer = Breaking { breaker: breaker.clone(), after: vec![1, 3, 1, 2], how, seen: 0, losses: 0 };
        let mut reopen = |_: Failure, times: u32| (times <= 4).then(|| Ok(opened(&breaker).expect("as before")));
        let on = (&dataset, TrainerOptions::default());
        let outcome = gpunn::blocking::block_on(run.run_on(&mut observer, on, &mut reopen));
        let RunOutcome::Finished(summary) = outcome.expect("trained") else { panic!("nothing interrupts it") };
        assert_eq!((summary.weights_hash, observer.losses), (wanted.clone(), 4));
    }
}

#[test]
fn a_device_that_is_lost_again_and_again_ends_the_run_with_a_checkpoint() {
    let breaker = Breaker::default();
    let Some(engine) = opened(&breaker) else { return };
    let (recipe, dataset) = small(1500, 3, with_a_schedule);
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = begin(trainer(engine, &recipe, &dataset), &folder.path().join("run"));
    let mut observer = Breaking { breaker: breaker.clone(), after: vec![1; 9], how: LOST, seen: 0, losses: 0 };
    let mut reopen = |_: Failure, times: u32| (times <= 3).then(|| Ok(opened(&breaker).expect("as before")));
    let on = (&dataset, TrainerOptions::default());
    let error = gpunn::blocking::block_on(run.run_on(&mut observer, on, &mut reopen)).expect_err("it ends");
    assert!(matches!(error, Error::Device(_)) && observer.losses == 3, "{error}, {} losses", observer.losses);
    run.run.resumable().expect("it can be resumed");
}

/// The work of a hung device may never end, so nothing waits for it. The run goes on elsewhere.
#[test]
fn a_hung_device_is_left_behind() {
    let breaker = Breaker::default();
    let Some(engine) = opened(&breaker) else { return };
    let (recipe, dataset) = small(1500, 3, with_a_schedule);
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = begin(trainer(engine, &recipe, &dataset), &folder.path().join("run"));
    let how = (Failure::Hung, "did not finish its work");
    let mut observer = Breaking { breaker, after: vec![4], how, seen: 0, losses: 0 };
    let mut seen = Vec::new();
    let mut reopen = |failure: Failure, times: u32| {
        seen.push((failure, times));
        Some(Ok(Engine::cpu()))
    };
    let on = (&dataset, TrainerOptions::default());
    let outcome = gpunn::blocking::block_on(run.run_on(&mut observer, on, &mut reopen));
    let RunOutcome::Finished(summary) = outcome.expect("trained") else { panic!("nothing interrupts it") };
    assert_eq!((summary.epochs, summary.executor.as_str()), (3, "cpu"));
    assert_eq!((seen, observer.losses), (vec![(Failure::Hung, 1)], 1));
}

/// A device that hangs before the first checkpoint ends the run with its own sentence.
#[test]
fn a_device_that_hangs_at_once_is_named() {
    let timeout = Some(std::time::Duration::from_micros(1));
    let Some(engine) = gpu(DeviceOptions { timeout, ..DeviceOptions::default() }) else { return };
    // Wide layers, so that the first steps take long even if this thread has to wait for a core.
    let wide = |recipe: &mut gpunn::train::Recipe| recipe.model.hidden = Some(vec![4096]);
    let (recipe, dataset) = small(1500, 3, wide);
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = begin(trainer(engine, &recipe, &dataset), &folder.path().join("run"));
    let how = (Failure::Hung, "");
    let mut observer = Breaking { breaker: Breaker::default(), after: Vec::new(), how, seen: 0, losses: 0 };
    let on = (&dataset, TrainerOptions::default());
    let outcome = gpunn::blocking::block_on(run.run_on(&mut observer, on, &mut |_, _| panic!("nothing is resumed")));
    let sentence = outcome.expect_err("it hangs").to_string();
    assert!(sentence.contains("did not finish its work within 0.000001 s"), "{sentence}");
}
