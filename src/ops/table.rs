//! The op table, with one row per op. The parity tests, the gradient checks, `gpunn check`, the benchmarks and the
//! printed list of supported ops use it.

use super::case::Case;
use super::tolerance::{
    DIVIDED, EXACT, MAPPED, NORMALISED, OF_BYTES, ROUNDED, SQUARED, SUMMED, TO_BYTES, TRANSCENDENTAL, Tolerance,
};
use super::variant::names;
use super::*;
use crate::graph::kernel::ForcedVariant;
use crate::{Error, Result};

/// A row of the op table: an op, its description and its cases.
#[derive(Clone, Copy, Debug)]
pub struct OpEntry {
    /// The op's usual name.
    pub name: &'static str,
    /// A short description.
    pub summary: &'static str,
    /// The allowed difference between an executor and the definition.
    pub tolerance: Tolerance,
    /// Shapes to test and to time.
    pub cases: fn() -> Vec<Case>,
    /// The names of the op's kernel variants. Empty if the op has one kernel for each shape.
    pub variants: fn() -> Vec<&'static str>,
}

const fn op(name: &'static str, summary: &'static str, tolerance: Tolerance, cases: fn() -> Vec<Case>) -> OpEntry {
    OpEntry { name, summary, tolerance, cases, variants: Vec::new }
}

impl OpEntry {
    const fn choosing(self, variants: fn() -> Vec<&'static str>) -> Self {
        Self { variants, ..self }
    }
}

/// A kernel variant that an op must use, for [`DeviceOptions`](crate::gpu::DeviceOptions): for tests and comparisons. If the
/// device or a shape does not allow it, the op's own table chooses.
///
/// # Errors
/// When there is no such op with variants, or no such variant. The message lists the available names.
pub fn force(op: &str, variant: &str) -> Result<ForcedVariant> {
    let choosing = || TABLE.iter().filter(|entry| !(entry.variants)().is_empty());
    let Some(entry) = choosing().find(|entry| entry.name == op) else {
        let names: Vec<&str> = choosing().map(|entry| entry.name).collect();
        return Err(Error::usage(format!(
            "'{op}' has no kernel variants. The ops with variants are: {}.",
            names.join(", ")
        )));
    };
    let variants = (entry.variants)();
    match variants.iter().find(|name| **name == variant) {
        Some(&variant) => Ok(ForcedVariant { op: entry.name, variant, needs_matrix_units: variant == half::VARIANT }),
        None => Err(Error::usage(format!("{op} has no kernel variant '{variant}'; it has: {}.", variants.join(", ")))),
    }
}

/// All ops.
pub const TABLE: &[OpEntry] = &[
    op("matmul", "matrix product, any transposes, with bias and activation in its epilogue", SUMMED, matmul::cases)
        .choosing(names::<matmul::variants::MatmulVariant>),
    op(
        "conv2d",
        "convolution: any stride, padding, dilation and groups, with an epilogue",
        SUMMED,
        conv2d::cases::forward,
    )
    .choosing(conv2d::variants::names_for_images),
    op(
        "conv2d_backward_input",
        "gradient of conv2d with respect to the image; also transposed convolution",
        SUMMED,
        conv2d::cases::backward_input,
    )
    .choosing(conv2d::variants::names_for_images),
    op(
        "conv2d_backward_weight",
        "gradient of conv2d with respect to the weight",
        SUMMED,
        conv2d::cases::backward_weight,
    )
    .choosing(names::<conv2d::variants::Conv2dVariant>),
    op("max_pool2d", "maximum of each window: stride, padding, ceil mode", EXACT, pool2d::cases::max)
        .choosing(names::<pool2d::MaxPool2dVariant>),
    op("max_pool2d_backward", "gradient of max_pool2d, with an epilogue", ROUNDED, pool2d::cases::max_backward)
        .choosing(names::<pool2d::MaxPool2dBackwardVariant>),
    op("average_pool2d", "mean of each window, with or without the padding", ROUNDED, pool2d::cases::average),
    op(
        "average_pool2d_backward",
        "gradient of average_pool2d, with an epilogue",
        ROUNDED,
        pool2d::cases::average_backward,
    ),
    op("global_average_pool", "mean of each channel's pixels", ROUNDED, pool2d::cases::global),
    op(
        "batch_norm",
        "normalisation by the statistics of a batch's valid rows",
        NORMALISED,
        batch_norm::cases::training,
    ),
    op(
        "batch_norm_backward",
        "gradient of batch_norm, including mean and variance",
        NORMALISED,
        batch_norm::cases::backward,
    ),
    op(
        "update_running",
        "update of running statistics towards those of a batch",
        NORMALISED,
        batch_norm::cases::running,
    ),
    op(
        "batch_norm_inference",
        "normalisation by given statistics, fused into the convolution before it",
        NORMALISED,
        batch_norm::cases::inference,
    ),
    op("layer_norm2d", "normalisation of each pixel over its channels", NORMALISED, layer_norm2d::cases),
    op("add", "a + b, broadcasting", ROUNDED, add::cases),
    op("subtract", "a - b, broadcasting", ROUNDED, subtract::cases),
    op("multiply", "a b, broadcasting", ROUNDED, multiply::cases),
    op("divide", "a / b, broadcasting", DIVIDED, divide::cases),
    op("power", "a^b, broadcasting", TRANSCENDENTAL, power::cases),
    op("maximum", "the larger of a and b, broadcasting", EXACT, maximum::cases),
    op("minimum", "the smaller of a and b, broadcasting", EXACT, minimum::cases),
    op("scale", "x times a constant", ROUNDED, scale::cases),
    op("exp", "e^x", TRANSCENDENTAL, exp::cases),
    op("log", "natural logarithm", TRANSCENDENTAL, log::cases),
    op("sqrt", "square root", ROUNDED, sqrt::cases),
    op("square", "x^2", ROUNDED, square::cases),
    op("abs", "absolute value", EXACT, abs::cases),
    op("sign", "1, 0 or -1", EXACT, sign::cases),
    op("floor", "x rounded down", EXACT, floor::cases),
    op("ceil", "x rounded up", EXACT, ceil::cases),
    op("round", "x rounded, halves to the even number", EXACT, round::cases),
    op("sin", "sine", TRANSCENDENTAL, sin::cases),
    op("cos", "cosine", TRANSCENDENTAL, cos::cases),
    op("erf", "error function", TRANSCENDENTAL, erf::cases),
    op("clip", "min(max(x, least), most); ReLU6", EXACT, clip::cases),
    op("sigmoid", "1 / (1 + e^-x)", TRANSCENDENTAL, sigmoid::cases),
    op("tanh", "hyperbolic tangent", TRANSCENDENTAL, tanh::cases),
    op("relu", "max(x, 0)", EXACT, relu::cases),
    op("leaky_relu", "x, or slope x if x is negative", ROUNDED, leaky_relu::cases),
    op("elu", "x, or alpha (e^x - 1) if x is negative", TRANSCENDENTAL, elu::cases),
    op("silu", "x times its sigmoid", TRANSCENDENTAL, silu::cases),
    op("softplus", "ln(1 + e^x)", TRANSCENDENTAL, softplus::cases),
    op("hard_sigmoid", "min(max(x + 3, 0), 6) / 6", ROUNDED, hard_sigmoid::cases),
    op("hard_swish", "x times its hard sigmoid", ROUNDED, hard_swish::cases),
    op("gelu", "Gaussian error linear unit, tanh form", TRANSCENDENTAL, gelu::cases),
    op("gelu_erf", "Gaussian error linear unit, exact", TRANSCENDENTAL, gelu_erf::cases),
    op("softmax", "softmax and log-softmax over the last axis", TRANSCENDENTAL, softmax::cases),
    op(
        "cross_entropy",
        "cross-entropy with labels, weights, smoothing, mixing and focus, optionally fused with softmax",
        TRANSCENDENTAL,
        cross_entropy::cases,
    ),
    op("correct", "rows whose largest logit is at the label", EXACT, cross_entropy::correct_cases),
    op(
        "binary_cross_entropy",
        "binary cross-entropy with logits, for several labels, with weights, smoothing and mixing",
        TRANSCENDENTAL,
        binary_cross_entropy::cases,
    ),
    op(
        "exact_match",
        "rows whose logits have the right sign for every label",
        EXACT,
        binary_cross_entropy::exact_match_cases,
    ),
    op("squared_error", "sum and mean of squared errors of each row", SQUARED, squared_error::cases),
    op("batch_total", "sum or mean over a batch's valid rows", SUMMED, batch::cases),
    op("accumulate", "running sums of losses and scores", SUMMED, batch::accumulate_cases),
    op("sum", "sums and means over adjacent axes", SUMMED, sum::cases),
    op("reshape", "the same values with another shape", EXACT, strided::reshape_cases),
    op("transpose", "any permutation of the axes", EXACT, strided::transpose_cases),
    op("slice", "adjacent elements along an axis", EXACT, strided::slice_cases),
    op("pad", "zeros along an axis", EXACT, strided::pad_cases),
    op("pad2d", "zeros around images", EXACT, strided::pad2d_cases),
    op("concat", "concatenation along an axis", EXACT, concat::cases),
    op("resize2d", "image resizing: nearest, bilinear", ROUNDED, resize2d::cases),
    op("resize2d_backward", "gradient of resize2d", ROUNDED, resize2d::backward_cases),
    op("pack", "many tensors in one buffer", EXACT, pack::cases),
    op(
        "stochastic_depth",
        "whole rows of a batch dropped, with counter-based random numbers",
        ROUNDED,
        stochastic_depth::cases,
    ),
    op("dropout", "dropout with counter-based random numbers", ROUNDED, dropout::cases),
    op("gather", "a batch of rows from a dataset on the device", ROUNDED, gather::cases),
    op(
        "augment",
        "gather with flips, shifts, crops, cutout, affine and perspective maps, brightness and normalisation",
        MAPPED,
        augment::cases,
    ),
    op(
        "resized_crop",
        "gather with random resized crops, antialiasing and colour jitter",
        MAPPED,
        augment::resized::cases,
    ),
    op("to_bytes", "images as bytes, for TrivialAugment", TO_BYTES, augment::trivial::bytes::cases),
    op("trivial_tables", "what bytes become by TrivialAugment", OF_BYTES, augment::trivial::tables::cases),
    op("trivial", "one change of each image by TrivialAugment", MAPPED, augment::trivial::apply::cases),
    op("recolour", "saturation, hue and grey of images in colour", MAPPED, augment::recolour::cases),
    op("blur", "Gaussian blur along an axis, of a drawn width", TRANSCENDENTAL, augment::blur::cases),
    op("erase", "images with a random rectangle covered", EXACT, augment::erase::cases),
    op("mix", "images mixed with the next ones: mixup, CutMix", ROUNDED, augment::mix::cases),
    op("roughen", "images with thicker or thinner strokes, and noise", ROUNDED, augment::roughen::cases),
    op("accumulate_gradient", "sum of the gradients of a batch's parts", ROUNDED, accumulate_gradient::cases),
    op("across_ranks", "a value that several devices compute together", EXACT, across_ranks::cases),
    op("norm", "norm of all gradients", SUMMED, update::norm_cases),
    op("sgd", "SGD with momentum, Nesterov, decay and clipping", ROUNDED, update::sgd_cases),
    op("lamb", "LAMB: Adam with steps in proportion to each parameter's norm", DIVIDED, lamb::cases),
    op("rmsprop", "RMSProp with momentum, decay and clipping", DIVIDED, rmsprop::cases),
    op("average", "exponential moving average of weights", ROUNDED, average::cases),
    op("lookahead", "Lookahead: weights and slow weights join in some steps", ROUNDED, lookahead::cases),
    op("muon_momentum", "Nesterov momentum of one gradient, for Muon", ROUNDED, muon::momentum_cases),
    op("orthogonalised", "Muon's Newton-Schulz iterations, of matrix products", SUMMED, muon::orthogonalised_cases),
    op("muon", "a step of Muon along an orthogonalised direction", DIVIDED, muon::cases),
    op("adam", "Adam and AdamW with decay and clipping", DIVIDED, update::adam_cases),
];

/// Ops without a row of their own, because another op's builder or gradient makes them, with their tolerances. The
/// debug mode uses the tolerances. A new op of this kind needs a row here.
pub const INTERNAL_OPS: &[(&str, Tolerance)] = &[
    ("broadcast", EXACT),
    ("relu_backward", EXACT),
    ("leaky_relu_backward", ROUNDED),
    ("square_backward", ROUNDED),
    ("abs_backward", EXACT),
    ("clip_backward", EXACT),
    ("larger_gradient", EXACT),
    ("batch_share", ROUNDED),
    ("channel_mean", SUMMED),
    ("channel_variance", SUMMED),
    ("channel_sum", SUMMED),
    ("channel_product", SUMMED),
    ("batch_norm_coefficients", NORMALISED),
    ("norm_factor", DIVIDED),
    ("norm_factor_backward", DIVIDED),
    ("sqrt_backward", DIVIDED),
    ("log_backward", DIVIDED),
    ("power_by_base", TRANSCENDENTAL),
    ("power_by_exponent", TRANSCENDENTAL),
    ("erf_backward", TRANSCENDENTAL),
    ("elu_backward", TRANSCENDENTAL),
    ("sigmoid_backward", TRANSCENDENTAL),
    ("tanh_backward", TRANSCENDENTAL),
    ("silu_backward", TRANSCENDENTAL),
    ("softplus_backward", TRANSCENDENTAL),
    ("gelu_backward", TRANSCENDENTAL),
    ("gelu_erf_backward", TRANSCENDENTAL),
    ("hard_sigmoid_backward", ROUNDED),
    ("hard_swish_backward", ROUNDED),
    ("layer_norm2d_backward", NORMALISED),
    ("log_softmax", TRANSCENDENTAL),
    ("softmax_backward", TRANSCENDENTAL),
    ("log_softmax_backward", TRANSCENDENTAL),
    ("cross_entropy_backward", TRANSCENDENTAL),
    ("binary_cross_entropy_backward", TRANSCENDENTAL),
    ("softmax_cross_entropy", TRANSCENDENTAL),
    ("softmax_cross_entropy_backward", TRANSCENDENTAL),
    // A fused chain of functions: the largest of their tolerances.
    ("chain", TRANSCENDENTAL),
];
