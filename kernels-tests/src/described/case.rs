//! The ops that a file may describe, and the graph of each.

use gpunn::graph::{Graph, NodeId, TensorType};
use gpunn::ops::augment::{Augment, AugmentMode, Augmented, ResizedCrop, View};
use gpunn::ops::average::Average;
use gpunn::ops::batch::{Accumulate, Reduction};
use gpunn::ops::binary_cross_entropy::{BinaryCrossEntropy, ExactMatch};
use gpunn::ops::conv2d::Geometry;
use gpunn::ops::cross_entropy::Objective;
use gpunn::ops::lookahead::Lookahead;
use gpunn::ops::pack::Pack;
use gpunn::ops::pool2d::{AveragePool2d, Window};
use gpunn::ops::resize2d::Resize;
use gpunn::ops::strided::Pad;
use gpunn::ops::update::BLOCK;
use gpunn::optim::{Optimizer, OptimizerGroup};

/// One op and its numbers, as the scripts write them.
#[allow(missing_docs)]
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Case {
    Matmul {
        transpose_a: bool,
        transpose_b: bool,
    },
    Conv2d {
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        groups: usize,
    },
    ConvTranspose2d {
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        groups: usize,
        size: [usize; 2],
    },
    MaxPool2d {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        ceil: bool,
    },
    AveragePool2d {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        ceil: bool,
        include_padding: bool,
    },
    GlobalAveragePool {},
    BatchNorm {
        epsilon: f32,
    },
    BatchNormInference {
        epsilon: f32,
    },
    #[serde(rename = "layer_norm2d")]
    LayerNorm2d {
        epsilon: f32,
    },
    UpdateRunning {
        momentum: f32,
    },
    Function {
        name: String,
    },
    Pair {
        name: String,
    },
    Scale {
        factor: f32,
    },
    LeakyRelu {
        slope: f32,
    },
    Elu {
        alpha: f32,
    },
    Clip {
        least: f32,
        most: f32,
    },
    Softmax {
        log: bool,
    },
    CrossEntropy {
        smoothing: f32,
        reduction: Reduction,
        valid: u32,
        /// The weight of each class; none means 1.
        #[serde(default)]
        weights: Vec<f32>,
        /// The share of a row's own label if images are mixed.
        #[serde(default)]
        share: Option<f32>,
        #[serde(default)]
        focus: f32,
    },
    BinaryCrossEntropy {
        smoothing: f32,
        reduction: Reduction,
        valid: u32,
        /// The weight of the positive part of each class; none means 1.
        #[serde(default)]
        weights: Vec<f32>,
        /// The share of a row's own targets if images are mixed.
        #[serde(default)]
        share: Option<f32>,
    },
    ExactMatch {},
    SquaredError {
        mean: bool,
        reduction: Reduction,
    },
    Correct {},
    Accumulate {},
    Sum {
        first: usize,
        last: usize,
        mean: bool,
    },
    Reshape {
        shape: Vec<usize>,
    },
    Transpose {
        order: Vec<usize>,
    },
    Slice {
        axis: usize,
        start: usize,
        len: usize,
    },
    Pad {
        axis: usize,
        before: usize,
        after: usize,
    },
    Pad2d {
        around: [usize; 4],
    },
    Concat {
        axis: usize,
    },
    Pack {},
    Resize2d {
        size: [usize; 2],
        bilinear: bool,
    },
    Dropout {
        rate: f32,
    },
    /// Rows of one number each, so that it is compared as dropout is.
    StochasticDepth {
        rate: f32,
    },
    Gather {
        batch: usize,
    },
    /// Without draws (`still`), or with those of the first step.
    Augment {
        augment: Box<Augment>,
        still: bool,
        mirrored: bool,
    },
    /// The largest part of this one proportion, from the middle: no part of the whole area has it.
    ResizedCrop {
        size: [usize; 2],
        ratio: f64,
    },
    /// Some steps of an optimizer on two parameters, the second of which does not decay.
    #[serde(rename = "optimiser")]
    Optimizer {
        #[serde(rename = "optimiser")]
        optimizer: Optimizer,
        rates: Vec<f64>,
    },
    Orthogonalised {
        iterations: u32,
    },
    /// Some steps of Lookahead, each with its share of the slow weights.
    Lookahead {
        shares: Vec<f32>,
    },
    /// Some steps of the moving average of weights, from step `first` of a run on.
    Average {
        decay: f32,
        first: u32,
    },
}

/// The rows of a batch that is gathered.
pub(super) const ORDER: &str = "order";

impl Case {
    /// The line of the op table whose value this is first of all.
    pub fn row(&self) -> String {
        let name = match self {
            Self::Function { name } if name == "relu6" => "clip",
            Self::Function { name } | Self::Pair { name } => name,
            Self::ConvTranspose2d { .. } => "conv2d_backward_input",
            Self::Optimizer { optimizer, .. } if optimizer.groups.iter().any(OptimizerGroup::is_muon) => "muon",
            Self::Optimizer { optimizer, .. } if optimizer.name == gpunn::optim::Method::Sgd => "sgd",
            Self::Optimizer { optimizer, .. } if optimizer.name == gpunn::optim::Method::RmsProp => "rmsprop",
            Self::Optimizer { optimizer, .. } if optimizer.name == gpunn::optim::Method::Lamb => "lamb",
            Self::Optimizer { .. } => "adam",
            // Of several changes, the last one, or the one with the largest errors.
            Self::Augment { augment, .. } if augment.perspective > 0.0 => "augment",
            Self::Augment { augment, .. } if augment.is_mixed() => "mix",
            Self::Augment { augment, .. } if augment.erase.is_some() => "erase",
            Self::Augment { augment, .. } if augment.blur > 0.0 => "blur",
            Self::Augment { augment, .. } if augment.trivial_augment => "trivial",
            Self::Augment { augment, .. } if augment.hue + augment.grey + augment.saturation > 0.0 => "recolour",
            other => {
                // `MaxPool2d { .. }` as `max_pool2d`.
                let print = format!("{other:?}");
                let variant = print.split([' ', '{']).next().unwrap_or_default();
                let mut row = String::new();
                for letter in variant.chars() {
                    if letter.is_uppercase() && !row.is_empty() {
                        row.push('_');
                    }
                    row.push(letter.to_ascii_lowercase());
                }
                return row;
            }
        };
        name.to_owned()
    }

    /// The names of the inputs, in the op's order.
    pub fn inputs(&self) -> &'static [&'static str] {
        match self {
            Self::Matmul { .. } => &["a", "b"],
            Self::Conv2d { .. } => &["x", "w", "b"],
            Self::ConvTranspose2d { .. } => &["x", "w"],
            Self::BatchNorm { .. } | Self::LayerNorm2d { .. } => &["x", "gamma", "beta"],
            Self::BatchNormInference { .. } => &["x", "mean", "variance", "gamma", "beta"],
            Self::Pair { .. } | Self::SquaredError { .. } | Self::Accumulate {} => &["x", "other"],
            Self::CrossEntropy { .. } | Self::Correct {} => &["x", "labels"],
            Self::BinaryCrossEntropy { .. } | Self::ExactMatch {} => &["x", "targets"],
            Self::Concat { .. } | Self::Pack {} => &["x", "other", "third"],
            Self::Gather { .. } | Self::Augment { .. } => &["x", ORDER],
            Self::Optimizer { .. } | Self::Average { .. } | Self::Lookahead { .. } => &[],
            _ => &["x"],
        }
    }

    /// Those by which gradients are compared.
    pub fn differentiable(&self) -> &'static [&'static str] {
        match self {
            // By the statistics there are none: training does not change them so.
            Self::BatchNormInference { .. } => &["x", "gamma", "beta"],
            Self::CrossEntropy { .. } | Self::BinaryCrossEntropy { .. } => &["x"],
            Self::ResizedCrop { .. } | Self::Gather { .. } | Self::Augment { .. } => &[],
            Self::ExactMatch {} => &[],
            Self::Correct {} | Self::Accumulate {} | Self::UpdateRunning { .. } => &[],
            other => other.inputs(),
        }
    }

    /// The states that it updates, each a buffer of its own, by their names in the file.
    pub(super) fn states(&self) -> &'static [&'static str] {
        match self {
            Self::UpdateRunning { .. } => &["running_mean", "running_variance"],
            Self::Accumulate {} => &["totals"],
            Self::Average { .. } => &["weights", "average"],
            Self::Lookahead { .. } => &["weights", "slow"],
            _ => &[],
        }
    }

    pub(super) fn build(&self, graph: &mut Graph, at: &[NodeId], states: &[NodeId]) -> gpunn::Result<NodeId> {
        match self.clone() {
            Self::Matmul { transpose_a, transpose_b } => {
                graph.matmul_transposed(at[0], at[1], transpose_a, transpose_b)
            }
            Self::Conv2d { stride, padding, dilation, groups } => {
                let y = graph.conv2d(at[0], at[1], Geometry { stride, padding, dilation, groups })?;
                graph.add(y, at[2])
            }
            Self::ConvTranspose2d { stride, padding, dilation, groups, size } => {
                let geometry = Geometry { stride, padding, dilation, groups };
                graph.conv2d_backward_input(at[0], at[1], size, geometry)
            }
            Self::MaxPool2d { kernel, stride, padding, ceil } => {
                graph.max_pool2d(at[0], Window { kernel, stride, padding, ceil })
            }
            Self::AveragePool2d { kernel, stride, padding, ceil, include_padding } => {
                let window = Window { kernel, stride, padding, ceil };
                graph.apply(AveragePool2d { window, include_padding }, &at[..1])
            }
            Self::GlobalAveragePool {} => graph.global_average_pool(at[0]),
            Self::BatchNorm { epsilon } => Ok(graph.batch_norm(at[0], at[1], at[2], epsilon)?.y),
            Self::BatchNormInference { epsilon } => {
                graph.batch_norm_inference(at[0], at[1], at[2], at[3], at[4], epsilon)
            }
            Self::LayerNorm2d { epsilon } => graph.layer_norm2d(at[0], at[1], at[2], epsilon),
            Self::UpdateRunning { momentum } => {
                let channels = graph.ty(states[0]).clone();
                let gamma = graph.constant(channels.clone(), vec![1.0; channels.elements()]);
                let normed = graph.batch_norm(at[0], gamma, gamma, 1e-5)?;
                graph.update_running(normed.mean, normed.variance, states[0], states[1], momentum)?;
                Ok(normed.mean)
            }
            Self::Function { name } => function(graph, &name, at[0]),
            Self::Pair { name } => match name.as_str() {
                "add" => graph.add(at[0], at[1]),
                "subtract" => graph.sub(at[0], at[1]),
                "multiply" => graph.mul(at[0], at[1]),
                "divide" => graph.div(at[0], at[1]),
                "power" => graph.pow(at[0], at[1]),
                "maximum" => graph.maximum(at[0], at[1]),
                "minimum" => graph.minimum(at[0], at[1]),
                _ => Err(gpunn::Error::Usage(format!("no function of two tensors is '{name}'"))),
            },
            Self::Scale { factor } => graph.scale(at[0], factor),
            Self::LeakyRelu { slope } => graph.leaky_relu(at[0], slope),
            Self::Elu { alpha } => graph.elu(at[0], alpha),
            Self::Clip { least, most } => graph.clip(at[0], least, most),
            Self::Softmax { log: false } => graph.softmax(at[0]),
            Self::Softmax { log: true } => graph.log_softmax(at[0]),
            Self::CrossEntropy { smoothing, reduction, weights, share, focus, .. } => {
                let objective = Objective { smoothing, focus, mixed: share.is_some() };
                let weights = (!weights.is_empty()).then(|| graph.constant(TensorType::f32([weights.len()]), weights));
                let losses = graph.cross_entropy_of(at[0], at[1], objective, weights)?;
                graph.batch_total(losses, reduction)
            }
            Self::BinaryCrossEntropy { smoothing, reduction, weights, share, .. } => {
                let op = BinaryCrossEntropy { smoothing, mixed: share.is_some() };
                let weights = (!weights.is_empty()).then(|| graph.constant(TensorType::f32([weights.len()]), weights));
                let losses = graph.binary_cross_entropy(op, at[0], at[1], weights)?;
                graph.batch_total(losses, reduction)
            }
            Self::ExactMatch {} => graph.apply(ExactMatch { mixed: false }, at),
            Self::SquaredError { mean, reduction } => {
                let errors = match mean {
                    true => graph.mean_squared_error(at[0], at[1]),
                    false => graph.squared_error(at[0], at[1]),
                }?;
                graph.batch_total(errors, reduction)
            }
            Self::Correct {} => graph.correct(at[0], at[1]),
            Self::Accumulate {} => graph.update(Accumulate, at, states),
            Self::Sum { first, last, mean: false } => graph.sum(at[0], first, last),
            Self::Sum { first, last, mean: true } => graph.mean(at[0], first, last),
            Self::Reshape { shape } => graph.reshape(at[0], shape),
            Self::Transpose { order } => graph.transpose(at[0], &order),
            Self::Slice { axis, start, len } => graph.slice(at[0], axis, start, len),
            Self::Pad { axis, before, after } => graph.apply(Pad { axis, before, after }, at),
            Self::Pad2d { around } => graph.pad2d(at[0], around),
            Self::Concat { axis } => graph.concat(at, axis),
            Self::Pack {} => packed(graph, at),
            Self::Resize2d { size, bilinear } => {
                graph.resize2d(at[0], size, if bilinear { Resize::Bilinear } else { Resize::Nearest })
            }
            Self::Dropout { rate } => graph.dropout(at[0], rate, 3),
            Self::StochasticDepth { rate } => graph.stochastic_depth(at[0], rate, 3),
            Self::Gather { batch } => graph.gather(at[0], at[1], batch),
            Self::Augment { augment, still, mirrored } => {
                let mode = if still { AugmentMode::Still(View { mirrored, shift: 0 }) } else { AugmentMode::Random };
                let batch = graph.dims(at[1])[0];
                graph.gather_augmented(&at[..1], at[1], Augmented { batch, augment: *augment, mode, ring: false })
            }
            Self::ResizedCrop { size, ratio } => {
                let crop = ResizedCrop { scale: [1.0; 2], ratio: [ratio; 2] };
                let augment = Augment { crop: Some(size), resized_crop: Some(crop), ..Augment::default() };
                let batch = graph.dims(at[0])[0];
                let order = graph.leaf(ORDER, 0, TensorType::u32([batch]))?;
                graph.gather_augmented(at, order, Augmented { batch, augment, mode: AugmentMode::Random, ring: false })
            }
            Self::Average { decay, .. } => graph.update(Average { decay }, &[], states),
            Self::Lookahead { .. } => graph.update(Lookahead, &[], states),
            Self::Orthogonalised { iterations } => graph.orthogonalised(at[0], iterations),
            Self::Optimizer { .. } => unreachable!("built by `Setup::of_optimizer`"),
        }
    }
}

fn function(graph: &mut Graph, name: &str, x: NodeId) -> gpunn::Result<NodeId> {
    match name {
        "exp" => graph.exp(x),
        "log" => graph.log(x),
        "sqrt" => graph.sqrt(x),
        "square" => graph.square(x),
        "sigmoid" => graph.sigmoid(x),
        "tanh" => graph.tanh(x),
        "relu" => graph.relu(x),
        "relu6" => graph.relu6(x),
        "silu" => graph.silu(x),
        "softplus" => graph.softplus(x),
        "gelu" => graph.gelu(x),
        "gelu_erf" => graph.gelu_erf(x),
        "hard_sigmoid" => graph.hard_sigmoid(x, 1.0 / 6.0, 0.5),
        "hard_swish" => graph.hard_swish(x),
        "abs" => graph.abs(x),
        "sign" => graph.sign(x),
        "floor" => graph.floor(x),
        "ceil" => graph.ceil(x),
        "round" => graph.round(x),
        "sin" => graph.sin(x),
        "cos" => graph.cos(x),
        "erf" => graph.erf(x),
        _ => Err(gpunn::Error::Usage(format!("no function of one tensor is '{name}'"))),
    }
}

/// The tensors flat and one after another: packed, each at a multiple of 64, and then without the gaps, whose values are
/// undefined.
fn packed(graph: &mut Graph, at: &[NodeId]) -> gpunn::Result<NodeId> {
    let (mut offsets, mut len) = (Vec::new(), 0);
    for &x in at {
        offsets.push(len);
        len += graph.ty(x).elements().next_multiple_of(BLOCK);
    }
    let all = graph.apply(Pack { offsets: offsets.clone(), len }, at)?;
    let parts: gpunn::Result<Vec<_>> =
        at.iter().zip(offsets).map(|(&x, offset)| graph.slice(all, 0, offset, graph.ty(x).elements())).collect();
    graph.concat(&parts?, 0)
}
