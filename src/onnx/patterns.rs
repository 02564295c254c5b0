//! Finds several nodes of a graph that are one operator of ONNX.

use crate::graph::{Argument, Function, Graph, NodeId, NodeSource};
use crate::ops::conv2d::{Conv2d, Conv2dBackwardInput};
use crate::ops::elementwise::Map;
use crate::ops::matmul::Matmul;
use crate::ops::strided::Reshape;
use crate::ops::sum::Sum;

/// Batch norm by given statistics, each `[channels]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchNorm {
    pub x: NodeId,
    pub gamma: NodeId,
    pub beta: NodeId,
    pub mean: NodeId,
    pub variance: NodeId,
    pub epsilon: f32,
}

/// A convolution, a transposed one or a matrix product, with its bias if it has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Biased {
    pub product: NodeId,
    pub bias: Option<NodeId>,
}

/// What a node is in ONNX.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pattern {
    /// A product with a bias.
    Biased(Biased),
    BatchNorm(BatchNorm),
    /// A convolution with batch norm as a part of its weights.
    Folded(Biased, BatchNorm),
    /// The mean of each channel's pixels of these images, `[batch, channels]`.
    ImageMean(NodeId),
    /// An op by itself, a leaf or a constant.
    Alone,
}

/// The nodes of a graph, with the number of nodes that read each.
pub(super) struct Finder<'a> {
    graph: &'a Graph,
    readers: Vec<usize>,
    /// Whether batch norm becomes a part of the convolution before it.
    fold: bool,
}

impl<'a> Finder<'a> {
    pub fn new(graph: &'a Graph, fold: bool) -> Self {
        let mut readers = vec![0; graph.nodes().len()];
        let read = graph.nodes().iter().flat_map(|node| node.inputs());
        read.chain(graph.outputs().iter().map(|(_, id)| id)).for_each(|id| readers[id.index()] += 1);
        Self { graph, readers, fold }
    }

    /// The pattern that a node ends.
    pub fn at(&self, id: NodeId) -> Pattern {
        if let Some(norm) = self.batch_norm(id) {
            let before = self
                .biased(norm.x)
                .filter(|before| self.fold && self.read_once(norm.x) && self.is_foldable(before.product));
            return before.map_or(Pattern::BatchNorm(norm), |before| Pattern::Folded(before, norm));
        }
        if let Some(biased) = self.biased(id) {
            return Pattern::Biased(biased);
        }
        self.image_mean(id).map_or(Pattern::Alone, Pattern::ImageMean)
    }

    /// The nodes that the operator of a node reads.
    pub fn inputs(&self, id: NodeId, pattern: Pattern) -> Vec<NodeId> {
        let of = |Biased { product, bias }: Biased| {
            self.graph.node(product).inputs().iter().copied().chain(bias).collect::<Vec<_>>()
        };
        match pattern {
            Pattern::Biased(biased) => of(biased),
            Pattern::BatchNorm(norm) => vec![norm.x, norm.gamma, norm.beta, norm.mean, norm.variance],
            // The weights become other tensors.
            Pattern::Folded(before, _) => of(before)[..1].to_vec(),
            Pattern::ImageMean(x) => vec![x],
            Pattern::Alone => self.graph.node(id).inputs().to_vec(),
        }
    }

    /// Whether only one node reads a value.
    fn read_once(&self, id: NodeId) -> bool {
        self.readers[id.index()] == 1
    }

    /// Whether the factors of batch norm can become a part of a convolution's weights.
    fn is_foldable(&self, product: NodeId) -> bool {
        let node = self.graph.node(product);
        let transposed = node.op_as::<Conv2dBackwardInput>();
        node.op_as::<Conv2d>().is_some() || transposed.is_some_and(|conv| conv.geometry.groups == 1)
    }

    /// A node's function of its inputs in their order, if it is of this name.
    fn function(&self, id: NodeId, name: &str) -> Option<(&'a dyn Function, &'a [NodeId])> {
        let node = self.graph.node(id);
        let map = node.op_as::<Map>()?;
        let [call] = map.program.calls.as_slice() else { return None };
        let in_order = call.arguments.iter().enumerate().all(|(i, argument)| *argument == Argument::Operand(i));
        (in_order && call.function.name() == name).then(|| (call.function.as_ref(), node.inputs()))
    }

    /// The node before a change of shape.
    fn reshaped(&self, id: NodeId) -> NodeId {
        let node = self.graph.node(id);
        node.op_as::<Reshape>().map_or(id, |_| node.inputs()[0])
    }

    /// A leaf or constant of one axis behind a change of shape to `[channels, 1, 1]` or none.
    fn by_channel(&self, id: NodeId) -> Option<NodeId> {
        let (dims, inner) = (self.graph.dims(id), self.reshaped(id));
        let known = !matches!(self.graph.node(inner).source, NodeSource::Op { .. });
        let fits = matches!(*dims, [_] | [_, 1, 1]) && *self.graph.dims(inner) == dims[..1];
        (known && fits).then_some(inner)
    }

    fn batch_norm(&self, id: NodeId) -> Option<BatchNorm> {
        let (_, &[scaled, beta]) = self.function(id, "add")? else { return None };
        let (_, &[centred, factor]) = self.function(scaled, "multiply")? else { return None };
        let (_, &[x, mean]) = self.function(centred, "subtract")? else { return None };
        let (norm, &[gamma, variance]) = self.function(self.reshaped(factor), "norm_factor")? else { return None };
        let [beta, mean] = [self.by_channel(beta)?, self.by_channel(mean)?];
        let epsilon = *norm.parameters().first()?;
        (self.read_once(scaled) && self.read_once(centred)).then_some(BatchNorm {
            x,
            gamma,
            beta,
            mean,
            variance,
            epsilon,
        })
    }

    fn biased(&self, id: NodeId) -> Option<Biased> {
        let is_product = |id: NodeId| {
            let node = self.graph.node(id);
            node.op_as::<Conv2d>().is_some()
                || node.op_as::<Conv2dBackwardInput>().is_some()
                || node.op_as::<Matmul>().is_some()
        };
        if is_product(id) {
            return Some(Biased { product: id, bias: None });
        }
        let (_, &[product, bias]) = self.function(id, "add")? else { return None };
        let (images, bias_axes) = (self.graph.dims(product).len() == 4, self.graph.dims(bias).len());
        if !is_product(product) || !self.read_once(product) || bias_axes != if images { 3 } else { 1 } {
            return None;
        }
        let bias = self.by_channel(bias)?;
        let channels = self.graph.dims(product)[1];
        (*self.graph.dims(bias) == [channels]).then_some(Biased { product, bias: Some(bias) })
    }

    /// `Graph::global_average_pool`: pixels in one axis, their sum, a factor, and the channels.
    fn image_mean(&self, id: NodeId) -> Option<NodeId> {
        let scaled = self.graph.node(id).op_as::<Reshape>().map(|_| self.reshaped(id))?;
        let (scale, &[sum]) = self.function(scaled, "scale")? else { return None };
        let node = self.graph.node(sum);
        let axes = node.op_as::<Sum>()?;
        let planes = node.inputs()[0];
        let images = self.reshaped(planes);
        let (&[batch, channels, height, width], &[_, _, pixels]) = (self.graph.dims(images), self.graph.dims(planes))
        else {
            return None;
        };
        let is_mean = (axes.first, axes.last) == (2, 2) && pixels == height * width;
        let is_mean =
            is_mean && scale.parameters() == [1.0 / pixels as f32] && *self.graph.dims(id) == [batch, channels];
        (is_mean && self.read_once(scaled) && self.read_once(sum) && self.read_once(planes)).then_some(images)
    }
}
