//! Shapes to test and to time: stride, padding, dilation, groups, depthwise, odd sizes, epilogues.

use super::Geometry;
use crate::ops::case::{Case, Sample};

/// `[batch, in channels, height, width]`, `[out channels, kernel height, kernel width]`, and the geometry.
type Shape = ([usize; 4], [usize; 3], Geometry);

fn shapes() -> Vec<(&'static str, Shape)> {
    let plain = Geometry::default();
    let with = |stride, padding, dilation, groups| Geometry { stride, padding, dilation, groups };
    vec![
        ("", ([1, 1, 1, 1], [1, 1, 1], plain)),
        ("", ([2, 3, 7, 5], [4, 3, 3], plain)),
        ("pad 1", ([2, 4, 8, 8], [8, 3, 3], Geometry::padded(1))),
        ("pad 1", ([1, 5, 11, 13], [7, 3, 3], Geometry::padded(1))),
        ("1x1", ([3, 6, 5, 4], [9, 1, 1], plain)),
        ("4x4 pad 1", ([2, 3, 9, 9], [5, 4, 4], Geometry::padded(1))),
        ("stride 2 pad 1", ([2, 3, 9, 8], [6, 3, 3], with([2, 2], [1, 1], [1, 1], 1))),
        ("stride 2x3 pad 2x0", ([1, 2, 12, 13], [3, 5, 2], with([2, 3], [2, 0], [1, 1], 1))),
        ("dilation 2 pad 2", ([1, 3, 9, 10], [4, 3, 3], with([1, 1], [2, 2], [2, 2], 1))),
        ("dilation 3x2 stride 2", ([2, 2, 15, 12], [3, 3, 3], with([2, 2], [0, 1], [3, 2], 1))),
        ("groups 2", ([2, 4, 6, 6], [6, 3, 3], with([1, 1], [1, 1], [1, 1], 2))),
        ("depthwise", ([2, 8, 7, 7], [8, 3, 3], with([1, 1], [1, 1], [1, 1], 8))),
        ("depthwise x2 stride 2", ([1, 6, 8, 8], [12, 3, 3], with([2, 2], [1, 1], [1, 1], 6))),
        ("pad beyond the kernel", ([1, 2, 3, 3], [2, 2, 2], Geometry::padded(3))),
        ("batch 70", ([70, 1, 6, 6], [2, 3, 3], plain)),
        ("stride 2, 1x1", ([2, 5, 8, 8], [6, 1, 1], with([2, 2], [0, 0], [1, 1], 1))),
        ("1x1 of whole vectors", ([2, 8, 4, 6], [40, 1, 1], plain)),
        ("column kernel, as it stands", ([2, 3, 9, 8], [5, 3, 1], plain)),
        ("groups 2, stride 2", ([2, 8, 9, 9], [20, 3, 3], with([2, 2], [1, 1], [1, 1], 2))),
        ("wide kernel", ([5, 4, 5, 300], [4, 2, 300], Geometry::padded(2))),
        ("depthwise 5x5 pad 2", ([2, 3, 9, 11], [3, 5, 5], with([1, 1], [2, 2], [1, 1], 3))),
        ("depthwise 7x7 dilation 2 stride 2x1", ([1, 2, 15, 17], [2, 7, 7], with([2, 1], [3, 5], [2, 2], 2))),
        ("groups of 2, stride 2", ([3, 6, 13, 7], [6, 3, 2], with([2, 2], [1, 0], [1, 1], 3))),
        ("depthwise, several splits", ([9, 2, 15, 17], [2, 3, 3], with([1, 1], [1, 1], [1, 1], 2))),
        // 1056 pixels are a multiple of a tile's depth, but no multiple of a split.
        ("a short last split", ([66, 4, 4, 4], [4, 3, 3], Geometry::padded(1))),
        ("tiles", ([3, 16, 16, 16], [32, 3, 3], Geometry::padded(1))),
        ("more channels than a tile", ([2, 34, 9, 9], [150, 2, 2], Geometry::padded(1))),
    ]
}

/// The maximum number of products in the sum of one result, for the value and each gradient.
struct Sums {
    /// For an output: channels of its group x kernel size.
    forward: usize,
    /// For the gradient of a pixel: outputs of its group x kernel size.
    input: usize,
    /// For the gradient of a weight: batch x pixels or outputs, whichever is smaller along each axis. Each output
    /// uses one pixel with that weight, and no other output uses the same pixel.
    weight: usize,
    /// For the gradient of a bias: batch x outputs.
    bias: usize,
}

impl Sums {
    fn of(x: [usize; 4], [outputs, kh, kw]: [usize; 3], geometry: Geometry) -> Self {
        let places = [(0, kh), (1, kw)]
            .map(|(axis, kernel)| geometry.outputs(axis, x[2 + axis], kernel).expect("the cases fit"));
        let met = [0, 1].map(|axis| places[axis].min(x[2 + axis]));
        Self {
            forward: x[1] / geometry.groups * kh * kw,
            input: outputs / geometry.groups * kh * kw,
            weight: x[0] * met[0] * met[1],
            bias: x[0] * places[0] * places[1],
        }
    }
}

fn weight(x: [usize; 4], [outputs, kh, kw]: [usize; 3], geometry: Geometry) -> Sample {
    Sample::floats(&[outputs, x[1] / geometry.groups, kh, kw])
}

fn dy(x: [usize; 4], [outputs, kh, kw]: [usize; 3], geometry: Geometry) -> Sample {
    let size = |axis: usize, kernel| geometry.outputs(axis, x[2 + axis], kernel).expect("the cases fit");
    Sample::floats(&[x[0], outputs, size(0, kh), size(1, kw)])
}

/// The shapes of `bench`: layers of small networks at batch size 64 or 32.
fn timed() -> Vec<(&'static str, Shape)> {
    let padded = Geometry::padded(1);
    vec![
        ("pad 1", ([64, 32, 16, 16], [64, 3, 3], padded)),
        ("pad 1, first", ([64, 3, 32, 32], [32, 3, 3], padded)),
        ("pad 1, deep", ([64, 256, 4, 4], [256, 3, 3], padded)),
        ("1x1", ([64, 64, 16, 16], [64, 1, 1], Geometry::default())),
        ("pad 1, depthwise", ([32, 64, 32, 32], [64, 3, 3], Geometry { groups: 64, ..padded })),
    ]
}

/// The case of each small shape, and of each large one, which is timed.
fn of_all_shapes(of: impl Fn([usize; 4], [usize; 3], Geometry) -> Case) -> Vec<Case> {
    let small = shapes().into_iter().map(|(label, (x, w, geometry))| of(x, w, geometry).labelled(label));
    let large = timed().into_iter().map(|(label, (x, w, geometry))| of(x, w, geometry).labelled(label));
    small.chain(large.map(|case| case.differentiable(&[]).timed())).collect()
}

/// Cases of the convolution.
pub fn forward() -> Vec<Case> {
    let of = |x: [usize; 4], w: [usize; 3], geometry: Geometry| {
        let inputs = vec![Sample::floats(&x), weight(x, w, geometry)];
        let sums = Sums::of(x, w, geometry);
        Case::new(inputs, move |graph, at| graph.conv2d(at[0], at[1], geometry))
            .summing(sums.forward, [sums.input, sums.weight])
    };
    let epilogue = |x: [usize; 4], w: [usize; 3], geometry: Geometry| {
        let inputs =
            vec![Sample::floats(&x), weight(x, w, geometry), Sample::floats(&[w[0], 1, 1]), dy(x, w, geometry)];
        let case = Case::new(inputs, move |graph, at| {
            let y = graph.conv2d(at[0], at[1], geometry)?;
            let biased = graph.add(y, at[2])?;
            let summed = graph.add(biased, at[3])?;
            graph.sigmoid(summed)
        });
        let sums = Sums::of(x, w, geometry);
        case.summing(sums.forward, [sums.input, sums.weight, sums.bias, 1]).labelled("bias, residual, sigmoid")
    };
    let mut cases = of_all_shapes(of);
    cases.push(epilogue([2, 3, 9, 7], [5, 3, 3], Geometry::padded(1)));
    cases.push(epilogue([2, 8, 8, 8], [16, 3, 3], Geometry::padded(1)));
    cases
}

/// Cases of the gradient with respect to the image.
pub fn backward_input() -> Vec<Case> {
    let of = |x: [usize; 4], w: [usize; 3], geometry: Geometry| {
        let inputs = vec![dy(x, w, geometry), weight(x, w, geometry)];
        let (image, sums) = ([x[2], x[3]], Sums::of(x, w, geometry));
        Case::new(inputs, move |graph, at| graph.conv2d_backward_input(at[0], at[1], image, geometry))
            .summing(sums.input, [sums.forward, sums.weight])
    };
    of_all_shapes(of)
}

/// Cases of the gradient with respect to the weight.
pub fn backward_weight() -> Vec<Case> {
    let of = |x: [usize; 4], w: [usize; 3], geometry: Geometry| {
        let inputs = vec![Sample::floats(&x), dy(x, w, geometry)];
        let (kernel, sums) = ([w[1], w[2]], Sums::of(x, w, geometry));
        Case::new(inputs, move |graph, at| graph.conv2d_backward_weight(at[0], at[1], kernel, geometry))
            .summing(sums.weight, [sums.input, sums.forward])
    };
    of_all_shapes(of)
}
