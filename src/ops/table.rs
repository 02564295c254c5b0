//! The op table: a line an op. It drives the parity tests, the gradient checks, `gpunn check`, the benchmarks and the
//! printed list of what is supported.

use super::case::Case;
use super::*;

/// An op, what it computes, and where its cases come from.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The field's name.
    pub name: &'static str,
    /// What it computes, in a few words.
    pub summary: &'static str,
    /// Shapes to test and to time.
    pub cases: fn() -> Vec<Case>,
}

const fn op(name: &'static str, summary: &'static str, cases: fn() -> Vec<Case>) -> Entry {
    Entry { name, summary, cases }
}

/// All ops.
pub const TABLE: &[Entry] = &[
    op("matmul", "matrix product, any transposes, with bias and activation in its epilogue", matmul::cases),
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
    op("leaky_relu", "x, or slope x where negative", leaky_relu::cases),
    op("silu", "x times its sigmoid", silu::cases),
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
    op("pack", "many tensors in one buffer", pack::cases),
    op("dropout", "dropout with counted randomness", dropout::cases),
    op("gather", "a batch of rows from a data set on the device", gather::cases),
    op("norm", "norm of all gradients", update::norm_cases),
    op("sgd", "SGD with momentum, Nesterov, decay and clipping", update::sgd_cases),
    op("adam", "Adam and AdamW with decay and clipping", update::adam_cases),
];
