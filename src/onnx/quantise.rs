//! Weights and activations as 8-bit integers, in the form that ONNX calls QDQ: `QuantizeLinear` and `DequantizeLinear` around the operators
//! with weights. Weights have a scale for each output, activations one for each tensor.

use std::collections::{BTreeMap, BTreeSet};

use crate::formats::onnx::{Attribute, Graph, Node, Tensor, element};

/// The largest absolute value of a weight.
const MOST: f32 = 127.0;
/// The largest absolute value of a bias.
const MOST_BIAS: f32 = (1 << 30) as f32;
/// The largest value of an activation, whose least is 0.
const STEPS: f32 = 255.0;

/// The operators whose weights become integers, with the axis of their outputs.
fn output_axis(node: &Node) -> Option<usize> {
    let grouped = node.attribute.iter().any(|attribute| attribute.name == "group" && attribute.i > 1);
    let transposed = node.attribute.iter().any(|attribute| attribute.name == "transB" && attribute.i == 1);
    match node.op_type.as_str() {
        "Conv" => Some(0),
        "Gemm" => Some(usize::from(!transposed)),
        // The outputs of each group have scales of their own only where there is one group.
        "ConvTranspose" if !grouped => Some(1),
        _ => None,
    }
}

/// The names of the values whose ranges have to be known: what the operators with weights read.
pub fn activations(graph: &Graph) -> BTreeSet<String> {
    graph.node.iter().filter(|node| output_axis(node).is_some()).map(|node| node.input[0].clone()).collect()
}

/// Makes the weights of a graph and what they are multiplied by 8-bit integers. `ranges` has the least and the largest value of each of
/// [`activations`].
///
/// # Errors
/// The name of a value or weight that is missing.
pub fn quantise(graph: &mut Graph, ranges: &BTreeMap<String, [f32; 2]>) -> Result<(), String> {
    let mut quantiser =
        Quantiser { tensors: BTreeMap::new(), nodes: Vec::new(), added: Vec::new(), scales: BTreeMap::new() };
    quantiser.tensors.extend(graph.initializer.drain(..).map(|tensor| (tensor.name.clone(), tensor)));
    for node in std::mem::take(&mut graph.node) {
        match output_axis(&node) {
            Some(axis) => quantiser.operator(node, axis, ranges)?,
            None => quantiser.nodes.push(node),
        }
    }
    // Weights that only these operators read are not needed as floats.
    let read: BTreeSet<&String> = quantiser.nodes.iter().flat_map(|node| &node.input).collect();
    graph.initializer = quantiser.tensors.into_values().filter(|tensor| read.contains(&tensor.name)).collect();
    graph.initializer.extend(quantiser.added);
    graph.node = quantiser.nodes;
    Ok(())
}

struct Quantiser {
    tensors: BTreeMap<String, Tensor>,
    nodes: Vec<Node>,
    /// New tensors.
    added: Vec<Tensor>,
    /// The scales of the values that are quantised already.
    scales: BTreeMap<String, f32>,
}

/// The name of a value after it was quantised.
fn after(name: &str) -> String {
    format!("{name}/dequantised")
}

fn linear(kind: &str, from: &str, [scale, zero]: [&str; 2], to: String, attribute: Vec<Attribute>) -> Node {
    let input = [from, scale, zero].into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Node { input, name: to.clone(), output: vec![to], op_type: kind.into(), attribute, ..Node::default() }
}

impl Quantiser {
    /// An operator with its weight, its bias and what it reads as integers.
    fn operator(&mut self, mut node: Node, axis: usize, ranges: &BTreeMap<String, [f32; 2]>) -> Result<(), String> {
        // A weight that several operators read has the scales of one bias only.
        let is_done = |name: &String| self.nodes.iter().any(|node| node.output[0] == after(name));
        let bias = node.input.get(2).filter(|name| !name.is_empty()).cloned();
        if is_done(&node.input[1]) || bias.as_ref().is_some_and(is_done) {
            self.nodes.push(node);
            return Ok(());
        }
        let scale = self.activation(&node.input[0], ranges)?;
        // A bias is an integer in units of weight times activation, so the unit must not be too small.
        let least = |bias: &f32| bias.abs() / (scale * MOST_BIAS);
        let least: Vec<f32> = match &bias {
            Some(bias) => self.tensor(bias)?.1.iter().map(least).collect(),
            None => Vec::new(),
        };
        let scales = self.weight(&node.input[1], axis, &least)?;
        node.input[0] = after(&node.input[0]);
        node.input[1] = after(&node.input[1]);
        if let Some(bias) = bias {
            self.bias(&bias, &scales.iter().map(|of| of * scale).collect::<Vec<_>>())?;
            node.input[2] = after(&bias);
        }
        self.nodes.push(node);
        Ok(())
    }

    /// Quantises a value where it is read first.
    fn activation(&mut self, name: &str, ranges: &BTreeMap<String, [f32; 2]>) -> Result<f32, String> {
        if let Some(&scale) = self.scales.get(name) {
            return Ok(scale);
        }
        let &[least, most] = ranges.get(name).ok_or_else(|| format!("the range of `{name}` is not known"))?;
        // Zero is exact, because padding is zero.
        let (least, most) = (least.min(0.0), most.max(0.0));
        let scale = ((most - least) / STEPS).max(f32::MIN_POSITIVE);
        let zero = (-least / scale).round().clamp(0.0, STEPS) as u8;
        let [scale_name, zero_name] = ["scale", "zero"].map(|what| format!("{name}/{what}"));
        self.added.push(Tensor::floats(scale_name.clone(), &[], &[scale]));
        self.added.push(Tensor::bytes(zero_name.clone(), &[], element::UINT8, vec![zero]));
        let both = [scale_name.as_str(), zero_name.as_str()];
        let quantised = format!("{name}/quantised");
        self.nodes.push(linear("QuantizeLinear", name, both, quantised.clone(), Vec::new()));
        self.nodes.push(linear("DequantizeLinear", &quantised, both, after(name), Vec::new()));
        self.scales.insert(name.into(), scale);
        Ok(scale)
    }

    fn tensor(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), String> {
        let tensor = self.tensors.get(name).filter(|tensor| tensor.data_type == element::FLOAT);
        let tensor = tensor.ok_or_else(|| format!("`{name}` is not a tensor of floats"))?;
        let values = tensor.raw_data.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
        Ok((tensor.dims.iter().map(|&size| size as usize).collect(), values))
    }

    /// Stores a weight as integers. Returns the scale of each output, which is not below `least`.
    fn weight(&mut self, name: &str, axis: usize, least: &[f32]) -> Result<Vec<f32>, String> {
        let (dims, values) = self.tensor(name)?;
        let outputs = *dims.get(axis).ok_or_else(|| format!("`{name}` has no axis {axis}"))?;
        let inner: usize = dims[axis + 1..].iter().product();
        let output = |index: usize| index / inner % outputs;
        let least = least.iter().chain(std::iter::repeat(&0.0));
        let mut scales: Vec<f32> = least.take(outputs).map(|least| least.max(f32::MIN_POSITIVE)).collect();
        for (index, value) in values.iter().enumerate() {
            let scale = &mut scales[output(index)];
            *scale = scale.max(value.abs() / MOST);
        }
        let integer = |(index, value): (usize, &f32)| (value / scales[output(index)]).round() as i8 as u8;
        let bytes = values.iter().enumerate().map(integer).collect();
        self.integers(name, &dims, (element::INT8, bytes), &scales, Some(axis));
        Ok(scales)
    }

    /// Stores a bias as 32-bit integers, in units of the products that it is added to.
    fn bias(&mut self, name: &str, scales: &[f32]) -> Result<(), String> {
        let (dims, values) = self.tensor(name)?;
        let integers = values.iter().zip(scales.iter().cycle()).map(|(value, scale)| (value / scale).round() as i32);
        let bytes = integers.flat_map(i32::to_le_bytes).collect();
        self.integers(name, &dims, (element::INT32, bytes), scales, Some(0));
        Ok(())
    }

    /// Adds a tensor of integers, and the operator that makes floats of it.
    fn integers(
        &mut self,
        name: &str,
        dims: &[usize],
        (data_type, bytes): (i32, Vec<u8>),
        scales: &[f32],
        axis: Option<usize>,
    ) {
        let [quantised, scale] = ["quantised", "scale"].map(|what| format!("{name}/{what}"));
        self.added.push(Tensor::bytes(quantised.clone(), dims, data_type, bytes));
        self.added.push(Tensor::floats(scale.clone(), &[scales.len()], scales));
        let attribute = axis.map(|axis| Attribute::int("axis", axis as i64)).into_iter().collect();
        self.nodes.push(linear("DequantizeLinear", &quantised, [&scale, ""], after(name), attribute));
    }
}
