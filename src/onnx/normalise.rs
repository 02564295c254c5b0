//! Layer norm over the channels of images, as operators of ONNX.

use super::write::Writer;
use crate::formats::onnx::Attribute;
use crate::graph::NodeId;

impl Writer<'_> {
    /// (x - mean) / sqrt(variance + epsilon) of each pixel. ONNX's own layer norm is over the last axes, and in no version before 17.
    pub(super) fn layer_norm2d(&mut self, id: NodeId, x: &str, epsilon: f32) -> String {
        let mean = self.mean_of_channels(id, x);
        let centred = self.push(id, "Sub", vec![x.into(), mean], Vec::new());
        let squares = self.push(id, "Mul", vec![centred.clone(), centred.clone()], Vec::new());
        let variance = self.mean_of_channels(id, &squares);
        let epsilon = self.number(id, "epsilon", epsilon);
        let variance = self.push(id, "Add", vec![variance, epsilon], Vec::new());
        let deviation = self.push(id, "Sqrt", vec![variance], Vec::new());
        self.push(id, "Div", vec![centred, deviation], Vec::new())
    }

    /// From version 18 on, the axes are an input.
    fn mean_of_channels(&mut self, id: NodeId, x: &str) -> String {
        if self.network.opset >= 18 {
            let axes = self.ints(id, "axes", &[1]);
            return self.push(id, "ReduceMean", vec![x.into(), axes], Vec::new());
        }
        self.push(id, "ReduceMean", vec![x.into()], vec![Attribute::ints("axes", [1])])
    }
}
