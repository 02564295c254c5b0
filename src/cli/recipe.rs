//! The flags that make a recipe, of `gpunn train` and `gpunn sweep`.

use std::path::PathBuf;

use gpunn::Result;
use gpunn::data::ImageOptions;
use gpunn::nn::{Activation, Scheme, Unfreeze};
use gpunn::optim::{Method, Schedule};
use gpunn::train::{Recipe, Tta};

use super::augment::AugmentArgs;
use super::images::ImageArgs;

/// What the help calls the flags of how a network learns.
pub(super) const LEARNING: &str = "Learning";

/// The flags of a run that a sweep tries several values of.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Point {
    /// Features of each hidden layer, as in 128,64
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    pub hidden: Option<Vec<usize>>,
    /// Images of a step
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// The learning rate
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub lr: Option<f64>,
    /// What every random number depends on
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// The help text of `--activation`, with the names that [`Activation`] knows.
fn activation_help() -> String {
    format!("The activation after each hidden layer: {}", Activation::NAMES.map(|(name, _)| name).join(", "))
}

/// The flags that make a recipe, but for those of a [`Point`].
#[derive(Debug, clap::Args)]
pub(super) struct RecipeArgs {
    /// A built-in recipe's name or a recipe file [default: glyphs-mlp]
    #[arg(long, value_name = "NAME|FILE")]
    recipe: Option<String>,
    /// The network: mlp, autoencoder, autoencoder-conv, cnn, resnet9, resnet18-small, squeezenet, squeezenet1_0, resnet18 or
    /// mobilenet_v2, or a TOML file with your own
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// The data set, see `gpunn data list`, or the path of a folder of images, one folder a class
    #[arg(long, value_name = "NAME|FOLDER")]
    dataset: Option<String>,
    /// The folder that holds data sets, each in a folder of its own name
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    #[arg(long, value_name = "NAME", help = activation_help())]
    activation: Option<String>,
    /// How weights begin: pytorch, xavier, he, dirac, zeros
    #[arg(long, value_name = "NAME")]
    init: Option<String>,
    /// How often every image is seen
    #[arg(long, value_name = "N", help_heading = LEARNING)]
    pub epochs: Option<u32>,
    /// sgd, adam or adamw
    #[arg(long, value_name = "NAME", help_heading = LEARNING)]
    optimizer: Option<String>,
    /// Momentum of SGD
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    momentum: Option<f64>,
    /// Nesterov's form of momentum
    #[arg(long, help_heading = LEARNING)]
    nesterov: bool,
    /// Decay of the weights
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    weight_decay: Option<f64>,
    /// The largest norm of all gradients together
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    clip: Option<f64>,
    /// The share of the target that is spread over all classes
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = LEARNING)]
    label_smoothing: Option<f32>,
    /// constant, step:EVERY:FACTOR, exponential:FACTOR, cosine[:FLOOR] or one-cycle
    #[arg(long, value_name = "S", help_heading = LEARNING)]
    schedule: Option<String>,
    /// Epochs over which the learning rate grows from 0
    #[arg(long, value_name = "EPOCHS", allow_negative_numbers = true, help_heading = LEARNING)]
    warmup: Option<f64>,
    /// Measure and use a moving average of the weights that decays by this a step, as in 0.999
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true, help_heading = LEARNING)]
    ema: Option<f64>,
    /// Average over views of an image when measuring: flip (it and its mirror image), shift (both, and both moved by a pixel
    /// either way) or shift-only (no mirror images)
    #[arg(long, value_name = "VIEWS", num_args = 0..=1, default_missing_value = "flip", help_heading = LEARNING)]
    tta: Option<Tta>,
    /// End the run after so many epochs without a better validation figure
    #[arg(long, value_name = "EPOCHS", help_heading = LEARNING)]
    patience: Option<u32>,
    /// Keep the images off the device and send each batch when it is needed: from the disk for a folder of images, else
    /// from memory; by itself where they are too large
    #[arg(long)]
    stream: bool,
    /// Begin with the weights in a safetensors file, but for the classifier
    #[arg(long, value_name = "FILE", conflicts_with = "scratch")]
    pretrained: Option<String>,
    /// Which layers learn: all, classifier, or last:N for the last N [default: the classifier with pretrained weights, else all]
    #[arg(long, value_name = "LAYERS")]
    unfreeze: Option<Unfreeze>,
    /// Compute what the frozen layers make of each image once, as it is measured (without random augmentation), and keep it;
    /// false never does [default: where images are not changed at random]
    #[arg(long, value_name = "WHETHER", num_args = 0..=1, default_missing_value = "true")]
    cache_features: Option<bool>,
    /// Begin without pretrained weights, where the recipe has some; all layers learn
    #[arg(long)]
    scratch: bool,
    /// Train on so many images only, as many of each class
    #[arg(long, value_name = "N")]
    limit_train: Option<usize>,
    /// Hold this part of the training images out for validation
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    val_fraction: Option<f64>,
    #[command(flatten)]
    images: ImageArgs,
    #[command(flatten)]
    augment: AugmentArgs,
}

impl RecipeArgs {
    /// The recipe that the flags ask for, with what they change.
    pub fn recipe(&self, point: &Point, quiet: bool) -> Result<Recipe> {
        let mut recipe = self.base(quiet)?;
        if let Some(hidden) = &point.hidden {
            recipe.model.hidden = Some(hidden.clone());
        }
        if let Some(activation) = &self.activation {
            recipe.model.activation = Some(activation.parse::<Activation>()?);
        }
        if let Some(init) = &self.init {
            recipe.model.init = init.parse::<Scheme>()?;
        }
        if self.scratch {
            (recipe.model.pretrained, recipe.model.unfreeze) = (None, None);
        }
        recipe.model.pretrained = self.pretrained.clone().or(recipe.model.pretrained);
        recipe.model.unfreeze = self.unfreeze.or(recipe.model.unfreeze);
        self.change_optimizer(&mut recipe, point.lr, quiet)?;
        if let Some(schedule) = &self.schedule {
            recipe.schedule = Schedule { warmup: recipe.schedule.warmup, ..schedule.parse()? };
        }
        set(&mut recipe.schedule.warmup, self.warmup);
        set(&mut recipe.training.epochs, self.epochs);
        set(&mut recipe.training.batch_size, point.batch_size);
        set(&mut recipe.training.label_smoothing, self.label_smoothing);
        recipe.training.ema = self.ema.or(recipe.training.ema);
        recipe.training.tta = self.tta.or(recipe.training.tta);
        recipe.training.patience = self.patience.or(recipe.training.patience);
        recipe.training.cache_features = self.cache_features.or(recipe.training.cache_features);
        recipe.data.stream |= self.stream;
        set(&mut recipe.seed, point.seed);
        recipe.data.limit_train = self.limit_train.or(recipe.data.limit_train);
        recipe.data.val_fraction = self.val_fraction.or(recipe.data.val_fraction);
        let ImageOptions { size, fit, channels } = self.images.or(recipe.data.asked());
        (recipe.data.size, recipe.data.fit, recipe.data.channels) = (size, fit, channels);
        recipe.data.skip_bad |= self.images.skip_bad;
        recipe.augment = self.augment.or(recipe.augment.take());
        Ok(recipe)
    }

    /// The recipe before the other flags: the one named, else that of the model and data set, else the default.
    fn base(&self, quiet: bool) -> Result<Recipe> {
        let model = self.model.as_deref().map(gpunn::runs::model).transpose()?;
        let name_of = |dataset| gpunn::datasets::name_of(dataset, self.data_dir.as_deref());
        let dataset = self.dataset.as_deref().map(name_of).transpose()?;
        let recipe = gpunn::runs::choose(self.recipe.as_deref(), model, dataset.as_deref())?;
        if self.recipe.is_none() && (self.model.is_some() || self.dataset.is_some()) && !quiet {
            eprintln!("no recipe was named; taking {}", recipe.name);
        }
        Ok(recipe)
    }

    fn change_optimizer(&self, recipe: &mut Recipe, rate: Option<f64>, quiet: bool) -> Result<()> {
        let optimizer = &mut recipe.optimizer;
        if let Some(name) = &self.optimizer {
            let method: Method = name.parse()?;
            if method != optimizer.name && method != Method::Sgd {
                // Rates of SGD and Adam are not of one kind.
                (optimizer.momentum, optimizer.nesterov) = (0.0, false);
                optimizer.learning_rate = 1e-3;
                if rate.is_none() && !quiet {
                    eprintln!("the learning rate for {name} is 0.001; --lr sets another");
                }
            }
            optimizer.name = method;
        }
        set(&mut optimizer.learning_rate, rate);
        set(&mut optimizer.momentum, self.momentum);
        set(&mut optimizer.weight_decay, self.weight_decay);
        optimizer.nesterov |= self.nesterov;
        optimizer.clip = self.clip.or(optimizer.clip);
        Ok(())
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
