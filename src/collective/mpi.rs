//! Ranks that are processes, started by `mpirun` or a batch system.

use std::ops::Range;
use std::time::{Duration, Instant};

use ::mpi::Threading;
use ::mpi::datatype::{Partition, PartitionMut};
use ::mpi::environment::Universe;
use ::mpi::topology::SimpleCommunicator;
use ::mpi::traits::{Communicator, CommunicatorCollectives};

use super::{Collective, too_long};
use crate::{Error, Result};

/// For so long, a rank that waits for others looks without a pause.
const EAGER: Duration = Duration::from_millis(2);
/// The pause between two looks after that.
const PAUSE: Duration = Duration::from_micros(50);

/// The MPI library of a process that is one of several. When it is dropped, the process waits for the others, and leaves.
pub struct Launched {
    universe: Universe,
}

/// One rank of the processes that were started together.
#[derive(Debug)]
struct Processes;

/// Starts the MPI library. `None` if the process is the only one.
///
/// # Errors
/// When the library was started before.
pub fn launched() -> Result<Option<Launched>> {
    let started = ::mpi::initialize_with_threading(Threading::Funneled);
    let (universe, _) = started.ok_or_else(|| Error::Ranks("MPI was started twice.".into()))?;
    Ok((universe.world().size() > 1).then_some(Launched { universe }))
}

impl Launched {
    /// The connection of this process to the others. It is to be used by the thread that started MPI.
    pub fn collective(&self) -> Box<dyn Collective> {
        Box::new(Processes)
    }

    /// The number of this process.
    pub fn rank(&self) -> usize {
        self.universe.world().rank() as usize
    }

    /// Ends all processes at once with an exit code.
    pub fn abort(&self, code: u8) -> ! {
        self.universe.world().abort(code.into())
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        // After a panic the others would wait without end, and this process for them.
        if std::thread::panicking() {
            self.abort(101);
        }
    }
}

/// The lengths and the beginnings of ranges, as MPI takes them.
fn counts(ranges: &[Range<usize>]) -> Result<[Vec<i32>; 2]> {
    let count = |value: usize| i32::try_from(value).map_err(|_| too_long(value));
    let lens = ranges.iter().map(|range| count(range.len())).collect::<Result<_>>()?;
    let begins = ranges.iter().map(|range| count(range.start)).collect::<Result<_>>()?;
    Ok([lens, begins])
}

/// Waits until all ranks are here. MPI's own waiting takes a whole core from the threads that compute.
fn wait_for_all(world: &SimpleCommunicator) {
    let begun = Instant::now();
    let mut request = world.immediate_barrier();
    while let Err(waiting) = request.test() {
        request = waiting;
        match begun.elapsed() < EAGER {
            true => std::thread::yield_now(),
            false => std::thread::sleep(PAUSE),
        }
    }
}

impl Collective for Processes {
    fn rank(&self) -> usize {
        SimpleCommunicator::world().rank() as usize
    }

    fn ranks(&self) -> usize {
        SimpleCommunicator::world().size() as usize
    }

    fn exchange(
        &mut self,
        send: &[u32],
        to: &[Range<usize>],
        receive: &mut [u32],
        from: &[Range<usize>],
    ) -> Result<()> {
        let ([lens, begins], [other_lens, other_begins]) = (counts(to)?, counts(from)?);
        let sent = Partition::new(send, lens, begins);
        let mut received = PartitionMut::new(receive, other_lens, other_begins);
        let world = SimpleCommunicator::world();
        wait_for_all(&world);
        world.all_to_all_varcount_into(&sent, &mut received);
        Ok(())
    }
}
