//! ONNX files: a run's network as one, and a network from one, with what the files say of images and classes.

mod calibrate;
mod export;
mod import;

pub use calibrate::{CALIBRATION_IMAGES, quantised};
pub use export::{INPUT, OPSET, OnnxNetwork, OnnxOptions, export};
pub use import::{OnnxFile, is_onnx, open_weights};
