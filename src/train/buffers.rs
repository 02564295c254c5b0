//! Writes weights to their buffers on the device.

use crate::nn::{PARAMS, Parameters, STATISTICS, Weights};
use crate::{Engine, Result};

/// Writes the weights to the device.
pub(crate) fn write_weights(engine: &mut Engine, parameters: &Parameters, weights: &Weights) -> Result<()> {
    write_copy(engine, [PARAMS, STATISTICS], parameters, weights)
}

/// Writes weights to the buffers of a copy.
pub(super) fn write_copy(
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
