//! Ops that a file describes, with their inputs: what `scripts/pytorch_ops.py` says in PyTorch's words, said in ours. The test of
//! PyTorch's frozen values and `evaluate_ops` both read such files.
//!
//! The metadata entry `cases` of a file is a JSON list of ops with their numbers; case i's inputs are named `i.x`, `i.w`, ... and
//! the incoming gradient `i.dy`. Results are `y` and a gradient `dx`, `dw`, ... by each input; of what updates a state,
//! that state after each step.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use gpunn::Engine;
use gpunn::cpu::{Oracle, Value};
use gpunn::graph::{DType, Graph, NodeId, Passes, Plan, PlanOptions, TensorType, optimise};
use gpunn::nn::{Build, GROUP_SPARED, GROUP_WEIGHTS, Initialiser, Mode as BuildMode, PARAMS, Parameters};
use gpunn::ops::Step;
use gpunn::ops::augment::{Augment, Augmented, Mode, ResizedCrop, View};
use gpunn::ops::average::Average;
use gpunn::ops::batch::{Accumulate, Reduction};
use gpunn::ops::conv2d::Geometry;
use gpunn::ops::pack::Pack;
use gpunn::ops::pool2d::{AveragePool2d, Window};
use gpunn::ops::resize2d::Resize;
use gpunn::ops::strided::Pad;
use gpunn::ops::update::BLOCK;
use gpunn::optim::Optimiser;
use safetensors::tensor::{Dtype, SafeTensors};

/// Errors of files and of devices.
pub type Failure = Box<dyn Error>;

/// One op and its numbers, as the scripts write them.
#[allow(missing_docs)]
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Case {
    Matmul {
        transpose_a: bool,
        transpose_b: bool,
    },
    Conv2d {
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        groups: usize,
    },
    ConvTranspose2d {
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        groups: usize,
        size: [usize; 2],
    },
    MaxPool2d {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        ceil: bool,
    },
    AveragePool2d {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        ceil: bool,
        include_padding: bool,
    },
    GlobalAveragePool {},
    BatchNorm {
        epsilon: f32,
    },
    BatchNormInference {
        epsilon: f32,
    },
    UpdateRunning {
        momentum: f32,
    },
    Function {
        name: String,
    },
    Pair {
        name: String,
    },
    Scale {
        factor: f32,
    },
    LeakyRelu {
        slope: f32,
    },
    Softmax {
        log: bool,
    },
    CrossEntropy {
        smoothing: f32,
        reduction: Reduction,
        valid: u32,
    },
    SquaredError {
        mean: bool,
        reduction: Reduction,
    },
    Correct {},
    Accumulate {},
    Sum {
        first: usize,
        last: usize,
        mean: bool,
    },
    Reshape {
        shape: Vec<usize>,
    },
    Transpose {
        order: Vec<usize>,
    },
    Slice {
        axis: usize,
        start: usize,
        len: usize,
    },
    Pad {
        axis: usize,
        before: usize,
        after: usize,
    },
    Pad2d {
        around: [usize; 4],
    },
    Concat {
        axis: usize,
    },
    Pack {},
    Resize2d {
        size: [usize; 2],
        bilinear: bool,
    },
    Dropout {
        rate: f32,
    },
    Gather {
        batch: usize,
    },
    /// Without draws (`still`), or with those that can come out in one way only.
    Augment {
        augment: Augment,
        still: bool,
        mirrored: bool,
    },
    /// The largest part of this one proportion, from the middle: no part of the whole area has it.
    ResizedCrop {
        size: [usize; 2],
        ratio: f64,
    },
    /// Some steps of an optimiser on two parameters, the second of which does not decay.
    Optimiser {
        optimiser: Optimiser,
        rates: Vec<f64>,
    },
    /// Some steps of the moving average of weights, from step `first` of a run on.
    Average {
        decay: f32,
        first: u32,
    },
}

/// The rows of a batch that is gathered.
const ORDER: &str = "order";

impl Case {
    /// The line of the op table whose value this is first of all.
    pub fn row(&self) -> String {
        let name = match self {
            Self::Function { name } | Self::Pair { name } => name,
            Self::ConvTranspose2d { .. } => "conv2d_backward_input",
            Self::Optimiser { optimiser, .. } if optimiser.name == gpunn::optim::Method::Sgd => "sgd",
            Self::Optimiser { .. } => "adam",
            other => {
                // `MaxPool2d { .. }` as `max_pool2d`.
                let print = format!("{other:?}");
                let variant = print.split([' ', '{']).next().unwrap_or_default();
                let mut row = String::new();
                for letter in variant.chars() {
                    if letter.is_uppercase() && !row.is_empty() {
                        row.push('_');
                    }
                    row.push(letter.to_ascii_lowercase());
                }
                return row;
            }
        };
        name.to_owned()
    }

    /// The names of the inputs, in the op's order.
    pub fn inputs(&self) -> &'static [&'static str] {
        match self {
            Self::Matmul { .. } => &["a", "b"],
            Self::Conv2d { .. } => &["x", "w", "b"],
            Self::ConvTranspose2d { .. } => &["x", "w"],
            Self::BatchNorm { .. } => &["x", "gamma", "beta"],
            Self::BatchNormInference { .. } => &["x", "mean", "variance", "gamma", "beta"],
            Self::Pair { .. } | Self::SquaredError { .. } | Self::Accumulate {} => &["x", "other"],
            Self::CrossEntropy { .. } | Self::Correct {} => &["x", "labels"],
            Self::Concat { .. } | Self::Pack {} => &["x", "other", "third"],
            Self::Gather { .. } | Self::Augment { .. } => &["x", ORDER],
            Self::Optimiser { .. } | Self::Average { .. } => &[],
            _ => &["x"],
        }
    }

    /// Those by which gradients are compared.
    pub fn differentiable(&self) -> &'static [&'static str] {
        match self {
            // By the statistics there are none: training does not change them so.
            Self::BatchNormInference { .. } => &["x", "gamma", "beta"],
            Self::CrossEntropy { .. } => &["x"],
            Self::ResizedCrop { .. } | Self::Gather { .. } | Self::Augment { .. } => &[],
            Self::Correct {} | Self::Accumulate {} | Self::UpdateRunning { .. } => &[],
            other => other.inputs(),
        }
    }

    /// The states that it updates, each a buffer of its own, by their names in the file.
    fn states(&self) -> &'static [&'static str] {
        match self {
            Self::UpdateRunning { .. } => &["running_mean", "running_variance"],
            Self::Accumulate {} => &["totals"],
            Self::Average { .. } => &["weights", "average"],
            _ => &[],
        }
    }

    fn build(&self, graph: &mut Graph, at: &[NodeId], states: &[NodeId]) -> gpunn::Result<NodeId> {
        match self.clone() {
            Self::Matmul { transpose_a, transpose_b } => {
                graph.matmul_transposed(at[0], at[1], transpose_a, transpose_b)
            }
            Self::Conv2d { stride, padding, dilation, groups } => {
                let y = graph.conv2d(at[0], at[1], Geometry { stride, padding, dilation, groups })?;
                graph.add(y, at[2])
            }
            Self::ConvTranspose2d { stride, padding, dilation, groups, size } => {
                let geometry = Geometry { stride, padding, dilation, groups };
                graph.conv2d_backward_input(at[0], at[1], size, geometry)
            }
            Self::MaxPool2d { kernel, stride, padding, ceil } => {
                graph.max_pool2d(at[0], Window { kernel, stride, padding, ceil })
            }
            Self::AveragePool2d { kernel, stride, padding, ceil, include_padding } => {
                let window = Window { kernel, stride, padding, ceil };
                graph.apply(AveragePool2d { window, include_padding }, &at[..1])
            }
            Self::GlobalAveragePool {} => graph.global_average_pool(at[0]),
            Self::BatchNorm { epsilon } => Ok(graph.batch_norm(at[0], at[1], at[2], epsilon)?.y),
            Self::BatchNormInference { epsilon } => {
                graph.batch_norm_inference(at[0], at[1], at[2], at[3], at[4], epsilon)
            }
            Self::UpdateRunning { momentum } => {
                let channels = graph.ty(states[0]).clone();
                let gamma = graph.constant(channels.clone(), vec![1.0; channels.elements()]);
                let normed = graph.batch_norm(at[0], gamma, gamma, 1e-5)?;
                graph.update_running(normed.mean, normed.variance, states[0], states[1], momentum)?;
                Ok(normed.mean)
            }
            Self::Function { name } => function(graph, &name, at[0]),
            Self::Pair { name } => match name.as_str() {
                "add" => graph.add(at[0], at[1]),
                "subtract" => graph.sub(at[0], at[1]),
                "multiply" => graph.mul(at[0], at[1]),
                _ => Err(gpunn::Error::Usage(format!("no function of two tensors is '{name}'"))),
            },
            Self::Scale { factor } => graph.scale(at[0], factor),
            Self::LeakyRelu { slope } => graph.leaky_relu(at[0], slope),
            Self::Softmax { log: false } => graph.softmax(at[0]),
            Self::Softmax { log: true } => graph.log_softmax(at[0]),
            Self::CrossEntropy { smoothing, reduction, .. } => {
                let losses = graph.cross_entropy(at[0], at[1], smoothing)?;
                graph.batch_total(losses, reduction)
            }
            Self::SquaredError { mean, reduction } => {
                let errors = match mean {
                    true => graph.mean_squared_error(at[0], at[1]),
                    false => graph.squared_error(at[0], at[1]),
                }?;
                graph.batch_total(errors, reduction)
            }
            Self::Correct {} => graph.correct(at[0], at[1]),
            Self::Accumulate {} => graph.update(Accumulate, at, states),
            Self::Sum { first, last, mean: false } => graph.sum(at[0], first, last),
            Self::Sum { first, last, mean: true } => graph.mean(at[0], first, last),
            Self::Reshape { shape } => graph.reshape(at[0], shape),
            Self::Transpose { order } => graph.transpose(at[0], &order),
            Self::Slice { axis, start, len } => graph.slice(at[0], axis, start, len),
            Self::Pad { axis, before, after } => graph.apply(Pad { axis, before, after }, at),
            Self::Pad2d { around } => graph.pad2d(at[0], around),
            Self::Concat { axis } => graph.concat(at, axis),
            Self::Pack {} => packed(graph, at),
            Self::Resize2d { size, bilinear } => {
                graph.resize2d(at[0], size, if bilinear { Resize::Bilinear } else { Resize::Nearest })
            }
            Self::Dropout { rate } => graph.dropout(at[0], rate, 3),
            Self::Gather { batch } => graph.gather(at[0], at[1], batch),
            Self::Augment { augment, still, mirrored } => {
                let mode = if still { Mode::Still(View { mirrored, shift: 0 }) } else { Mode::Random };
                let batch = graph.dims(at[1])[0];
                graph.gather_augmented(&at[..1], at[1], Augmented { batch, augment, mode, ring: false })
            }
            Self::ResizedCrop { size, ratio } => {
                let crop = ResizedCrop { scale: [1.0; 2], ratio: [ratio; 2] };
                let augment = Augment { crop: Some(size), resized_crop: Some(crop), ..Augment::default() };
                let batch = graph.dims(at[0])[0];
                let order = graph.leaf(ORDER, 0, TensorType::u32([batch]))?;
                graph.gather_augmented(at, order, Augmented { batch, augment, mode: Mode::Random, ring: false })
            }
            Self::Average { decay, .. } => graph.update(Average { decay }, &[], states),
            Self::Optimiser { .. } => unreachable!("built by `Setup::of_optimiser`"),
        }
    }
}

fn function(graph: &mut Graph, name: &str, x: NodeId) -> gpunn::Result<NodeId> {
    match name {
        "exp" => graph.exp(x),
        "log" => graph.log(x),
        "sqrt" => graph.sqrt(x),
        "square" => graph.square(x),
        "sigmoid" => graph.sigmoid(x),
        "tanh" => graph.tanh(x),
        "relu" => graph.relu(x),
        "relu6" => graph.relu6(x),
        "silu" => graph.silu(x),
        "softplus" => graph.softplus(x),
        "gelu" => graph.gelu(x),
        _ => Err(gpunn::Error::Usage(format!("no function of one tensor is '{name}'"))),
    }
}

/// The tensors flat and one after another: packed, each at a multiple of 64, and then without the gaps, whose values are
/// undefined.
fn packed(graph: &mut Graph, at: &[NodeId]) -> gpunn::Result<NodeId> {
    let (mut offsets, mut len) = (Vec::new(), 0);
    for &x in at {
        offsets.push(len);
        len += graph.ty(x).elements().next_multiple_of(BLOCK);
    }
    let all = graph.apply(Pack { offsets: offsets.clone(), len }, at)?;
    let parts: gpunn::Result<Vec<_>> =
        at.iter().zip(offsets).map(|(&x, offset)| graph.slice(all, 0, offset, graph.ty(x).elements())).collect();
    graph.concat(&parts?, 0)
}

/// Tensors by name: shape and values.
pub type Tensors = BTreeMap<String, (Vec<usize>, Value)>;

/// Reads a file: its cases and its tensors, in double precision whatever they are stored in.
///
/// # Errors
/// When it is no such file.
pub fn read(bytes: &[u8]) -> Result<(Vec<Case>, Tensors), Failure> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let metadata = header.metadata().as_ref().ok_or("no metadata")?;
    let cases = serde_json::from_str(metadata.get("cases").ok_or("no cases")?)?;
    let mut tensors = Tensors::new();
    for (name, view) in SafeTensors::deserialize(bytes)?.tensors() {
        let count = view.shape().iter().product();
        let value = match view.dtype() {
            Dtype::F64 => {
                Value::Real(view.data().as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect())
            }
            Dtype::F32 => Value::from_bytes(DType::F32, view.data(), count),
            Dtype::U32 => Value::from_bytes(DType::U32, view.data(), count),
            Dtype::U8 => Value::U8(view.data().to_vec()),
            other => return Err(format!("{name} holds {other:?}").into()),
        };
        tensors.insert(name, (view.shape().to_vec(), value));
    }
    Ok((cases, tensors))
}

/// A case ready to run: its graph, what its buffers hold at first, and its steps.
pub struct Setup {
    /// The value as output `y`, gradients as `dx`, ...
    pub graph: Graph,
    buffers: Vec<(String, Value)>,
    /// The steps' numbers, and what is written before each.
    steps: Vec<(Step, Vec<(String, Value)>)>,
    /// What is read after each step: its name in the file, its buffer, and where it lies there.
    read: Vec<(String, String, std::ops::Range<usize>)>,
    /// The names of the tensors in the file that it is made of.
    given: BTreeSet<String>,
}

impl Setup {
    /// Case `number` of a file.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn of(number: usize, case: &Case, given: &Tensors) -> Result<Self, Failure> {
        let asked = RefCell::new(BTreeSet::new());
        let find = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            given.get(&format!("{number}.{name}")).ok_or(format!("no tensor {number}.{name}"))
        };
        let setup = Self::built(case, find)?;
        Ok(Self { given: asked.into_inner(), ..setup })
    }

    /// Builds a case from the tensors that `find` knows.
    fn built<'a>(case: &Case, find: impl Fn(&str) -> Result<&'a (Vec<usize>, Value), String>) -> Result<Self, Failure> {
        if let Case::Optimiser { optimiser, rates } = case {
            return Self::of_optimiser(optimiser, rates, find);
        }
        let (mut graph, mut buffers) = (Graph::new(), Vec::new());
        let mut leaf = |graph: &mut Graph, name: &str| -> Result<NodeId, Failure> {
            let (shape, value) = find(name)?.clone();
            let dtype = match value {
                Value::Real(_) => DType::F32,
                Value::U32(_) => DType::U32,
                Value::U8(_) => DType::U8,
            };
            buffers.push((name.to_owned(), value));
            Ok(graph.leaf(name, 0, TensorType { shape: shape.into(), dtype })?)
        };
        let inputs = case.inputs().iter().map(|name| leaf(&mut graph, name)).collect::<Result<Vec<_>, _>>()?;
        let states = case.states().iter().map(|name| leaf(&mut graph, name)).collect::<Result<Vec<_>, _>>()?;
        let y = case.build(&mut graph, &inputs, &states)?;
        if graph.ty(y).elements() > 0 {
            graph.output("y", y);
        }
        let by = case.differentiable();
        if !by.is_empty() {
            let dy = leaf(&mut graph, "dy")?;
            let named = case.inputs().iter().zip(&inputs).filter(|(name, _)| by.contains(name));
            let (names, ids): (Vec<&str>, Vec<NodeId>) = named.map(|(&name, &id)| (name, id)).unzip();
            for (name, gradient) in names.into_iter().zip(graph.gradient_from(y, dy, &ids)?) {
                graph.output(format!("d{name}"), gradient);
            }
        }
        let axis = |id: Option<&NodeId>| id.and_then(|&id| graph.dims(id).first().copied()).unwrap_or(1) as u32;
        let rows = match case {
            Case::CrossEntropy { valid, .. } => *valid,
            Case::Gather { batch, .. } => *batch as u32,
            Case::Augment { .. } => axis(inputs.last()),
            _ => axis(inputs.first()),
        };
        if matches!(case, Case::ResizedCrop { .. }) {
            buffers.push((ORDER.into(), Value::U32((0..rows).collect())));
        }
        let mut steps = vec![(Step::new(0, rows, 1), Vec::new())];
        if let Case::Average { first, .. } = case {
            // Each step sees the weights of its row.
            let (shape, _) = find("weights.after")?;
            steps = (0..shape[0])
                .map(|step| {
                    Ok((Step::new(first + step as u32, 1, 1), vec![row_of(find("weights.after")?, step, "weights")]))
                })
                .collect::<Result<_, Failure>>()?;
        }
        let read = |name: &&str| {
            ((*name).to_owned(), (*name).to_owned(), 0..find(name).map_or(0, |(shape, _)| shape.iter().product()))
        };
        let read = case.states().iter().filter(|name| **name != "weights").map(read).collect();
        Ok(Self { graph, buffers, steps, read, given: BTreeSet::new() })
    }

    /// An optimiser as a training run builds it. The loss is the sum of the parameters times given numbers, which are then
    /// their gradients.
    fn of_optimiser<'a>(
        optimiser: &Optimiser,
        rates: &[f64],
        find: impl Fn(&str) -> Result<&'a (Vec<usize>, Value), String>,
    ) -> Result<Self, Failure> {
        const NAMES: [(&str, u32); 2] = [("weight", GROUP_WEIGHTS), ("bias", GROUP_SPARED)];
        let mut parameters = Parameters::default();
        for (name, group) in NAMES {
            parameters.add(name, find(name)?.0.clone(), Initialiser::Zeros, group);
        }
        let mut build = Build::new(&parameters, BuildMode::Training)?;
        let mut losses = Vec::new();
        for (name, _) in NAMES {
            let parameter = build.parameter(name)?;
            let shape = build.dims(parameter).to_vec();
            let gradient = build.leaf(format!("gradient.{name}"), 0, TensorType::f32(shape))?;
            let product = build.mul(parameter, gradient)?;
            let count = build.ty(product).elements();
            let flat = build.reshape(product, [count])?;
            losses.push(build.sum(flat, 0, 0)?);
        }
        let loss = build.add(losses[0], losses[1])?;
        optimiser.update(&mut build, loss)?;
        let mut flat = vec![0.0; parameters.flat_len()];
        let mut read = Vec::new();
        for (name, _) in NAMES {
            let range = parameters.find(name).ok_or("added")?.range();
            flat[range.clone()].copy_from_slice(&find(name)?.1.numbers());
            read.push((name.to_owned(), PARAMS.to_owned(), range));
        }
        let mut buffers = vec![(PARAMS.to_owned(), Value::Real(flat))];
        buffers.extend(
            optimiser.tables(&parameters).into_iter().map(|(name, table)| (name.to_owned(), Value::U32(table))),
        );
        let mut steps = Vec::new();
        for (number, &rate) in rates.iter().enumerate() {
            let mut step = Step::new(number as u32, 1, 1);
            optimiser.fill(&mut step, rate, optimiser.momentum());
            let gradient =
                |name: &str| Ok(row_of(find(&format!("gradient.{name}"))?, number, &format!("gradient.{name}")));
            steps.push((step, NAMES.map(|(name, _)| gradient(name)).into_iter().collect::<Result<_, String>>()?));
        }
        Ok(Self { graph: build.graph, buffers, steps, read, given: BTreeSet::new() })
    }

    /// The names of the tensors in the file that it is made of.
    pub fn read_from(&self) -> impl Iterator<Item = &String> {
        self.given.iter()
    }

    /// The names of all ops in it, also those that the rewrite makes of others.
    ///
    /// # Errors
    /// When the graph cannot be rewritten.
    pub fn ops(&self) -> Result<BTreeSet<&'static str>, Failure> {
        let rewritten = optimise(&self.graph, Passes::default())?;
        let names =
            |graph: &Graph| graph.nodes().iter().filter_map(|node| node.op().map(|op| op.name())).collect::<Vec<_>>();
        Ok(names(&self.graph).into_iter().chain(names(&rewritten)).collect())
    }

    /// Runs it by the definitions in double precision, the graph as it was built or rewritten as an executor gets it.
    ///
    /// # Errors
    /// When the graph cannot be rewritten.
    pub fn by_definition(&self, rewritten: bool) -> Result<Tensors, Failure> {
        let graph = if rewritten { optimise(&self.graph, Passes::default())? } else { self.graph.clone() };
        let (mut oracle, mut results) = (Oracle::default(), Tensors::new());
        for (name, value) in &self.buffers {
            oracle.set(name, value.clone());
        }
        for (number, (step, written)) in self.steps.iter().enumerate() {
            written.iter().for_each(|(name, value)| oracle.set(name, value.clone()));
            let values = oracle.run(&graph, graph.ids(), step);
            for (name, id) in graph.outputs() {
                let value = values[id.index()].clone().ok_or("no value")?;
                results.insert(name.clone(), (graph.dims(*id).to_vec(), value));
            }
            for (name, buffer, range) in &self.read {
                let part = oracle.get(buffer)?.numbers()[range.clone()].to_vec();
                results.insert(format!("{name}.{number}"), (vec![range.len()], Value::Real(part)));
            }
        }
        Ok(results)
    }

    /// Runs it on an engine.
    ///
    /// # Errors
    /// When the device fails.
    pub fn on(&self, engine: &mut Engine) -> Result<Tensors, Failure> {
        engine.forget();
        let plan = Plan::new(optimise(&self.graph, Passes::default())?, &engine.target(), PlanOptions::default())?;
        let program = engine.load(plan)?;
        for (name, value) in &self.buffers {
            engine.write(name, 0, &value.to_bytes())?;
        }
        let shapes: Vec<_> =
            self.graph.outputs().iter().map(|(name, id)| (name.clone(), self.graph.dims(*id).to_vec())).collect();
        engine.schedule(program, &self.steps.iter().map(|(step, _)| *step).collect::<Vec<_>>())?;
        let mut results = Tensors::new();
        for (number, (_, written)) in self.steps.iter().enumerate() {
            for (name, value) in written {
                engine.write(name, 0, &value.to_bytes())?;
            }
            engine.run(program, number..number + 1)?;
            for (name, shape) in &shapes {
                let value = pollster::block_on(engine.read_output_value(program, name))?;
                results.insert(name.clone(), (shape.clone(), value));
            }
            for (name, buffer, range) in &self.read {
                let all: Vec<f32> = pollster::block_on(engine.read(buffer))?;
                let part = all[range.clone()].iter().map(|&value| value.into()).collect();
                results.insert(format!("{name}.{number}"), (vec![range.len()], Value::Real(part)));
            }
        }
        Ok(results)
    }
}

/// A tensor's row of a step, as what is written before it.
fn row_of((shape, value): &(Vec<usize>, Value), row: usize, name: &str) -> (String, Value) {
    let numbers = value.numbers();
    let each = numbers.len() / shape[0];
    (name.to_owned(), Value::Real(numbers[row * each..][..each].to_vec()))
}
