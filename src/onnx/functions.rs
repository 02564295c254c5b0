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
            other => Err(format!("ONNX has no function for {other}")),
        }
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
        let mut graph = Graph::new();
        let x = graph.leaf("image", 0, TensorType::f32([2, 3]))?;
        let y = function(&mut graph, x)?;
        graph.output("logits", y);
        let network = Network { graph: &graph, input: "image", batch: 2, weight: &|_, _| None, fold: false, opset: 13 };
        Ok(write(&network)?.graph.node.into_iter().map(|node| node.op_type).collect())
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
        assert_eq!(operators(Graph::gelu_erf)?, ["Mul", "Erf", "Mul", "Add", "Mul"]);
        Ok(())
    }
}
