//! Successive halving: all settings are trained for a few epochs, and the best ones go on.

use std::cmp::Ordering;

use super::keys::EPOCHS;
use super::rows::SweepRow;
use super::runner::{Job, Runner};
use crate::{Error, Result};

/// How settings are halved.
#[derive(Clone, Copy, Debug)]
pub struct Halving {
    /// One of so many settings goes on.
    pub eta: usize,
    /// The least number of epochs of the first rung.
    pub first_epochs: u32,
}

/// A rung: so many settings are trained to so many epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Rung {
    pub settings: usize,
    pub epochs: u32,
}

/// A setting after a rung.
struct Ranked {
    candidate: usize,
    /// The mean score of its runs, and of the negative validation losses.
    score: f64,
    loss: f64,
}

impl Halving {
    /// The rungs for so many settings and epochs. The last one has all epochs.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is only one.
    pub fn rungs(self, settings: usize, epochs: u32) -> Result<Vec<Rung>> {
        let Self { eta, first_epochs } = self;
        let parts = |number: u32| eta.checked_pow(number).unwrap_or(usize::MAX);
        let fits = |number: &u32| {
            parts(*number) <= settings && f64::from(epochs) / parts(*number) as f64 >= f64::from(first_epochs)
        };
        let last = (1..64).take_while(fits).last().ok_or_else(|| {
            Error::usage(format!(
                "With {settings} settings and {epochs} epochs, nothing can be given up early: successive halving needs at least {eta} \
                 settings and {} epochs here. Give more values or epochs, or a smaller --eta or --first-epochs.",
                eta * first_epochs as usize
            ))
        })?;
        let rung = |number: u32| {
            let share = f64::from(epochs) / parts(last - number) as f64;
            Rung { settings: settings / parts(number), epochs: share.round() as u32 }
        };
        Ok((0..=last).map(rung).collect())
    }

    /// The rungs for these runs.
    ///
    /// # Errors
    /// As [`Halving::rungs`], and when the number of epochs is tried.
    pub fn plan(self, jobs: &[Job]) -> Result<Vec<Rung>> {
        let longest = jobs.iter().map(|job| job.recipe.training.begun_epochs()).max().unwrap_or(0);
        if jobs.iter().any(|job| job.recipe.training.begun_epochs() != longest) {
            return Err(Error::usage(format!(
                "With --search halving all runs have the same number of epochs. Leave {EPOCHS} out of what is tried."
            )));
        }
        let settings = jobs.iter().map(|job| job.candidate + 1).max().unwrap_or(0);
        self.rungs(settings, longest)
    }
}

/// Trains runs rung by rung. Returns the rows of all runs, or none if a signal stopped them.
pub fn run(runner: &mut Runner, jobs: &[Job], rungs: &[Rung], quiet: bool) -> Result<Option<Vec<SweepRow>>> {
    let mut alive: Vec<usize> = (0..rungs.first().map_or(0, |rung| rung.settings)).collect();
    let mut rows = Vec::new();
    for (number, rung) in rungs.iter().enumerate() {
        if !quiet {
            eprintln!("rung {} of {}: {} settings to epoch {}", number + 1, rungs.len(), alive.len(), rung.epochs);
        }
        let is_last = number + 1 == rungs.len();
        let in_rung: Vec<&Job> = jobs.iter().filter(|job| alive.contains(&job.candidate)).collect();
        if !runner.train_all(&in_rung, (!is_last).then_some(rung.epochs))? {
            return Ok(None);
        }
        let row = |job: &&Job| {
            let row = if is_last { SweepRow::ended(job)? } else { SweepRow::after(job, rung.epochs)? };
            row.map_or_else(|| Err(missing(job, rung.epochs)), |row| Ok((job.candidate, row)))
        };
        let reached: Vec<(usize, SweepRow)> = in_rung.iter().map(row).collect::<Result<_>>()?;
        let kept: Vec<usize> = match rungs.get(number + 1) {
            Some(next) => best(&alive, &reached, next.settings),
            None => alive.clone(),
        };
        let gone = reached.into_iter().filter(|(candidate, _)| is_last || !kept.contains(candidate));
        rows.extend(gone.map(|(_, row)| SweepRow { dropped: !is_last && !row.diverged, ..row }));
        alive = kept;
    }
    Ok(Some(rows))
}

fn missing(job: &Job, epochs: u32) -> Error {
    Error::data(format!(
        "The run {} has no line of epoch {epochs} in its metrics, by which it would be compared. Remove the run, and give the same \
         command again.",
        job.path.display()
    ))
}

/// The best settings, in their old order.
fn best(alive: &[usize], rows: &[(usize, SweepRow)], count: usize) -> Vec<usize> {
    let ranked = |&candidate: &usize| {
        let own: Vec<&SweepRow> = rows.iter().filter(|(of, _)| *of == candidate).map(|(_, row)| row).collect();
        let mean = |of: &dyn Fn(&SweepRow) -> f64| own.iter().map(|row| of(row)).sum::<f64>() / own.len().max(1) as f64;
        let loss = |row: &SweepRow| row.val_loss.map_or(f64::NEG_INFINITY, |loss| -loss);
        Ranked { candidate, score: mean(&SweepRow::value), loss: mean(&loss) }
    };
    let mut order: Vec<Ranked> = alive.iter().map(ranked).collect();
    order.sort_by(by_rank);
    let mut kept: Vec<usize> = order.iter().take(count).map(|ranked| ranked.candidate).collect();
    kept.sort_unstable();
    kept
}

/// The better one first; equal ones in their order.
fn by_rank(a: &Ranked, b: &Ranked) -> Ordering {
    b.score.total_cmp(&a.score).then(b.loss.total_cmp(&a.loss)).then(a.candidate.cmp(&b.candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rungs(eta: usize, first_epochs: u32, settings: usize, epochs: u32) -> Vec<(usize, u32)> {
        let rungs = Halving { eta, first_epochs }.rungs(settings, epochs).expect("several");
        rungs.into_iter().map(|rung| (rung.settings, rung.epochs)).collect()
    }

    #[test]
    fn rungs_have_fewer_settings_and_more_epochs() {
        assert_eq!(rungs(3, 1, 9, 50), [(9, 6), (3, 17), (1, 50)]);
        assert_eq!(rungs(3, 1, 10, 9), [(10, 1), (3, 3), (1, 9)]);
        assert_eq!(rungs(2, 1, 8, 4), [(8, 1), (4, 2), (2, 4)]);
        assert_eq!(rungs(3, 10, 27, 50), [(27, 17), (9, 50)]);
        assert_eq!(rungs(3, 1, 3, 3), [(3, 1), (1, 3)]);
        let refused = Halving { eta: 3, first_epochs: 2 }.rungs(9, 5).expect_err("one rung").to_string();
        assert!(refused.contains("at least 3 settings and 6 epochs"), "{refused}");
        assert!(Halving { eta: 3, first_epochs: 1 }.rungs(2, 50).is_err());
    }

    #[test]
    fn settings_are_ranked_by_the_mean_then_the_loss_then_their_order() {
        let recipe = crate::train::Recipe::find("glyphs-mlp").expect("a recipe");
        let job = Job { recipe, path: "run".into(), candidate: 0, settings: Vec::new() };
        let row = |accuracy: Option<f64>, loss: f64| SweepRow {
            val_accuracy: accuracy,
            val_loss: accuracy.map(|_| loss),
            diverged: accuracy.is_none(),
            ..SweepRow::of(&job).expect("a row")
        };
        let rows = [
            (0, row(Some(0.9), 1.0)),
            (0, row(None, 1.0)),
            (1, row(Some(0.5), 1.0)),
            (1, row(Some(0.7), 1.0)),
            (2, row(Some(0.6), 0.5)),
            (3, row(Some(0.6), 0.5)),
        ];
        assert_eq!(best(&[0, 1, 2, 3], &rows, 1), [2]);
        assert_eq!(best(&[0, 1, 2, 3], &rows, 2), [2, 3]);
        assert_eq!(best(&[0, 1, 2, 3], &rows, 3), [1, 2, 3]);
        assert_eq!(best(&[0, 1, 3], &rows, 1), [3]);
    }
}
