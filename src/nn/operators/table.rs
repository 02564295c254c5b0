//! The table of ONNX's operators that gpunn can do.

use super::arithmetic::{self, BINARY, VARIADIC};
use super::call::Call;
use super::config::Operator;
use super::functions::{self, FUNCTIONS};
use super::reductions::{self, REDUCTIONS};
use super::scope::Scope;
use super::value::{Fault, Known, Value};
use super::{convolutions, known, losses, movement, normalisation, pooling, products, quantised, resizing, shapes};
use crate::nn::{Build, Mode, Parameters};

/// Adds an operator to a graph.
type Add = fn(&mut Scope, &Call) -> Result<Vec<Value>, Fault>;

/// The operators that have functions of their own.
const OPERATORS: [(&str, Add); 47] = [
    ("AveragePool", pooling::average_pool),
    ("BatchNormalization", normalisation::batch_norm),
    ("Cast", functions::cast),
    ("Celu", functions::celu),
    ("Clip", functions::clip),
    ("Concat", movement::concat),
    ("Conv", convolutions::conv),
    ("ConvTranspose", convolutions::conv_transpose),
    ("DepthToSpace", shapes::depth_to_space),
    ("DequantizeLinear", quantised::dequantize),
    ("Dropout", functions::dropout),
    ("Elu", functions::elu),
    ("Expand", arithmetic::expand),
    ("Gather", movement::gather),
    ("Gelu", functions::gelu),
    ("Gemm", products::gemm),
    ("GlobalAveragePool", pooling::global_average),
    ("GlobalLpPool", pooling::global_lp),
    ("GlobalMaxPool", pooling::global_max),
    ("GroupNormalization", normalisation::group_norm),
    ("HardSigmoid", functions::hard_sigmoid),
    ("InstanceNormalization", normalisation::instance_norm),
    ("LRN", pooling::lrn),
    ("LayerNormalization", normalisation::layer_norm),
    ("LeakyRelu", functions::leaky_relu),
    ("LogSoftmax", normalisation::softmax),
    ("LpNormalization", normalisation::lp_norm),
    ("LpPool", pooling::lp_pool),
    ("MatMul", products::matmul),
    ("MaxPool", pooling::max_pool),
    ("MeanVarianceNormalization", normalisation::mean_variance_norm),
    ("NegativeLogLikelihoodLoss", losses::negative_log_likelihood),
    ("PRelu", functions::prelu),
    ("Pad", movement::pad),
    ("QuantizeLinear", quantised::quantize),
    ("RMSNormalization", normalisation::rms_norm),
    ("Resize", resizing::resize),
    ("Selu", functions::selu),
    ("Slice", movement::slice),
    ("Softmax", normalisation::softmax),
    ("SoftmaxCrossEntropyLoss", losses::softmax_cross_entropy),
    ("SpaceToDepth", shapes::space_to_depth),
    ("Split", movement::split),
    ("Swish", functions::swish),
    ("ThresholdedRelu", functions::thresholded_relu),
    ("Tile", movement::tile),
    ("Upsample", resizing::upsample),
];

/// Operators whose results are always known, or that keep what is known.
const SHAPES: [(&str, Add); 8] = [
    ("Flatten", shapes::flatten),
    ("Identity", functions::identity),
    ("Reshape", shapes::reshape),
    ("Shape", shapes::shape),
    ("Size", shapes::count),
    ("Squeeze", shapes::squeeze),
    ("Transpose", shapes::transpose),
    ("Unsqueeze", shapes::unsqueeze),
];

/// Operators that are only evaluated when the graph is built, for shapes.
const KNOWN_ONLY: [&str; 13] = [
    "And",
    "ConstantOfShape",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Mod",
    "Not",
    "Or",
    "Range",
    "Where",
    "Constant",
];

/// The names of all operators, in order. The second is whether it is only evaluated when the graph is built.
pub fn names() -> Vec<(&'static str, bool)> {
    let own = OPERATORS.iter().chain(&SHAPES).map(|&(name, _)| name);
    let of_elements = FUNCTIONS.iter().map(|&(name, _)| name);
    let of_several = BINARY.iter().chain(&VARIADIC).map(|&(name, _)| name);
    let computed = own.chain(of_elements).chain(of_several).chain(REDUCTIONS.iter().map(|&(name, _)| name));
    let mut all: Vec<_> = computed.map(|name| (name, false)).chain(KNOWN_ONLY.map(|name| (name, true))).collect();
    all.sort_unstable();
    all
}

/// The results of an operator on known values, without a graph. `None` if the operator needs one.
pub fn evaluate(operator: &Operator, inputs: Vec<Option<Known>>, opset: i64) -> Option<Result<Vec<Value>, Fault>> {
    let parameters = Parameters::default();
    let mut build = Build::new(&parameters, Mode::Evaluation).ok()?;
    let mut scope = Scope::new(&mut build, opset);
    let call = Call::new(operator, inputs.into_iter().map(|known| known.map(Value::Known)).collect(), opset);
    let results = match (operator.op.as_str(), SHAPES.iter().find(|(name, _)| *name == operator.op)) {
        ("DequantizeLinear", _) => Some(quantised::dequantize_known(&call)),
        (_, Some((_, add))) => Some(add(&mut scope, &call)),
        _ => known::evaluate(&call),
    };
    // What an unknown attribute changes is not known either.
    results.filter(|_| call.unknown_attributes().is_empty())
}

/// Adds an operator to the graph, or evaluates it if all of its inputs are known.
pub(super) fn apply(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let op = call.operator.op.as_str();
    if let Some((_, add)) = SHAPES.iter().find(|(name, _)| *name == op) {
        return add(scope, call);
    }
    if let Some(known) = known::evaluate(call) {
        return known;
    }
    if let Some((_, add)) = OPERATORS.iter().find(|(name, _)| *name == op) {
        return add(scope, call);
    }
    if let Some((_, of)) = FUNCTIONS.iter().find(|(name, _)| *name == op) {
        return functions::function(scope, call, *of);
    }
    if let Some((_, of)) = BINARY.iter().find(|(name, _)| *name == op) {
        return arithmetic::two(scope, call, *of);
    }
    if let Some((_, of)) = VARIADIC.iter().find(|(name, _)| *name == op) {
        return arithmetic::several(scope, call, *of);
    }
    if let Some((_, of)) = REDUCTIONS.iter().find(|(name, _)| *name == op) {
        return reductions::reduce(scope, call, *of);
    }
    match KNOWN_ONLY.contains(&op) {
        true => Fault::refuse("it is supported only for constants and shapes"),
        false => Fault::refuse("gpunn does not have this operator"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_operator_stands_in_one_table() {
        let names = super::names();
        let mut once = names.clone();
        once.dedup_by_key(|(name, _)| *name);
        assert_eq!(names, once);
    }
}
