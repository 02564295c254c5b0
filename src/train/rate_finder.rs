//! The choice of a learning rate by a range test (L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017): the
//! rate grows from step to step, and the loss shows where the network learns.

use super::progress::{EpochProgress, Watch};
use super::recipe::Recipe;
use super::trainer::Trainer;
use crate::optim::Schedule;
use crate::{Engine, Error, Result};

/// The decay of the moving average of the losses per step.
const SMOOTHING: f64 = 0.98;
/// The test ends when the smoothed loss is so many times its smallest value.
const TOO_LARGE: f64 = 4.0;
/// The shares of the steps at the start and at the end that are not looked at: the moving average has seen few losses, or the network
/// has begun to diverge.
const IGNORED: [f64; 2] = [0.1, 0.03];
/// The smallest number of losses to judge.
const FEWEST: usize = 20;

/// The learning rates of a range test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateRange {
    /// The first and the last learning rate.
    pub ends: [f64; 2],
    /// The number of steps, each with an update.
    pub steps: usize,
}

impl Default for RateRange {
    fn default() -> Self {
        Self { ends: [1e-6, 10.0], steps: 200 }
    }
}

/// The result of a range test.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct FoundRate {
    /// The learning rate in the middle of the longest descent of the loss, with two digits.
    pub learning_rate: f64,
    /// The learning rate of each step until the loss was too large.
    pub rates: Vec<f64>,
    /// The loss of each step, as a moving average.
    pub losses: Vec<f64>,
}

impl RateRange {
    /// The rates, each the same factor above the one before.
    fn rates(&self) -> Vec<f64> {
        let [low, high] = self.ends;
        let part = |step: usize| step as f64 / (self.steps - 1) as f64;
        (0..self.steps).map(|step| low * (high / low).powf(part(step))).collect()
    }

    fn validate(&self) -> Result<()> {
        let [low, high] = self.ends;
        if !(low > 0.0 && low < high && high.is_finite()) {
            return Err(Error::usage(format!(
                "A range test goes from a rate above 0 to a larger one, not from {low} to {high}."
            )));
        }
        match self.steps >= 2 * FEWEST {
            true => Ok(()),
            false => Err(Error::out_of_range("The number of steps of a range test", self.steps, "40 or more")),
        }
    }
}

/// The recipe with which a trainer for [`find_rate`] is made: without a schedule and without Lookahead, whose slow weights would hold
/// back the others.
pub fn recipe_to_find_rate(recipe: &Recipe) -> Recipe {
    let mut recipe = recipe.clone();
    recipe.schedule = Schedule::default();
    recipe.optimizer.groups.iter_mut().for_each(|group| (group.schedule, group.until) = (None, None));
    (recipe.training.patience, recipe.training.lookahead) = (None, None);
    // No epoch of the test is a last one, which could be shorter.
    recipe.training.epochs = 1e6;
    recipe
}

/// Trains for some steps from a trainer's first weights, with learning rates that grow, and chooses one. Returns the engine, without
/// plans and buffers. `None` if `progress` returned false before the end.
///
/// # Errors
/// When the device is lost, or images cannot be read. [`Error::Data`] when the loss does not fall at any rate.
pub async fn find_rate(
    mut trainer: Trainer,
    range: RateRange,
    progress: &mut Watch<'_>,
) -> Result<(Option<FoundRate>, Engine)> {
    range.validate()?;
    let mut found = Losses::default();
    let mut stopped = false;
    trainer
        .range_test(
            &range.rates(),
            &mut |loss| {
                stopped = !progress(EpochProgress::Trained(found.smoothed.len() as u32 + 1));
                found.add(loss) && !stopped
            },
            &mut |_| true,
        )
        .await?;
    let mut engine = trainer.into_engine();
    engine.forget();
    if stopped {
        return Ok((None, engine));
    }
    let losses = found.smoothed;
    let rates: Vec<f64> = range.rates().into_iter().take(losses.len()).collect();
    let place = middle_of_descent(&losses).ok_or_else(|| {
        let [low, high] = range.ends;
        Error::data(format!(
            "The loss falls at no learning rate from {low} to {high}, so none can be suggested. Look at the data, or choose other ends."
        ))
    })?;
    Ok((Some(FoundRate { learning_rate: two_digits(rates[place]), rates, losses }), engine))
}

/// The losses of a range test, as a moving average without the weight of its first value.
#[derive(Debug, Default)]
struct Losses {
    average: f64,
    smoothed: Vec<f64>,
}

impl Losses {
    /// Adds the loss of a step. Returns whether it is small enough to go on.
    fn add(&mut self, loss: f64) -> bool {
        if !loss.is_finite() {
            return false;
        }
        self.average = SMOOTHING * self.average + (1.0 - SMOOTHING) * loss;
        let steps = self.smoothed.len() as i32 + 1;
        self.smoothed.push(self.average / (1.0 - SMOOTHING.powi(steps)));
        let least = self.smoothed.iter().copied().fold(f64::INFINITY, f64::min);
        self.smoothed[steps as usize - 1] <= TOO_LARGE * least
    }
}

/// The middle of the longest descent: of the longest list of losses, one after another but not all, each of which is below the one before.
fn middle_of_descent(losses: &[f64]) -> Option<usize> {
    let [start, end] = IGNORED.map(|share| (share * losses.len() as f64) as usize);
    let seen = losses.get(start..losses.len() - end)?;
    if seen.len() < FEWEST {
        return None;
    }
    // For each loss: the length of the longest descent that ends with it, and where that begins.
    let mut best: Vec<(usize, usize)> = Vec::with_capacity(seen.len());
    for (place, loss) in seen.iter().enumerate() {
        let before = (0..place).filter(|&other| seen[other] > *loss).map(|other| best[other]);
        best.push(before.max_by_key(|&(length, _)| length).map_or((1, place), |(length, first)| (length + 1, first)));
    }
    let (last, &(length, first)) = best.iter().enumerate().rev().max_by_key(|(_, (length, _))| *length)?;
    (length > 1 && seen[last] < 0.98 * seen[first]).then_some(start + first + (last - first) / 2)
}

/// A number rounded to two digits.
fn two_digits(number: f64) -> f64 {
    format!("{number:.1e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::block_on;
    use crate::data::glyphs;
    use crate::train::TrainerOptions;

    #[test]
    fn the_middle_of_a_descent_is_found_beside_noise() {
        let loss = |step: usize| match step {
            0..60 => 2.0 + 0.01 * ((step * 7) % 3) as f64,
            60..120 => 2.0 - 0.02 * (step - 60) as f64,
            _ => 0.8 + 0.1 * (step - 120) as f64,
        };
        let losses: Vec<f64> = (0..150).map(loss).collect();
        let place = middle_of_descent(&losses).expect("a descent");
        assert!((80..=95).contains(&place), "{place}");
        assert_eq!(middle_of_descent(&(0..150).map(|step| step as f64).collect::<Vec<_>>()), None);
        assert_eq!(middle_of_descent(&[3.0, 2.0, 1.0]), None);
    }

    #[test]
    fn a_moving_average_begins_with_the_first_loss_and_ends_when_it_grows() {
        let mut losses = Losses::default();
        assert!(losses.add(3.0) && (losses.smoothed[0] - 3.0).abs() < 1e-12);
        assert!((0..100).all(|_| losses.add(1.0)));
        assert!((0..200).any(|_| !losses.add(50.0)));
        assert!(!losses.add(f64::NAN));
    }

    /// A network learns at the rate that is found.
    #[test]
    fn a_found_rate_lies_where_the_network_learns() {
        let recipe = Recipe::built_in("glyphs-mlp").expect("a recipe");
        let dataset = glyphs::dataset();
        let range = RateRange { steps: 100, ..RateRange::default() };
        let find = |range: RateRange, going: bool| {
            let recipe = recipe_to_find_rate(&recipe);
            let trainer = Trainer::new(Engine::cpu(), recipe, &dataset, TrainerOptions::default()).expect("a trainer");
            block_on(find_rate(trainer, range, &mut |_| going)).map(|(found, _)| found)
        };
        let found = find(range, true).expect("a result").expect("it was not stopped");
        assert!((1e-3..1.0).contains(&found.learning_rate), "{}", found.learning_rate);
        assert_eq!(found.rates.len(), found.losses.len());
        assert_eq!(find(range, false).expect("a result"), None);
        assert!(find(RateRange { ends: [0.1, 0.01], ..range }, true).is_err());
    }
}
