//! The length of a training that is given as a time.

use std::time::Duration;

use crate::data::{Dataset, Split};
use crate::train::{Recipe, Trial, time_step};
use crate::{Engine, Error, Result};

/// The time in seconds for which steps are measured.
const MEASURED: f64 = 2.0;
/// An image in validation takes about this share of one in training: the forward pass alone.
const FORWARD: f64 = 1.0 / 3.0;

/// Reads a time such as `10m`, `90s` or `1h30m`.
pub fn time(word: &str) -> Result<Duration, String> {
    match humantime::parse_duration(word) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("a time is written as 10m, 90s or 1h30m".into()),
    }
}

/// Sets the epochs of a recipe so that its training takes about this time on an engine. Returns the engine.
pub fn fit(engine: Engine, (recipe, dataset): (&mut Recipe, &Dataset), time: Duration, quiet: bool) -> Result<Engine> {
    let trial = Trial { clock: crate::runs::clock, seconds: MEASURED, images: usize::MAX };
    let (step, engine) = crate::blocking::block_on(time_step(engine, recipe, dataset, trial))?;
    let (images, batch) = (dataset.train.len(), recipe.training.batch_size.min(dataset.train.len()));
    let validation = dataset.val.as_ref().map_or(0, Split::len) as f64 * FORWARD;
    let epoch = step.seconds * (images as f64 + validation) / batch as f64;
    let epochs = rounded(time.as_secs_f64() / epoch);
    if epochs == 0.0 {
        return Err(Error::usage(format!(
            "An epoch takes about {}, so {} are too short for a training; give more time, or fewer images with --limit-train.",
            spoken(epoch),
            spoken(time.as_secs_f64())
        )));
    }
    recipe.training.epochs = epochs;
    if !quiet {
        eprintln!(
            "--time {}: a training step takes {:.1} ms, an epoch about {}; {epochs} epochs",
            humantime::format_duration(time),
            1e3 * step.seconds,
            spoken(epoch)
        );
    }
    Ok(engine)
}

/// A number of epochs, rounded down to a hundredth, or from 10 on to a whole one.
fn rounded(epochs: f64) -> f64 {
    if epochs >= 10.0 { epochs.floor() } else { (100.0 * epochs).floor() / 100.0 }
}

fn spoken(seconds: f64) -> String {
    let digits = if seconds < 10.0 { 1e2 } else { 1.0 };
    humantime::format_duration(Duration::from_secs_f64((seconds * digits).round() / digits)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::glyphs;

    #[test]
    fn times_are_read() {
        assert_eq!(time("1h30m"), Ok(Duration::from_secs(5400)));
        assert!(time("10").is_err() && time("0s").is_err() && time("soon").is_err());
    }

    #[test]
    fn epochs_fit_the_time() {
        assert_eq!([rounded(0.019), rounded(3.456), rounded(17.9)], [0.01, 3.45, 17.0]);
        let mut recipe = Recipe::built_in("glyphs-mlp").expect("a recipe");
        let dataset = glyphs::dataset();
        fit(Engine::cpu(), (&mut recipe, &dataset), Duration::from_secs(3600), true).expect("it fits");
        let hour = recipe.training.epochs;
        fit(Engine::cpu(), (&mut recipe, &dataset), Duration::from_secs(360), true).expect("it fits");
        // Other programs may run at the same time.
        assert!(hour > 3.0 * recipe.training.epochs && hour < 30.0 * recipe.training.epochs, "{hour}");
        let error = fit(Engine::cpu(), (&mut recipe, &dataset), Duration::from_nanos(1), true).expect_err("too short");
        assert!(error.to_string().contains("--limit-train"), "{error}");
    }
}
