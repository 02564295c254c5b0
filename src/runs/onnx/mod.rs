//! ONNX files: a run's network as one, and a network from one, with what the files say of images and classes.

mod calibrate;
mod import;

pub use crate::saved::onnx::{INPUT, OPSET, OnnxNetwork, OnnxOptions, export};
pub use calibrate::{CALIBRATION_IMAGES, quantised};
pub use import::{OnnxFile, is_onnx, open_weights};
