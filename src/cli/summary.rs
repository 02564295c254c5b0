//! `gpunn summary`.

use std::process::ExitCode;

use gpunn::Result;
use gpunn::graph::{BufferKind, Passes, Plan, PlanOptions, Target, optimise};
use gpunn::nn::{Description, models};
use gpunn::train::graphs::{Resident, training};
use gpunn::train::{Recipe, recipe};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpunn summary --model mlp --dataset glyphs --batch-size 64")]
pub struct Args {
    /// The network: mlp or autoencoder
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// A built-in recipe's name or a recipe file, for its model, data set and batch
    #[arg(long, value_name = "NAME|FILE")]
    recipe: Option<String>,
    /// The data set whose pictures and classes the network is made for
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Features of each hidden layer, as in 128,64
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    hidden: Option<Vec<usize>>,
    /// Pictures of a step
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Print one line of JSON last
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Summary {
    model: String,
    dataset: String,
    input: [usize; 3],
    classes: usize,
    batch_size: usize,
    parameters: usize,
    /// Of the forward pass of one picture.
    flops_per_image: u64,
    /// Of a training step: forward, backward and update.
    flops_per_step: u64,
    planned_bytes: usize,
    persistent_bytes: usize,
    layers: Vec<Description>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let mut recipe = match (&args.recipe, &args.model) {
        (Some(name), _) => Recipe::find(name)?,
        (None, Some(model)) => {
            models::Config::named(model).task()?;
            Recipe::of_pair(Some(model), None).map_or_else(|| Recipe::find(recipe::DEFAULT), Ok)?
        }
        (None, None) => Recipe::find(recipe::DEFAULT)?,
    };
    if let Some(model) = args.model.filter(|model| *model != recipe.model.name) {
        recipe.model = models::Config { init: recipe.model.init, ..models::Config::named(model) };
    }
    recipe.model.hidden = args.hidden.or(recipe.model.hidden);
    recipe.data.name = args.dataset.unwrap_or(recipe.data.name);
    recipe.training.batch_size = args.batch_size.unwrap_or(recipe.training.batch_size);
    recipe.validate()?;
    let info = gpunn::data::outline(&recipe.data.name, recipe.data.folder.as_deref(), &recipe.data.asked())?;
    let batch = recipe.training.batch_size;
    let model = recipe.model.build(info.input, info.classes)?;
    // Planned for the CPU with a data set of one batch: what is asked is the network's part.
    let data = Resident { name: "train", rows: batch, bytes: true };
    let graph = optimise(&training(&model, &recipe, data, batch)?, Passes::default())?;
    let plan = Plan::new(graph, &Target::cpu(), PlanOptions::default())?;
    let layers = model.describe()?;
    let summary = Summary {
        model: recipe.model.name.clone(),
        dataset: info.name,
        input: info.input,
        classes: info.classes,
        batch_size: batch,
        parameters: model.parameters().count(),
        flops_per_image: layers.iter().map(|layer| layer.flops).sum(),
        flops_per_step: plan.flops(),
        planned_bytes: plan.peak_bytes(),
        persistent_bytes: plan.bytes_of(BufferKind::Persistent),
        layers,
    };
    if args.json {
        super::print_json(&summary)?
    } else {
        print(&summary)
    }
    Ok(ExitCode::SUCCESS)
}

fn print(summary: &Summary) {
    let shape = |dims: &[usize]| dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    super::print_line(&format!(
        "{} for {}: {} pictures, {} classes",
        summary.model,
        summary.dataset,
        shape(&summary.input),
        summary.classes
    ));
    super::print_line(&format!("{:<10} {:<12} {:>10} {:>12} {:>12}", "layer", "", "output", "parameters", "FLOPs"));
    for Description { name, layer, output, parameters, flops } in &summary.layers {
        super::print_line(&format!("{name:<10} {layer:<12} {:>10} {parameters:>12} {flops:>12}", shape(output)));
    }
    super::print_line(&format!(
        "{:<10} {:<12} {:>10} {:>12} {:>12}",
        "all", "", "", summary.parameters, summary.flops_per_image
    ));
    super::print_line(&format!(
        "a training step of {}: {} FLOPs; planned memory {} bytes ({}), {} of them parameters, optimiser state and one batch \
         of data",
        summary.batch_size,
        summary.flops_per_step,
        summary.planned_bytes,
        super::bytes(summary.planned_bytes),
        summary.persistent_bytes
    ));
}
