//! Shapes to test and to time: with and without pixels, few and many channels, a mean far from zero, partial batches,
//! epilogues.

use crate::Result;
use crate::graph::{Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};

const EPSILON: f32 = 1e-5;

/// x, gamma and beta.
fn samples(dims: &[usize]) -> Vec<Sample> {
    let channels = [dims[1]];
    vec![Sample::floats(dims), Sample::between(&channels, 0.5, 1.5), Sample::floats(&channels)]
}

fn of(dims: &[usize]) -> Case {
    let case = Case::new(samples(dims), |graph, x| Ok(graph.batch_norm(x[0], x[1], x[2], EPSILON)?.y));
    case.summing_all(dims.iter().product::<usize>() / dims[1])
}

/// Only some rows are valid. The masked rows' y is multiplied by 0, as a loss would do, so they get no gradient.
fn masked(dims: &[usize], valid: u32) -> Case {
    let rows = dims[0];
    let shape: Vec<usize> = std::iter::once(rows).chain(vec![1; dims.len() - 1]).collect();
    let case = Case::new(samples(dims), move |graph, x| {
        let y = graph.batch_norm(x[0], x[1], x[2], EPSILON)?.y;
        let mask: Vec<f32> = (0..rows).map(|row| if row < valid as usize { 1.0 } else { 0.0 }).collect();
        let mask = graph.constant(TensorType::f32(shape.clone()), mask);
        graph.mul(y, mask)
    });
    case.valid(valid)
}

/// The end of a residual block: batch norm, the addition of a further input, and a sigmoid. Another sigmoid comes first.
fn residual(dims: &[usize]) -> Case {
    let mut inputs = samples(dims);
    inputs.push(Sample::floats(dims));
    let case = Case::new(inputs, |graph, x| {
        let before = graph.sigmoid(x[0])?;
        let y = graph.batch_norm(before, x[1], x[2], EPSILON)?.y;
        let sum = graph.add(y, x[3])?;
        graph.sigmoid(sum)
    });
    case.labelled("residual, sigmoid")
}

/// The activations of a layer of a small network.
const TIMED: [usize; 4] = [64, 32, 32, 32];

/// Cases of normalisation by the statistics of the batch, and of its gradient.
pub fn training() -> Vec<Case> {
    let far = |dims: &[usize]| {
        let inputs =
            vec![Sample::between(dims, 49.5, 50.5), samples(dims).swap_remove(1), samples(dims).swap_remove(2)];
        let case = Case::new(inputs, |graph, x| Ok(graph.batch_norm(x[0], x[1], x[2], EPSILON)?.y));
        // Rounding loses 50 times as much of each x as of values near 1.
        case.summing_all(50 * 128).labelled("mean 50")
    };
    vec![
        of(&[3, 1]),
        of(&[7, 5]),
        of(&[64, 36]),
        of(&[2, 3, 4, 4]),
        of(&[3, 4, 5, 7]),
        of(&[5, 1, 9, 9]),
        of(&[2, 300, 2, 2]),
        of(&[40, 3, 12, 12]).differentiable(&[0, 1]),
        far(&[4, 3, 6, 6]).differentiable(&[]),
        masked(&[6, 3], 4),
        masked(&[5, 2, 3, 4], 2),
        residual(&[3, 4, 3, 5]),
        residual(&[3, 2, 4, 4]),
        of(&TIMED).differentiable(&[]).timed(),
    ]
}

/// Cases that time the gradients with respect to x, gamma and beta. They are added, so that one value needs all of
/// them.
pub fn backward() -> Vec<Case> {
    let mut inputs = samples(&TIMED);
    inputs.push(Sample::floats(&TIMED));
    let case = Case::new(inputs, |graph, x| {
        let y = graph.batch_norm(x[0], x[1], x[2], EPSILON)?.y;
        let gradients = graph.gradient_from(y, x[3], &[x[0], x[1], x[2]])?;
        let channels = graph.add(gradients[1], gradients[2])?;
        let channels = graph.reshape(channels, [TIMED[1], 1, 1])?;
        graph.add(gradients[0], channels)
    });
    vec![case.summing_all(64 * 1024).differentiable(&[]).timed()]
}

/// Cases of the running statistics.
pub fn running() -> Vec<Case> {
    let of = |dims: &'static [usize]| {
        let channels = [dims[1]];
        let states = vec![Sample::floats(&channels), Sample::between(&channels, 0.5, 2.0)];
        Case::updating(vec![Sample::floats(dims)], states, |graph, x, states| update(graph, x[0], states))
            .labelled(&format!("from {}", TensorType::f32(dims)))
    };
    vec![of(&[8, 5]), of(&[1, 3]), of(&[4, 3, 5, 5]), of(&[6, 70, 2, 2]).valid(5), of(&[6, 4]).valid(0)]
}

fn update(graph: &mut Graph, x: NodeId, states: &[NodeId]) -> Result<NodeId> {
    let channels = graph.ty(states[0]).clone();
    let [gamma, beta] = [1.0, 0.0].map(|value| {
        let values = vec![value; channels.elements()];
        graph.constant(channels.clone(), values)
    });
    let normed = graph.batch_norm(x, gamma, beta, EPSILON)?;
    graph.update_running(normed.mean, normed.variance, states[0], states[1], 0.1)?;
    Ok(normed.mean)
}

/// Cases of normalisation by given statistics: alone, and fused into the convolution before it.
pub fn inference() -> Vec<Case> {
    let of = |dims: &[usize]| {
        let (channels, each) = ([dims[1]], dims.iter().product::<usize>() / dims[1]);
        let mut inputs = samples(dims);
        inputs.extend([Sample::floats(&channels), Sample::between(&channels, 0.5, 2.0)]);
        Case::new(inputs, |graph, x| graph.batch_norm_inference(x[0], x[3], x[4], x[1], x[2], EPSILON))
            .summing(1, [1, each, each, each, each])
    };
    let convolved = |dims: &[usize], outputs: usize| {
        let channels = [outputs];
        let mut inputs = samples(&[1, outputs]);
        inputs[0] = Sample::floats(dims);
        inputs.extend([Sample::floats(&channels), Sample::between(&channels, 0.5, 2.0)]);
        inputs.push(Sample::floats(&[outputs, dims[1], 3, 3]));
        let case = Case::new(inputs, |graph, x| {
            let y = graph.conv2d(x[0], x[5], crate::ops::conv2d::Geometry::padded(1))?;
            let y = graph.batch_norm_inference(y, x[3], x[4], x[1], x[2], EPSILON)?;
            graph.sigmoid(y)
        });
        let pixels = dims[0] * dims[2] * dims[3];
        case.summing(9 * dims[1], [9 * outputs, pixels, pixels, pixels, pixels, pixels]).labelled("after a convolution")
    };
    vec![
        of(&[7, 5]),
        of(&[3, 4, 5, 7]),
        of(&[2, 3, 4, 4]),
        convolved(&[2, 3, 6, 5], 4),
        of(&TIMED).differentiable(&[]).timed(),
    ]
}
