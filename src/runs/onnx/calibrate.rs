//! Networks in 8-bit integers: the ranges of activations are those of training images.

use std::collections::BTreeMap;

use crate::blocking::block_on;
use crate::data::Dataset;
use crate::formats::onnx::{Message, Model as File};
use crate::graph::{Passes, Plan, PlanOptions, TensorType, optimize};
use crate::nn::operators::{Scope, Value};
use crate::nn::{Build, Mode, Parameters};
use crate::onnx::quantise::{activations, quantise};
use crate::onnx::read::Program;
use crate::ops::Step;
use crate::saved::onnx::{INPUT, OnnxNetwork};
use crate::{Engine, Error, Result};

/// The number of images that are enough to know the ranges.
pub const CALIBRATION_IMAGES: usize = 256;
/// The number of images of a batch. Ranges are means over batches, so that a single image counts little.
const BATCH: usize = 16;

/// Makes the weights of an exported network 8-bit integers, and its activations in the ranges that images of a dataset give. The file
/// should have no batch norm, because that stays in floats.
///
/// # Errors
/// When the dataset has no training images, or they cannot be read.
pub fn quantised(network: OnnxNetwork, dataset: &Dataset) -> Result<OnnxNetwork> {
    let images = sample(&network, dataset)?;
    let mut file = File::decode(network.bytes.as_slice())
        .map_err(|error| Error::data(format!("The exported network cannot be decoded: {error}.")))?;
    let ranges = ranges(&network, &images)?;
    let graph = file.graph.as_mut().ok_or_else(|| Error::data("The exported network has no graph."))?;
    quantise(graph, &ranges)
        .map_err(|reason| Error::usage(format!("The network cannot be written with 8-bit integers: {reason}.")))?;
    Ok(OnnxNetwork { bytes: file.encode_to_vec(), ..network })
}

/// Images of the training split, evenly distributed over it, each as large as the network's.
fn sample(network: &OnnxNetwork, dataset: &Dataset) -> Result<Vec<Vec<f32>>> {
    let (count, split) = (dataset.train.len(), &dataset.train);
    if count == 0 {
        return Err(Error::usage(
            "The dataset has no training images, which 8-bit integers need to find their ranges.",
        ));
    }
    let chosen = count.min(CALIBRATION_IMAGES);
    let image = |place: usize| {
        let number = place * count / chosen;
        let image =
            split.image(number).ok_or_else(|| Error::data(format!("Training image {number} cannot be read.")))?;
        Ok(middle(&image, dataset.input, network.image))
    };
    (0..chosen).map(image).collect()
}

/// The middle of an image, as an evaluation takes it.
fn middle(image: &[f32], [_, height, width]: [usize; 3], [channels, rows, columns]: [usize; 3]) -> Vec<f32> {
    let (top, left) = (height.saturating_sub(rows) / 2, width.saturating_sub(columns) / 2);
    let row = |(channel, row): (usize, usize)| {
        let start = (channel * height + top + row) * width + left;
        image[start..start + columns].iter().copied()
    };
    (0..channels).flat_map(|channel| (0..rows).map(move |row| (channel, row))).flat_map(row).collect()
}

/// The least and the largest value of each activation, as means over batches.
fn ranges(network: &OnnxNetwork, images: &[Vec<f32>]) -> Result<BTreeMap<String, [f32; 2]>> {
    let program = Program::parse(&network.bytes, "The exported network", None)?;
    let file = File::decode(network.bytes.as_slice()).unwrap_or_default();
    let names = file.graph.as_ref().map(activations).unwrap_or_default();
    let mut sums: BTreeMap<String, [f64; 2]> = BTreeMap::new();
    let mut engine = Engine::cpu();
    let mut batches = 0;
    for batch in images.chunks(BATCH) {
        engine.forget();
        let parameters = Parameters::default();
        let mut build = Build::new(&parameters, Mode::Evaluation)?;
        let dims = [&[batch.len()], network.image.as_slice()].concat();
        let x = build.leaf(INPUT, 0, TensorType::f32(dims))?;
        let mut scope = Scope::new(&mut build, program.opset);
        scope.set(INPUT, Value::Tensor(x));
        program.tensors.iter().for_each(|(name, known)| scope.set(name, Value::Known(known.clone())));
        for node in &program.nodes {
            scope.add(node).map_err(|fault| Error::usage(format!("{node}: {fault}.")))?;
        }
        let found: Vec<_> = names.iter().filter_map(|name| Some((name.clone(), scope.get(name)?.clone()))).collect();
        let mut graph = build.graph;
        for (name, value) in &found {
            if let Value::Tensor(id) = value {
                graph.output(name, *id);
            }
        }
        let plan = Plan::new(optimize(&graph, Passes::default())?, &engine.target(), PlanOptions::default())?;
        let loaded = engine.load(plan)?;
        engine.write(INPUT, 0, &batch.concat())?;
        engine.schedule(loaded, &[Step::new(0, batch.len() as u32, 1)])?;
        engine.run(loaded, 0..1)?;
        for (name, _) in found {
            let values = block_on(engine.read_output(loaded, &name))?;
            let [least, most] =
                values.iter().fold([f32::MAX, f32::MIN], |[least, most], &x| [least.min(x), most.max(x)]);
            let sum = sums.entry(name).or_default();
            sum[0] += f64::from(least);
            sum[1] += f64::from(most);
        }
        batches += 1;
    }
    let mean = |sum: [f64; 2]| sum.map(|sum| (sum / f64::from(batches.max(1))) as f32);
    Ok(sums.into_iter().map(|(name, sum)| (name, mean(sum))).collect())
}
