//! Finds the kernel variants that make a case wrong on a device.

use super::{check_case, gradient_graph};
use crate::gpu::DeviceOptions;
use crate::graph::kernel::{ForcedVariant, Kernel};
use crate::graph::{Graph, Passes, Plan, PlanOptions, Target, optimize};
use crate::ops::case::Case;
use crate::ops::table::{OpEntry, TABLE, force};
use crate::{Engine, Result};

/// Why a case is wrong on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blame {
    /// It is right with plain kernels in place of these variants. Empty if it is right as it is.
    Variants(Vec<ForcedVariant>),
    /// It is wrong with plain kernels, too.
    Device,
}

/// Finds why a case is wrong on a device that `open` opens with these options: each variant that the case uses is avoided by itself,
/// and then all of them.
///
/// # Errors
/// When a graph cannot be built, or the device cannot be opened or fails.
pub async fn blame(
    open: impl AsyncFn(DeviceOptions) -> Result<Engine>,
    options: &DeviceOptions,
    (entry, case): (&OpEntry, &Case),
) -> Result<Blame> {
    let right = async |options: DeviceOptions| -> Result<(bool, Engine)> {
        let mut engine = open(options).await?;
        let checks = check_case(&mut engine, entry, case).await?;
        Ok((checks.iter().all(super::CheckResult::passed), engine))
    };
    let (is_right, engine) = right(options.clone()).await?;
    if is_right {
        return Ok(Blame::Variants(Vec::new()));
    }
    let used = used(&engine.target(), case)?;
    // The last choice is all of them; with one it is the same as the first.
    let alone = used.iter().map(|&variant| vec![variant]);
    let together = (used.len() > 1).then(|| used.clone());
    for variants in alone.chain(together) {
        if right(without(options, &variants)).await?.0 {
            return Ok(Blame::Variants(variants));
        }
    }
    Ok(Blame::Device)
}

/// Options with which ops avoid these variants.
fn without(options: &DeviceOptions, variants: &[ForcedVariant]) -> DeviceOptions {
    let mut options = options.clone();
    options.forced.retain(|forced| !variants.contains(forced));
    options.avoided.extend(variants);
    options
}

/// The variants whose absence changes the kernels of a case.
fn used(target: &Target, case: &Case) -> Result<Vec<ForcedVariant>> {
    let Some(device) = &target.device else { return Ok(Vec::new()) };
    let own = kernels(target, case)?;
    let mut used = Vec::new();
    for entry in TABLE {
        for variant in (entry.variants)() {
            let variant = force(entry.name, variant)?;
            let mut device = device.clone();
            device.forced.retain(|forced| *forced != variant);
            device.avoided.push(variant);
            if kernels(&Target { device: Some(device), ..target.clone() }, case)? != own {
                used.push(variant);
            }
        }
    }
    Ok(used)
}

/// The kernels of a case's value and gradients.
fn kernels(target: &Target, case: &Case) -> Result<Vec<Kernel>> {
    let mut graphs: Vec<Graph> = vec![case.graph()?.0];
    if !case.differentiable.is_empty() {
        graphs.push(gradient_graph(case)?.0);
    }
    let mut kernels = Vec::new();
    for graph in graphs {
        let plan = Plan::new(optimize(&graph, Passes::default())?, target, PlanOptions::default())?;
        kernels.extend(plan.work.into_iter().flat_map(|work| work.lowering.dispatches).map(|dispatch| dispatch.kernel));
    }
    Ok(kernels)
}
