//! A classifier of images from the operators of a file: its layers, and what its images and classes are. A block with a shortcut is one
//! layer, and layers can be frozen as those of any network.

use std::collections::{BTreeMap, BTreeSet};

use super::classes::{free_batch, free_classes, without_softmax};
use super::divide::Network;
use super::program::{Input, Program};
use super::roles::roles;
use super::simplify::{fold, keep_needed, own_statistics};
use super::trial::{Trial, check, shapes, try_all};
use crate::data::imagenet;
use crate::formats::onnx::element;
use crate::nn::models::ModelConfig;
use crate::nn::network::{LayerConfig, LayerKind};
use crate::nn::operators::{OperatorsConfig, TRIAL_BATCH, Value};
use crate::{Error, Result};

/// The largest side of an image, and the largest number of classes.
const MOST: usize = 65_536;

/// A network in layers.
#[derive(Clone, Debug)]
pub struct Layered {
    /// The layers.
    pub layers: Vec<LayerConfig>,
    /// Channels, height and width of its images.
    pub image: [usize; 3],
    /// The number of classes.
    pub classes: usize,
    /// The values of parameters and statistics under their full names, each with its shape.
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// What the reader should know: sentences.
    pub notes: Vec<String>,
}

/// Divides a classifier of images into layers. `image` is used where the file leaves the sizes open, and for a network that takes lists.
/// `is_multi_label` says that it gives an image any number of classes.
///
/// # Errors
/// When the network is not one that takes one image and gives one list of numbers, and when it has operators, attributes or
/// types that are not supported. The message lists all of them.
pub fn layered(mut program: Program, origin: &str, image: Option<[usize; 3]>, is_multi_label: bool) -> Result<Layered> {
    let says = |reason: String| Error::data(format!("{origin} cannot be used as a classifier of images: {reason}."));
    let mut notes = Vec::new();
    let (input, image, is_flat) = image_input(&program.inputs, image, &mut notes).map_err(says)?;
    let named = program.outputs.first().cloned().ok_or_else(|| says("it has no output".into()))?;
    if program.outputs.len() > 1 {
        notes.push(format!("It has {} outputs; the first one, `{named}`, is used.", program.outputs.len()));
    }
    let trial = Trial { input: &input, image, is_flat };
    fold(&mut program);
    own_statistics(&mut program);
    keep_needed(&mut program, &named);
    if let Some(batch) = input.dims.as_ref().and_then(|dims| dims.first().copied().flatten()) {
        let dims = shapes(&program, &trial, batch);
        free_batch(&mut program, batch, |name| dims.get(name).cloned());
    }
    let dims = shapes(&program, &trial, TRIAL_BATCH);
    let (output, ending) = without_softmax(&mut program, (&named, is_multi_label), |name| dims.get(name).cloned());
    notes.extend(ending);
    if program.nodes.is_empty() {
        return Err(says("its output does not depend on its input by any operator".into()));
    }
    check(&program, origin, &trial)?;
    let features = features(&program, &trial, &output).map_err(says)?;
    let classes: usize = features.iter().product();
    let (mut layers, tensors) = divided(&program, &trial, &output)?.map_err(says)?;
    let finished = |layers: Vec<(String, OperatorsConfig)>| finished(layers, is_flat, features.len() > 1);
    let own = layers.clone();
    // It is tried with another number of classes, because a part of the network may not bear it.
    let bears = |layers: &[(String, OperatorsConfig)]| {
        let config = ModelConfig::of_layers("trial", finished(layers.to_vec()));
        config.build(image, classes + 1).is_ok()
    };
    if !(free_classes(&mut layers, classes) && bears(&layers)) {
        layers = own;
        notes.push(format!("Its last layer cannot be replaced, so it can only be used for its own {classes} classes."));
    }
    Ok(Layered { layers: finished(layers), image, classes, tensors, notes })
}

/// The sizes of the result for one image: a list of classes, whatever axes of size 1 it has.
fn features(program: &Program, trial: &Trial, output: &str) -> Result<Vec<usize>, String> {
    // Another batch shows what was made for the first one.
    let of_batch = |batch: usize| {
        let result = shapes(program, trial, batch).remove(output).unwrap_or_default();
        match result.split_first() {
            Some((&first, features)) if first == batch => Ok(features.to_vec()),
            _ => Err(format!("its output for {batch} images is {result:?}, so it is made for batches of one size")),
        }
    };
    of_batch(2)?;
    let features = of_batch(TRIAL_BATCH)?;
    let classes = features.iter().fold(1_usize, |product, &size| product.saturating_mul(size));
    if features.iter().filter(|&&size| size > 1).count() > 1 || !(2..=MOST).contains(&classes) {
        return Err(format!("its output for one image is {features:?}, which is not a list of 2 to {MOST} classes"));
    }
    Ok(features)
}

/// The layers of the operators, by name, and their tensors. The inner result is why there are none.
fn divided(program: &Program, trial: &Trial, output: &str) -> Result<Result<super::divide::Divided, String>> {
    let mut carriers = BTreeSet::new();
    try_all(program, trial, TRIAL_BATCH, |node, _, scope| {
        let goes_on =
            |value: &Value| matches!(value, Value::Tensor(_)) && scope.dims(value).first() == Some(&TRIAL_BATCH);
        carriers.extend(node.outputs.iter().filter(|name| scope.get(name).is_some_and(goes_on)).cloned());
    })?;
    let roles = roles(program);
    let network = Network { program, input: &trial.input.name, output, roles: &roles, carriers: &carriers };
    Ok(network.divide())
}

/// The layers of a recipe.
fn finished(layers: Vec<(String, OperatorsConfig)>, flat_before: bool, flat_after: bool) -> Vec<LayerConfig> {
    let flatten = |name: &str| LayerConfig { name: Some(name.into()), kind: LayerKind::Flatten };
    let own = layers
        .into_iter()
        .map(|(name, config)| LayerConfig { name: Some(name), kind: LayerKind::Operators(Box::new(config)) });
    let before = flat_before.then(|| flatten("flatten_input"));
    let after = flat_after.then(|| flatten("flatten_output"));
    before.into_iter().chain(own).chain(after).collect()
}

/// The input that takes images, the sizes of one, and whether it takes them as lists.
fn image_input(
    inputs: &[Input],
    asked: Option<[usize; 3]>,
    notes: &mut Vec<String>,
) -> Result<(Input, [usize; 3], bool), String> {
    let [input] = inputs else {
        let names: Vec<String> = inputs.iter().map(|input| format!("`{}`", input.name)).collect();
        return Err(format!("it has {} inputs ({}), not one", inputs.len(), names.join(", ")));
    };
    if ![element::FLOAT, element::FLOAT16, element::DOUBLE, element::BFLOAT16].contains(&input.data_type) {
        let kind = super::tensors::type_name(input.data_type);
        return Err(format!("its input `{}` holds elements of type {kind}, not floats", input.name));
    }
    let shown = |dims: &[Option<usize>]| {
        dims.iter()
            .map(|size| size.map_or_else(|| "any".into(), |size| size.to_string()))
            .collect::<Vec<_>>()
            .join(" x ")
    };
    let (image, is_flat) = match input.dims.as_deref() {
        Some(&[_, channels, height, width]) => {
            let default = asked.unwrap_or([3, imagenet::SIDE, imagenet::SIDE]);
            if channels.is_none() || height.is_none() || width.is_none() {
                notes.push(format!(
                    "It takes images of any size; {} x {} x {} is used.",
                    channels.unwrap_or(default[0]),
                    height.unwrap_or(default[1]),
                    width.unwrap_or(default[2])
                ));
            }
            ([channels.unwrap_or(default[0]), height.unwrap_or(default[1]), width.unwrap_or(default[2])], false)
        }
        Some(&[_, Some(features)]) => match asked {
            Some(image) if image.iter().product::<usize>() == features => (image, true),
            Some([channels, height, width]) => {
                return Err(format!(
                    "it takes lists of {features} numbers, but the images are {channels} x {height} x {width}"
                ));
            }
            None => {
                let side = (features as f64).sqrt() as usize;
                if side * side != features {
                    return Err(format!("it takes lists of {features} numbers, and does not say of what images"));
                }
                notes.push(format!("It takes lists of {features} numbers, used as grey images of {side} x {side}."));
                ([1, side, side], true)
            }
        },
        Some(dims) => {
            return Err(format!(
                "its input `{}` is {}, not batch x channels x height x width",
                input.name,
                shown(dims)
            ));
        }
        None => return Err(format!("it does not say the shape of its input `{}`", input.name)),
    };
    if image.iter().any(|&size| size > MOST) {
        return Err(format!("its images are {image:?}, but a side may have {MOST} pixels at most"));
    }
    if ![1, 3].contains(&image[0]) {
        let [channels, height, width] = image;
        let hint = if [1, 3].contains(&width) { "; channels must come first" } else { "" };
        return Err(format!("its images have {channels} channels ({channels} x {height} x {width}), not 1 or 3{hint}"));
    }
    Ok((input.clone(), image, is_flat))
}
