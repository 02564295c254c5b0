//! A page that compares several runs: their curves in shared plots, a table of results, and the settings that differ.

use std::path::{Path, PathBuf};

use maud::html;

use super::curves::{Across, CurvePlot, LEARNING_RATE, Unit, curve};
use super::draw::{self, CURVE_COLORS};
use super::groups;
use super::loaded_run::LoadedRun;
use super::page::{HtmlPage, Section, table};
use super::run::write_plot;
use super::sections::duration;
use super::settings::{Settings, differences, flat};
use super::swept::{self, SettingScore};
use crate::files::write_atomic;
use crate::train::EpochLine;
use crate::{Error, Result};

/// The largest number of runs with curves: each color once as a solid and once as a dashed line.
const MAX_CURVES: usize = 2 * CURVE_COLORS.len();

/// The value of the last epoch that runs are sorted by.
#[derive(Clone, Copy, Debug, PartialEq)]
struct RunScore {
    value: f64,
    unit: Unit,
}

/// A run and its name on the page.
struct ComparedRun {
    name: String,
    loaded: LoadedRun,
    settings: Settings,
    is_grouped: bool,
}

/// Writes a page that compares runs to `out`. The plot of their validation metric is written next to it as SVG and PNG,
/// under the same name; so are plots of the results over each setting with numbers that differ, as `NAME_by_SETTING`. The best run comes first. Runs are sorted by validation accuracy; autoencoders by validation PSNR,
/// and runs without a validation split by training accuracy.
///
/// # Errors
/// When `runs` is empty, a directory is not a run, a run was interrupted in its first epoch, or a file cannot be written.
pub fn compare(runs: &[PathBuf], out: &Path) -> Result<()> {
    compare_grouped(runs, &|_| true, out)
}

/// As [`compare`]. Only the runs for which `is_grouped` is true are in groups with a mean: a setting of which another run diverged would
/// have a mean that is too good.
///
/// # Errors
/// As [`compare`].
pub fn compare_grouped(runs: &[PathBuf], is_grouped: &dyn Fn(&Path) -> bool, out: &Path) -> Result<()> {
    if runs.is_empty() {
        return Err(Error::usage("No run was given to compare; give at least one run directory."));
    }
    let mut compared = Vec::new();
    for path in runs {
        let loaded = LoadedRun::read(path, false)?;
        let settings = flat(&loaded.recipe)?;
        compared.push(ComparedRun { name: loaded.name(), loaded, settings, is_grouped: is_grouped(path) });
    }
    use_paths_for_equal_names(&mut compared, runs);
    compared.sort_by(|a, b| b.score().value.total_cmp(&a.score().value));
    let curves = curve_plots(&compared);
    let mut drawn = Vec::new();
    for curves in &curves {
        drawn.push(draw::inline(curves)?);
    }
    let swept = swept_plots(&compared);
    let mut drawn_swept = Vec::new();
    for (_, plot) in &swept {
        drawn_swept.push(draw::inline(plot)?);
    }
    let left_out = compared.iter().flat_map(|run| {
        run.loaded.left_out.iter().map(|sentence| format!("{}: {sentence}", run.name)).collect::<Vec<_>>()
    });
    let drawn_of = if compared.len() > MAX_CURVES {
        format!(" Only the first {MAX_CURVES} runs have curves.")
    } else {
        String::new()
    };
    let about = format!("The run with the best validation result comes first.{drawn_of}");
    let page = HtmlPage {
        title: format!("{} runs compared", compared.len()),
        about,
        tiles: Vec::new(),
        left_out: left_out.collect(),
        sections: vec![
            Section {
                id: "results",
                title: "Results",
                body: html! {
                    (results(&compared))
                    (grouped(&compared))
                    div.plots { @for plot in drawn_swept { div { (plot) } } }
                },
            },
            Section {
                id: "curves",
                title: "Curves",
                body: html! { div.plots { @for plot in drawn { div { (plot) } } } },
            },
            Section { id: "differences", title: "Settings that differ", body: settings_table(&compared) },
        ],
    };
    write_atomic(out, page.html().as_bytes())?;
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let stem = out.file_stem().map_or_else(|| "compare".into(), |stem| stem.to_string_lossy().into_owned());
    for (setting, plot) in &swept {
        write_plot(folder, &format!("{stem}_by_{setting}"), plot)?;
    }
    match curves.first() {
        Some(curves) => write_plot(folder, &stem, curves),
        None => Ok(()),
    }
}

impl ComparedRun {
    fn last(&self) -> Option<&EpochLine> {
        let in_checkpoint = || self.loaded.checkpoint.as_ref()?.counters.last.as_ref();
        self.loaded.metrics.last().or_else(in_checkpoint)
    }

    fn score(&self) -> RunScore {
        let Some(last) = self.last() else { return RunScore { value: f64::NEG_INFINITY, unit: Unit::Plain } };
        let own = last.val_accuracy.or(last.val_map);
        let percent = own.or(if last.val_psnr.is_some() { None } else { last.train_accuracy });
        match (percent, last.val_psnr) {
            (Some(value), _) => RunScore { value, unit: Unit::Percent },
            (_, Some(value)) => RunScore { value, unit: Unit::Decibel },
            _ => RunScore { value: -last.train_loss, unit: Unit::Plain },
        }
    }
}

/// Runs with the same name are shown with their paths.
fn use_paths_for_equal_names(compared: &mut [ComparedRun], paths: &[PathBuf]) {
    let names: Vec<String> = compared.iter().map(|run| run.name.clone()).collect();
    for ((number, run), path) in compared.iter_mut().enumerate().zip(paths) {
        if names.iter().enumerate().any(|(other, name)| other != number && *name == names[number]) {
            run.name = path.display().to_string();
        }
    }
}

/// One plot per metric, with a curve for each run; the metric that runs are sorted by comes first.
fn curve_plots(compared: &[ComparedRun]) -> Vec<CurvePlot> {
    let curves = |what: &str, unit, of: &dyn Fn(&EpochLine) -> Option<f64>| {
        let run_curves = compared
            .iter()
            .take(MAX_CURVES)
            .filter_map(|run| curve(&run.name, &run.loaded.metrics, of))
            .collect::<Vec<_>>();
        (!run_curves.is_empty()).then(|| CurvePlot {
            what: what.into(),
            unit,
            across: Across::Epochs(None),
            curves: run_curves,
        })
    };
    let all = [
        curves("validation accuracy", Unit::Percent, &|epoch| epoch.val_accuracy),
        curves("validation mean average precision", Unit::Percent, &|epoch| epoch.val_map),
        curves("validation PSNR", Unit::Decibel, &|epoch| epoch.val_psnr),
        curves("training accuracy", Unit::Percent, &|epoch| epoch.train_accuracy),
        curves("validation loss per image", Unit::Plain, &|epoch| epoch.val_loss),
        curves("training loss per image", Unit::Plain, &|epoch| Some(epoch.train_loss)),
        curves(LEARNING_RATE, Unit::Plain, &|epoch| Some(epoch.lr)),
    ];
    all.into_iter().flatten().collect()
}

/// The results by each setting with numbers that differ, each with the setting's name.
fn swept_plots(compared: &[ComparedRun]) -> Vec<(String, CurvePlot)> {
    let unit = compared.iter().map(|run| run.score().unit).find(|&unit| unit != Unit::Plain);
    let scored = |run: &ComparedRun| {
        let RunScore { value, unit: own } = run.score();
        (Some(own) == unit).then(|| SettingScore { settings: run.settings.clone(), value })
    };
    let scores: Vec<SettingScore> = compared.iter().filter_map(scored).collect();
    let tags = compared.iter().any(|run| run.last().is_some_and(|last| last.val_map.is_some()));
    let what = match unit {
        Some(Unit::Decibel) => "validation PSNR",
        _ if tags => "mean average precision after the last epoch",
        _ => "accuracy after the last epoch",
    };
    unit.map_or_else(Vec::new, |unit| swept::plots(&scores, what, unit))
}

/// The table of runs that differ only in their seed or fold. Only those that ended can be compared.
fn grouped(compared: &[ComparedRun]) -> maud::Markup {
    let ended: Vec<&ComparedRun> =
        compared.iter().filter(|run| run.is_grouped && run.loaded.summary.is_some()).collect();
    let Some(unit) = ended.first().map(|run| run.score().unit) else { return html! {} };
    // Runs of different tasks have nothing in common.
    if ended.iter().any(|run| run.score().unit != unit) {
        return html! {};
    }
    let scores: Vec<(Settings, f64)> = ended.iter().map(|run| (run.settings.clone(), run.score().value)).collect();
    groups::section(&scores, unit)
}

fn results(compared: &[ComparedRun]) -> maud::Markup {
    let percent = |value: Option<f64>| value.map_or_else(String::new, |value| Unit::Percent.show(value));
    let decibels = |value: Option<f64>| value.map(|value| Unit::Decibel.show(value));
    let row = |run: &ComparedRun| {
        let (last, summary) = (run.last(), run.loaded.summary.as_ref());
        let recipe = &run.loaded.recipe;
        let val = last
            .and_then(|last| decibels(last.val_psnr))
            .unwrap_or_else(|| percent(last.and_then(|l| l.val_accuracy.or(l.val_map))));
        let test = summary
            .and_then(|s| decibels(s.test_psnr))
            .unwrap_or_else(|| percent(summary.and_then(|s| s.test_accuracy.or(s.test_map))));
        vec![
            run.name.clone(),
            format!("{} on {}", recipe.model.name, recipe.data.name),
            val,
            test,
            percent(last.and_then(|last| last.train_accuracy)),
            last.map_or_else(String::new, |last| format!("{:.4}", last.train_loss)),
            last.map_or_else(String::new, |last| last.epoch.to_string()),
            duration(run.loaded.metrics.iter().map(|epoch| epoch.seconds).sum()),
            summary.map_or_else(String::new, |summary| summary.parameters.to_string()),
            summary.map_or_else(String::new, |summary| summary.weights_hash.clone()),
        ]
    };
    let head = [
        "run",
        "model and dataset",
        "validation",
        "test",
        "training",
        "training loss",
        "epochs",
        "time",
        "parameters",
        "weights",
    ];
    table(&head, 2, &compared.iter().map(row).collect::<Vec<_>>())
}

fn settings_table(compared: &[ComparedRun]) -> maud::Markup {
    let settings: Vec<Settings> = compared.iter().map(|run| run.settings.clone()).collect();
    let rows = differences(&settings);
    if rows.is_empty() {
        return html! { p { "None: all recipes are the same." } };
    }
    // One row per setting and one column per run: there can be many settings.
    let head: Vec<&str> = std::iter::once("setting").chain(compared.iter().map(|run| run.name.as_str())).collect();
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(name, values)| std::iter::once(name).chain(values).collect()).collect();
    table(&head, 1, &rows)
}
