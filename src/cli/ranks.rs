//! Training on several devices: `--devices`, and processes that `mpirun` or a batch system started together.

use std::path::Path;
use std::thread::ScopedJoinHandle;

use crate::blocking::block_on;
use crate::collective::{self, Collective};
use crate::data::Dataset;
use crate::graph::kernel::DeviceClass;
use crate::runs::RunDirectory;
use crate::train::{Recipe, Trainer, TrainerOptions};
use crate::{Engine, Error, Result};

use super::engine::{DeviceArgs, options_to_train};
use super::stop::StopFlag;

/// `--devices`.
#[derive(Debug, clap::Args)]
pub struct DevicesArgs {
    /// Train on several devices of this machine together, each with a part of every batch: numbers or names, separated by commas, see
    /// `gpunn devices`. The batch stays the recipe's, and the result has the same bits as --accumulate with as many parts on one device
    #[arg(long, value_name = "DEVICE,...", value_delimiter = ',',
        conflicts_with_all = ["device", "time", "folds", "profile", "verify"])]
    devices: Vec<String>,
}

impl DevicesArgs {
    /// The devices that were named, each as `--device` takes it.
    pub fn each(&self, device: &DeviceArgs) -> Vec<DeviceArgs> {
        self.devices.iter().map(|name| DeviceArgs { device: name.clone(), ..device.clone() }).collect()
    }
}

/// What a launcher told a process: which one it is of those that were started together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 0, and how many there are.
    pub rank: usize,
    pub ranks: usize,
    /// The same on this machine.
    pub local_rank: usize,
    pub local_ranks: usize,
}

/// The variables in which launchers tell a process its place: Open MPI's, those of MPICH and its relatives, Slurm's.
const VARIABLES: [[&str; 4]; 3] = [
    ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"],
    ["PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"],
    ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"],
];

impl Place {
    /// The place of this process. `None` if it was started alone.
    pub fn of_process() -> Option<Self> {
        Self::by(|name| std::env::var(name).ok())
    }

    /// The place that these variables say.
    fn by(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        // Slurm writes `4(x2)` for two machines with four each.
        let number = |name: &str| variable(name)?.split(['(', ',']).next()?.parse::<usize>().ok();
        let told = VARIABLES.into_iter().find_map(|[rank, ranks, local_rank, local_ranks]| {
            let (rank, ranks) = (number(rank)?, number(ranks)?);
            let local_rank = number(local_rank).unwrap_or(rank);
            Some(Self { rank, ranks, local_rank, local_ranks: number(local_ranks).unwrap_or(ranks) })
        });
        told.filter(|place| place.ranks > 1 && place.rank < place.ranks)
    }

    /// The device of this process, or the one that was named if it is alone.
    pub fn own_device(device: &DeviceArgs) -> DeviceArgs {
        Self::of_process().map_or_else(|| device.clone(), |place| place.device(device))
    }

    /// The device of this process: of the adapters that `--device` means, each process of a machine takes another one, in turn. On the CPU
    /// each takes its share of the cores.
    pub fn device(&self, device: &DeviceArgs) -> DeviceArgs {
        let named = device.device.to_lowercase();
        let name = match named.as_str() {
            "auto" | "gpu" => {
                let adapters = super::drivers::usable().adapters;
                let is_meant = |class| named == "gpu" || class != DeviceClass::Software;
                let meant: Vec<_> = adapters.iter().filter(|adapter| is_meant(adapter.class())).collect();
                match meant.get(self.local_rank % meant.len().max(1)) {
                    Some(adapter) => adapter.index.to_string(),
                    None if named == "auto" => "cpu".into(),
                    None => named,
                }
            }
            _ => named,
        };
        DeviceArgs { device: name, threads: device.threads.or_else(|| self.threads()), ..device.clone() }
    }

    /// The share of the cores of a process that may use all of the machine. `None` if the launcher has given it some.
    fn threads(&self) -> Option<usize> {
        let may_use = std::thread::available_parallelism().ok()?.get();
        let there = sysinfo::System::new_with_specifics(
            sysinfo::RefreshKind::nothing().with_cpu(sysinfo::CpuRefreshKind::nothing()),
        );
        (may_use >= there.cpus().len()).then(|| (may_use / self.local_ranks.max(1)).max(1))
    }
}

#[cfg(feature = "mpi")]
pub use crate::collective::{Launched, launched};

/// The place of a process in a program without MPI, which has none.
#[cfg(not(feature = "mpi"))]
pub enum Launched {}

#[cfg(not(feature = "mpi"))]
impl Launched {
    pub fn collective(&self) -> Box<dyn Collective> {
        match *self {}
    }
    pub fn rank(&self) -> usize {
        match *self {}
    }
    pub fn abort(&self, _code: u8) -> ! {
        match *self {}
    }
}

/// Starts MPI if a launcher started this process with others.
///
/// # Errors
/// When this program is built without MPI.
pub fn join() -> Result<Option<Launched>> {
    let Some(place) = Place::of_process() else { return Ok(None) };
    #[cfg(feature = "mpi")]
    {
        let launched = launched()?;
        match launched {
            Some(launched) => Ok(Some(launched)),
            None => Err(Error::usage(format!(
                "{} processes were started together, but MPI knows only of one: the program was built with another MPI library than \
                 the launcher's.",
                place.ranks
            ))),
        }
    }
    #[cfg(not(feature = "mpi"))]
    Err(Error::usage(format!(
        "{} processes were started together, but this program is built without MPI: each would train on its own. Build it with `cargo \
         install gpunn --features mpi`. On one machine, --devices needs no MPI.",
        place.ranks
    )))
}

/// Ends all processes where this one failed: the others would wait without end.
pub fn or_end_all<T>(outcome: Result<T>, launched: &Launched) -> Result<T> {
    outcome.inspect_err(|error| {
        eprintln!("error of rank {}: {error}", launched.rank());
        launched.abort(error.exit_code());
    })
}

/// What a rank that follows rank 0 trains with.
#[derive(Clone, Copy)]
pub struct Training<'a> {
    pub recipe: &'a Recipe,
    pub dataset: &'a Dataset,
    pub options: TrainerOptions,
}

impl Training<'_> {
    /// Trains as rank 0 does, which writes the run.
    fn follow(self, engine: Engine, collective: Box<dyn Collective>, stop: &StopFlag) -> Result<()> {
        let Self { recipe, dataset, options } = self;
        let mut trainer = Trainer::among(engine, recipe.clone(), dataset, options, collective)?;
        block_on(trainer.follow(&mut || !stop.is_set()))
    }
}

/// Trains on several devices of this process: `lead` on rank 0, and threads of their own on `others`.
pub fn on_devices<T>(
    others: Vec<(Engine, Box<dyn Collective>)>,
    training: Training<'_>,
    stop: &StopFlag,
    lead: impl FnOnce() -> Result<T>,
) -> Result<T> {
    std::thread::scope(|scope| {
        let follow = |(engine, collective)| scope.spawn(move || training.follow(engine, collective, stop));
        let followers: Vec<ScopedJoinHandle<Result<()>>> = others.into_iter().map(follow).collect();
        let led = lead();
        let panicked = || Err(Error::Device("The thread of another device panicked.".into()));
        let followed = followers.into_iter().map(|follower| follower.join().unwrap_or_else(|_| panicked()));
        // Where one rank fails, the others only know that it has ended.
        let first = followed.filter_map(Result::err).find(|error| !matches!(error, Error::Ranks(_)));
        match (led, first) {
            (Err(Error::Ranks(_)), Some(error)) => Err(error),
            (led, _) => led,
        }
    })
}

/// Trains as a process that follows rank 0, with the recipe that rank 0 sends.
pub fn follow(
    launched: &Launched,
    device: &DeviceArgs,
    (resumed, data_dir): (Option<&Path>, Option<&Path>),
    quiet: bool,
) -> Result<()> {
    let (device, stop) = (Place::own_device(device), StopFlag::on_signals_in_silence());
    device.set_threads()?;
    let mut collective = launched.collective();
    let sent = collective::broadcast(&mut *collective, &[])?;
    let refuse = |error: toml::de::Error| Error::Ranks(format!("The recipe of rank 0 cannot be read: {error}."));
    let mut recipe: Recipe = toml::from_slice(&sent).map_err(refuse)?;
    recipe.validate()?;
    // A run knows which images it holds out, where this process can read it.
    let dataset = match resumed.and_then(|path| RunDirectory::open(path).ok()) {
        Some(run) => run.load_data(&mut recipe, data_dir)?.0,
        None => recipe.load_data(data_dir)?,
    };
    let engine = device.open(options_to_train([&recipe]), true)?;
    if !quiet {
        eprintln!("device of rank {}: {}", launched.rank(), engine.device_name());
    }
    let options = TrainerOptions { clock: Some(crate::runs::clock), ..TrainerOptions::default() };
    Training { recipe: &recipe, dataset: &dataset, options }.follow(engine, collective, &stop)
}

/// Sends the recipe to the processes that follow.
pub fn send_recipe(launched: &Launched, recipe: &Recipe) -> Result<()> {
    let text = toml::to_string(recipe).map_err(|error| Error::Ranks(error.to_string()))?;
    collective::broadcast(&mut *launched.collective(), text.as_bytes()).map(|_| ())
}

/// Prints what was exchanged in a training.
pub fn print_exchanged(trainer: &Trainer) {
    let Some((ranks, exchanged)) = trainer.exchanged() else { return };
    let updates = exchanged.updates.max(1);
    eprintln!(
        "{ranks} ranks: rank 0 sent {} an update, in {:.1} ms with the waiting for slower ranks",
        super::bytes((exchanged.bytes / updates) as usize),
        1e3 * exchanged.seconds / updates as f64
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(variables: &[(&str, &str)]) -> Option<[usize; 4]> {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
        Place::by(value).map(|place| [place.rank, place.ranks, place.local_rank, place.local_ranks])
    }

    #[test]
    fn launchers_tell_a_process_its_place() {
        let open_mpi = [
            ("OMPI_COMM_WORLD_RANK", "5"),
            ("OMPI_COMM_WORLD_SIZE", "8"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", "1"),
            ("OMPI_COMM_WORLD_LOCAL_SIZE", "4"),
        ];
        assert_eq!(place(&open_mpi), Some([5, 8, 1, 4]));
        assert_eq!(place(&[("PMI_RANK", "1"), ("PMI_SIZE", "2")]), Some([1, 2, 1, 2]));
        let slurm = [
            ("SLURM_PROCID", "6"),
            ("SLURM_STEP_NUM_TASKS", "8"),
            ("SLURM_LOCALID", "2"),
            ("SLURM_STEP_TASKS_PER_NODE", "4(x2)"),
        ];
        assert_eq!(place(&slurm), Some([6, 8, 2, 4]));
        assert_eq!(place(&[]), None);
        assert_eq!(place(&[("PMI_RANK", "0"), ("PMI_SIZE", "1")]), None);
    }
}
