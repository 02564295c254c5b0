//! How long submitted work takes, and how work is divided into submissions.
//!
//! Display drivers abort a submission that takes too long: Windows after about 2 seconds, amdgpu after about 10. A submission
//! that is too short costs more than its work. So the time of each submission is measured, and the next ones are made to take
//! about [`AIM`]. Each loaded program has its own speed, because the work of a dispatch is only an estimate.

use std::collections::VecDeque;
use std::ops::Range;

use web_time::Instant;

use super::completion::Completion;
use crate::graph::kernel::{DeviceClass, Dispatch};

/// The time that a submission should take, in seconds.
pub(super) const AIM: f64 = 0.05;
/// Work that is expected to take longer is cut, between dispatches.
const LONGEST: f64 = 0.1;
/// The expected time of all pending submissions, in seconds. It hides the time that the host needs to make the next one, and is
/// short enough for a quick reaction to Ctrl-C.
const AHEAD: f64 = 0.15;
/// The maximum number of pending submissions.
const MOST_PENDING: usize = 32;
/// The maximum number of bytes written for pending submissions. The driver holds them until the submissions are done.
const MOST_BYTES: usize = 256 << 20;
/// The maximum number of dispatches in a submission. Each takes memory of the driver.
const MOST_DISPATCHES: usize = 4096;
/// The number of floating-point operations that take as long as a byte of memory traffic.
const FLOPS_PER_BYTE: f64 = 16.0;
/// The cost of a dispatch beside its work, in bytes of memory traffic.
const LAUNCH: f64 = 1e5;
/// A slower measurement lowers the speed by at most this factor. The host may have noticed the end late.
const SLOWER: f64 = 0.8;
/// A faster measurement of work that was queued behind other work raises the speed by at most this factor. The host may have noticed
/// the end of the other work late, and this work began before that.
const FASTER: f64 = 1.25;

/// The work of a dispatch: the memory traffic, in bytes, that takes about as long.
pub(super) fn work(dispatch: &Dispatch) -> f64 {
    (dispatch.bytes as f64).max(dispatch.flops as f64 / FLOPS_PER_BYTE) + LAUNCH
}

/// A first guess of the work of a second.
fn guess(class: DeviceClass) -> f64 {
    match class {
        DeviceClass::Discrete => 1e11,
        DeviceClass::Integrated => 1e10,
        DeviceClass::Software => 2e9,
    }
}

/// A submission that may not be done yet.
#[derive(Debug)]
struct Pending {
    done: Completion<()>,
    program: usize,
    work: f64,
    /// Bytes written for it.
    bytes: usize,
    submitted: Instant,
}

/// The pending submissions, and the measured speed of each program in work per second.
#[derive(Debug)]
pub(super) struct Pace {
    guess: f64,
    speeds: Vec<Option<f64>>,
    pending: VecDeque<Pending>,
    /// When the last submission that is known to be done was seen to be done.
    seen: Option<Instant>,
}

impl Pace {
    pub fn new(class: DeviceClass) -> Self {
        Self { guess: guess(class), speeds: Vec::new(), pending: VecDeque::new(), seen: None }
    }

    /// Forgets all programs.
    pub fn forget(&mut self) {
        self.speeds.clear();
        self.pending.clear();
    }

    fn speed(&self, program: usize) -> f64 {
        self.speeds.get(program).copied().flatten().unwrap_or(self.guess)
    }

    /// The number of steps of a program in a submission of about [`AIM`]. `step` has the work of its dispatches.
    pub fn steps(&self, program: usize, step: &[f64]) -> usize {
        let seconds = step.iter().sum::<f64>() / self.speed(program);
        let most = MOST_DISPATCHES / step.len().max(1);
        ((AIM / seconds.max(1e-9)) as usize).clamp(1, most.max(1))
    }

    /// How many of these dispatches the next submission takes: all, if they are expected to take less than [`LONGEST`], else about
    /// as many as take [`AIM`]. Of the rest of what was cut already it takes as many as take that.
    pub fn piece(&self, program: usize, work: impl Iterator<Item = f64> + Clone, is_rest: bool) -> usize {
        let speed = self.speed(program);
        let limit = if !is_rest && work.clone().sum::<f64>() / speed <= LONGEST { f64::INFINITY } else { AIM };
        let mut seconds = 0.0;
        let fits = |(index, work): &(usize, f64)| {
            seconds += work / speed;
            *index == 0 || seconds <= limit
        };
        work.take(MOST_DISPATCHES).enumerate().take_while(fits).count()
    }

    /// Cuts dispatches with this work into submissions.
    pub fn pieces(&self, program: usize, work: &[f64]) -> Vec<Range<usize>> {
        let mut pieces: Vec<Range<usize>> = Vec::new();
        let mut start = 0;
        while start < work.len() {
            let end = start + self.piece(program, work[start..].iter().copied(), start > 0);
            pieces.push(start..end);
            start = end;
        }
        pieces
    }

    /// Notes a submission of a program.
    pub fn submitted(&mut self, program: usize, work: f64, bytes: usize, done: Completion<()>) {
        self.pending.push_back(Pending { done, program, work, bytes, submitted: Instant::now() });
    }

    /// Removes the submissions at the front that are done, and learns from their time.
    pub fn collect(&mut self) {
        let (mut work, mut first, mut last) = (0.0, None, None);
        while let Some(at) = self.pending.front().and_then(|pending| pending.done.done_at()) {
            let Some(done) = self.pending.pop_front() else { break };
            if last.is_some_and(|(program, _)| program != done.program) {
                self.learn(work, first, last);
                (work, first) = (0.0, None);
            }
            work += done.work;
            first = first.or(Some(done.submitted));
            last = Some((done.program, at));
        }
        self.learn(work, first, last);
    }

    /// Learns from submissions of one program that were seen to be done together. The device began them when they were submitted,
    /// or when the submissions before them were done.
    fn learn(&mut self, work: f64, submitted: Option<Instant>, last: Option<(usize, Instant)>) {
        let (Some(submitted), Some((program, at))) = (submitted, last) else { return };
        let began = self.seen.map_or(submitted, |seen| seen.max(submitted));
        self.seen = Some(at);
        let seconds = at.saturating_duration_since(began).as_secs_f64();
        // Shorter times are those of the host's calls.
        if seconds < 1e-5 {
            return;
        }
        if self.speeds.len() <= program {
            self.speeds.resize(program + 1, None);
        }
        let (measured, queued) = (work / seconds, began > submitted);
        let speed = &mut self.speeds[program];
        *speed = match *speed {
            // The executor waits for the first submission of a program, so the next one may be measured alone.
            None => (!queued).then_some(measured),
            Some(before) if queued => Some(measured.clamp(SLOWER * before, FASTER * before)),
            Some(before) => Some(measured.max(SLOWER * before)),
        };
    }

    /// Whether too much is pending for another submission. A program whose speed is not known may have nothing pending.
    pub fn too_much(&self) -> bool {
        let Some(oldest) = self.pending.front() else { return false };
        if self.speeds.get(oldest.program).copied().flatten().is_none() {
            return true;
        }
        let seconds: f64 = self.pending.iter().map(|pending| pending.work / self.speed(pending.program)).sum();
        let bytes: usize = self.pending.iter().map(|pending| pending.bytes).sum();
        self.pending.len() >= MOST_PENDING || bytes > MOST_BYTES || seconds > AHEAD
    }

    /// The oldest pending submission, to be waited for.
    pub fn oldest(&mut self) -> Option<&mut Completion<()>> {
        self.pending.front_mut().map(|pending| &mut pending.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pace at which a program does this work in a second.
    fn known(speed: f64) -> Pace {
        Pace { speeds: vec![Some(speed)], ..Pace::new(DeviceClass::Discrete) }
    }

    #[test]
    fn short_work_is_one_submission_and_long_work_is_cut_between_dispatches() {
        let lengths = |work: &[f64]| {
            let pieces = known(1000.0).pieces(0, work);
            assert!(pieces.windows(2).all(|pair| pair[0].end == pair[1].start));
            pieces.iter().map(Range::len).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[20.0; 5]), [5]);
        assert_eq!(lengths(&[20.0; 6]), [2, 2, 2]);
        // A dispatch cannot be cut.
        assert_eq!(lengths(&[10.0, 300.0, 10.0, 10.0]), [1, 1, 2]);
        assert_eq!(lengths(&[0.0; 2 * MOST_DISPATCHES]), [MOST_DISPATCHES; 2]);
        assert!(lengths(&[]).is_empty());
    }

    #[test]
    fn as_many_steps_are_submitted_as_take_the_time_aimed_at() {
        let step = [1.0, 4.0];
        assert_eq!(known(1000.0).steps(0, &step), 10);
        assert_eq!(known(10.0).steps(0, &step), 1);
        assert_eq!(known(1e12).steps(0, &step), MOST_DISPATCHES / 2);
        // A program that has not run yet is as fast as was guessed.
        assert_eq!(known(1.0).steps(1, &[1e9]), (AIM * guess(DeviceClass::Discrete) / 1e9) as usize);
    }

    #[test]
    fn the_speed_follows_what_is_certain_at_once_and_the_rest_slowly() {
        let start = Instant::now();
        let after = |seconds: f64| start + std::time::Duration::from_secs_f64(seconds);
        let mut pace = Pace::new(DeviceClass::Discrete);
        pace.learn(100.0, Some(start), Some((0, after(0.1))));
        assert!((pace.speed(0) - 1000.0).abs() < 1e-6);
        // It was submitted before the last one was done, which may have been long before that was seen.
        pace.learn(100.0, Some(start), Some((0, after(0.101))));
        assert!((pace.speed(0) - 1250.0).abs() < 1e-6);
        pace.learn(100.0, Some(after(1.0)), Some((0, after(1.05))));
        assert!((pace.speed(0) - 2000.0).abs() < 1e-6);
        pace.learn(100.0, Some(after(2.0)), Some((0, after(3.0))));
        assert!((pace.speed(0) - 1600.0).abs() < 1e-6);
        // A program's first submission that was queued behind another program's says nothing.
        pace.learn(1e9, Some(after(2.5)), Some((1, after(3.001))));
        assert!((pace.speed(1) - guess(DeviceClass::Discrete)).abs() < 1.0);
    }
}
