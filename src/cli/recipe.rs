//! The flags that define a recipe, of `gpunn train` and `gpunn sweep`.

use std::path::Path;

use crate::data::ImageOptions;
use crate::datasets::Listing;
use crate::nn::models::{self, ModelConfig};
use crate::nn::{Activation, ParameterKind, Scheme, Unfreeze};
use crate::optim::{Method, OptimizerGroup, Schedule};
use crate::runs::onnx::{OnnxFile, is_onnx};
use crate::runs::{Choice, Start};
use crate::train::{Lookahead, OnNonFinite, Precision, Recipe, Sampler, Training};
use crate::{Error, Result};

use super::augment::AugmentArgs;
use super::flags::{DataDirArgs, LabelArgs, ViewArgs};
use super::images::ImageArgs;
use super::numbers::{epochs, real, whole};

/// Help heading of the training settings.
pub(super) const TRAINING_HEADING: &str = "Learning";

/// Muon's momentum with `--muon`, as in the recipe cifar10-94.
const MUON_MOMENTUM: f64 = 0.6;

/// The settings that a sweep varies.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct GridPoint {
    /// Features of each hidden layer, such as 128,64
    #[arg(long, value_delimiter = ',', value_name = "N,...", value_parser = whole::<usize>(1))]
    pub hidden: Option<Vec<usize>>,
    /// Images per training step, or auto: the recipe's number, computed in as few parts as the device needs
    #[arg(long, value_name = "N|auto", value_parser = or_auto(whole::<usize>(1)))]
    pub batch_size: Option<OrAuto<usize>>,
    /// The learning rate, or auto: the one that `gpunn lr-find` suggests
    #[arg(long, value_name = "X|auto", value_parser = or_auto(real::<f64>))]
    pub lr: Option<OrAuto<f64>>,
    /// Seed of all random numbers
    #[arg(long, value_name = "N", value_parser = whole::<u64>(0))]
    pub seed: Option<u64>,
}

/// A number, or the word `auto`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum OrAuto<T> {
    /// It is found before the training.
    Auto,
    /// The number.
    Of(T),
}

impl<T> OrAuto<T> {
    /// The number, if there is one.
    fn number(self) -> Option<T> {
        match self {
            Self::Auto => None,
            Self::Of(number) => Some(number),
        }
    }
}

fn or_auto<T>(
    number: impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<OrAuto<T>, String> + Clone + Send + Sync + 'static {
    move |word| if word == "auto" { Ok(OrAuto::Auto) } else { number(word).map(OrAuto::Of) }
}

/// The help text of `--activation`, with the names that [`Activation`] knows.
fn activation_help() -> String {
    format!("The activation after each hidden layer: {}", Activation::NAMES.map(|(name, _)| name).join(", "))
}

/// The flags that define a recipe, except those of a [`GridPoint`].
#[derive(Debug, clap::Args)]
pub(super) struct RecipeArgs {
    /// A built-in recipe's name, or a recipe file [default: the recipe for --model and --dataset, else glyphs-mlp]
    #[arg(long, value_name = "NAME|FILE")]
    recipe: Option<String>,
    /// The network: mlp, autoencoder, autoencoder-conv, cnn, resnet9, resnet18-small, squeezenet, squeezenet1_0, resnet18,
    /// resnet34, resnet50, mobilenet_v2, mobilenet_v3_small, mobilenet_v3_large, efficientnet_b0, regnet_y_400mf, convnext_tiny,
    /// convnext_atto or airbench, a TOML file that describes a network, or an ONNX file, whose weights the training starts from
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// The dataset, see `gpunn data list`, or the path of a folder of images with one subfolder per class
    #[arg(long, value_name = "NAME|FOLDER")]
    dataset: Option<String>,
    /// The same as --dataset
    #[arg(value_name = "NAME|FOLDER", conflicts_with = "dataset")]
    images_of: Option<String>,
    #[command(flatten)]
    labels: LabelArgs,
    #[command(flatten)]
    pub data_dir: DataDirArgs,
    #[arg(long, value_name = "NAME", help = activation_help())]
    activation: Option<String>,
    /// Initialization of the weights: pytorch, xavier, he (also called kaiming), dirac or zeros
    #[arg(long, value_name = "NAME")]
    init: Option<String>,
    /// Number of epochs; may have a fraction, as in 9.9
    #[arg(long, value_name = "N", value_parser = epochs, help_heading = TRAINING_HEADING)]
    pub epochs: Option<f64>,
    /// The optimizer: sgd, adam, adamw, rmsprop or lamb
    #[arg(long, value_name = "NAME", help_heading = TRAINING_HEADING)]
    optimizer: Option<String>,
    /// Momentum of SGD and RMSProp
    #[arg(long, value_name = "X", value_parser = real::<f64>, help_heading = TRAINING_HEADING)]
    momentum: Option<f64>,
    /// Use Nesterov momentum, with SGD
    #[arg(long, help_heading = TRAINING_HEADING)]
    nesterov: bool,
    /// Weight decay
    #[arg(long, value_name = "X", value_parser = real::<f64>, help_heading = TRAINING_HEADING)]
    weight_decay: Option<f64>,
    /// Clip the gradients to this total norm
    #[arg(long, value_name = "X", value_parser = real::<f64>, help_heading = TRAINING_HEADING)]
    clip: Option<f64>,
    /// Train the filters of convolutions by Muon with this learning rate, and all else by the optimizer; --muon alone means 0.24. For
    /// networks with batch norm
    #[arg(long, value_name = "LR", value_parser = real::<f64>, num_args = 0..=1, require_equals = true, default_missing_value = "0.24", help_heading = TRAINING_HEADING)]
    muon: Option<f64>,
    /// Lookahead: keep slow weights, which join the weights halfway every N steps; --lookahead alone means 5
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1), num_args = 0..=1, require_equals = true, default_missing_value = "5", help_heading = TRAINING_HEADING)]
    lookahead: Option<u32>,
    /// Gradient accumulation: sum the gradients of N batches before each update, which is then that of a batch N times as large
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1), help_heading = TRAINING_HEADING)]
    accumulate: Option<usize>,
    /// On several devices: normalise by the statistics of all parts of a batch, as one device does, instead of each part's. It costs some
    /// exchanges a layer
    #[arg(long, help_heading = TRAINING_HEADING)]
    sync_batch_norm: bool,
    /// Label smoothing, from 0 to 1: the share of the target that is spread over all classes
    #[arg(long, value_name = "X", value_parser = real::<f32>, help_heading = TRAINING_HEADING)]
    label_smoothing: Option<f32>,
    /// Focal loss: multiply each loss by (1 - p)^X, where p is the probability of the label; X is from 1 to 10, or 0 for none
    #[arg(long, value_name = "X", value_parser = real::<f32>, help_heading = TRAINING_HEADING)]
    focal: Option<f32>,
    /// Weight the losses of each class: balanced gives small classes as much weight as large ones; FILE has a line CLASS,WEIGHT for each
    /// class whose weight is not 1
    #[arg(long, value_name = "balanced|FILE", help_heading = TRAINING_HEADING)]
    class_weights: Option<String>,
    /// How the images of an epoch are drawn: shuffled (each once), or balanced (as many of each class)
    #[arg(long, value_name = "NAME", help_heading = TRAINING_HEADING)]
    sampler: Option<Sampler>,
    /// Learning-rate schedule: constant, step:EVERY:FACTOR, exponential:FACTOR, cosine[:FLOOR] or one-cycle
    #[arg(long, value_name = "S", help_heading = TRAINING_HEADING)]
    schedule: Option<String>,
    /// Epochs of linear warm-up of the learning rate from 0
    #[arg(long, value_name = "EPOCHS", value_parser = real::<f64>, help_heading = TRAINING_HEADING)]
    warmup: Option<f64>,
    /// Evaluate with an exponential moving average of the weights, with this decay per step, such as 0.999
    #[arg(long, value_name = "DECAY", value_parser = real::<f64>, help_heading = TRAINING_HEADING)]
    ema: Option<f64>,
    /// Precision of a GPU's large products: `f32`, or `f16`: operands in half precision, if the GPU has matrix units [default: f32]
    #[arg(long, value_name = "f32|f16")]
    precision: Option<Precision>,
    /// Early stopping: end the run after this many epochs without a better validation result
    #[arg(long, value_name = "EPOCHS", value_parser = whole::<u32>(1), help_heading = TRAINING_HEADING)]
    patience: Option<u32>,
    /// If the loss, a weight or the optimizer's state is no longer a finite number after a step: stop the run; skip, which leaves the
    /// step out; or halve-lr, which begins the epoch again with half the learning rate [default: stop]
    #[arg(long, value_name = "stop|skip|halve-lr", help_heading = TRAINING_HEADING)]
    on_nonfinite: Option<OnNonFinite>,
    /// Send each batch to the device when it is needed, instead of keeping all images there: from disk for a folder of images,
    /// else from memory [default: only if the images do not fit]
    #[arg(long)]
    stream: bool,
    /// Start from the weights in a file (safetensors, or .pth of torch.save) or a run directory, except the classifier
    #[arg(long, value_name = "FILE|RUN", conflicts_with = "scratch")]
    pretrained: Option<String>,
    /// The layers to train: all, classifier, or last:N for the last N [default: classifier with pretrained weights, else all]
    #[arg(long, value_name = "LAYERS")]
    unfreeze: Option<Unfreeze>,
    /// Multiply the learning rate of each layer by X for each layer after it, so that the first layers change least; from 0.000001 to 1
    #[arg(long, value_name = "X", value_parser = real::<f32>)]
    layer_decay: Option<f32>,
    /// Compute the outputs of the frozen layers once per image, without random augmentation, and reuse them in every epoch:
    /// true or false [default: true without random augmentation, --tta and --stream, if they take at most 1 GiB]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    cache_features: Option<bool>,
    /// Do not use the recipe's pretrained weights; train all layers
    #[arg(long)]
    scratch: bool,
    /// Train on only N images, the same number of each class
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1))]
    limit_train: Option<usize>,
    /// Share of the training images, from 0 to 1, to use for validation instead of training; 0 holds out none [default: 0.15 for a
    /// folder of images without a folder val, else none]
    #[arg(long, value_name = "X", value_parser = real::<f64>)]
    val_fraction: Option<f64>,
    #[command(flatten)]
    images: ImageArgs,
    #[command(flatten)]
    augment: AugmentArgs,
    #[command(flatten, next_help_heading = TRAINING_HEADING)]
    views: ViewArgs,
}

impl RecipeArgs {
    /// Sets what may also change when a run is resumed, except its length.
    pub fn set_limits(&self, training: &mut Training) {
        training.patience = self.patience.or(training.patience);
        training.on_nonfinite = self.on_nonfinite.unwrap_or(training.on_nonfinite);
    }

    /// The recipe with the changes of the flags.
    pub fn recipe(&self, point: &GridPoint, quiet: bool) -> Result<Recipe> {
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
        if self.unfreeze.is_some() {
            // What the recipe says of the features of frozen layers is for the layers that it freezes.
            recipe.training.cache_features = None;
        }
        recipe.model.unfreeze = self.unfreeze.or(recipe.model.unfreeze);
        recipe.model.layer_decay = self.layer_decay.or(recipe.model.layer_decay);
        self.change_optimizer(&mut recipe, point.lr, quiet)?;
        if let Some(schedule) = &self.schedule {
            recipe.schedule = Schedule { warmup: recipe.schedule.warmup, ..schedule.parse()? };
        }
        set(&mut recipe.schedule.warmup, self.warmup);
        set(&mut recipe.training.epochs, self.epochs);
        set(&mut recipe.training.batch_size, point.batch_size.and_then(OrAuto::number));
        set(&mut recipe.training.accumulate, self.accumulate);
        recipe.training.sync_batch_norm |= self.sync_batch_norm;
        set(&mut recipe.training.label_smoothing, self.label_smoothing);
        set(&mut recipe.training.focal, self.focal);
        set(&mut recipe.training.sampler, self.sampler);
        if let Some(weights) = &self.class_weights {
            recipe.training.class_weights = Some(crate::runs::class_weights(weights)?);
        }
        set(&mut recipe.training.precision, self.precision);
        recipe.training.ema = self.ema.or(recipe.training.ema);
        recipe.training.tta = self.views.tta.or(recipe.training.tta);
        recipe.training.lookahead = self.lookahead.map(Lookahead::halfway).or(recipe.training.lookahead);
        self.set_limits(&mut recipe.training);
        recipe.training.cache_features = self.cache_features.or(recipe.training.cache_features);
        recipe.data.stream |= self.stream;
        set(&mut recipe.seed, point.seed);
        recipe.data.limit_train = self.limit_train.or(recipe.data.limit_train);
        recipe.data.val_fraction = self.val_fraction.or(recipe.data.val_fraction).filter(|&fraction| fraction != 0.0);
        recipe.set_labels(self.labels.or((recipe.data.labels.clone(), recipe.data.multi_label))?);
        recipe.set_images(self.images.or(recipe.data.asked()));
        recipe.data.skip_bad |= self.images.skip_bad;
        recipe.augment = self.augment.or(recipe.augment.take());
        Ok(recipe)
    }

    /// The recipe before the changes: the named one, else the one for the model and dataset, else the default.
    fn base(&self, quiet: bool) -> Result<Recipe> {
        let onnx = self.model.as_deref().map(Path::new).filter(|path| is_onnx(path));
        let onnx = onnx.map(|path| OnnxFile::open(path, &self.images.or(ImageOptions::default()))).transpose()?;
        if let (Some(file), false) = (&onnx, quiet) {
            file.notes.iter().for_each(|note| eprintln!("{}: {note}", file.weights.path().display()));
        }
        let model = match (&onnx, &self.model) {
            (Some(file), _) => Some(file.model.clone()),
            (None, name) => name.as_deref().map(crate::runs::model).transpose()?,
        };
        let asked = self.dataset.as_deref().or(self.images_of.as_deref());
        let embedded = self.embedded(model.as_ref());
        // Otherwise the dataset of the recipe is in this folder.
        if asked.is_none() && self.recipe.is_none() && (model.is_none() || embedded.is_some()) {
            self.check_data_dir()?;
        }
        let asked = asked.or(embedded);
        let dataset = asked.map(|dataset| crate::datasets::name_of(dataset, self.data_dir.path())).transpose()?;
        let named = self.recipe.as_deref().map(Recipe::find).transpose()?;
        let labels =
            self.labels.or(named.map(|recipe| (recipe.data.labels, recipe.data.multi_label)).unwrap_or_default())?;
        let list = |dataset: &String| crate::datasets::list_folder(dataset, self.data_dir.path(), labels.as_ref());
        let folder = dataset.as_ref().map(list).transpose()?.flatten();
        if let (Some(unlabelled), false) = (folder.as_ref().and_then(|listing| listing.unlabelled.as_ref()), quiet) {
            let path = unlabelled.display();
            eprintln!("{path} has images, but no class folders: they have no labels and are left out");
        }
        let is_chosen = self.recipe.is_none() && (model.is_none() || onnx.is_some());
        if let (true, Some(name), Some(listing)) = (is_chosen, &dataset, &folder) {
            let start = onnx.as_ref().map_or_else(|| self.start(), Start::Onnx);
            let Choice { recipe, reasons } = crate::runs::for_folder(name, listing, self.data_dir.path(), start)?;
            if !quiet {
                reasons.iter().for_each(|reason| eprintln!("{reason}"));
            }
            return Ok(recipe);
        }
        let mut recipe = crate::runs::choose(self.recipe.as_deref(), model, dataset.as_deref())?;
        if self.recipe.is_none() && (self.model.is_some() || asked.is_some()) && !quiet {
            eprintln!("no --recipe was given; using the recipe {}", recipe.name);
        }
        if embedded.is_some() && !quiet {
            eprintln!("no dataset was given; using {}, which is inside the program", recipe.data.name);
        }
        if let (Some(name), Some(listing)) = (&dataset, &folder) {
            recipe.data.val_fraction = recipe.data.val_fraction.or(crate::runs::val_fraction(listing));
            if self.recipe.is_none() {
                recipe.name = crate::runs::run_name(name);
            }
        }
        Ok(recipe)
    }

    /// The dataset of a model that was named without one and without a recipe: the embedded one. ImageNet's networks have a
    /// recipe of their own.
    fn embedded(&self, model: Option<&ModelConfig>) -> Option<&'static str> {
        let named = self.model.is_some() && self.recipe.is_none() && self.dataset.is_none() && self.images_of.is_none();
        model.filter(|model| named && models::published(&model.name).is_none())?;
        // The embedded dataset is the first one.
        crate::datasets::known().first().map(|info| info.name)
    }

    /// Checks the folder of --data-dir when the embedded dataset is taken: a folder of images is probably meant as the dataset.
    fn check_data_dir(&self) -> Result<()> {
        let Some(path) = self.data_dir.path() else { return Ok(()) };
        if !path.is_dir() {
            return Err(Error::usage(format!("There is no folder {}, which --data-dir names.", path.display())));
        }
        match Listing::scan(path) {
            Err(_) => Ok(()),
            Ok(listing) => Err(Error::usage(format!(
                "--data-dir names the folder in which datasets are, but {0} is itself a folder of images of {1} classes. To train on \
                 it, give: gpunn train {0}",
                path.display(),
                listing.classes.len()
            ))),
        }
    }

    /// What a training on a folder of images starts from.
    fn start(&self) -> Start<'_> {
        match &self.pretrained {
            Some(file) => Start::File(Path::new(file)),
            None if self.scratch => Start::Scratch,
            None => Start::WeightsAtHand,
        }
    }

    fn change_optimizer(&self, recipe: &mut Recipe, rate: Option<OrAuto<f64>>, quiet: bool) -> Result<()> {
        let optimizer = &mut recipe.optimizer;
        if let Some(name) = &self.optimizer {
            let method: Method = name.parse()?;
            if let (true, Some([usual, epsilon])) = (method != optimizer.name, method.usual_numbers()) {
                // SGD and the others need different learning rates.
                (optimizer.momentum, optimizer.nesterov) = (0.0, false);
                (optimizer.learning_rate, optimizer.epsilon) = (usual, epsilon);
                if rate.is_none() && !quiet {
                    eprintln!("the learning rate for {name} is set to {usual}; --lr changes it");
                }
            }
            optimizer.name = method;
        }
        if let Some(OrAuto::Of(rate)) = rate {
            optimizer.learning_rate = rate;
        }
        set(&mut optimizer.momentum, self.momentum);
        set(&mut optimizer.weight_decay, self.weight_decay);
        optimizer.nesterov |= self.nesterov;
        optimizer.clip = self.clip.or(optimizer.clip);
        if let Some(rate) = self.muon {
            // A recipe's own group of Muon keeps its other numbers.
            match optimizer.groups.iter_mut().find(|group| group.parameters == ParameterKind::Filters) {
                Some(group) if group.is_muon() => group.learning_rate = Some(rate),
                Some(group) => *group = OptimizerGroup::muon(ParameterKind::Filters, rate, MUON_MOMENTUM),
                None => optimizer.groups.push(OptimizerGroup::muon(ParameterKind::Filters, rate, MUON_MOMENTUM)),
            }
        }
        Ok(())
    }
}

/// Prints what of a recipe is probably not meant.
pub(super) fn print_warnings(recipe: &Recipe) {
    recipe.warnings().iter().for_each(|warning| eprintln!("warning: {warning}"));
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
