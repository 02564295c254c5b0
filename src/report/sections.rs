//! The sections of a run's page.

use maud::{Markup, html};

use super::examples::{self, figures};
use super::page::{Section, facts, table};
use super::run::{Parts, Reconstructed};
use super::settings::{Settings, flat};
use super::step::bytes;
use super::{draw, embed};
use crate::Result;
use crate::inference::Reconstruction;

/// Pairs of classes that are shown with images.
const PAIRS: usize = 10;
/// Kernels of the table of timings.
const KERNELS: usize = 25;

/// What the run was, in a sentence.
pub fn about(parts: &Parts) -> String {
    let recipe = &parts.material.recipe;
    let parameters = parts.model.as_ref().map(|model| format!(", {} parameters", model.parameters().count()));
    format!("Recipe {}: {} on {}{}.", recipe.name, recipe.model.name, recipe.data.name, parameters.unwrap_or_default())
}

/// The figures that stand first.
pub fn tiles(parts: &Parts) -> Vec<(&'static str, String)> {
    let (summary, last) = (parts.material.summary.as_ref(), parts.material.metrics.last());
    let mut tiles = Vec::new();
    let mut put = |what, figure: Option<String>| tiles.extend(figure.map(|figure| (what, figure)));
    let percent = |fraction: f64| format!("{:.2} %", 100.0 * fraction);
    let decibels = |psnr: f64| format!("{psnr:.2} dB");
    put("test accuracy", summary.and_then(|summary| summary.test_accuracy).map(percent));
    put("validation accuracy", last.and_then(|last| last.val_accuracy).map(percent));
    put("training accuracy", last.and_then(|last| last.train_accuracy).map(percent));
    put("test PSNR", summary.and_then(|summary| summary.test_psnr).map(decibels));
    put("validation PSNR", last.and_then(|last| last.val_psnr).map(decibels));
    put("training loss", last.map(|last| format!("{:.4}", last.train_loss)));
    put("epochs", last.map(|last| format!("{} of {}", last.epoch, parts.material.recipe.training.epochs)));
    let seconds = parts.material.metrics.iter().map(|epoch| epoch.seconds).sum();
    put("time", last.map(|_| duration(seconds)));
    tiles
}

/// All sections that there is something for.
///
/// # Errors
/// When an image cannot be drawn.
pub fn all(parts: &Parts) -> Result<Vec<Section>> {
    let mut sections = vec![Section { id: "results", title: "Results", body: results(parts) }];
    let mut put = |id, title, body: Option<Markup>| sections.extend(body.map(|body| Section { id, title, body }));
    put("curves", "Curves", curves(parts)?);
    put("confusion", "Confusion matrix", confusion(parts)?);
    put("pairs", "Most confused pairs", pairs(parts)?);
    put("examples", "Worst and best classified", classified(parts)?);
    put("reconstructions", "Reconstructions", reconstructions(parts)?);
    put("weights", "First layer's weights", weights(parts)?);
    put("recipe", "Recipe", Some(recipe(parts)?));
    put("device", "Device and driver", Some(device(parts)));
    put("timings", "Timings by kernel", Some(timings(parts)));
    put("memory", "Memory by tensor lifetime", memory(parts)?);
    put("repeat", "Repeat it", Some(repeat(parts)));
    Ok(sections)
}

fn results(parts: &Parts) -> Markup {
    let (summary, last) = (parts.material.summary.as_ref(), parts.material.metrics.last());
    let figure = |accuracy: Option<f64>, psnr: Option<f64>| match (accuracy, psnr) {
        (Some(accuracy), _) => format!("{:.2} %", 100.0 * accuracy),
        (_, Some(psnr)) => format!("{psnr:.2} dB"),
        _ => String::new(),
    };
    let decibels = last.is_some_and(|last| last.val_psnr.is_some());
    let mut rows = Vec::new();
    let mut row = |name: &str, loss: Option<f64>, figure: String| {
        if let Some(loss) = loss {
            rows.push(vec![name.to_owned(), format!("{loss:.4}"), figure]);
        }
    };
    let accuracy = last.and_then(|last| last.train_accuracy);
    row("training, running over the last epoch", last.map(|last| last.train_loss), figure(accuracy, None));
    let (accuracy, psnr) = (last.and_then(|last| last.val_accuracy), last.and_then(|last| last.val_psnr));
    row("validation, after the last epoch", last.and_then(|last| last.val_loss), figure(accuracy, psnr));
    let of = |of: fn(&crate::train::Summary) -> Option<f64>| summary.and_then(of);
    row("test", of(|summary| summary.test_loss), figure(of(|s| s.test_accuracy), of(|s| s.test_psnr)));
    let best = summary.and_then(|summary| Some((summary.best_epoch?, summary.best_val_accuracy)));
    let early = summary.is_some_and(|summary| summary.stopped_early);
    html! {
        (table(&["split", "loss of an image", if decibels { "PSNR" } else { "accuracy" }], 1, &rows))
        @if let Some((epoch, accuracy)) = best {
            p { "best.safetensors holds epoch " (epoch)
                @if let Some(accuracy) = accuracy { ", validation accuracy " (figure(Some(accuracy), None)) } "." }
        }
        @if early { p { "The run stopped early: no epoch was better for as long as its patience." } }
    }
}

fn curves(parts: &Parts) -> Result<Option<Markup>> {
    if parts.curves.is_empty() {
        return Ok(None);
    }
    let drawn = parts.curves.iter().map(|(_, curves)| draw::inline(curves)).collect::<Result<Vec<_>>>()?;
    Ok(Some(html! {
        p.faint { "Training figures run over the epoch, validation figures are measured after it; so the first may lag." }
        div.plots { @for plot in drawn { div { (plot) } } }
    }))
}

/// Which images were measured, in a sentence.
fn measured(parts: &Parts) -> String {
    let Some(outcomes) = &parts.outcomes else { return String::new() };
    let (part, seen, of) = (outcomes.part, outcomes.each.len(), outcomes.of);
    match seen == of {
        true => format!("All {of} images of the {part} split, with the last weights."),
        false => format!(
            "{seen} of the {of} images of the {part} split, as many of each class, with the last weights; gpunn report --all \
             measures every one."
        ),
    }
}

fn confusion(parts: &Parts) -> Result<Option<Markup>> {
    let (Some(matrix), Some(outcomes)) = (&parts.matrix, &parts.outcomes) else { return Ok(None) };
    let drawn = draw::inline(matrix)?;
    let accuracy = matrix.right() as f64 / outcomes.each.len().max(1) as f64;
    let class = |(class, row): (usize, &Vec<u64>)| {
        let others = row.iter().enumerate().filter(|&(other, &count)| other != class && count > 0);
        let most = others.max_by_key(|&(_, count)| count).map(|(o, count)| format!("{} ({count})", matrix.classes[o]));
        let all = row.iter().sum::<u64>();
        let right = if all > 0 { format!("{:.1} %", 100.0 * row[class] as f64 / all as f64) } else { String::new() };
        vec![matrix.classes[class].clone(), most.unwrap_or_default(), all.to_string(), right]
    };
    let per_class: Vec<_> = matrix.counts.iter().enumerate().map(class).collect();
    Ok(Some(html! {
        p { (measured(parts)) " " (format!("{:.2} % are right.", 100.0 * accuracy))
            " Blue is right, orange is wrong; the stronger, the larger the part of the row. Point at a cell for its counts." }
        div.wide.matrix { (drawn) }
        details { summary { "Class by class" }
            (table(&["class", "most often taken for", "images", "right"], 2, &per_class)) }
    }))
}

fn pairs(parts: &Parts) -> Result<Option<Markup>> {
    let (Some(matrix), Some(outcomes)) = (&parts.matrix, &parts.outcomes) else { return Ok(None) };
    let Some(checkpoint) = &parts.material.checkpoint else { return Ok(None) };
    let found = matrix.pairs();
    if found.is_empty() {
        return Ok(Some(html! { p { "No image was taken for another class." } }));
    }
    let mut shown = Vec::new();
    for &pair in found.iter().take(PAIRS) {
        let [a, b] = pair.classes.map(|class| matrix.classes[class].as_str());
        let mut sides = Vec::new();
        let mistakes = [format!("{a} taken for {b}"), format!("{b} taken for {a}")];
        for ((side, count), mistake) in examples::of_pair(outcomes, pair).iter().zip(pair.counts).zip(mistakes) {
            if count > 0 {
                sides.push((format!("{mistake}: {count}"), examples::images(outcomes, side, checkpoint.input)?));
            }
        }
        shown.push((format!("{a} / {b}: {}", pair.total()), sides));
    }
    let others = found.len().saturating_sub(PAIRS);
    Ok(Some(html! {
        p { "Pairs of classes by how often either was taken for the other; of each mistake the images that the network was "
            "surest about, with the probability it gave." }
        @for (title, sides) in shown {
            h3 { (title) }
            div.pair { @for (title, images) in sides { div { p.faint { (title) } (images) } } }
        }
        @if others > 0 { p.faint { (others) " more pairs were confused less often." } }
    }))
}

fn classified(parts: &Parts) -> Result<Option<Markup>> {
    let (Some(_), Some(outcomes)) = (&parts.matrix, &parts.outcomes) else { return Ok(None) };
    let Some(checkpoint) = &parts.material.checkpoint else { return Ok(None) };
    let shown = (checkpoint.classes.as_slice(), checkpoint.input);
    let [worst, best] = &parts.extremes;
    Ok(Some(html! {
        h3 { "Worst: the least probability for what they show" }
        (figures(outcomes, worst, shown)?)
        h3 { "Best: the greatest" }
        (figures(outcomes, best, shown)?)
    }))
}

fn reconstructions(parts: &Parts) -> Result<Option<Markup>> {
    let (Some(reconstructed), Some(outcomes)) = (&parts.reconstructed, &parts.outcomes) else { return Ok(None) };
    let Some(checkpoint) = &parts.material.checkpoint else { return Ok(None) };
    let line = |&number: &usize| {
        let outcome = outcomes.each[number];
        format!("{} {:.1} dB", checkpoint.classes[outcome.label], outcome.of_label)
    };
    let drawn = |(numbers, back): &(Vec<usize>, Reconstruction)| {
        examples::pairs(back, &numbers.iter().map(line).collect::<Vec<_>>())
    };
    let Reconstructed { chosen, worst, best } = reconstructed;
    let psnr = outcomes.mean();
    Ok(Some(html! {
        p { (measured(parts)) " " (format!("Their mean peak signal-to-noise ratio is {psnr:.2} dB.")) }
        h3 { "Originals above what the network gives back" }
        (drawn(chosen)?)
        h3 { "Worst" }
        (drawn(worst)?)
        h3 { "Best" }
        (drawn(best)?)
    }))
}

fn weights(parts: &Parts) -> Result<Option<Markup>> {
    let Some(sheets) = &parts.sheets else { return Ok(None) };
    let sheet = |title: &str, (sheet, largest): &(image::RgbImage, f32)| {
        let source = embed::data_uri("png", &embed::png(sheet)?);
        Ok::<_, crate::Error>(html! {
            div.sheet {
                h3 { (title) }
                img src=(source) alt=(format!("{title}: {}", sheets.layer)) width=(sheet.width()) height=(sheet.height());
                p.faint { "black " (format!("-{largest:.3}")) ", mid-grey 0, white " (format!("{largest:.3}")) }
            }
        })
    };
    let [units, shown] = sheets.units;
    let before = match parts.material.recipe.model.pretrained {
        Some(_) => "Before, as pretrained",
        None => "Before, drawn again from the seed",
    };
    Ok(Some(html! {
        p { code { (sheets.layer) } ": " (units) " images, one for each unit over the pixels that it reads, all of a sheet on "
            "one scale." @if shown < units { " The first " (shown) " are shown." } }
        div.plots {
            @if let Ok(drawn) = &sheets.before { (sheet(before, drawn)?) }
            (sheet("After", &sheets.after)?)
        }
    }))
}

/// The settings that tell most, for people.
fn asked(settings: &Settings) -> Vec<(&'static str, String)> {
    let of = |name: &str| settings.get(name).map_or("", String::as_str);
    // A name and what it is set to, where it is not what it is when nobody asks.
    let unless = |name: &str, plain: &str, words: &str| match of(name) {
        "" => String::new(),
        value if value == plain => String::new(),
        value => format!(", {words} {value}"),
    };
    // A kind comes first and needs no name; what is not asked for is left out.
    let under = |prefix: &str| {
        let own = |(name, value): (&String, &String)| match name.strip_prefix(prefix)? {
            "kind" => None,
            "cutout_fill" if of("augment.cutout") == "0" => None,
            name => Some(format!("{name} {value}")),
        };
        let asked = settings.iter().filter_map(own).filter(|text| !text.ends_with(" 0") && !text.ends_with(" false"));
        let kind = settings.get(&format!("{prefix}kind")).cloned();
        kind.into_iter().chain(asked).collect::<Vec<_>>().join(", ")
    };
    let data =
        [unless("data.limit_train", "", "limited to"), unless("data.val_fraction", "", "held out for validation")];
    let momentum = unless("optimizer.momentum", "0", "momentum");
    let rest =
        [unless("optimizer.weight_decay", "0", "weight decay"), unless("optimizer.clip", "", "gradients clipped at")];
    let rate = format!("{}, learning rate {}", of("optimizer.name"), of("optimizer.learning_rate"));
    let rows = [
        ("data set", of("data.name").to_owned() + &data.concat()),
        (
            "model",
            of("model.name").to_owned()
                + &unless("model.hidden", "", "hidden")
                + &unless("model.activation", "", "with"),
        ),
        ("batch", format!("{} images, {} of their losses", of("training.batch_size"), of("training.reduction"))),
        ("epochs", of("training.epochs").to_owned() + &unless("training.patience", "", "patience")),
        ("optimiser", rate + &momentum + &rest.concat()),
        ("schedule", under("schedule.")),
        ("augmentation", under("augment.")),
        ("average of weights", unless("training.ema", "", "decay").trim_start_matches(", ").to_owned()),
        ("averaged over", of("training.tta").to_owned()),
        ("label smoothing", unless("training.label_smoothing", "0", "").trim_start_matches(", ").to_owned()),
        ("seed", of("seed").to_owned()),
    ];
    rows.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn recipe(parts: &Parts) -> Result<Markup> {
    let recipe = &parts.material.recipe;
    let rows = asked(&flat(recipe)?);
    let layers = parts.model.as_ref().map(|model| model.describe()).transpose()?;
    let layer = |line: &crate::nn::Description| {
        let output = line.output.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        vec![line.name.clone(), line.layer.clone(), output, line.parameters.to_string()]
    };
    let layers = layers.map(|lines| lines.iter().map(layer).collect::<Vec<_>>());
    let toml = recipe.to_toml()?;
    Ok(html! {
        (facts(&rows))
        @if let Some(layers) = layers {
            details { summary { "Layers" } (table(&["name", "layer", "output", "parameters"], 2, &layers)) }
        }
        details { summary { "The whole recipe (recipe.toml)" } pre { code { (toml) } } }
    })
}

fn device(parts: &Parts) -> Markup {
    let mut rows = Vec::new();
    if let Some(summary) = &parts.material.summary {
        rows.push(("trained by", if summary.executor == "gpu" { "a GPU".into() } else { "the CPU".to_owned() }));
        rows.push((if summary.executor == "gpu" { "device and driver" } else { "device" }, summary.device.clone()));
        rows.push(("planned memory of the run", bytes(summary.planned_bytes)));
        rows.push(("gpunn", summary.version.clone().unwrap_or_else(|| "not written down".into())));
    }
    let metrics = &parts.material.metrics;
    let mut speeds: Vec<f64> = metrics.iter().map(|epoch| epoch.images_per_second).collect();
    speeds.sort_by(f64::total_cmp);
    if let Some(median) = speeds.get(speeds.len() / 2) {
        rows.push(("training images a second", format!("{median:.0} (median of the epochs)")));
    }
    rows.push(("this page measured by", parts.device.clone()));
    facts(&rows)
}

fn timings(parts: &Parts) -> Markup {
    let timings = match &parts.timings {
        Ok(timings) => timings,
        Err(reason) => return html! { p { "Not timed: " (reason) "." } },
    };
    let whole: f64 = timings.kernels.iter().map(|kernel| kernel.milliseconds).sum();
    let per_step = whole / timings.steps as f64;
    let others = timings.kernels.len().saturating_sub(KERNELS);
    let batch = parts.material.recipe.training.batch_size;
    html! {
        p { (timings.steps) " training steps of " (timings.rows) " images" @if timings.rows < batch { " (in training " (batch) ")" }
            " on " (parts.device) " while this page was made: " (format!("{per_step:.3} ms a step.")) }
        div.wide { table {
            thead { tr { th { "kernel" } th.n { "calls a step" } th.n { "ms a step" } th.n { "share" } th.n { "GFLOP/s" } th.n { "GB/s" } th {} } }
            tbody { @for kernel in timings.kernels.iter().take(KERNELS) { tr {
                td { code { (kernel.kernel) } }
                td.n { (kernel.calls / timings.steps) }
                td.n { (format!("{:.4}", kernel.milliseconds / timings.steps as f64)) }
                td.n { (format!("{:.1} %", 100.0 * kernel.share)) }
                td.n { (format!("{:.2}", kernel.gflops)) }
                td.n { (format!("{:.2}", kernel.gbytes)) }
                td { span.bar style=(format!("width:{:.0}px", 120.0 * kernel.share)) {} }
            } } }
        } }
        @if others > 0 { p.faint { (others) " kernels more take less." } }
    }
}

fn memory(parts: &Parts) -> Result<Option<Markup>> {
    let Some(memory) = &parts.memory else { return Ok(None) };
    let drawn = draw::inline(memory)?;
    let mut rows: Vec<Vec<String>> =
        memory.persistent.iter().map(|(name, size)| vec![name.clone(), "stays".into(), bytes(*size)]).collect();
    if memory.constants > 0 {
        rows.push(vec!["constants".into(), "stays".into(), bytes(memory.constants)]);
    }
    rows.push(vec!["tensors of a step".into(), "planned peak, shared by turns".into(), bytes(memory.peak)]);
    let all: usize = memory.lives.iter().map(|life| life.bytes[1]).sum();
    Ok(Some(html! {
        p { "The plan of a training step on " (parts.device) ", with one batch of images. Each bar is a tensor: from the node that "
            "computes it to the last that reads it, and from its first byte to its last. The " (memory.lives.len())
            " tensors are " (bytes(all)) " together and share " (bytes(memory.peak)) ". Point at a bar for its name." }
        div.wide.lives { (drawn) }
        details { summary { "Buffers" } (table(&["buffer", "for", "size"], 2, &rows)) }
    }))
}

fn repeat(parts: &Parts) -> Markup {
    let hash = parts.hash();
    html! {
        @if parts.material.imported {
            p { "The weights were imported; no command of gpunn trains them." }
        } @else {
            p { "The same seed, device, driver and gpunn give the same bits: this command ends with the same hash." }
            pre { code { (parts.material.command()) } }
        }
        @if let Some(hash) = hash { (facts(&[("weights hash", hash), ("seed", parts.material.recipe.seed.to_string())])) }
    }
}

/// A time for people.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), s % 60.0),
        s => format!("{:.0} h {:02.0} min", (s / 3600.0).floor(), s % 3600.0 / 60.0),
    }
}
