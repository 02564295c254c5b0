//! Shapes to test and to time.

use super::{Correct, CrossEntropy, Input, Objective};
use crate::ops::case::{Case, Sample};

/// Logits, labels, and weights of the classes.
fn inputs(rows: usize, columns: usize) -> Vec<Sample> {
    weighted(Sample::floats(&[rows, columns]), columns)
}

fn weighted(x: Sample, columns: usize) -> Vec<Sample> {
    let rows = x.ty.dims()[0];
    vec![x, Sample::integers(&[rows], columns as u32), Sample::between(&[columns], 0.5, 2.0)]
}

fn of(inputs: Vec<Sample>, input: Input, objective: Objective) -> Case {
    let op = CrossEntropy { input, objective };
    Case::new(inputs, move |graph, x| graph.apply(op.clone(), x)).differentiable(&[0])
}

/// Fused and not, with and without smoothing, focus, mixed images and masked rows.
pub fn cases() -> Vec<Case> {
    let smoothed = |smoothing: f32| Objective { smoothing, ..Objective::default() };
    let mut cases = Vec::new();
    for input in [Input::Logits, Input::LogProbabilities] {
        for (rows, columns, smoothing) in [(1, 1, 0.0), (7, 5, 0.0), (64, 36, 0.0), (64, 36, 0.1), (131, 10, 0.2)] {
            let case = of(inputs(rows, columns), input, smoothed(smoothing));
            cases.push(case.labelled(&format!("{input:?} smoothing {smoothing}")));
        }
        // Around the shortest row of a workgroup, its number of lanes, and many times that; masked rows.
        for (rows, columns) in [(9, 4), (3, 32), (3, 33), (4, 64), (4, 65), (4, 1000)] {
            cases.push(of(inputs(rows, columns), input, smoothed(0.1)).labelled(&format!("{input:?}")).valid(2));
        }
        for (rows, columns, valid) in [(1, 3, 1), (9, 5, 7), (5, 70, 5)] {
            let mixed = Objective { mixed: true, ..smoothed(0.1) };
            cases.push(of(inputs(rows, columns), input, mixed).labelled(&format!("{input:?} mixed")).valid(valid));
            // Logarithms of probabilities are below 0.
            let x = Sample::between(&[rows, columns], -3.0, -0.1);
            let focal = Objective { focus: 2.0, ..Objective::default() };
            cases.push(of(weighted(x, columns), input, focal).labelled(&format!("{input:?} focal")).valid(valid));
        }
    }
    let large = Sample::between(&[3, 1000], -1e4, 1e4);
    cases.push(of(weighted(large, 1000), Input::Logits, smoothed(0.0)).differentiable(&[]).labelled("logits to 1e4"));
    cases.push(of(inputs(1024, 100), Input::Logits, smoothed(0.0)).timed());
    cases
}

/// For [`Correct`].
pub fn correct_cases() -> Vec<Case> {
    let of = |rows, columns: usize| {
        let inputs = vec![Sample::floats(&[rows, columns]), Sample::integers(&[rows], columns as u32)];
        Case::new(inputs, |graph, x| graph.correct(x[0], x[1])).differentiable(&[])
    };
    let mut cases = vec![of(1, 1), of(7, 2), of(64, 36), of(131, 3), of(70, 10).valid(65)];
    cases.extend([32, 33, 64, 65, 1000].map(|columns| of(9, columns).valid(7)));
    // Half of the logits are 0 and the others smaller, and the label is one of the first columns.
    cases.extend([5, 32, 65, 300].map(|columns| {
        let inputs = vec![Sample::floats(&[40, columns]), Sample::integers(&[40], 3)];
        let case = Case::new(inputs, |graph, x| {
            let positive = graph.relu(x[0])?;
            let logits = graph.scale(positive, -1.0)?;
            graph.correct(logits, x[1])
        });
        case.labelled("ties").differentiable(&[])
    }));
    let inputs = vec![Sample::floats(&[40, 3]), Sample::integers(&[40], 3)];
    let mixed = Case::new(inputs, |graph, x| graph.apply(Correct { mixed: true }, x));
    cases.push(mixed.labelled("mixed").differentiable(&[]).valid(33));
    cases
}
