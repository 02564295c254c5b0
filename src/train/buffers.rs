//! Writes weights to their buffers on the device.

use super::graphs::AVERAGES;
use crate::nn::{PARAMS, Parameters, STATISTICS, Weights};
use crate::{Engine, Result};

/// Writes the weights to the device.
pub(crate) fn write_weights(engine: &mut Engine, parameters: &Parameters, weights: &Weights) -> Result<()> {
    write_to(engine, [PARAMS, STATISTICS], parameters, weights)
}

/// Writes the moving averages of the weights to the device.
pub(super) fn write_averages(engine: &mut Engine, parameters: &Parameters, weights: &Weights) -> Result<()> {
    write_to(engine, AVERAGES.map(|(_, to)| to), parameters, weights)
}

fn write_to(
    engine: &mut Engine,
    [learned, statistics]: [&str; 2],
    parameters: &Parameters,
    weights: &Weights,
) -> Result<()> {
    engine.write(learned, 0, &weights.learned)?;
    match parameters.statistics().is_empty() {
        true => Ok(()),
        false => engine.write(statistics, 0, &weights.statistics),
    }
}
