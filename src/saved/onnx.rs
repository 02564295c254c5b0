//! A run's network as an ONNX file, for other programs. It takes images with values from 0 to 1, and normalises them itself. The file says
//! for which images and classes it is.

use crate::formats::onnx::{Entry, Message, Model as File, OperatorSet};
use crate::graph::TensorType;
use crate::nn::models::Task;
use crate::nn::{Build, Mode, PARAMS, Parameters, Weights};
use crate::onnx::{NEWEST_OPSET, Network, OLDEST_OPSET, write};
use crate::ops::augment::Augment;
use crate::train::Checkpoint;
use crate::train::graphs::answers;
use crate::{Error, Result};

use super::weights;

/// The name of the network's input.
pub const INPUT: &str = "image";
/// The default version of ONNX's operators.
pub const OPSET: i64 = 17;

/// A number that no size of a network is a multiple of: the batch while the graph is built.
const BATCH: usize = 99_991;

/// The largest protocol buffer.
const MOST_BYTES: usize = i32::MAX as usize;

/// How a network is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnnxOptions {
    /// The version of ONNX's operators, from [`OLDEST_OPSET`] to [`NEWEST_OPSET`].
    pub opset: i64,
    /// Whether batch norm becomes a part of the convolution before it.
    pub fold_batch_norm: bool,
    /// Whether a classifier's output is the probabilities, else the logits.
    pub softmax: bool,
}

impl Default for OnnxOptions {
    fn default() -> Self {
        Self { opset: OPSET, fold_batch_norm: false, softmax: false }
    }
}

/// A network in an ONNX file.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxNetwork {
    /// The file.
    pub bytes: Vec<u8>,
    /// Channels, height and width of its images.
    pub image: [usize; 3],
    /// The name of its output: `logits`, `probabilities`, or `reconstruction` of an autoencoder.
    pub output: &'static str,
    /// The number of batch norms that are operators of their own.
    pub batch_norms: usize,
}

/// Writes the network of a checkpoint, with the weights that are used for inference. Test-time views are left out.
///
/// # Errors
/// When the version of ONNX's operators cannot be written, the network has an op that ONNX lacks, or the checkpoint does not match its
/// model.
pub fn export(checkpoint: &Checkpoint, options: OnnxOptions) -> Result<OnnxNetwork> {
    if !(OLDEST_OPSET..=NEWEST_OPSET).contains(&options.opset) {
        let (asked, known) = (options.opset, format!("from {OLDEST_OPSET} to {NEWEST_OPSET}"));
        return Err(Error::usage(format!("The opset is {asked}, but ONNX files are written for opsets {known}.")));
    }
    let model = checkpoint.model()?;
    let parameters = model.parameters();
    let weights = checkpoint.weights_in_use(parameters)?;
    let &[channels, height, width] = model.input() else {
        return Err(Error::usage("The network does not take images, so it is not written as ONNX."));
    };
    let mut build = Build::new(parameters, Mode::Evaluation)?;
    let mut x = build.leaf(INPUT, 0, TensorType::f32([BATCH, channels, height, width]))?;
    build.enter("normalise");
    let augment = checkpoint.recipe.augment.as_ref();
    if let Some((means, factors)) = augment.and_then(normalisation) {
        let channels = TensorType::f32([channels, 1, 1]);
        let means = build.constant(channels.clone(), means);
        let factors = build.constant(channels, factors);
        x = build.sub(x, means)?;
        x = build.mul(x, factors)?;
    }
    build.leave();
    let mut scores = model.forward(&mut build, x)?;
    let task = checkpoint.recipe.task_of(&model);
    let output = match (task, options.softmax) {
        (Task::Reconstruct, false) => "reconstruction",
        (Task::Reconstruct, true) => {
            return Err(Error::usage("An autoencoder has no probabilities; leave out --softmax."));
        }
        (Task::Classify | Task::Tag, false) => "logits",
        (Task::Classify | Task::Tag, true) => {
            scores = answers(&mut build, task, scores)?;
            "probabilities"
        }
    };
    build.output(output, scores);
    let weight = |buffer: &str, offset: usize| weight(parameters, &weights, buffer, offset);
    let (fold, opset) = (options.fold_batch_norm, options.opset);
    let network = Network { graph: &build.graph, input: INPUT, batch: BATCH, weight: &weight, fold, opset };
    let written = write(&network)?;
    let mut graph = written.graph;
    graph.name = model.name().into();
    let file = File {
        // The oldest file format that has this version of the operators is read by most programs.
        ir_version: match opset {
            ..15 => 7,
            15..19 => 8,
            19..21 => 9,
            _ => 10,
        },
        producer_name: "gpunn".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        opset_import: vec![OperatorSet { domain: String::new(), version: opset }],
        metadata_props: metadata(checkpoint, [channels, height, width])?,
        functions: Vec::new(),
    };
    if file.encoded_len() > MOST_BYTES {
        return Err(Error::usage("The network is larger than 2 GiB, the most that one ONNX file can hold."));
    }
    let (image, batch_norms) = ([channels, height, width], written.batch_norms);
    Ok(OnnxNetwork { bytes: file.encode_to_vec(), image, output, batch_norms })
}

/// The mean and 1 / the standard deviation of each channel, if the recipe normalises images.
fn normalisation(augment: &Augment) -> Option<(Vec<f32>, Vec<f32>)> {
    let (means, deviations) = augment.mean.as_ref().zip(augment.std.as_ref())?;
    let factors = deviations.iter().map(|deviation| (1.0 / deviation) as f32);
    Some((means.iter().map(|&mean| mean as f32).collect(), factors.collect()))
}

/// The name and values of the weight at an offset of a buffer.
fn weight<'a>(
    parameters: &Parameters,
    weights: &'a Weights,
    buffer: &str,
    offset: usize,
) -> Option<(String, &'a [f32])> {
    let found = if buffer == PARAMS {
        parameters.iter().find(|parameter| parameter.offset == offset).map(|parameter| (parameter, &weights.learned))
    } else {
        let mut all = parameters.statistics().iter();
        all.find(|parameter| parameter.offset == offset).map(|parameter| (parameter, &weights.statistics))
    };
    found.map(|(parameter, values)| (parameter.name.clone(), &values[parameter.range()]))
}

/// How an image becomes the network's input.
#[derive(serde::Serialize)]
struct ImageRules {
    channels: usize,
    height: usize,
    width: usize,
    /// Values from 0, black, to 1.
    range: [f32; 2],
    /// Red, green, blue; or grey.
    order: &'static str,
    /// Height and width that an image is first brought to; its middle is the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    resized_to: Option<[usize; 2]>,
    /// The rule by which it is brought to this size.
    #[serde(skip_serializing_if = "Option::is_none")]
    fit: Option<crate::data::Fit>,
}

fn metadata(checkpoint: &Checkpoint, [channels, height, width]: [usize; 3]) -> Result<Vec<Entry>> {
    let json = |value: serde_json::Result<String>| {
        value.map_err(|error| Error::data(format!("The metadata cannot be encoded: {error}.")))
    };
    let stored = [checkpoint.input[1], checkpoint.input[2]];
    let rules = ImageRules {
        channels,
        height,
        width,
        range: [0.0, 1.0],
        order: if channels == 3 { "rgb" } else { "grey" },
        resized_to: (stored != [height, width]).then_some(stored),
        fit: checkpoint.recipe.data.fit,
    };
    let pairs = [
        ("classes", json(serde_json::to_string(&checkpoint.classes))?),
        ("image", json(serde_json::to_string(&rules))?),
        (weights::KEY, weights::card_of(checkpoint)?),
    ];
    Ok(pairs.into_iter().map(|(key, value)| Entry { key: key.into(), value }).collect())
}
