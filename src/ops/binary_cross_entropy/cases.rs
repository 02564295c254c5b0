//! Shapes to test and to time.

use super::{BinaryCrossEntropy, ExactMatch};
use crate::graph::TensorType;
use crate::ops::case::{Case, Sample};

/// Logits, targets, and weights of the classes.
fn of(x: Sample, smoothing: f32, mixed: bool) -> Case {
    let dims = x.ty.dims().to_vec();
    let inputs = vec![x, Sample::between(&dims, 0.0, 1.0), Sample::between(&dims[1..], 0.5, 3.0)];
    let op = BinaryCrossEntropy { smoothing, mixed };
    Case::new(inputs, move |graph, x| graph.apply(op.clone(), x)).differentiable(&[0])
}

/// With and without smoothing, mixed images and masked rows.
pub fn cases() -> Vec<Case> {
    let logits = |rows, columns| Sample::between(&[rows, columns], -3.0, 3.0);
    let mut cases: Vec<Case> = [(1, 1), (7, 5), (64, 36), (131, 10)].map(|(r, c)| of(logits(r, c), 0.0, false)).into();
    // Around the shortest row of a workgroup, its number of lanes, and many times that; masked rows.
    for (rows, columns) in [(9, 4), (3, 31), (3, 32), (4, 33), (4, 64), (4, 65), (4, 1000)] {
        cases.push(of(logits(rows, columns), 0.1, false).labelled("smoothing 0.1").valid(2));
    }
    for (rows, columns, valid) in [(1, 3, 1), (9, 5, 7), (5, 70, 5)] {
        cases.push(of(logits(rows, columns), 0.1, true).labelled("mixed").valid(valid));
    }
    let large = Sample::between(&[3, 1000], -1e4, 1e4);
    cases.push(of(large, 0.0, false).differentiable(&[]).labelled("logits to 1e4"));
    cases.push(of(logits(1024, 100), 0.0, false).timed());
    cases
}

/// For [`ExactMatch`].
pub fn exact_match_cases() -> Vec<Case> {
    let of = |rows: usize, columns: usize, mixed: bool| {
        let inputs = vec![Sample::floats(&[rows, columns]), Sample::between(&[rows, columns], 0.0, 1.0)];
        Case::new(inputs, move |graph, x| graph.apply(ExactMatch { mixed }, x)).differentiable(&[])
    };
    // Logits that are right, but for a change that is too large in some rows: their first column is moved by one number of a row.
    let right = |rows: usize, columns: usize| {
        let inputs = vec![Sample::between(&[rows, columns], 0.0, 1.0), Sample::between(&[rows, 1], -0.02, 0.02)];
        let case = Case::new(inputs, move |graph, x| {
            let half = graph.constant(TensorType::f32([1]), vec![0.5]);
            let logits = graph.sub(x[0], half)?;
            let logits = graph.add(logits, x[1])?;
            graph.apply(ExactMatch { mixed: false }, &[logits, x[0]])
        });
        case.labelled("almost right").differentiable(&[])
    };
    let mut cases = vec![of(1, 1, false), of(7, 2, false), of(131, 3, false), of(70, 2, false).valid(65)];
    cases.extend([4, 32, 33, 65].map(|columns| right(40, columns).valid(37)));
    cases.push(of(40, 2, true).labelled("mixed").valid(33));
    cases
}
