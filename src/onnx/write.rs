//! Writes a graph as a network of ONNX.

use std::collections::{BTreeMap, BTreeSet};

use super::patterns::{BatchNorm, Biased, Finder, Pattern};
use crate::formats::onnx::{Attribute, Graph as File, Node as Operator, Tensor, Value};
use crate::graph::{Graph, NodeId, NodeSource};
use crate::ops::concat::Concat;
use crate::ops::conv2d::{Conv2d, Conv2dBackwardInput, Geometry};
use crate::ops::elementwise::Map;
use crate::ops::layer_norm2d::LayerNorm2d;
use crate::ops::matmul::Matmul;
use crate::ops::pool2d::{AveragePool2d, MaxPool2d, Window};
use crate::ops::resize2d::{Resize, Resize2d};
use crate::ops::softmax::Softmax;
use crate::ops::strided::{Pad, Reshape, Slice, Transpose};
use crate::ops::sum::Sum;
use crate::{Error, Result};

/// The oldest version of ONNX's operators that can be written.
pub const OLDEST_OPSET: i64 = 13;
/// The newest version of ONNX's operators that can be written.
pub const NEWEST_OPSET: i64 = 21;

/// Finds the name and values of the weight at an offset of a buffer.
pub type FindWeight<'a> = &'a dyn Fn(&str, usize) -> Option<(String, &'a [f32])>;

/// A graph for inference, and the values of its weights.
pub struct Network<'a> {
    /// The graph, before any pass. It has one output. All other buffers than `input` are weights.
    pub graph: &'a Graph,
    /// The buffer of its images, `[batch, ...]`.
    pub input: &'a str,
    /// The size of the batch with which it was built. It becomes any size, so no other axis may be a multiple of it.
    pub batch: usize,
    /// Finds weights.
    pub weight: FindWeight<'a>,
    /// Whether batch norm becomes a part of the convolution before it.
    pub fold: bool,
    /// The version of ONNX's operators.
    pub opset: i64,
}

/// A written network.
#[derive(Debug)]
pub struct Written {
    /// The network.
    pub graph: File,
    /// The number of batch norms that are operators of their own.
    pub batch_norms: usize,
}

/// Writes a network. Its input and output have the names of the graph's input and output.
///
/// # Errors
/// [`Error::Usage`] when the graph has an op that ONNX lacks, or a shape in which the batch is not the first axis. The message lists all.
pub fn write<'a>(network: &'a Network<'a>) -> Result<Written> {
    let finder = Finder::new(network.graph, network.fold);
    let (name, output) =
        network.graph.outputs().first().cloned().ok_or_else(|| Error::usage("The graph has no output."))?;
    if network.graph.dims(output).first() != Some(&network.batch) {
        return Err(Error::usage("The first axis of the graph's output is not the batch."));
    }
    let mut needed = vec![false; network.graph.nodes().len()];
    needed[output.index()] = true;
    for id in network.graph.ids().rev() {
        if needed[id.index()] {
            finder.inputs(id, finder.at(id)).iter().for_each(|input| needed[input.index()] = true);
        }
    }
    let mut writer = Writer {
        network,
        file: File::default(),
        values: BTreeMap::new(),
        names: [network.input, &name].map(str::to_owned).into(),
        output: (output, name),
        batch_norms: 0,
    };
    let mut unknown = Vec::new();
    for id in network.graph.ids().filter(|id| needed[id.index()]) {
        if let Err(reason) = writer.add(id, finder.at(id)) {
            unknown.push(format!("{} ({reason})", network.graph.node(id).name));
        }
    }
    if !unknown.is_empty() {
        return Err(Error::usage(format!("The network cannot be written as ONNX: {}.", unknown.join("; "))));
    }
    let (output, name) = writer.output.clone();
    writer.file.output.push(Value::batch_of(&name, &network.graph.dims(output)[1..]));
    Ok(Written { graph: writer.file, batch_norms: writer.batch_norms })
}

pub(super) struct Writer<'a> {
    pub(super) network: &'a Network<'a>,
    file: File,
    /// The names of the values that were written.
    values: BTreeMap<NodeId, String>,
    /// All names of values.
    names: BTreeSet<String>,
    output: (NodeId, String),
    batch_norms: usize,
}

impl<'a> Writer<'a> {
    fn graph(&self) -> &'a Graph {
        self.network.graph
    }

    /// A name that no other value has.
    fn fresh(&mut self, name: &str) -> String {
        let mut found = name.to_owned();
        let mut number = 2;
        while !self.names.insert(found.clone()) {
            found = format!("{name}_{number}");
            number += 1;
        }
        found
    }

    /// Adds an operator. Returns the name of its result.
    pub(super) fn push(&mut self, id: NodeId, kind: &str, input: Vec<String>, attribute: Vec<Attribute>) -> String {
        let name = self.fresh(&self.graph().node(id).name.clone());
        self.file.node.push(Operator {
            input,
            output: vec![name.clone()],
            name: name.clone(),
            op_type: kind.into(),
            attribute,
            domain: String::new(),
        });
        name
    }

    /// Adds a list of integers that an operator reads.
    pub(super) fn ints(&mut self, id: NodeId, what: &str, values: &[i64]) -> String {
        let name = self.fresh(&format!("{}/{what}", self.graph().node(id).name));
        self.file.initializer.push(Tensor::ints(name.clone(), values));
        name
    }

    /// Adds a tensor of floats.
    fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let name = self.fresh(name);
        self.file.initializer.push(Tensor::floats(name.clone(), dims, values));
        name
    }

    /// A number that an operator reads.
    pub(super) fn number(&mut self, id: NodeId, what: &str, value: f32) -> String {
        let name = format!("{}/{what}", self.graph().node(id).name);
        self.floats(&name, &[], &[value])
    }

    fn value(&self, id: NodeId) -> Result<String, String> {
        self.values.get(&id).cloned().ok_or_else(|| format!("it reads {}", self.graph().node(id).name))
    }

    /// The name and values of a leaf or constant, with its shape.
    fn known(&self, id: NodeId) -> Option<(String, &'a [f32], &'a [usize])> {
        let node = self.graph().node(id);
        let (name, values) = match &node.source {
            NodeSource::Leaf { buffer, .. } if buffer == self.network.input => return None,
            NodeSource::Leaf { buffer, offset } => (self.network.weight)(buffer, *offset)?,
            NodeSource::Constant(values) => (node.name.clone(), &**values),
            NodeSource::Op { .. } => return None,
        };
        Some((name, values.get(..node.ty.elements())?, node.ty.dims()))
    }

    /// Writes a node whose inputs were written.
    fn add(&mut self, id: NodeId, pattern: Pattern) -> Result<(), String> {
        let name = match pattern {
            Pattern::Biased(biased) => self.biased(id, biased)?,
            Pattern::BatchNorm(norm) => {
                self.batch_norms += 1;
                let BatchNorm { x, gamma, beta, mean, variance, epsilon } = norm;
                let inputs =
                    [x, gamma, beta, mean, variance].map(|id| self.value(id)).into_iter().collect::<Result<_, _>>()?;
                self.push(id, "BatchNormalization", inputs, vec![Attribute::float("epsilon", epsilon)])
            }
            Pattern::Folded(before, norm) => self.folded(id, before, norm)?,
            Pattern::ImageMean(x) => {
                let pooled = self.value(x)?;
                let pooled = self.push(id, "GlobalAveragePool", vec![pooled], Vec::new());
                self.push(id, "Flatten", vec![pooled], vec![Attribute::int("axis", 1)])
            }
            Pattern::Alone => self.alone(id)?,
        };
        let name = if self.output.0 == id { self.as_output(name) } else { name };
        self.values.insert(id, name);
        Ok(())
    }

    /// Gives the result of the last operator the name of the network's output.
    fn as_output(&mut self, name: String) -> String {
        let output = self.output.1.clone();
        match self.file.node.last_mut().filter(|node| node.output == [name.as_str()]) {
            Some(node) => node.output = vec![output.clone()],
            None => self.file.node.push(Operator {
                input: vec![name],
                output: vec![output.clone()],
                name: output.clone(),
                op_type: "Identity".into(),
                ..Operator::default()
            }),
        }
        output
    }

    fn biased(&mut self, id: NodeId, Biased { product, bias }: Biased) -> Result<String, String> {
        let node = self.graph().node(product);
        let mut inputs = node.inputs().iter().map(|&id| self.value(id)).collect::<Result<Vec<_>, _>>()?;
        inputs.extend(bias.map(|bias| self.value(bias)).transpose()?);
        self.product(id, product, inputs)
    }

    /// A convolution, a transposed one or a matrix product of these values.
    fn product(&mut self, id: NodeId, product: NodeId, inputs: Vec<String>) -> Result<String, String> {
        let node = self.graph().node(product);
        if let Some(conv) = node.op_as::<Conv2d>() {
            let kernel = self.graph().dims(node.inputs()[1])[2..].to_vec();
            return Ok(self.push(id, "Conv", inputs, geometry(&kernel, conv.geometry)));
        }
        if let Some(conv) = node.op_as::<Conv2dBackwardInput>() {
            let (y, kernel) = (self.graph().dims(node.inputs()[0]), &self.graph().dims(node.inputs()[1])[2..]);
            let Geometry { stride, padding, dilation, .. } = conv.geometry;
            let reached = |i: usize| stride[i] * (y[2 + i] - 1) + dilation[i] * (kernel[i] - 1) + 1;
            let mut attributes = geometry(kernel, conv.geometry);
            let more = [0, 1].map(|i| conv.image[i] + 2 * padding[i] - reached(i));
            attributes.push(Attribute::ints("output_padding", more));
            return Ok(self.push(id, "ConvTranspose", inputs, attributes));
        }
        let Some(matmul) = node.op_as::<Matmul>() else { return Err("it is no product".into()) };
        let turned = [("transA", matmul.transpose_a), ("transB", matmul.transpose_b)];
        let attributes = turned.map(|(name, turned)| Attribute::int(name, turned.into()));
        Ok(self.push(id, "Gemm", inputs, attributes.into()))
    }

    /// A convolution with batch norm as a part of its weights: w factor, and (bias - mean) factor + beta, in double precision.
    fn folded(&mut self, id: NodeId, Biased { product, bias }: Biased, norm: BatchNorm) -> Result<String, String> {
        let node = self.graph().node(product);
        let (&[x, weight], missing) = (node.inputs(), "its weights are computed") else {
            return Err("it has other inputs".into());
        };
        let (weight_name, weights, dims) = self.known(weight).ok_or(missing)?;
        let of = |id| self.known(id).map(|(_, values, _)| values).ok_or(missing);
        let [gamma, beta, mean, variance] = [of(norm.gamma)?, of(norm.beta)?, of(norm.mean)?, of(norm.variance)?];
        let biases = bias.map(of).transpose()?;
        let factor = |c: usize| f64::from(gamma[c]) / (f64::from(variance[c]) + f64::from(norm.epsilon)).sqrt();
        // Weights are `[outputs, inputs, ...]`, those of a transposed convolution `[inputs, outputs, ...]`.
        let axis = usize::from(node.op_as::<Conv2dBackwardInput>().is_some());
        let inner: usize = dims[axis + 1..].iter().product();
        let channel = |at: usize| at / inner % dims[axis];
        let scaled: Vec<f32> =
            weights.iter().enumerate().map(|(at, &w)| (f64::from(w) * factor(channel(at))) as f32).collect();
        let shifted = |c: usize| {
            let before = biases.map_or(0.0, |biases| f64::from(biases[c]));
            ((before - f64::from(mean[c])) * factor(c) + f64::from(beta[c])) as f32
        };
        let shifted: Vec<f32> = (0..dims[axis]).map(shifted).collect();
        let bias_name = format!("{}.bias", weight_name.strip_suffix(".weight").unwrap_or(&weight_name));
        let inputs = vec![
            self.value(x)?,
            self.floats(&weight_name, dims, &scaled),
            self.floats(&bias_name, &[dims[axis]], &shifted),
        ];
        self.product(id, product, inputs)
    }

    /// An op by itself, a leaf or a constant.
    fn alone(&mut self, id: NodeId) -> Result<String, String> {
        let node = self.graph().node(id);
        let Some(op) = node.op() else { return self.leaf(id) };
        if let Some(reshape) = node.op_as::<Reshape>() {
            return self.reshape(id, reshape);
        }
        let inputs = node.inputs().iter().map(|&id| self.value(id)).collect::<Result<Vec<_>, _>>()?;
        if let Some(map) = node.op_as::<Map>() {
            return self.function(id, map, inputs);
        }
        let rank = node.ty.dims().len();
        let batch_moves =
            |axis: usize| if axis == 0 { Err("it changes the batch".to_owned()) } else { Ok(axis as i64) };
        let op: &dyn std::any::Any = op;
        if let Some(pool) = op.downcast_ref::<MaxPool2d>() {
            let beyond = self.beyond(id, pool.window);
            Ok(self.push(id, "MaxPool", inputs, window(pool.window, beyond)))
        } else if let Some(pool) = op.downcast_ref::<AveragePool2d>() {
            self.average(id, pool, inputs)
        } else if let Some(softmax) = op.downcast_ref::<Softmax>() {
            let kind = if softmax.log { "LogSoftmax" } else { "Softmax" };
            Ok(self.push(id, kind, inputs, vec![Attribute::int("axis", rank as i64 - 1)]))
        } else if let Some(concat) = op.downcast_ref::<Concat>() {
            let axis = batch_moves(concat.axis)?;
            Ok(self.push(id, "Concat", inputs, vec![Attribute::int("axis", axis)]))
        } else if let Some(transpose) = op.downcast_ref::<Transpose>() {
            let order = Attribute::ints("perm", transpose.order.iter().copied());
            batch_moves(usize::from(transpose.order.first() == Some(&0)))?;
            Ok(self.push(id, "Transpose", inputs, vec![order]))
        } else if let Some(slice) = op.downcast_ref::<Slice>() {
            let axis = batch_moves(slice.axis)?;
            let ends = [("starts", slice.start as i64), ("ends", (slice.start + slice.len) as i64), ("axes", axis)];
            let ends = ends.map(|(what, value)| self.ints(id, what, &[value]));
            Ok(self.push(id, "Slice", [inputs, ends.into()].concat(), Vec::new()))
        } else if let Some(pad) = op.downcast_ref::<Pad>() {
            let mut pads = vec![0; 2 * rank];
            batch_moves(pad.axis)?;
            (pads[pad.axis], pads[rank + pad.axis]) = (pad.before as i64, pad.after as i64);
            let pads = self.ints(id, "pads", &pads);
            Ok(self.push(id, "Pad", [inputs, vec![pads]].concat(), Vec::new()))
        } else if let Some(sum) = op.downcast_ref::<Sum>() {
            batch_moves(sum.first)?;
            let axes: Vec<i64> = (sum.first..=sum.last).map(|axis| axis as i64).collect();
            let axes = self.ints(id, "axes", &axes);
            Ok(self.push(id, "ReduceSum", [inputs, vec![axes]].concat(), vec![Attribute::int("keepdims", 1)]))
        } else if let Some(norm) = op.downcast_ref::<LayerNorm2d>() {
            Ok(self.layer_norm2d(id, &inputs[0], norm.epsilon))
        } else if let Some(resize) = op.downcast_ref::<Resize2d>() {
            self.resize(id, resize, inputs)
        } else {
            Err(format!("ONNX has no op for {}", node.op().map_or("", |op| op.name())))
        }
    }

    /// The pixels below and right of an image that the windows of a pooling reach: the padding, and in ceil mode more.
    fn beyond(&self, id: NodeId, Window { kernel, stride, padding, .. }: Window) -> [usize; 2] {
        let (from, to) = (self.graph().dims(self.graph().node(id).inputs()[0]), self.graph().dims(id));
        [0, 1].map(|i| ((to[2 + i] - 1) * stride[i] + kernel[i]).saturating_sub(from[2 + i] + padding[i]))
    }

    /// Where windows reach beyond the padding, programs differ in what they divide by. There, sums over all of a window are divided by
    /// the right number.
    fn average(&mut self, id: NodeId, pool: &AveragePool2d, inputs: Vec<String>) -> Result<String, String> {
        let (Window { kernel, stride, padding, .. }, beyond) = (pool.window, self.beyond(id, pool.window));
        if (0..2).all(|i| beyond[i] <= padding[i]) {
            let padding = Attribute::int("count_include_pad", pool.include_padding.into());
            return Ok(self.push(id, "AveragePool", inputs, [window(pool.window, beyond), vec![padding]].concat()));
        }
        let (from, to) = (self.graph().dims(self.graph().node(id).inputs()[0]), self.graph().dims(id));
        let counted = |i: usize, output: usize| {
            let (start, padding) = (output * stride[i], padding[i]);
            let (first, end) =
                if pool.include_padding { (0, from[2 + i] + 2 * padding) } else { (padding, from[2 + i] + padding) };
            (start + kernel[i]).min(end) - start.max(first)
        };
        let all = (kernel[0] * kernel[1]) as f32;
        let parts: Vec<f32> = (0..to[2])
            .flat_map(|row| (0..to[3]).map(move |column| all / (counted(0, row) * counted(1, column)) as f32))
            .collect();
        let pads = [0, 0, padding[0], padding[1], 0, 0, beyond[0], beyond[1]].map(|n| n as i64);
        let (pads, parts) = (self.ints(id, "pads", &pads), {
            let name = format!("{}/parts", self.graph().node(id).name);
            self.floats(&name, &[1, 1, to[2], to[3]], &parts)
        });
        let padded = self.push(id, "Pad", [inputs, vec![pads]].concat(), Vec::new());
        let inside = Window { padding: [0; 2], ..pool.window };
        let means = self.push(id, "AveragePool", vec![padded], window(inside, [0; 2]));
        Ok(self.push(id, "Mul", vec![means, parts], Vec::new()))
    }

    fn leaf(&mut self, id: NodeId) -> Result<String, String> {
        if let Some((name, values, dims)) = self.known(id) {
            return Ok(self.floats(&name, dims, values));
        }
        let dims = self.graph().dims(id);
        if dims.first() != Some(&self.network.batch) {
            return Err("it is neither the input nor a weight".into());
        }
        let name = self.network.input.to_owned();
        self.file.input.push(Value::batch_of(&name, &dims[1..]));
        Ok(name)
    }

    /// A change of shape. That of a weight gives another weight, and the batch stays free.
    fn reshape(&mut self, id: NodeId, reshape: &Reshape) -> Result<String, String> {
        let (x, to) = (self.graph().node(id).inputs()[0], reshape.shape.dims());
        if let Some((name, values, _)) = self.known(x) {
            return Ok(self.floats(&name, to, values));
        }
        let (input, from) = (self.value(x)?, self.graph().dims(x));
        if to.len() == 2 && to[0] == self.network.batch && from[0] == self.network.batch {
            return Ok(self.push(id, "Flatten", vec![input], vec![Attribute::int("axis", 1)]));
        }
        let mut sizes: Vec<i64> = to.iter().map(|&size| size as i64).collect();
        if !from[0].is_multiple_of(self.network.batch)
            || !to.first().is_some_and(|size| size.is_multiple_of(self.network.batch))
        {
            return Err("it changes the batch".into());
        }
        sizes[0] = -1;
        let sizes = self.ints(id, "shape", &sizes);
        Ok(self.push(id, "Reshape", vec![input, sizes], Vec::new()))
    }

    /// Bilinear resizing maps the middles of pixels. Nearest takes the pixel at or before the position. Except for whole factors, programs
    /// differ in how they round this position, so the rows and columns are listed.
    fn resize(&mut self, id: NodeId, resize: &Resize2d, inputs: Vec<String>) -> Result<String, String> {
        let from = &self.graph().dims(self.graph().node(id).inputs()[0])[2..];
        let whole = (0..2).all(|i| resize.size[i].is_multiple_of(from[i]));
        let [x] = inputs.try_into().map_err(|_| "it has several inputs")?;
        if resize.mode == Resize::Nearest && !whole {
            let [rows, columns] =
                resize.sources([from[0], from[1]]).map(|of| of.into_iter().map(|n| n as i64).collect::<Vec<_>>());
            let (rows, columns) = (self.ints(id, "rows", &rows), self.ints(id, "columns", &columns));
            let tall = self.push(id, "Gather", vec![x, rows], vec![Attribute::int("axis", 2)]);
            return Ok(self.push(id, "Gather", vec![tall, columns], vec![Attribute::int("axis", 3)]));
        }
        let modes = match resize.mode {
            Resize::Nearest => {
                &[("mode", "nearest"), ("coordinate_transformation_mode", "asymmetric"), ("nearest_mode", "floor")][..]
            }
            Resize::Bilinear => &[("mode", "linear"), ("coordinate_transformation_mode", "half_pixel")],
        };
        let mut attributes: Vec<_> = modes.iter().map(|(name, value)| Attribute::text(name, value)).collect();
        if self.network.opset >= 18 {
            let sizes = self.ints(id, "sizes", &resize.size.map(|size| size as i64));
            attributes.push(Attribute::ints("axes", [2, 3]));
            return Ok(self.push(id, "Resize", vec![x, String::new(), String::new(), sizes], attributes));
        }
        let factors = [0, 1].map(|i| factor(from[i], resize.size[i]));
        let name = format!("{}/scales", self.graph().node(id).name);
        let scales = self.floats(&name, &[4], &[1.0, 1.0, factors[0], factors[1]]);
        Ok(self.push(id, "Resize", vec![x, String::new(), scales], attributes))
    }
}

/// The smallest factor from one size to another that is not rounded to a smaller size: programs take the whole part of `from` times it.
fn factor(from: usize, to: usize) -> f32 {
    let mut factor = to as f32 / from as f32;
    while ((from as f32 * factor) as usize) < to {
        factor = factor.next_up();
    }
    factor
}

/// The attributes of a convolution.
fn geometry(kernel: &[usize], Geometry { stride, padding, dilation, groups }: Geometry) -> Vec<Attribute> {
    vec![
        Attribute::ints("kernel_shape", kernel.iter().copied()),
        Attribute::ints("strides", stride),
        Attribute::ints("pads", [padding, padding].concat()),
        Attribute::ints("dilations", dilation),
        Attribute::int("group", groups as i64),
    ]
}

/// The attributes of a pooling with so much padding after the image. With it, ceil mode is not needed.
fn window(Window { kernel, stride, padding, .. }: Window, beyond: [usize; 2]) -> Vec<Attribute> {
    vec![
        Attribute::ints("kernel_shape", kernel),
        Attribute::ints("strides", stride),
        Attribute::ints("pads", [padding, beyond].concat()),
    ]
}
