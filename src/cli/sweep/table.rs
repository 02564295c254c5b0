//! The tables of a sweep: as JSON, as CSV and on the terminal, and its page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::{percent, print_json, print_line};
use super::halving::Rung;
use super::points::{repeats, word};
use super::rows::{Measure, SweepRow};
use crate::report::{self, Group, groups, verdict};
use crate::{Error, Result};

/// A column of a table: its name and its cells.
pub type Column = (String, Vec<String>);

/// What `--json` prints and the JSON file holds.
#[derive(serde::Serialize)]
pub struct SweepOutput<'a> {
    pub recipe: &'a str,
    pub dataset: &'a str,
    pub out: &'a Path,
    /// The runs, the best first.
    pub runs: &'a [SweepRow],
    /// The seconds of all runs together.
    pub seconds: f64,
    /// The number of runs that have not ended.
    pub missing: usize,
    /// The rungs of successive halving.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rungs: Option<&'a [Rung]>,
    /// What the groups are compared by; losses are negative, so that larger is better.
    pub measure: Option<Measure>,
    /// Runs that differ only in seed or fold, the best group first.
    pub groups: Vec<GroupOutput<'a>>,
    /// What the groups say about noise.
    pub noise: Option<String>,
    /// The results of all runs together, of a cross-validation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub means: Option<super::folds::Means>,
}

/// A group of runs.
#[derive(serde::Serialize)]
pub struct GroupOutput<'a> {
    /// The values of the tried keys but for seed and fold.
    settings: BTreeMap<&'a str, &'a Option<toml::Value>>,
    #[serde(flatten)]
    group: Group,
}

/// The runs of a table in their order, and their groups.
pub struct Table {
    pub rows: Vec<SweepRow>,
    groups: Vec<Group>,
    measure: Option<Measure>,
}

impl Table {
    /// Sorts rows: those that came to their end first, then those with more epochs; the best first, and diverged ones last.
    pub fn new(mut rows: Vec<SweepRow>) -> Self {
        let reached = |row: &SweepRow| if row.dropped { u64::from(row.epochs) } else { u64::MAX };
        rows.sort_by(|a, b| {
            (a.diverged.cmp(&b.diverged)).then(reached(b).cmp(&reached(a))).then(b.value().total_cmp(&a.value()))
        });
        Self::in_order(rows)
    }

    /// The table of rows in their order.
    pub fn in_order(rows: Vec<SweepRow>) -> Self {
        let measure = rows.iter().find_map(SweepRow::score).map(|(measure, _)| measure);
        // The mean of the other runs would be too good for a setting of which a run diverged.
        let diverging: BTreeSet<usize> = rows.iter().filter(|row| row.diverged).map(|row| row.candidate).collect();
        let is_compared = |row: &SweepRow| !row.dropped && !diverging.contains(&row.candidate);
        let compared: Vec<usize> = (0..rows.len()).filter(|&row| is_compared(&rows[row])).collect();
        let scores: Vec<_> = compared.iter().map(|&row| (rows[row].all.clone(), rows[row].value())).collect();
        let mut groups = groups(&scores);
        groups.iter_mut().flat_map(|group| &mut group.members).for_each(|member| *member = compared[*member]);
        Self { rows, groups, measure }
    }

    fn group_of(&self, row: usize) -> Option<(usize, &Group)> {
        self.groups.iter().enumerate().find(|(_, group)| group.members.contains(&row))
    }

    /// The result as JSON has it.
    pub fn output<'a>(&'a self, recipe: &'a str, dataset: &'a str, out: &'a Path) -> SweepOutput<'a> {
        let group = |group: &Group| {
            let settings = self.rows[group.members[0]].settings.iter();
            let own = settings.filter(|(key, _)| !repeats(key)).map(|(key, value)| (key.as_str(), value));
            GroupOutput { settings: own.collect(), group: group.clone() }
        };
        SweepOutput {
            recipe,
            dataset,
            out,
            runs: &self.rows,
            seconds: self.rows.iter().filter_map(|row| row.seconds).sum(),
            missing: 0,
            rungs: None,
            measure: self.measure,
            groups: self.groups.iter().map(group).collect(),
            noise: verdict(&self.groups),
            means: None,
        }
    }

    /// The columns of the settings: name, and each row's value.
    fn settings(&self) -> Vec<Column> {
        const OWN: [&str; 4] = [super::keys::RATE, super::keys::BATCH, super::keys::HIDDEN, super::keys::SEED];
        let layers = |row: &SweepRow| {
            row.hidden
                .as_ref()
                .map_or_else(String::new, |sizes| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("x"))
        };
        let column =
            |name: &str, of: &dyn Fn(&SweepRow) -> String| (name.to_owned(), self.rows.iter().map(of).collect());
        let usual = [
            column("lr", &|row| row.lr.to_string()),
            column("batch_size", &|row| row.batch_size.to_string()),
            column("hidden", &layers),
            column("seed", &|row| row.seed.to_string()),
        ];
        let keys = self.rows.first().into_iter().flat_map(|row| row.settings.keys());
        let tried = keys.filter(|key| !OWN.contains(&key.as_str())).map(|key| {
            column(key, &|row| {
                row.settings
                    .get(key)
                    .map_or_else(String::new, |value| value.as_ref().map_or_else(|| "none".into(), word))
            })
        });
        usual.into_iter().chain(tried).collect()
    }

    /// The columns of the results.
    fn results(&self, fraction: &dyn Fn(f64) -> String) -> Vec<Column> {
        let number =
            |value: Option<f64>, digits: usize| value.map_or_else(String::new, |value| format!("{value:.digits$}"));
        let share = |value: Option<f64>| value.map_or_else(String::new, fraction);
        let state = |row: &SweepRow| match row.diverged {
            true => "diverged".to_owned(),
            false => number(row.train_loss, 4),
        };
        let column =
            |name: &str, of: &dyn Fn(&SweepRow) -> String| (name.to_owned(), self.rows.iter().map(of).collect());
        let mut columns = vec![
            column("epochs", &|row| row.epochs.to_string()),
            column("train_loss", &state),
            column("train_accuracy", &|row| share(row.train_accuracy)),
            column("val_loss", &|row| number(row.val_loss, 4)),
            column("val_accuracy", &|row| share(row.val_accuracy)),
            column("val_psnr", &|row| number(row.val_psnr, 2)),
            column("test_accuracy", &|row| share(row.test_accuracy)),
            column("test_psnr", &|row| number(row.test_psnr, 2)),
            column("seconds", &|row| number(row.seconds, 1)),
        ];
        if self.rows.iter().any(|row| row.val_map.is_some() || row.test_map.is_some()) {
            columns.push(column("val_map", &|row| share(row.val_map)));
            columns.push(column("test_map", &|row| share(row.test_map)));
        }
        columns
    }

    /// The columns of each row's group.
    fn of_groups(&self) -> Vec<Column> {
        let column = |name: &str, of: &dyn Fn(usize, &Group) -> String| {
            let cell = |row: usize| self.group_of(row).map_or_else(String::new, |(rank, group)| of(rank, group));
            (format!("group{name}"), (0..self.rows.len()).map(cell).collect())
        };
        let error = |group: &Group| group.sample.standard_error.map_or_else(String::new, |error| format!("{error:.6}"));
        let p = |group: &Group| group.difference.map_or_else(String::new, |difference| format!("{:.6}", difference.p));
        vec![
            column("", &|rank, _| (rank + 1).to_string()),
            column("_runs", &|_, group| group.sample.runs.to_string()),
            column("_mean", &|_, group| format!("{:.6}", group.sample.mean)),
            column("_standard_error", &|_, group| error(group)),
            column("_low", &|_, group| format!("{:.6}", group.sample.low)),
            column("_high", &|_, group| format!("{:.6}", group.sample.high)),
            column("_p", &|_, group| p(group)),
            column("_difference", &|rank, group| group.words(rank == 0).to_owned()),
        ]
    }

    /// The table as CSV; accuracies are fractions, and the run's path comes last.
    pub fn csv(&self) -> String {
        let columns = [self.settings(), self.results(&|fraction| format!("{fraction:.6}")), self.of_groups()].concat();
        let quoted = |text: &str| match text.contains([',', '"', '\n']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        };
        let line = |cell: &dyn Fn(&Column) -> String, run: &str| {
            let cells = columns.iter().map(|column| quoted(&cell(column)));
            cells.chain([run.to_owned()]).collect::<Vec<_>>().join(",") + "\n"
        };
        let head = line(&|(name, _)| name.clone(), "run");
        let path = |run: &Path| format!("\"{}\"", run.display().to_string().replace('"', "\"\""));
        let rows = self.rows.iter().enumerate().map(|(row, of)| line(&|(_, cells)| cells[row].clone(), &path(&of.run)));
        std::iter::once(head).chain(rows).collect()
    }

    /// Prints the rows.
    fn print_rows(&self) {
        let run = ("run".to_owned(), self.rows.iter().map(|row| row.run.display().to_string()).collect());
        print_columns(&[self.settings(), self.results(&percent), vec![run]].concat());
    }

    /// Prints the groups if one has several runs, and what they say about noise.
    fn print_noise(&self) {
        if self.groups.iter().any(|group| group.sample.runs > 1) {
            print_line("");
            self.print_groups();
        }
        if let Some(said) = verdict(&self.groups) {
            print_line(&said);
        }
    }

    fn print_groups(&self) {
        let show = |value: f64| match self.measure {
            Some(Measure::ValAccuracy | Measure::ValMap) => percent(value),
            Some(Measure::ValPsnr) => format!("{value:.2} dB"),
            _ => format!("{value:.4}"),
        };
        let column = |name: &str, of: &dyn Fn(usize, &Group) -> String| {
            (name.to_owned(), self.groups.iter().enumerate().map(|(rank, group)| of(rank, group)).collect())
        };
        let settings = self.settings().into_iter().filter(|(name, _)| !repeats(name));
        // Values that are the same everywhere are in the table of runs.
        let settings =
            settings.filter(|(_, cells)| self.groups.len() == 1 || cells.iter().any(|cell| *cell != cells[0]));
        let settings = settings
            .map(|(name, cells)| (name, self.groups.iter().map(|group| cells[group.members[0]].clone()).collect()));
        let measure = match self.measure {
            Some(Measure::ValAccuracy) => "val accuracy",
            Some(Measure::ValMap) => "val map",
            Some(Measure::ValPsnr) => "val psnr",
            Some(Measure::ValLoss) => "- val loss",
            _ => "- train loss",
        };
        let figures = [
            column("runs", &|_, group| group.sample.runs.to_string()),
            column(measure, &|_, group| show(group.sample.mean)),
            column("standard error", &|_, group| group.sample.standard_error.map_or_else(String::new, show)),
            column("smallest", &|_, group| show(group.sample.low)),
            column("largest", &|_, group| show(group.sample.high)),
            column("behind", &|_, group| group.difference.map_or_else(String::new, |found| show(found.behind))),
            column("p", &|_, group| group.difference.map_or_else(String::new, |found| format!("{:.4}", found.p))),
            column("difference", &|rank, group| group.words(rank == 0).to_owned()),
        ];
        print_columns(&settings.chain(figures).collect::<Vec<Column>>());
    }
}

/// Prints columns that are not empty, each as wide as its content; the last one is text.
pub fn print_columns(columns: &[Column]) {
    let shown: Vec<&Column> = columns.iter().filter(|(_, cells)| cells.iter().any(|cell| !cell.is_empty())).collect();
    let line = |cell: &dyn Fn(&Column) -> String| {
        let cell = |(number, column): (usize, &&Column)| {
            let wide =
                column.1.iter().map(|cell| cell.chars().count()).max().unwrap_or(0).max(column.0.chars().count());
            if number + 1 == shown.len() { cell(column) } else { format!("{:>wide$}", cell(column)) }
        };
        print_line(&shown.iter().enumerate().map(cell).collect::<Vec<_>>().join("  "));
    };
    line(&|(name, _)| name.replace('_', " "));
    for row in 0..shown.first().map_or(0, |(_, cells)| cells.len()) {
        line(&|(_, cells)| cells[row].clone());
    }
}

/// Writes the tables and the page beside the runs, under this name, and prints them.
pub fn publish(table: &Table, output: &SweepOutput, (name, json): (&str, bool)) -> Result<()> {
    let at = |extension: &str| output.out.join(format!("{name}.{extension}"));
    let text = serde_json::to_string_pretty(output)
        .map_err(|error| Error::data(format!("The table cannot be written as JSON: {error}.")))?;
    crate::files::write_atomic(&at("json"), format!("{text}\n").as_bytes())?;
    crate::files::write_atomic(&at("csv"), table.csv().as_bytes())?;
    let compared: Vec<PathBuf> = table.rows.iter().filter(|row| !row.diverged).map(|row| row.run.clone()).collect();
    if !compared.is_empty() {
        let grouped: BTreeSet<&Path> =
            table.groups.iter().flat_map(|group| &group.members).map(|&row| table.rows[row].run.as_path()).collect();
        report::compare_grouped(&compared, &|run| grouped.contains(run), &at("html"))?;
    }
    if json {
        return print_json(output);
    }
    table.print_rows();
    match &output.means {
        Some(means) => means.print(),
        None => table.print_noise(),
    }
    print_line(&format!("table: {}", at("csv").display()));
    if !compared.is_empty() {
        print_line(&format!("report: {}", at("html").display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::keys::{self, Setting};
    use super::super::runner::Job;
    use super::*;
    use crate::train::Recipe;

    /// A row of a run with this rate and seed; without an accuracy it diverged.
    fn row(rate: f64, seed: u64, accuracy: Option<f64>) -> SweepRow {
        let mut recipe = Recipe::find("glyphs-mlp").expect("a recipe");
        (recipe.optimizer.learning_rate, recipe.seed) = (rate, seed);
        let settings = vec![Setting { key: keys::RATE.into(), value: Some(rate.into()) }];
        let job =
            Job { recipe, path: format!("a,\"{rate}\"-{seed}").into(), candidate: (rate * 10.0) as usize, settings };
        let loss = accuracy.map(|accuracy| 1.0 - accuracy);
        SweepRow {
            val_accuracy: accuracy,
            val_loss: loss,
            diverged: accuracy.is_none(),
            ..SweepRow::of(&job).expect("a row")
        }
    }

    #[test]
    fn the_best_come_first_and_what_diverged_last() {
        let dropped = SweepRow { dropped: true, epochs: 3, ..row(0.4, 1, Some(0.99)) };
        let earlier = SweepRow { dropped: true, epochs: 1, ..row(0.5, 1, Some(0.999)) };
        let rows = vec![row(0.1, 1, None), earlier, dropped, row(0.2, 1, Some(0.5)), row(0.3, 1, Some(0.6))];
        let table = Table::new(rows);
        assert_eq!(table.rows.iter().map(|row| row.lr).collect::<Vec<_>>(), [0.3, 0.2, 0.4, 0.5, 0.1]);
        let csv = table.csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[1].contains(",0.4000,0.600000,") && lines[1].ends_with(",best,\"a,\"\"0.3\"\"-1\""), "{csv}");
        assert!(lines[5].contains("diverged") && lines[5].contains(",,,,,,,,\"a,"), "{csv}");
        let loss_only = |loss: f64| SweepRow { val_accuracy: None, val_loss: Some(loss), ..row(0.1, 1, Some(0.0)) };
        assert!(loss_only(0.1).value() > loss_only(0.2).value() && loss_only(1e30).value() > row(0.1, 1, None).value());
    }

    #[test]
    fn a_setting_of_which_a_run_diverged_is_in_no_group() {
        let rows = vec![
            row(0.1, 1, Some(0.9)),
            row(0.1, 2, None),
            row(0.2, 1, Some(0.5)),
            row(0.2, 2, Some(0.6)),
            row(0.3, 1, Some(0.3)),
            row(0.3, 2, Some(0.4)),
        ];
        let table = Table::new(rows);
        let members: Vec<Vec<f64>> =
            table.groups.iter().map(|group| group.members.iter().map(|&row| table.rows[row].lr).collect()).collect();
        assert_eq!(members, [[0.2, 0.2], [0.3, 0.3]]);
        assert_eq!(table.groups[0].sample.mean, 0.55);
    }
}
