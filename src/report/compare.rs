//! Several runs on one page: their curves over one another, a table of how they ended, and what their recipes differ in.

use std::path::{Path, PathBuf};

use maud::html;

use super::curves::{Curves, Unit, line};
use super::draw::{self, SERIES};
use super::material::Material;
use super::page::{Page, Section, table};
use super::run::write_plot;
use super::sections::duration;
use super::settings::{Settings, differences, flat};
use crate::files::write_atomic;
use crate::train::EpochLine;
use crate::{Error, Result};

/// Runs whose curves are drawn: each colour once as a line and once dashed.
const DRAWN: usize = 2 * SERIES.len();

/// What a run is compared by: the figure of its last epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figure {
    value: f64,
    unit: Unit,
}

/// A run with the name it has on the page.
struct Run {
    name: String,
    material: Material,
    settings: Settings,
}

/// Writes a page that compares runs: `out`, and the plot of their validation figure beside it as SVG and PNG under the same
/// name. The runs stand in the order of their validation accuracy, the best first: of its decibels for an autoencoder, of
/// its training accuracy where a run has no validation split.
///
/// # Errors
/// When there is no run, one is none or was cut off in its first epoch, or the page cannot be written.
pub fn compare(runs: &[PathBuf], out: &Path) -> Result<()> {
    if runs.is_empty() {
        return Err(Error::usage("No run was named to compare; give at least one run directory."));
    }
    let mut read = Vec::new();
    for path in runs {
        let material = Material::read(path)?;
        let settings = flat(&material.recipe)?;
        read.push(Run { name: material.name(), material, settings });
    }
    name_apart(&mut read, runs);
    read.sort_by(|a, b| b.figure().value.total_cmp(&a.figure().value));
    let curves = of_all(&read);
    let mut drawn = Vec::new();
    for curves in &curves {
        drawn.push(draw::inline(curves)?);
    }
    let left_out = read.iter().flat_map(|run| {
        run.material.left_out.iter().map(|sentence| format!("{}: {sentence}", run.name)).collect::<Vec<_>>()
    });
    let drawn_of =
        if read.len() > DRAWN { format!(" The curves are those of the first {DRAWN}.") } else { String::new() };
    let about = format!("The best validation figure first.{drawn_of}");
    let page = Page {
        title: format!("{} runs compared", read.len()),
        about,
        tiles: Vec::new(),
        left_out: left_out.collect(),
        sections: vec![
            Section { id: "results", title: "Results", body: results(&read) },
            Section {
                id: "curves",
                title: "Curves",
                body: html! { div.plots { @for plot in drawn { div { (plot) } } } },
            },
            Section { id: "differences", title: "What the recipes differ in", body: different(&read) },
        ],
    };
    write_atomic(out, page.html().as_bytes())?;
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let stem = out.file_stem().map_or_else(|| "compare".into(), |stem| stem.to_string_lossy().into_owned());
    match curves.first() {
        Some(curves) => write_plot(folder, &stem, curves),
        None => Ok(()),
    }
}

impl Run {
    fn last(&self) -> Option<&EpochLine> {
        let in_checkpoint = || self.material.checkpoint.as_ref()?.counters.last.as_ref();
        self.material.metrics.last().or_else(in_checkpoint)
    }

    fn figure(&self) -> Figure {
        let Some(last) = self.last() else { return Figure { value: f64::NEG_INFINITY, unit: Unit::Plain } };
        let percent = last.val_accuracy.or(if last.val_psnr.is_some() { None } else { last.train_accuracy });
        match (percent, last.val_psnr) {
            (Some(value), _) => Figure { value, unit: Unit::Percent },
            (_, Some(value)) => Figure { value, unit: Unit::Decibel },
            _ => Figure { value: -last.train_loss, unit: Unit::Plain },
        }
    }
}

/// Runs of one name are called by their paths.
fn name_apart(read: &mut [Run], paths: &[PathBuf]) {
    let names: Vec<String> = read.iter().map(|run| run.name.clone()).collect();
    for ((number, run), path) in read.iter_mut().enumerate().zip(paths) {
        if names.iter().enumerate().any(|(other, name)| other != number && *name == names[number]) {
            run.name = path.display().to_string();
        }
    }
}

/// The curves of all runs: first what they are sorted by.
fn of_all(read: &[Run]) -> Vec<Curves> {
    let curves = |what: &str, unit, of: &dyn Fn(&EpochLine) -> Option<f64>| {
        let lines =
            read.iter().take(DRAWN).filter_map(|run| line(&run.name, &run.material.metrics, of)).collect::<Vec<_>>();
        (!lines.is_empty()).then(|| Curves { what: what.into(), unit, lines })
    };
    let all = [
        curves("validation accuracy", Unit::Percent, &|epoch| epoch.val_accuracy),
        curves("validation PSNR", Unit::Decibel, &|epoch| epoch.val_psnr),
        curves("training accuracy", Unit::Percent, &|epoch| epoch.train_accuracy),
        curves("validation loss of an image", Unit::Plain, &|epoch| epoch.val_loss),
        curves("training loss of an image", Unit::Plain, &|epoch| Some(epoch.train_loss)),
        curves("learning rate", Unit::Plain, &|epoch| Some(epoch.lr)),
    ];
    all.into_iter().flatten().collect()
}

fn results(read: &[Run]) -> maud::Markup {
    let percent = |value: Option<f64>| value.map_or_else(String::new, |value| Unit::Percent.show(value));
    let decibels = |value: Option<f64>| value.map(|value| Unit::Decibel.show(value));
    let row = |run: &Run| {
        let (last, summary) = (run.last(), run.material.summary.as_ref());
        let recipe = &run.material.recipe;
        let val =
            last.and_then(|last| decibels(last.val_psnr)).unwrap_or_else(|| percent(last.and_then(|l| l.val_accuracy)));
        let test = summary
            .and_then(|s| decibels(s.test_psnr))
            .unwrap_or_else(|| percent(summary.and_then(|s| s.test_accuracy)));
        vec![
            run.name.clone(),
            format!("{} on {}", recipe.model.name, recipe.data.name),
            val,
            test,
            percent(last.and_then(|last| last.train_accuracy)),
            last.map_or_else(String::new, |last| format!("{:.4}", last.train_loss)),
            last.map_or_else(String::new, |last| last.epoch.to_string()),
            duration(run.material.metrics.iter().map(|epoch| epoch.seconds).sum()),
            summary.map_or_else(String::new, |summary| summary.parameters.to_string()),
            summary.map_or_else(String::new, |summary| summary.weights_hash.clone()),
        ]
    };
    let head =
        ["run", "what", "validation", "test", "training", "training loss", "epochs", "time", "parameters", "weights"];
    table(&head, 2, &read.iter().map(row).collect::<Vec<_>>())
}

fn different(read: &[Run]) -> maud::Markup {
    let settings: Vec<Settings> = read.iter().map(|run| run.settings.clone()).collect();
    let rows = differences(&settings);
    if rows.is_empty() {
        return html! { p { "Nothing: the recipes are the same." } };
    }
    // A row a run reads as the results do; many settings are read down a column.
    let head: Vec<&str> = std::iter::once("setting").chain(read.iter().map(|run| run.name.as_str())).collect();
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(name, values)| std::iter::once(name).chain(values).collect()).collect();
    table(&head, 1, &rows)
}
