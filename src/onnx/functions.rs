//! Functions of each element as operators of ONNX.

use super::write::Writer;
use crate::formats::onnx::Attribute;
use crate::graph::NodeId;
use crate::ops::elementwise::Map;

impl Writer<'_> {
    /// A function of each element.
    pub(super) fn function(&mut self, id: NodeId, map: &Map, inputs: Vec<String>) -> Result<String, String> {
        let [call] = map.program.calls.as_slice() else { return Err("it repeats a value".into()) };
        let parameters = call.function.parameters();
        let parameter = parameters.first().copied().unwrap_or_default();
        let x = inputs[0].clone();
        const SAME: [(&str, &str); 22] = [
            ("add", "Add"),
            ("subtract", "Sub"),
            ("multiply", "Mul"),
            ("divide", "Div"),
            ("power", "Pow"),
            ("maximum", "Max"),
            ("minimum", "Min"),
            ("abs", "Abs"),
            ("sign", "Sign"),
            ("floor", "Floor"),
            ("ceil", "Ceil"),
            ("round", "Round"),
            ("sin", "Sin"),
            ("cos", "Cos"),
            ("erf", "Erf"),
            ("exp", "Exp"),
            ("log", "Log"),
            ("sqrt", "Sqrt"),
            ("sigmoid", "Sigmoid"),
            ("tanh", "Tanh"),
            ("relu", "Relu"),
            ("softplus", "Softplus"),
        ];
        if let Some((_, kind)) = SAME.iter().find(|(name, _)| *name == call.function.name()) {
            return Ok(self.push(id, kind, inputs, Vec::new()));
        }
        match call.function.name() {
            "leaky_relu" => Ok(self.push(id, "LeakyRelu", inputs, vec![Attribute::float("alpha", parameter)])),
            "elu" => Ok(self.push(id, "Elu", inputs, vec![Attribute::float("alpha", parameter)])),
            "scale" => {
                let factor = self.number(id, "factor", parameter);
                Ok(self.push(id, "Mul", vec![x, factor], Vec::new()))
            }
            "square" => Ok(self.push(id, "Mul", vec![x.clone(), x], Vec::new())),
            "clip" => {
                let limits =
                    [("least", parameter), ("most", parameters[1])].map(|(what, value)| self.number(id, what, value));
                Ok(self.push(id, "Clip", [vec![x], limits.into()].concat(), Vec::new()))
            }
            "silu" => {
                let sigmoid = self.push(id, "Sigmoid", vec![x.clone()], Vec::new());
                Ok(self.push(id, "Mul", vec![x, sigmoid], Vec::new()))
            }
            "gelu" if self.network.opset >= 20 => {
                Ok(self.push(id, "Gelu", inputs, vec![Attribute::text("approximate", "tanh")]))
            }
            "gelu" => Ok(self.gelu(id, &x)),
            "gelu_erf" if self.network.opset >= 20 => {
                Ok(self.push(id, "Gelu", inputs, vec![Attribute::text("approximate", "none")]))
            }
            "gelu_erf" => Ok(self.gelu_erf(id, &x)),
            "hard_sigmoid" => Ok(self.hard_sigmoid(id, inputs)),
            "hard_swish" if self.network.opset >= 14 => Ok(self.push(id, "HardSwish", inputs, Vec::new())),
            "hard_swish" => {
                let gate = self.hard_sigmoid(id, inputs);
                Ok(self.push(id, "Mul", vec![x, gate], Vec::new()))
            }
            other => Err(format!("ONNX has no function for {other}")),
        }
    }

    /// With PyTorch's slope; the standard's is another one.
    fn hard_sigmoid(&mut self, id: NodeId, inputs: Vec<String>) -> String {
        let line = [("alpha", 1.0 / 6.0), ("beta", 0.5)].map(|(name, value)| Attribute::float(name, value));
        self.push(id, "HardSigmoid", inputs, line.into())
    }

    /// x / 2 (1 + erf(x / sqrt 2)), for versions of ONNX without `Gelu`.
    fn gelu_erf(&mut self, id: NodeId, x: &str) -> String {
        let numbers = [("root", std::f32::consts::FRAC_1_SQRT_2), ("one", 1.0), ("half", 0.5)];
        let [root, one, half] = numbers.map(|(what, value)| self.number(id, what, value));
        let scaled = self.push(id, "Mul", vec![x.into(), root], Vec::new());
        let erf = self.push(id, "Erf", vec![scaled], Vec::new());
        let gate = self.push(id, "Add", vec![erf, one], Vec::new());
        let gated = self.push(id, "Mul", vec![x.into(), gate], Vec::new());
        self.push(id, "Mul", vec![gated, half], Vec::new())
    }

    /// x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), for versions of ONNX without `Gelu`.
    fn gelu(&mut self, id: NodeId, x: &str) -> String {
        let times = |writer: &mut Self, a: &str, b: &str| writer.push(id, "Mul", vec![a.into(), b.into()], Vec::new());
        let root = (2.0 / std::f64::consts::PI).sqrt();
        let [cubic, root, one, half] = [("cubic", 0.044_715), ("root", root), ("one", 1.0), ("half", 0.5)]
            .map(|(what, value)| self.number(id, what, value as f32));
        let square = times(self, x, x);
        let cube = times(self, &square, x);
        let cube = times(self, &cube, &cubic);
        let sum = self.push(id, "Add", vec![x.into(), cube], Vec::new());
        let sum = times(self, &sum, &root);
        let tanh = self.push(id, "Tanh", vec![sum], Vec::new());
        let gate = self.push(id, "Add", vec![tanh, one], Vec::new());
        let gated = times(self, x, &gate);
        times(self, &gated, &half)
    }
}

#[cfg(test)]
mod tests {
    use super::super::write::{Network, write};
    use crate::Result;
    use crate::graph::{Graph, NodeId, TensorType};

    type Function = fn(&mut Graph, NodeId) -> Result<NodeId>;

    /// The operators of a network that is one function of its input.
    fn operators(function: Function) -> Result<Vec<String>> {
        operators_of(13, function)
    }

    /// As [`operators`], in a version of ONNX's operators.
    fn operators_of(opset: i64, function: Function) -> Result<Vec<String>> {
        let mut graph = Graph::new();
        let x = graph.leaf("image", 0, TensorType::f32([2, 3]))?;
        let y = function(&mut graph, x)?;
        graph.output("logits", y);
        let network = Network { graph: &graph, input: "image", batch: 2, weight: &|_, _| None, fold: false, opset };
        Ok(write(&network)?.graph.node.into_iter().map(|node| node.op_type).collect())
    }

    fn pytorchs(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
        graph.hard_sigmoid(x, 1.0 / 6.0, 0.5)
    }

    #[test]
    fn functions_have_operators() -> Result<()> {
        let alone: [(&str, Function); 15] = [
            ("Abs", Graph::abs),
            ("Sign", Graph::sign),
            ("Floor", Graph::floor),
            ("Ceil", Graph::ceil),
            ("Round", Graph::round),
            ("Sin", Graph::sin),
            ("Cos", Graph::cos),
            ("Erf", Graph::erf),
            ("Div", |graph, x| graph.div(x, x)),
            ("Pow", |graph, x| graph.pow(x, x)),
            ("Max", |graph, x| graph.maximum(x, x)),
            ("Min", |graph, x| graph.minimum(x, x)),
            ("Clip", |graph, x| graph.clip(x, f32::NEG_INFINITY, 1.0)),
            ("Clip", Graph::relu6),
            ("Elu", |graph, x| graph.elu(x, 0.5)),
        ];
        for (kind, function) in alone {
            assert_eq!(operators(function)?, [kind]);
        }
        assert_eq!(operators(Graph::gelu_erf)?, ["Mul", "Erf", "Add", "Mul", "Mul"]);
        assert_eq!(operators(Graph::hard_swish)?, ["HardSigmoid", "Mul"]);
        for (opset, kind, function) in [
            (20, "Gelu", Graph::gelu_erf as Function),
            (14, "HardSwish", Graph::hard_swish),
            (13, "HardSigmoid", pytorchs),
        ] {
            assert_eq!(operators_of(opset, function)?, [kind]);
        }
        Ok(())
    }
}
