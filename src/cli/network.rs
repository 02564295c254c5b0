//! The network that a command uses on images: of a run, of a file of weights, of ImageNet by its name, or of an ONNX file.

use std::path::{Path, PathBuf};

use crate::data::ImageOptions;
use crate::formats::tensors::TensorFile;
use crate::nn::models::{self, IMAGENET, ModelConfig};
use crate::runs::onnx::{OnnxFile, is_onnx};
use crate::runs::weights;
use crate::train::{Checkpoint, Recipe};
use crate::{Error, Result};

use super::flags::EpochArgs;

/// The flags that name a network instead of a run, and the checkpoint of a run.
#[derive(Debug, clap::Args)]
pub struct NetworkArgs {
    /// Use the weights in a file (safetensors, or .pth of torch.save) instead of a run's
    #[arg(long, value_name = "FILE")]
    pretrained: Option<PathBuf>,
    /// The model of the weights [default: recognized by tensor names]; without --pretrained, its ImageNet weights are loaded
    /// from the folder of --data-dir. Or an ONNX file, which has weights of its own
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// The folder with the datasets, and with ImageNet weights such as squeezenet/squeezenet1_1.safetensors
    /// [default: GPUNN_DATA, else the user's cache folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub epoch: EpochArgs,
}

impl NetworkArgs {
    /// The folder of --data-dir.
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// Whether the flags name the network, so that no run is needed.
    pub fn is_given(&self) -> bool {
        self.pretrained.is_some() || self.model.is_some()
    }

    /// The network's checkpoint, and the paths of the images. The first of `paths` is the run, unless the flags name a network. Prints
    /// what is to be known of an ONNX file, unless `quiet`.
    pub fn checkpoint<'a>(&self, paths: &'a [PathBuf], quiet: bool) -> Result<(Checkpoint, &'a [PathBuf])> {
        if self.is_given() {
            return Ok((self.named(quiet)?, paths));
        }
        let [run, images @ ..] = paths else {
            return Err(Error::usage("No images were given; give a run and images."));
        };
        if images.is_empty() {
            return Err(Error::usage(format!(
                "No images were given after the run {}. Add images; if that is an image, give the weights with --pretrained.",
                run.display()
            )));
        }
        Ok((self.epoch.checkpoint(run)?, images))
    }

    /// The network that the flags name.
    fn named(&self, quiet: bool) -> Result<Checkpoint> {
        if let Some(path) = self.model.as_deref().map(Path::new).filter(|path| is_onnx(path)) {
            return self.onnx(path, quiet);
        }
        let model = self.model.as_deref().map(crate::runs::model).transpose()?;
        let file = match (&self.pretrained, &model) {
            (Some(path), _) => TensorFile::open(path)?,
            (None, Some(model)) => published(model, self.data_dir.as_deref())?,
            (None, None) => return Err(Error::usage("No network was named.")),
        };
        Ok(weights::import(&file, model)?.checkpoint)
    }

    fn onnx(&self, path: &Path, quiet: bool) -> Result<Checkpoint> {
        if let Some(weights) = &self.pretrained {
            return Err(Error::usage(format!(
                "{} has its own weights; leave out --pretrained {}.",
                path.display(),
                weights.display()
            )));
        }
        let file = OnnxFile::open(path, &ImageOptions::default())?;
        if !quiet {
            file.notes.iter().for_each(|note| eprintln!("{}: {note}", path.display()));
        }
        file.checkpoint()
    }

    /// The checkpoint of a run, or without one the ImageNet network that `gpunn train` starts from.
    pub fn of_run_or_imagenet(&self, run: Option<&Path>, quiet: bool) -> Result<Checkpoint> {
        match run {
            Some(run) => self.epoch.checkpoint(run),
            None if self.is_given() => self.named(quiet),
            None => {
                let file =
                    published(&ModelConfig::named(IMAGENET_MODEL), self.data_dir.as_deref()).map_err(|error| {
                        let name = IMAGENET_MODEL;
                        Error::usage(format!(
                            "Without a run or --model, the network is {name} with ImageNet weights. {error}"
                        ))
                    })?;
                if !quiet {
                    eprintln!("network: {IMAGENET_MODEL} with ImageNet weights; name a run or --model for another");
                }
                Ok(weights::import(&file, None)?.checkpoint)
            }
        }
    }
}

/// The network of ImageNet that is used where none is named.
const IMAGENET_MODEL: &str = "squeezenet";

/// The ImageNet weights of a model.
fn published(model: &ModelConfig, data_dir: Option<&Path>) -> Result<TensorFile> {
    let unknown = || {
        Error::usage(format!(
            "No ImageNet weights are known for the model {}. Give a weight file with --pretrained, or a run instead of --model.",
            model.name
        ))
    };
    if models::published(&model.name).is_none() {
        return Err(unknown());
    }
    let mut recipe = Recipe::find(crate::train::recipe::DEFAULT)?;
    recipe.model = ModelConfig { pretrained: Some(IMAGENET.into()), ..model.clone() };
    recipe.open_pretrained(data_dir)?.ok_or_else(unknown)
}
