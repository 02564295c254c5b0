//! The sections of a run's page.

use maud::{Markup, html};

use super::content::{PageContent, ReconstructionExamples};
use super::examples::{self, classified_images};
use super::page::{Section, facts, table};
use super::settings::{Settings, flat};
use super::step::bytes;
use super::weights::Unchanged;
use super::{draw, embed, measured, tags};
use crate::Result;
use crate::inference::Reconstruction;

/// The largest number of confused pairs shown.
pub const PAIRS: usize = 10;
/// What the maps beside mistakes are.
const HEAT_MAPS: &str = "The second image of a mistake shows which places speak for the predicted class (Grad-CAM): light places speak \
                         for it, dark places do not.";
/// Rows of the table of kernel times.
const KERNELS: usize = 25;

/// A sentence that names the recipe, the model and the dataset, and one that says what changed in the dataset.
pub fn about(content: &PageContent) -> String {
    let recipe = &content.loaded.recipe;
    let parameters = content.model.as_ref().map(|model| format!(", {} parameters", model.parameters().count()));
    let about = format!(
        "Recipe {}: {} on {}{}.",
        recipe.name,
        recipe.model.name,
        recipe.data.name,
        parameters.unwrap_or_default()
    );
    match &content.changed {
        Some(changed) => format!("{about} Note: {changed}."),
        None => about,
    }
}

/// The main results at the top of the page.
pub fn tiles(content: &PageContent) -> Vec<(&'static str, String)> {
    let (summary, last) = (content.loaded.summary.as_ref(), content.loaded.metrics.last());
    let mut tiles = Vec::new();
    let mut put = |what, figure: Option<String>| tiles.extend(figure.map(|figure| (what, figure)));
    let percent = |fraction: f64| format!("{:.2} %", 100.0 * fraction);
    let decibels = |psnr: f64| format!("{psnr:.2} dB");
    put("test accuracy", summary.and_then(|summary| summary.test_accuracy).map(percent));
    put("validation accuracy", last.and_then(|last| last.val_accuracy).map(percent));
    put("training accuracy", last.and_then(|last| last.train_accuracy).map(percent));
    put("test mAP", summary.and_then(|summary| summary.test_map).map(percent));
    put("validation mAP", last.and_then(|last| last.val_map).map(percent));
    put("test PSNR", summary.and_then(|summary| summary.test_psnr).map(decibels));
    put("validation PSNR", last.and_then(|last| last.val_psnr).map(decibels));
    put("training loss", last.map(|last| format!("{:.4}", last.train_loss)));
    put("epochs", last.map(|last| format!("{} of {}", last.epoch, content.loaded.recipe.training.epochs)));
    let seconds = content.loaded.metrics.iter().map(|epoch| epoch.seconds).sum();
    put("time", last.map(|_| duration(seconds)));
    tiles
}

/// All sections that have content.
///
/// # Errors
/// When an image cannot be drawn.
pub fn all(content: &PageContent) -> Result<Vec<Section>> {
    let mut sections = vec![Section { id: "results", title: "Results", body: results(content) }];
    let mut put = |id, title, body: Option<Markup>| sections.extend(body.map(|body| Section { id, title, body }));
    put("curves", "Curves", curves(content)?);
    put("measures", "Measures", measured::measures(content)?);
    put("labels", "Measures of each label", tags::measures(content));
    put("worst", "Worst answers", tags::worst_answers(content)?);
    put("confusion", "Confusion matrix", measured::confusion(content)?);
    put("pairs", "Most confused pairs", pairs(content)?);
    put("nearest", "Mistakes beside training images", nearest(content)?);
    put("examples", "Worst and best classified", classified(content)?);
    put("reconstructions", "Reconstructions", reconstructions(content)?);
    put("weights", "First layer's weights", weights(content)?);
    put("recipe", "Recipe", Some(recipe(content)?));
    put("device", "Device and driver", Some(device(content)));
    put("timings", "Timings by kernel", Some(timings(content)));
    put("memory", "Memory by tensor lifetime", memory(content)?);
    put("repeat", "Repeat it", Some(repeat(content)));
    Ok(sections)
}

fn results(content: &PageContent) -> Markup {
    let (summary, last) = (content.loaded.summary.as_ref(), content.loaded.metrics.last());
    let figure = |accuracy: Option<f64>, psnr: Option<f64>| match (accuracy, psnr) {
        (Some(accuracy), _) => format!("{:.2} %", 100.0 * accuracy),
        (_, Some(psnr)) => format!("{psnr:.2} dB"),
        _ => String::new(),
    };
    let what = match last {
        Some(last) if last.val_psnr.is_some() => "PSNR",
        Some(last) if last.train_exact_match.is_some() => "labels",
        _ => "accuracy",
    };
    let labels = |map: Option<f64>, exact: Option<f64>| {
        let map = map.map(|map| format!("mAP {:.2} %", 100.0 * map));
        let exact = exact.map(|exact| format!("{:.2} % of the images all right", 100.0 * exact));
        map.into_iter().chain(exact).collect::<Vec<_>>().join(", ")
    };
    let mut rows = Vec::new();
    let mut row = |name: &str, loss: Option<f64>, figure: String| {
        if let Some(loss) = loss {
            rows.push(vec![name.to_owned(), format!("{loss:.4}"), figure]);
        }
    };
    let accuracy = last.and_then(|last| last.train_accuracy);
    let exact = labels(None, last.and_then(|last| last.train_exact_match));
    row("training, mean over the last epoch", last.map(|last| last.train_loss), figure(accuracy, None) + &exact);
    let (accuracy, psnr) = (last.and_then(|last| last.val_accuracy), last.and_then(|last| last.val_psnr));
    let tags = last.map_or_else(String::new, |last| labels(last.val_map, last.val_exact_match));
    row("validation, after the last epoch", last.and_then(|last| last.val_loss), figure(accuracy, psnr) + &tags);
    let of = |of: fn(&crate::train::Summary) -> Option<f64>| summary.and_then(of);
    let tags = labels(of(|s| s.test_map), of(|s| s.test_exact_match));
    row("test", of(|s| s.test_loss), figure(of(|s| s.test_accuracy), of(|s| s.test_psnr)) + &tags);
    let best = summary.and_then(|summary| Some((summary.best_epoch?, summary.best_val_accuracy, summary.best_val_map)));
    let early = summary.is_some_and(|summary| summary.stopped_early);
    html! {
        (table(&["split", "loss per image", what], 1, &rows))
        @if let Some((epoch, accuracy, map)) = best {
            p { "The best epoch is " (epoch)
                @if let Some(accuracy) = accuracy { ", validation accuracy " (figure(Some(accuracy), None)) }
                @if map.is_some() { ", validation " (labels(map, None)) }
                ". Its weights are in best.safetensors; predict, eval, export and report use them. The test result above is of the last epoch's \
                 weights." }
        }
        @if early { p { "The run stopped early: the validation result did not improve for as many epochs as the recipe's patience." } }
    }
}

fn curves(content: &PageContent) -> Result<Option<Markup>> {
    if content.curves.is_empty() {
        return Ok(None);
    }
    let drawn = content.curves.iter().map(|(_, curves)| draw::inline(curves)).collect::<Result<Vec<_>>>()?;
    Ok(Some(html! {
        p.faint { "Training values are means over the epoch, while the weights change. Validation values use the weights at its end."
            @if content.loaded.best_epoch().is_some() { " The dashed line is the epoch whose weights predict, eval, export and report use." } }
        div.plots { @for plot in drawn { div { (plot) } } }
    }))
}

fn pairs(content: &PageContent) -> Result<Option<Markup>> {
    let (Some(matrix), Some(predictions)) = (&content.matrix, &content.predictions) else { return Ok(None) };
    let Some(checkpoint) = &content.loaded.checkpoint else { return Ok(None) };
    let found = matrix.pairs();
    if found.is_empty() {
        return Ok(Some(html! { p { "All images were classified correctly." } }));
    }
    let mut shown = Vec::new();
    for &pair in found.iter().take(PAIRS) {
        let [a, b] = pair.classes.map(|class| matrix.classes[class].as_str());
        let mut sides = Vec::new();
        let mistakes = [format!("{a} predicted as {b}"), format!("{b} predicted as {a}")];
        for ((side, count), mistake) in
            examples::mistakes_of_pair(predictions, pair).iter().zip(pair.counts).zip(mistakes)
        {
            if count > 0 {
                sides.push((
                    format!("{mistake}: {count}"),
                    examples::captioned_images(predictions, side, checkpoint.input, &content.heat_maps)?,
                ));
            }
        }
        shown.push((format!("{a} / {b}: {}", pair.total()), sides));
    }
    let others = found.len().saturating_sub(PAIRS);
    Ok(Some(html! {
        p { "The pairs of classes with the most mistakes. Each list shows the mistakes with the highest probability of the "
            "wrong class; the number is that probability." @if !content.heat_maps.is_empty() { " " (HEAT_MAPS) } }
        @for (title, sides) in shown {
            h3 { (title) }
            div.pair { @for (title, images) in sides { div { p.faint { (title) } (images) } } }
        }
        @if others > 0 { p.faint { (others) " other pairs were confused less often." } }
    }))
}

fn nearest(content: &PageContent) -> Result<Option<Markup>> {
    let (Some(predictions), Some(checkpoint)) = (&content.predictions, &content.loaded.checkpoint) else {
        return Ok(None);
    };
    content.nearest.drawn(predictions, checkpoint)
}

fn classified(content: &PageContent) -> Result<Option<Markup>> {
    let (Some(_), Some(predictions)) = (&content.matrix, &content.predictions) else { return Ok(None) };
    let Some(checkpoint) = &content.loaded.checkpoint else { return Ok(None) };
    let shown = (checkpoint.classes.as_slice(), checkpoint.input);
    let [worst, best] = &content.worst_and_best;
    Ok(Some(html! {
        @if !content.heat_maps.is_empty() { p { (HEAT_MAPS) } }
        h3 { "Worst: lowest probability of the true class" }
        (classified_images(predictions, worst, shown, &content.heat_maps)?)
        h3 { "Best: highest probability of the true class" }
        (classified_images(predictions, best, shown, &content.heat_maps)?)
    }))
}

fn reconstructions(content: &PageContent) -> Result<Option<Markup>> {
    let (Some(reconstructed), Some(predictions)) = (&content.reconstructed, &content.predictions) else {
        return Ok(None);
    };
    let Some(checkpoint) = &content.loaded.checkpoint else { return Ok(None) };
    let line = |&number: &usize| {
        let prediction = predictions.each[number];
        format!("{} {:.1} dB", checkpoint.classes[prediction.label], prediction.label_score)
    };
    let drawn = |(numbers, back): &(Vec<usize>, Reconstruction)| {
        examples::originals_and_reconstructions(back, &numbers.iter().map(line).collect::<Vec<_>>())
    };
    let ReconstructionExamples { chosen, worst, best } = reconstructed;
    let psnr = predictions.mean();
    Ok(Some(html! {
        p { (measured::evaluated_images(content)) " " (format!("Their mean peak signal-to-noise ratio is {psnr:.2} dB.")) }
        h3 { "Originals above their reconstructions" }
        (drawn(chosen)?)
        h3 { "Worst" }
        (drawn(worst)?)
        h3 { "Best" }
        (drawn(best)?)
    }))
}

fn weights(content: &PageContent) -> Result<Option<Markup>> {
    let Some(sheets) = &content.sheets else { return Ok(None) };
    let sheet = |title: &str, (sheet, largest): &(image::RgbImage, f32)| {
        let source = embed::data_uri("png", &embed::png(sheet)?);
        Ok::<_, crate::Error>(html! {
            div.sheet {
                h3 { (title) }
                img src=(source) alt=(format!("{title}: {}", sheets.layer)) width=(sheet.width()) height=(sheet.height());
                p.faint { "black " (format!("-{largest:.3}")) ", mid-gray 0, white " (format!("{largest:.3}")) }
            }
        })
    };
    let [units, shown] = sheets.units;
    let before = match content.loaded.recipe.model.pretrained {
        Some(_) => "Before training, as pretrained",
        None => "Before training, computed again from the seed",
    };
    let after = match sheets.unchanged {
        None => "After training",
        Some(Unchanged::Frozen) => "Before and after training: the layer is frozen",
        Some(Unchanged::Equal) => "Before and after training: the weights are equal",
    };
    Ok(Some(html! {
        p { code { (sheets.layer) } ": " (units) " images of the weights, one per unit or filter. All images of a sheet "
            "have the same scale." @if shown < units { " The first " (shown) " are shown." } }
        div.plots {
            @if let Ok(Some(drawn)) = &sheets.before { (sheet(before, drawn)?) }
            (sheet(after, &sheets.after)?)
        }
    }))
}

/// The main settings, as a short table.
fn main_settings(settings: &Settings) -> Vec<(&'static str, String)> {
    let of = |name: &str| settings.get(name).map_or("", String::as_str);
    // Words and value of a setting; empty if the setting has its default value.
    let unless = |name: &str, plain: &str, words: &str| match of(name) {
        "" => String::new(),
        value if value == plain => String::new(),
        value => format!(", {words} {value}"),
    };
    // The setting `kind` comes first, without a name. Settings that are off are left out.
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
    let data = [
        unless("data.labels", "", "labels from"),
        unless("data.multi_label", "false", "several labels an image:"),
        unless("data.limit_train", "", "limited to"),
        unless("data.val_fraction", "", "held out for validation"),
        unless("data.fold", "", "held out for validation: fold"),
    ];
    let momentum = unless("optimizer.momentum", "0", "momentum");
    let rest =
        [unless("optimizer.weight_decay", "0", "weight decay"), unless("optimizer.clip", "", "gradients clipped at")];
    let rate = format!("{}, learning rate {}", of("optimizer.name"), of("optimizer.learning_rate"));
    // The kind of the parameters comes first, as the kind of a schedule does.
    let groups = (1..).map(|number| format!("optimizer.group.{number}."));
    let groups = groups.map(|prefix| (of(&format!("{prefix}parameters")), under(&prefix)));
    let groups = groups.take_while(|(kind, _)| !kind.is_empty()).map(|(kind, numbers)| {
        let own =
            numbers.split(", ").filter(|number| !number.starts_with("parameters ")).collect::<Vec<_>>().join(", ");
        format!("{kind}: {own}")
    });
    let rows = [
        ("dataset", of("data.name").to_owned() + &data.concat()),
        (
            "model",
            of("model.name").to_owned()
                + &unless("model.hidden", "", "hidden")
                + &unless("model.activation", "", "with")
                + &unless("model.layer_decay", "", "decay of the learning rate by layer"),
        ),
        (
            "batch",
            format!("{} images, {} of their losses", of("training.batch_size"), of("training.reduction"))
                + &unless("training.accumulate", "1", "batches of an update:"),
        ),
        ("epochs", of("training.epochs").to_owned() + &unless("training.patience", "", "patience")),
        ("optimizer", rate + &momentum + &rest.concat()),
        ("groups of parameters", groups.collect::<Vec<_>>().join("; ")),
        ("schedule", under("schedule.")),
        ("augmentation", under("augment.")),
        ("moving average of weights", unless("training.ema", "", "decay").trim_start_matches(", ").to_owned()),
        ("Lookahead", under("training.lookahead.")),
        ("test-time augmentation", of("training.tta").to_owned()),
        ("label smoothing", unless("training.label_smoothing", "0", "").trim_start_matches(", ").to_owned()),
        ("batch norm over all devices", of("training.sync_batch_norm").to_owned()),
        ("focal loss, exponent", of("training.focal").to_owned()),
        ("weights of classes", of("training.class_weights").to_owned() + &under("training.class_weights.")),
        ("sampler", of("training.sampler").to_owned()),
        ("seed", of("seed").to_owned()),
    ];
    rows.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn recipe(content: &PageContent) -> Result<Markup> {
    let recipe = &content.loaded.recipe;
    let rows = main_settings(&flat(recipe)?);
    let layers = content.model.as_ref().map(|model| model.describe()).transpose()?;
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

fn device(content: &PageContent) -> Markup {
    let mut rows = Vec::new();
    if let Some(summary) = &content.loaded.summary {
        rows.push(("trained on", if summary.executor == "gpu" { "a GPU".into() } else { "the CPU".to_owned() }));
        rows.push((if summary.executor == "gpu" { "device and driver" } else { "device" }, summary.device.clone()));
        rows.push(("planned memory of the run", bytes(summary.planned_bytes)));
        rows.push(("gpunn", summary.version.clone().unwrap_or_else(|| "unknown".into())));
    }
    let metrics = &content.loaded.metrics;
    let mut speeds: Vec<f64> = metrics.iter().map(|epoch| epoch.images_per_second).collect();
    speeds.sort_by(f64::total_cmp);
    if let Some(median) = speeds.get(speeds.len() / 2) {
        rows.push(("training images per second", format!("{median:.0} (median of the epochs)")));
    }
    rows.push(("device of this page's evaluation", content.device.clone()));
    facts(&rows)
}

fn timings(content: &PageContent) -> Markup {
    let timings = match &content.timings {
        Ok(timings) => timings,
        Err(reason) => return html! { p { "Not timed: " (reason) "." } },
    };
    let whole: f64 = timings.kernels.iter().map(|kernel| kernel.milliseconds).sum();
    let per_step = whole / timings.steps as f64;
    let others = timings.kernels.len().saturating_sub(KERNELS);
    let batch = content.loaded.recipe.training.batch_size;
    html! {
        p { (timings.steps) " training steps of " (timings.images) " images" @if timings.images < batch { " (training used " (batch) ")" }
            " on " (content.device) ", timed for this page: " (format!("{per_step:.3} ms per step.")) }
        div.wide { table {
            thead { tr { th { "kernel" } th.n { "calls per step" } th.n { "ms per step" } th.n { "share" } th.n { "GFLOP/s" } th.n { "GB/s" } th {} } }
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
        @if others > 0 { p.faint { (others) " other kernels take less time." } }
    }
}

fn memory(content: &PageContent) -> Result<Option<Markup>> {
    let Some(memory) = &content.memory else { return Ok(None) };
    let drawn = draw::inline(memory)?;
    let mut rows: Vec<Vec<String>> =
        memory.persistent.iter().map(|(name, size)| vec![name.clone(), "the whole run".into(), bytes(*size)]).collect();
    if memory.constants > 0 {
        rows.push(vec!["constants".into(), "the whole run".into(), bytes(memory.constants)]);
    }
    rows.push(vec![
        "tensors of a step".into(),
        "one step; memory is reused within the step".into(),
        bytes(memory.peak),
    ]);
    let all: usize = memory.tensors.iter().map(|tensor| tensor.bytes[1]).sum();
    Ok(Some(html! {
        p { "The plan of a training step on " (content.device) ", with one batch of images. Each bar is a tensor. Its width shows the "
            "nodes from the one that computes it to the last one that reads it; its height shows its memory. The " (memory.tensors.len())
            " tensors have " (bytes(all)) " in total and share " (bytes(memory.peak)) ". Point at a bar for its name." }
        div.wide.lives { (drawn) }
        details { summary { "Buffers" } (table(&["buffer", "lifetime", "size"], 2, &rows)) }
    }))
}

fn repeat(content: &PageContent) -> Markup {
    let hash = content.hash();
    html! {
        @if !content.loaded.has_recipe {
            p { "The weights were imported, so no gpunn command can repeat the training." }
        } @else {
            p { "With the same device, driver and gpunn version, this command gives the same weights, bit for bit, and the same hash." }
            @if content.loaded.imported {
                p { "The run was imported. The command needs the images, and the pretrained weights if the recipe names some. If it \
                    does not find them, name their folder with " code { "--data-dir" } "." }
            }
            pre { code { (content.loaded.command()) } }
        }
        @if let Some(hash) = hash { (facts(&[("weights hash", hash), ("seed", content.loaded.recipe.seed.to_string())])) }
    }
}

/// A duration with a unit.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), s % 60.0),
        s => format!("{:.0} h {:02.0} min", (s / 3600.0).floor(), s % 3600.0 / 60.0),
    }
}
