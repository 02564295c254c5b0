//! The op table: a line an op. It drives the parity tests, the gradient checks, `gpunn check`, the benchmarks and the
//! printed list of what is supported.

use super::case::Case;
use super::variant::names;
use super::*;
use crate::graph::kernel::ForcedVariant;
use crate::{Error, Result};

/// An op, what it computes, and where its cases come from.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The field's name.
    pub name: &'static str,
    /// What it computes, in a few words.
    pub summary: &'static str,
    /// Shapes to test and to time.
    pub cases: fn() -> Vec<Case>,
    /// The names of the kernel variants that the op chooses among; none where it has one way for a shape.
    pub variants: fn() -> Vec<&'static str>,
}

const fn op(name: &'static str, summary: &'static str, cases: fn() -> Vec<Case>) -> Entry {
    Entry { name, summary, cases, variants: Vec::new }
}

impl Entry {
    const fn choosing(self, variants: fn() -> Vec<&'static str>) -> Self {
        Self { variants, ..self }
    }
}

/// A variant that an op has to take, for [`crate::gpu::DeviceOptions`]: for tests and comparisons. Where the device or a shape
/// does not allow it, the op's own table chooses.
///
/// # Errors
/// When there is no such op with variants, or it has no such variant; the sentence lists those that there are.
pub fn force(op: &str, variant: &str) -> Result<ForcedVariant> {
    let choosing = || TABLE.iter().filter(|entry| !(entry.variants)().is_empty());
    let Some(entry) = choosing().find(|entry| entry.name == op) else {
        let names: Vec<&str> = choosing().map(|entry| entry.name).collect();
        return Err(Error::usage(format!("'{op}' is no op with kernel variants; those are: {}.", names.join(", "))));
    };
    let variants = (entry.variants)();
    match variants.iter().find(|name| **name == variant) {
        Some(variant) => Ok(ForcedVariant { op: entry.name, variant }),
        None => Err(Error::usage(format!("{op} has no kernel variant '{variant}'; it has: {}.", variants.join(", ")))),
    }
}

/// All ops.
pub const TABLE: &[Entry] = &[
    op("matmul", "matrix product, any transposes, with bias and activation in its epilogue", matmul::cases)
        .choosing(names::<matmul::variants::MatmulVariant>),
    op("conv2d", "convolution: any stride, padding, dilation and groups, with an epilogue", conv2d::cases::forward)
        .choosing(names::<conv2d::variants::Conv2dVariant>),
    op(
        "conv2d_backward_input",
        "its gradient by the image; as an op of its own, transposed convolution",
        conv2d::cases::backward_input,
    )
    .choosing(names::<conv2d::variants::Conv2dVariant>),
    op("conv2d_backward_weight", "its gradient by the weight", conv2d::cases::backward_weight)
        .choosing(names::<conv2d::variants::Conv2dVariant>),
    op("max_pool2d", "the largest of each window: stride, padding, ceil; the first of equal ones", pool2d::cases::max)
        .choosing(names::<pool2d::MaxPool2dVariant>),
    op("max_pool2d_backward", "its gradient, with an epilogue", pool2d::cases::max_backward)
        .choosing(names::<pool2d::MaxPool2dBackwardVariant>),
    op("average_pool2d", "the mean of each window, padding counted or not", pool2d::cases::average),
    op("average_pool2d_backward", "its gradient, with an epilogue", pool2d::cases::average_backward),
    op("global_average_pool", "the mean of each channel's pixels", pool2d::cases::global),
    op("batch_norm", "normalisation by the statistics of a batch's valid rows", batch_norm::cases::training),
    op("batch_norm_backward", "its gradient, through mean and variance", batch_norm::cases::backward),
    op("update_running", "running statistics, moved towards a batch's", batch_norm::cases::running),
    op(
        "batch_norm_inference",
        "normalisation by given statistics, joined to the convolution before it",
        batch_norm::cases::inference,
    ),
    op("add", "a + b, broadcasting", add::cases),
    op("subtract", "a - b, broadcasting", subtract::cases),
    op("multiply", "a b, broadcasting", multiply::cases),
    op("scale", "x times a constant", scale::cases),
    op("exp", "e^x", exp::cases),
    op("log", "natural logarithm", log::cases),
    op("sqrt", "square root", sqrt::cases),
    op("square", "x^2", square::cases),
    op("sigmoid", "1 / (1 + e^-x)", sigmoid::cases),
    op("tanh", "hyperbolic tangent", tanh::cases),
    op("relu", "max(x, 0)", relu::cases),
    op("relu6", "min(max(x, 0), 6)", relu6::cases),
    op("leaky_relu", "x, or slope x where negative", leaky_relu::cases),
    op("silu", "x times its sigmoid", silu::cases),
    op("softplus", "ln(1 + e^x)", softplus::cases),
    op("gelu", "Gaussian error linear unit, tanh form", gelu::cases),
    op("softmax", "softmax and log-softmax over the last axis", softmax::cases),
    op(
        "cross_entropy",
        "cross-entropy with integer labels and smoothing, fused with softmax or not",
        cross_entropy::cases,
    ),
    op("correct", "rows whose largest logit stands at the label", cross_entropy::correct_cases),
    op("squared_error", "summed and mean squared error a row", squared_error::cases),
    op("batch_total", "sum or mean over a batch's valid rows", batch::cases),
    op("accumulate", "running sums of losses and scores", batch::accumulate_cases),
    op("sum", "sums and means over neighbouring axes", sum::cases),
    op("reshape", "the same values under another shape", strided::reshape_cases),
    op("transpose", "any order of the axes", strided::transpose_cases),
    op("slice", "neighbours along an axis", strided::slice_cases),
    op("pad", "zeros along an axis", strided::pad_cases),
    op("pad2d", "zeros around images", strided::pad2d_cases),
    op("concat", "tensors one after another along an axis", concat::cases),
    op("resize2d", "images at another size: nearest, bilinear", resize2d::cases),
    op("resize2d_backward", "its gradient", resize2d::backward_cases),
    op("pack", "many tensors in one buffer", pack::cases),
    op("dropout", "dropout with counted randomness", dropout::cases),
    op("gather", "a batch of rows from a data set on the device", gather::cases),
    op("augment", "the same with flips, shifts, crops, cutout, affine maps, jitter and normalisation", augment::cases),
    op(
        "resized_crop",
        "parts of a batch's images, of sizes drawn at random, resized with antialiasing; colours too",
        augment::resized::cases,
    ),
    op("roughen", "images with thicker or thinner strokes, and noise", augment::roughen::cases),
    op("norm", "norm of all gradients", update::norm_cases),
    op("sgd", "SGD with momentum, Nesterov, decay and clipping", update::sgd_cases),
    op("average", "exponential moving average of weights", average::cases),
    op("adam", "Adam and AdamW with decay and clipping", update::adam_cases),
];
