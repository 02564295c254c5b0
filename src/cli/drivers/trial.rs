//! Drivers tried in a process of its own, which may crash or hang: a hidden subcommand opens every adapter.

use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::blocking::block_on;
use crate::gpu::{Backends, Device, DeviceOptions, adapters_of};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

use super::identity::{ADD_VARIABLE, BY_FILES, LIST_VARIABLES, Part};
use crate::cli::program::Program;

/// The name of the hidden subcommand.
pub const COMMAND: &str = "try-drivers";
/// A child that no longer has a parent ends itself so long after its time.
const ORPHAN: Duration = Duration::from_secs(10);

/// Opens every adapter, and exits with 0 if that did not end the process. An adapter that refuses is no fault here: it is passed
/// over, or its error is shown, when it is to be used.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Use only these backends of wgpu
    backends: Vec<String>,
    /// The time in which the process that waits for this one would end it, in milliseconds
    #[arg(long, default_value = "30000")]
    within: u64,
}

pub fn run(args: Args) -> Result<ExitCode> {
    #[cfg(unix)]
    {
        // A crash that is looked for leaves no core file.
        let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
        let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    }
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(args.within) + ORPHAN);
        std::process::abort();
    });
    for adapter in block_on(adapters_of(backends(&args.backends))) {
        drop(block_on(Device::open(&adapter, DeviceOptions::default())));
    }
    Ok(ExitCode::SUCCESS)
}

/// The backends of these names; all if there is none.
pub fn backends(names: &[String]) -> Backends {
    let named = |name: &String| match name.as_str() {
        "Vulkan" => Backends::VULKAN,
        "DX12" => Backends::DX12,
        "Metal" => Backends::METAL,
        _ => Backends::empty(),
    };
    if names.is_empty() { Backends::all() } else { names.iter().map(named).collect() }
}

/// A part that crashed or hung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The part.
    pub part: Part,
    /// What it did: `crashed (signal 6, SIGABRT) when it was tried`.
    pub did: String,
}

impl LeftOut {
    /// A sentence for the user.
    pub fn sentence(&self) -> String {
        format!("{} {}, so it is not used.", self.part.name(), self.did)
    }
}

/// How drivers are tried.
#[derive(Debug)]
pub struct Trial {
    /// This program.
    pub program: Program,
    /// The time that a driver has.
    pub limit: Duration,
}

impl Trial {
    /// The parts to leave out: files that say nothing, because of which a loader may find no driver at all, and drivers that fail. All
    /// are tried at once; if that fails each by itself, and then those that are left together. If these fail too, none of them is
    /// used.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn left_out(&self, parts: &[Part]) -> Result<Vec<LeftOut>> {
        let (parts, damaged): (Vec<Part>, Vec<Part>) = parts.iter().cloned().partition(Part::says_something);
        let did = || "is described by a file that cannot be read".to_owned();
        let mut left_out: Vec<LeftOut> = damaged.into_iter().map(|part| LeftOut { part, did: did() }).collect();
        if !parts.is_empty() {
            left_out.extend(self.failing(&parts)?);
        }
        Ok(left_out)
    }

    /// The drivers that fail.
    fn failing(&self, parts: &[Part]) -> Result<Vec<LeftOut>> {
        if self.outcomes(&[parts.to_vec()])?[0].is_none() {
            return Ok(Vec::new());
        }
        let alone: Vec<Vec<Part>> = parts.iter().map(|part| vec![part.clone()]).collect();
        let found = self.outcomes(&alone)?;
        let (bad, good): (Vec<_>, Vec<_>) = parts.iter().zip(found).partition(|(_, did)| did.is_some());
        let mut left_out: Vec<LeftOut> =
            bad.into_iter().filter_map(|(part, did)| did.map(|did| LeftOut { part: part.clone(), did })).collect();
        let good: Vec<Part> = good.into_iter().map(|(part, _)| part.clone()).collect();
        if !good.is_empty()
            && let Some(did) = self.outcomes(std::slice::from_ref(&good))?.remove(0)
        {
            let did = format!("{did}, together with others");
            left_out.extend(good.into_iter().map(|part| LeftOut { part, did: did.clone() }));
        }
        Ok(left_out)
    }

    /// What a process for each of these choices did, if it was not right. All run at the same time.
    fn outcomes(&self, choices: &[Vec<Part>]) -> Result<Vec<Option<String>>> {
        let start = Instant::now();
        let mut children: Vec<Child> = choices.iter().map(|parts| self.start(parts)).collect::<Result<_>>()?;
        let mut ended: Vec<Option<Option<String>>> = vec![None; children.len()];
        while ended.contains(&None) && start.elapsed() < self.limit {
            for (child, ended) in children.iter_mut().zip(&mut ended).filter(|(_, ended)| ended.is_none()) {
                *ended = child.try_wait().ok().flatten().map(fault);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let hung = format!("did not answer within {} s when it was tried", self.limit.as_secs_f64());
        let outcome = |(child, ended): (&mut Child, Option<Option<String>>)| match ended {
            Some(ended) => ended,
            None => {
                end(child);
                Some(hung.clone())
            }
        };
        Ok(children.iter_mut().zip(ended).map(outcome).collect())
    }

    /// Starts a process that uses only these parts.
    fn start(&self, parts: &[Part]) -> Result<Child> {
        let [file, before @ ..] = &self.program.command[..] else {
            return Err(Error::Device("it is not known how this program is started".into()));
        };
        let mut command = Command::new(file);
        command.args(before).arg(COMMAND).arg("--within").arg(self.limit.as_millis().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if BY_FILES {
            command.envs(LIST_VARIABLES.map(|name| (name, list(parts)))).env_remove(ADD_VARIABLE);
        } else {
            command.args(names(parts));
        }
        command.spawn().map_err(|error| Error::Device(format!("cannot start {}: {error}", file.display())))
    }
}

/// The value of [`LIST_VARIABLES`] for these parts.
pub fn list(parts: &[Part]) -> std::ffi::OsString {
    let file = |part: &Part| match part {
        Part::File(path) => Some(path.clone()),
        Part::Backend(_) => None,
    };
    std::env::join_paths(parts.iter().filter_map(file)).unwrap_or_default()
}

/// The names of the backends among these parts.
pub fn names(parts: &[Part]) -> Vec<String> {
    let backend = |part: &Part| match part {
        Part::File(_) => None,
        Part::Backend(name) => Some(name.clone()),
    };
    parts.iter().filter_map(backend).collect()
}

/// Ends a process. One that the system cannot end, because its driver waits in the kernel, is left alone after a second.
fn end(child: &mut Child) {
    let _ = child.kill();
    let start = Instant::now();
    while matches!(child.try_wait(), Ok(None)) && start.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What a process that has ended did, if it was not right.
fn fault(status: ExitStatus) -> Option<String> {
    if status.success() {
        return None;
    }
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = signal_hook::low_level::signal_name(signal).map_or_else(String::new, |name| format!(", {name}"));
        return Some(format!("crashed (signal {signal}{name}) when it was tried"));
    }
    Some(format!("ended the program ({status}) when it was tried"))
}
