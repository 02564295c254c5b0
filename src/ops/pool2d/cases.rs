//! Shapes to test and to time: adjacent, overlapping and separate windows, padding, ceil mode, odd sizes, an
//! activation before.

use super::{AveragePool2d, Window};
use crate::Result;
use crate::graph::{Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample, SampleFill};

fn window(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2], ceil: bool) -> Window {
    Window { kernel, stride, padding, ceil }
}

fn shapes() -> Vec<(&'static str, [usize; 4], Window)> {
    let square = Window::square;
    vec![
        ("1", [1, 1, 1, 1], square(1)),
        ("2", [2, 3, 8, 8], square(2)),
        ("2, odd width", [1, 3, 6, 7], square(2)),
        ("2, odd height", [2, 2, 7, 12], square(2)),
        ("2, ceil", [2, 2, 7, 5], window([2, 2], [2, 2], [0, 0], true)),
        ("3 at 2", [2, 3, 9, 11], window([3, 3], [2, 2], [0, 0], false)),
        ("3 at 2, pad 1", [2, 3, 8, 7], window([3, 3], [2, 2], [1, 1], false)),
        ("3 at 2, pad 1, ceil", [1, 2, 8, 10], window([3, 3], [2, 2], [1, 1], true)),
        ("3 at 1, pad 1", [1, 2, 5, 6], window([3, 3], [1, 1], [1, 1], false)),
        ("2x5 at 3x2, pad 1x2, ceil", [2, 1, 10, 9], window([2, 5], [3, 2], [1, 2], true)),
        ("2 at 3, apart", [1, 2, 11, 9], window([2, 2], [3, 3], [0, 0], false)),
        ("2 at 3, ceil", [1, 2, 10, 8], window([2, 2], [3, 3], [0, 0], true)),
        ("whole", [3, 4, 5, 4], window([5, 4], [1, 1], [0, 0], false)),
        ("5 at 1, pad 2, one pixel", [1, 2, 1, 1], window([5, 5], [1, 1], [2, 2], false)),
        ("7 at 1, pad 3, narrow", [2, 1, 6, 2], window([7, 7], [1, 1], [3, 3], false)),
        ("7 at 2, pad 3, ceil, narrow", [1, 2, 2, 1], window([7, 7], [2, 2], [3, 3], true)),
        ("2, many planes", [33, 7, 4, 4], square(2)),
    ]
}

/// The shape after the convolution of a small network: 32 channels, 32 x 32 pixels, batch size 64.
const TIMED: [usize; 4] = [64, 32, 32, 32];

/// The pooling of x and of relu(x). In the second case, the gradient of ReLU follows the pooling's gradient.
fn cases(apply: impl Fn(&mut Graph, NodeId, Window) -> Result<NodeId> + Copy + Send + Sync + 'static) -> Vec<Case> {
    let of = |label: &str, dims: [usize; 4], window: Window| {
        Case::new(vec![Sample::floats(&dims)], move |graph, x| apply(graph, x[0], window)).labelled(label)
    };
    let activated = |label: &str, dims: [usize; 4], window: Window| {
        let sample = Sample { ty: TensorType::f32(dims), fill: SampleFill::AwayFromZero(-1.0, 1.0) };
        let case = Case::new(vec![sample], move |graph, x| {
            let x = graph.relu(x[0])?;
            apply(graph, x, window)
        });
        case.labelled(label).labelled("after a ReLU")
    };
    let mut cases: Vec<Case> = shapes().into_iter().map(|(label, dims, window)| of(label, dims, window)).collect();
    cases.extend(
        [1, 2, 3, 6, 10].into_iter().map(|i| shapes()[i]).map(|(label, dims, window)| activated(label, dims, window)),
    );
    let overlapping = window([3, 3], [2, 2], [1, 1], false);
    let (halves, overlapping) = (of("2", TIMED, Window::square(2)), of("3 at 2, pad 1", TIMED, overlapping));
    cases.extend([halves, overlapping].map(|case| case.differentiable(&[]).timed()));
    cases
}

/// Cases that time the gradient: dy is the gradient that arrives at the pooling of x.
fn backward(
    apply: impl Fn(&mut Graph, NodeId, Window) -> Result<NodeId> + Copy + Send + Sync + 'static,
) -> impl Iterator<Item = Case> {
    let windows = [("2", Window::square(2)), ("3 at 2, pad 1", window([3, 3], [2, 2], [1, 1], false))];
    windows.into_iter().map(move |(label, window)| {
        let [batch, channels, height, width] = TIMED;
        let inputs = vec![Sample::floats(&TIMED), Sample::floats(&[batch, channels, height / 2, width / 2])];
        let case = Case::new(inputs, move |graph, x| {
            let y = apply(graph, x[0], window)?;
            Ok(graph.gradient_from(y, x[1], &[x[0]])?[0])
        });
        case.differentiable(&[]).labelled(label).timed()
    })
}

/// Cases of [`MaxPool2d`](super::MaxPool2d).
pub fn max() -> Vec<Case> {
    cases(Graph::max_pool2d)
}

/// Cases that time the gradient of [`MaxPool2d`](super::MaxPool2d).
pub fn max_backward() -> Vec<Case> {
    backward(Graph::max_pool2d).collect()
}

/// Cases of [`AveragePool2d`].
pub fn average() -> Vec<Case> {
    let exclude = |graph: &mut Graph, x, window| graph.apply(AveragePool2d { window, include_padding: false }, &[x]);
    let excluding = cases(exclude).into_iter().filter(|case| !case.timed);
    cases(Graph::average_pool2d).into_iter().chain(excluding.map(|case| case.labelled("without padding"))).collect()
}

/// Cases that time the gradient of [`AveragePool2d`].
pub fn average_backward() -> Vec<Case> {
    backward(Graph::average_pool2d).collect()
}

/// Cases of the mean of whole images.
pub fn global() -> Vec<Case> {
    let of = |dims: &[usize]| Case::new(vec![Sample::floats(dims)], |graph, x| graph.global_average_pool(x[0]));
    vec![of(&[1, 1, 1, 1]), of(&[2, 3, 5, 7]), of(&[33, 7, 4, 4]), of(&[64, 256, 8, 8]).differentiable(&[]).timed()]
}
