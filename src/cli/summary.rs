//! `gpunn summary`.

use std::path::Path;
use std::process::ExitCode;

use crate::data::ImageOptions;
use crate::datasets::Outline;
use crate::graph::{BufferKind, Passes, Plan, PlanOptions, Target, optimize};
use crate::nn::models::ModelConfig;
use crate::nn::{Description, Model, ParameterKind, Unfreeze};
use crate::optim::OptimizerGroup;
use crate::runs::onnx::{OnnxFile, is_onnx};
use crate::train::Recipe;
use crate::train::graphs::{DeviceData, training};
use crate::{Error, Result};

use super::engine::options_to_train;
use super::flags::ComputeArgs;
use super::numbers::whole;
use super::step_time::{self, StepTime};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    gpunn summary --model mlp --dataset glyphs --batch-size 64\n  \
    gpunn summary --model resnet50 --input 3x224x224 --time\n  \
    gpunn summary --model squeezenet --input 3x224x224 --classes 17 --freeze\n  \
    gpunn summary --model my-network.toml --input 3x32x32 --classes 10")]
pub struct Args {
    /// The network: mlp, autoencoder, autoencoder-conv, cnn, resnet9, resnet18-small, squeezenet, squeezenet1_0, resnet18,
    /// resnet34, resnet50, mobilenet_v2, mobilenet_v3_small, mobilenet_v3_large, efficientnet_b0, regnet_y_400mf, convnext_tiny,
    /// convnext_atto or airbench, or a TOML or ONNX file with a network
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// A built-in recipe's name or a recipe file: its model, dataset and batch size are used
    #[arg(long, value_name = "NAME|FILE")]
    recipe: Option<String>,
    /// The dataset that sets the input size and the number of classes
    #[arg(long, value_name = "NAME|FOLDER")]
    dataset: Option<String>,
    /// The input size, instead of a dataset
    #[arg(long, value_name = "CHANNELSxHEIGHTxWIDTH", conflicts_with = "dataset")]
    input: Option<String>,
    /// The number of classes, with --input [default: 10]
    #[arg(long, value_name = "N", requires = "input", value_parser = whole::<usize>(1))]
    classes: Option<usize>,
    /// Features of each hidden layer, such as 128,64
    #[arg(long, value_delimiter = ',', value_name = "N,...", value_parser = whole::<usize>(1))]
    hidden: Option<Vec<usize>>,
    /// Freeze all layers except the classifier
    #[arg(long, conflicts_with = "unfreeze")]
    freeze: bool,
    /// The layers to train: all, classifier, or last:N for the last N
    #[arg(long, value_name = "LAYERS")]
    unfreeze: Option<Unfreeze>,
    /// Images per training step
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1))]
    batch_size: Option<usize>,
    /// Time a training step on the device of --device, for a quarter of a second or for two steps
    #[arg(long)]
    time: bool,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct SummaryOutput {
    model: String,
    dataset: String,
    input: [usize; 3],
    classes: usize,
    batch_size: usize,
    parameters: usize,
    /// Parameters that are not frozen.
    learned: usize,
    /// FLOPs of the forward pass of one image.
    flops_per_image: u64,
    /// FLOPs of a training step: forward, backward and update.
    flops_per_step: u64,
    planned_bytes: usize,
    /// Memory of what a step computes: activations, their gradients and those of parameters.
    activation_bytes: usize,
    /// The measured time of a training step. Null without --time.
    step_time: Option<StepTime>,
    /// Memory of the gradients of all parameters.
    gradient_bytes: usize,
    /// Memory of the optimizer's state.
    state_bytes: usize,
    /// The same two, if all layers were trained.
    gradient_bytes_unfrozen: usize,
    state_bytes_unfrozen: usize,
    /// Planned memory, if all layers were trained.
    planned_bytes_unfrozen: usize,
    persistent_bytes: usize,
    /// The optimizer's groups of parameters, if the recipe has some.
    groups: Vec<GroupOutput>,
    layers: Vec<Description>,
}

/// A group of the optimizer.
#[derive(serde::Serialize)]
struct GroupOutput {
    /// The kind of its parameters; `rest` for those of no group.
    kind: String,
    /// The number of its parameters.
    parameters: usize,
    algorithm: String,
    learning_rate: f64,
    momentum: f64,
    /// The number of epochs after which they no longer change.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<f64>,
}

/// The groups of a recipe's optimizer, and the rest of the trained parameters. Empty without groups.
fn groups(recipe: &Recipe, model: &Model) -> Vec<GroupOutput> {
    let optimizer = &recipe.optimizer;
    let count = |of: &dyn Fn(ParameterKind) -> bool| {
        let updated = model.parameters().updated().filter(|parameter| of(parameter.kind));
        updated.map(|parameter| parameter.shape.elements()).sum::<usize>()
    };
    let own = optimizer.name.to_string();
    let output = |group: &OptimizerGroup| GroupOutput {
        kind: group.parameters.to_string(),
        parameters: count(&|kind| kind == group.parameters),
        algorithm: if group.is_muon() { "muon".into() } else { own.clone() },
        learning_rate: group.learning_rate.unwrap_or(optimizer.learning_rate),
        momentum: group.momentum.unwrap_or(optimizer.momentum()),
        until: group.until,
    };
    let in_group = |kind: ParameterKind| optimizer.groups.iter().any(|group| group.parameters == kind);
    let rest = GroupOutput {
        kind: "rest".into(),
        parameters: count(&|kind| !in_group(kind)),
        algorithm: own.clone(),
        learning_rate: optimizer.learning_rate,
        momentum: optimizer.momentum(),
        until: None,
    };
    let some = !optimizer.groups.is_empty();
    let rest = (some && rest.parameters > 0).then_some(rest);
    optimizer.groups.iter().map(output).chain(rest).collect()
}

pub fn run(args: Args) -> Result<ExitCode> {
    let (recipe, own) = recipe(&args)?;
    let info = match (&args.input, own) {
        (Some(input), _) => {
            Outline { name: "no dataset".into(), input: parse_size(input)?, classes: args.classes.unwrap_or(10) }
        }
        (None, Some(own)) => own,
        (None, None) => {
            let (folder, labels) = (recipe.data.folder.as_deref(), recipe.labels());
            crate::datasets::outline(&recipe.data.name, folder, &recipe.data.asked(), labels.as_ref())?
        }
    };
    let mut summary = summarize(&recipe, &info)?;
    if args.time {
        let ComputeArgs { device, quiet, .. } = &args.compute;
        device.set_threads()?;
        let engine = device.open(options_to_train([&recipe]), *quiet)?;
        let flops = summary.flops_per_step / summary.batch_size as u64;
        summary.step_time = Some(step_time::measure(engine, &recipe, &info, flops)?);
    }
    args.compute.output.print(&summary, print)?;
    Ok(ExitCode::SUCCESS)
}

/// The recipe with the changes of the flags. Without a dataset, an ONNX file says for which images and classes its network is.
fn recipe(args: &Args) -> Result<(Recipe, Option<Outline>)> {
    let onnx = args.model.as_deref().map(Path::new).filter(|path| is_onnx(path));
    let onnx = onnx.map(|path| OnnxFile::open(path, &ImageOptions::default())).transpose()?;
    let named = match (&onnx, &args.model) {
        (Some(file), _) => Some(ModelConfig { pretrained: None, ..file.model.clone() }),
        (None, name) => name.as_deref().map(crate::runs::model).transpose()?,
    };
    let own = onnx.filter(|_| args.dataset.is_none() && args.recipe.is_none());
    let own = own.map(|file| Outline { name: "its own images".into(), input: file.image, classes: file.classes.len() });
    let name_of = |dataset| crate::datasets::name_of(dataset, None);
    let dataset = args.dataset.as_deref().map(name_of).transpose()?;
    let mut recipe = crate::runs::choose(args.recipe.as_deref(), named.clone(), dataset.as_deref())?;
    if let (Some(named), true, None) = (named, args.input.is_some() || own.is_some(), &args.recipe) {
        // With another input size than the recipe's, use the model's own defaults.
        recipe.model = named;
        recipe.augment = None;
    }
    let freeze = args.freeze.then_some(Unfreeze::Classifier);
    recipe.model.unfreeze = freeze.or(args.unfreeze).or(recipe.model.unfreeze);
    recipe.model.hidden = args.hidden.clone().or(recipe.model.hidden);
    recipe.training.batch_size = args.batch_size.unwrap_or(recipe.training.batch_size);
    recipe.validate()?;
    Ok((recipe, own))
}

/// Builds the network and plans its training step, as the recipe says and with all layers trained.
fn summarize(recipe: &Recipe, info: &Outline) -> Result<SummaryOutput> {
    let batch = recipe.training.batch_size;
    let model = recipe.build_model(info.input, info.classes)?;
    recipe.optimizer.check_model(&model)?;
    // Planned for the CPU with a dataset of one batch, so that the size of the dataset does not count.
    let data = DeviceData::whole("train", batch, true, info.input);
    let planned = |recipe: &Recipe| {
        let model = recipe.build_model(info.input, info.classes)?;
        let graph = optimize(&training(&model, recipe, data, batch)?, Passes::default())?;
        Plan::new(graph, &Target::cpu(), PlanOptions::default())
    };
    let plan = planned(recipe)?;
    let mut unfrozen = recipe.clone();
    unfrozen.model.unfreeze = Some(Unfreeze::All);
    let unfrozen = planned(&unfrozen)?;
    let (gradient_bytes, state_bytes) = learning_bytes(&plan, recipe);
    let (gradient_bytes_unfrozen, state_bytes_unfrozen) = learning_bytes(&unfrozen, recipe);
    let learned = model.parameters().updated().map(|parameter| parameter.shape.elements()).sum();
    let layers = model.describe()?;
    Ok(SummaryOutput {
        model: recipe.model.name.clone(),
        dataset: info.name.clone(),
        input: info.input,
        classes: info.classes,
        batch_size: batch,
        parameters: model.parameters().count(),
        learned,
        flops_per_image: layers.iter().filter(|layer| layer.depth == 0).map(|layer| layer.flops).sum(),
        flops_per_step: plan.flops(),
        gradient_bytes,
        state_bytes,
        gradient_bytes_unfrozen,
        state_bytes_unfrozen,
        planned_bytes: plan.peak_bytes(),
        activation_bytes: plan.bytes_of(BufferKind::Pool),
        step_time: None,
        planned_bytes_unfrozen: unfrozen.peak_bytes(),
        persistent_bytes: plan.bytes_of(BufferKind::Persistent),
        groups: groups(recipe, &model),
        layers,
    })
}

/// Bytes of a plan for the gradients of parameters and for the optimizer's state.
fn learning_bytes(plan: &Plan, recipe: &Recipe) -> (usize, usize) {
    let packs = plan.work.iter().filter(|work| plan.graph.node(work.node).op().is_some_and(|op| op.name() == "pack"));
    let of_states =
        |name: &str| plan.buffers.iter().filter(|buffer| buffer.name == name).map(|b| b.bytes).sum::<usize>();
    let gradients = packs.map(|work| plan.graph.ty(work.node).bytes()).sum();
    (gradients, recipe.optimizer.states(recipe.training.accumulate > 1).iter().map(|state| of_states(state)).sum())
}

/// Parses a size such as `3x32x32`.
fn parse_size(input: &str) -> Result<[usize; 3]> {
    let sizes: Option<Vec<usize>> = input.split(['x', 'X', ',']).map(|size| size.trim().parse().ok()).collect();
    match sizes.as_deref() {
        Some(&[channels, height, width]) if [channels, height, width].iter().all(|size| (1..=4096).contains(size)) => {
            Ok([channels, height, width])
        }
        _ => Err(Error::usage(format!(
            "--input is {input}, but has to be three sizes from 1 to 4096, channels x height x width, as in 3x32x32."
        ))),
    }
}

/// Prints the table; the first columns are as wide as their content.
fn print(summary: &SummaryOutput) {
    let shape = |dims: &[usize]| dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    super::print_line(&format!(
        "{} for {}: {} images, {} classes",
        summary.model,
        summary.dataset,
        shape(&summary.input),
        summary.classes
    ));
    // A layer inside another one is indented and has only its own name.
    let name = |line: &Description| {
        let own = if line.depth == 0 { &line.name } else { line.name.rsplit('.').next().unwrap_or_default() };
        format!("{:indent$}{own}", "", indent = 2 * line.depth)
    };
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0).max(10);
    let names = width(&mut summary.layers.iter().map(|line| name(line).len()));
    let labels = width(&mut summary.layers.iter().map(|line| line.layer.len()));
    let row = |name: &str, layer: &str, output: &str, parameters: &str, flops: &str| {
        super::print_line(&format!("{name:<names$} {layer:<labels$} {output:>12} {parameters:>12} {flops:>14}"));
    };
    row("layer", "", "output", "parameters", "FLOPs");
    for line in &summary.layers {
        let (parameters, flops) = (line.parameters.to_string(), line.flops.to_string());
        row(&name(line), &line.layer, &shape(&line.output), &parameters, &flops);
    }
    row("total", "", "", &summary.parameters.to_string(), &summary.flops_per_image.to_string());
    super::print_line(&format!(
        "a training step of {}: {} FLOPs; planned memory {} bytes ({}), {} of them for parameters, optimizer state and one batch \
         of data, {} for activations and gradients",
        summary.batch_size,
        summary.flops_per_step,
        summary.planned_bytes,
        super::bytes(summary.planned_bytes),
        summary.persistent_bytes,
        summary.activation_bytes
    ));
    if let Some(StepTime { device, seconds, images }) = &summary.step_time {
        let estimated = match *images < summary.batch_size {
            true => format!(", estimated from a step of {images}"),
            false => String::new(),
        };
        super::print_line(&format!("a training step takes about {:.1} ms on {device}{estimated}", 1e3 * seconds));
    }
    for group in &summary.groups {
        let until = group.until.map_or_else(String::new, |epochs| format!(", for {epochs} epochs"));
        super::print_line(&format!(
            "group {}: {} parameters, {}, learning rate {}, momentum {}{until}",
            group.kind, group.parameters, group.algorithm, group.learning_rate, group.momentum
        ));
    }
    if summary.learned < summary.parameters {
        super::print_line(&format!(
            "{} of {} parameters are trained: gradients {} bytes, optimizer state {} bytes. If all were trained: {} and {} bytes, \
             and planned memory {} bytes ({})",
            summary.learned,
            summary.parameters,
            summary.gradient_bytes,
            summary.state_bytes,
            summary.gradient_bytes_unfrozen,
            summary.state_bytes_unfrozen,
            summary.planned_bytes_unfrozen,
            super::bytes(summary.planned_bytes_unfrozen)
        ));
    }
}
