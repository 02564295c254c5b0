//! The first steps of a training, looked at before it begins: checked (`gpunn train --verify`) or timed (`gpunn train --profile`).

use std::path::Path;
use std::time::Instant;

use crate::profile::by_kernel;
use crate::runs::Experiment;
use crate::train::Trainer;
use crate::{Engine, Error, Result};

/// Runs one step, compares every node with the oracle and prints the worst node. Restores the weights afterwards.
pub fn verify(trainer: &mut Trainer) -> Result<()> {
    let before = crate::blocking::block_on(trainer.checkpoint())?;
    crate::blocking::block_on(trainer.prepare_epoch())?;
    let (engine, program) = trainer.engine_mut();
    if engine.kind() == "cpu" {
        return Err(Error::usage(
            "--verify compares a GPU with the CPU, but the run is on the CPU. Choose a GPU with --device.",
        ));
    }
    let checks = crate::blocking::block_on(crate::check::verify(engine, program, 0))?;
    let worst = checks.iter().max_by(|a, b| a.worst.excess.total_cmp(&b.worst.excess));
    if let Some(check) = worst {
        let crate::check::Worst { index, value, reference, excess } = check.worst;
        eprintln!(
            "verified {} nodes; the worst is '{}' ({}), element {index}: {value:e}, expected {reference:e}, error {:.1} % of the \
             tolerance",
            checks.len(),
            check.name,
            check.op,
            100.0 * excess
        );
        if excess > 1.0 {
            return Err(Error::Device(format!(
                "{} computes a wrong result for '{}'; `gpunn check` tests each op",
                trainer.engine().device_name(),
                check.name
            )));
        }
    }
    trainer.restore(&before)
}

/// Times the kernels of some steps, prints the table and writes the trace. Restores the weights afterwards.
pub fn profile(experiment: &mut Experiment) -> Result<()> {
    let trainer = &mut experiment.trainer;
    let before = crate::blocking::block_on(trainer.checkpoint())?;
    crate::blocking::block_on(trainer.prepare_epoch())?;
    let steps = trainer.steps().min(10) as usize;
    let (engine, program) = trainer.engine_mut();
    let timed = match engine {
        Engine::Gpu(executor) => crate::blocking::block_on(executor.profile(program.index(), 0..steps))?,
        Engine::Cpu(executor) => {
            executor.run(program.index(), 0..1); // warm-up
            let start = Instant::now();
            executor.profile(program.index(), 0..steps, || start.elapsed().as_secs_f64() * 1e9)
        }
    };
    eprintln!("{:<44} {:>6} {:>10} {:>7} {:>9} {:>8}", "kernel", "calls", "ms", "share", "GFLOP/s", "GB/s");
    for line in by_kernel(&timed) {
        eprintln!(
            "{:<44} {:>6} {:>10.3} {:>5.1} % {:>9.2} {:>8.2}",
            line.kernel,
            line.calls,
            line.milliseconds,
            100.0 * line.share,
            line.gflops,
            line.gbytes
        );
    }
    let path: &Path = experiment.run.path();
    crate::files::write_atomic(&path.join("trace.json"), crate::runs::trace(&timed).as_bytes())?;
    experiment.trainer.restore(&before)
}
