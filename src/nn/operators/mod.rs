//! Layers made of ONNX's operators, for networks from ONNX files. A layer has a list of operators, each with the names of the values
//! that it reads and writes. [`table`] lists the operators; each is a function that adds nodes to the graph.
//!
//! Shapes, axes and positions are known when the graph is built. Operators that compute them, such as `Shape`, `Gather` and `Concat`
//! before a `Reshape`, are evaluated then ([`Value::Known`]), for the batch of that graph.
//!
//! ```
//! use gpunn::nn::models::ModelConfig;
//!
//! let network = "
//! name = 'gated'
//! [[layer]]
//! kind = 'operators'
//! name = 'gate'
//! input = 'x'
//! output = 'y'
//! nodes = [
//!     { op = 'Conv', inputs = ['x', 'weight'], outputs = ['z'], attributes = { pads = [1, 1, 1, 1] } },
//!     { op = 'Sigmoid', inputs = ['z'], outputs = ['s'] },
//!     { op = 'Mul', inputs = ['z', 's'], outputs = ['y'] },
//! ]
//! parameters = [{ name = 'weight', shape = [8, 3, 3, 3], kind = 'weight' }]
//! [[layer]]
//! kind = 'flatten'
//! [[layer]]
//! kind = 'classes'
//! ";
//! let model = toml::from_str::<ModelConfig>(network)?.build([3, 16, 16], 10)?;
//! let weight = model.parameters().find("gate.weight");
//! assert_eq!(weight.map(|weight| weight.shape.dims()), Some(&[8, 3, 3, 3][..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arithmetic;
mod call;
mod config;
mod convolutions;
mod functions;
mod known;
mod layer;
mod losses;
mod movement;
mod normalisation;
mod pooling;
mod products;
mod quantised;
mod reductions;
mod resizing;
mod scope;
mod shapes;
pub mod table;
mod value;

pub use config::{Attribute, ConstantConfig, Operator, OperatorsConfig, ParameterConfig, Role, Size};
pub use layer::{Operators, TRIAL_BATCH};
pub use scope::Scope;
pub use value::{Fault, Known, Numbers, Value};
