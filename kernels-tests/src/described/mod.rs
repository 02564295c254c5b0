//! Ops that a file describes, with their inputs: what `scripts/pytorch_ops.py` says in PyTorch's words, said in ours. The test of
//! PyTorch's frozen values and `evaluate_ops` both read such files.
//!
//! The metadata entry `cases` of a file is a JSON list of ops with their numbers; case i's inputs are named `i.x`, `i.w`, ... and
//! the incoming gradient `i.dy`. Results are `y` and a gradient `dx`, `dw`, ... by each input; of what updates a state,
//! that state after each step.

mod case;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

pub use case::Case;
use case::ORDER;
use gpunn::Engine;
use gpunn::cpu::{Oracle, Value};
use gpunn::graph::{DType, Graph, NodeId, Passes, Plan, PlanOptions, TensorType, optimize};
use gpunn::nn::{Build, GROUP_NO_DECAY, GROUP_WEIGHTS, Initialiser, Mode as BuildMode, PARAMS, Parameters};
use gpunn::ops::Step;
use gpunn::optim::{Optimizer, Schedule, TrainingProgress};
use safetensors::tensor::{Dtype, SafeTensors};

/// Errors of files and of devices.
pub type Failure = Box<dyn Error>;

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
        if let Case::Optimizer { optimizer, rates } = case {
            return Self::of_optimizer(optimizer, rates, find);
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
            Case::CrossEntropy { valid, .. } | Case::BinaryCrossEntropy { valid, .. } => *valid,
            Case::Gather { batch, .. } => *batch as u32,
            Case::Augment { .. } => axis(inputs.last()),
            _ => axis(inputs.first()),
        };
        if matches!(case, Case::ResizedCrop { .. }) {
            buffers.push((ORDER.into(), Value::U32((0..rows).collect())));
        }
        let mut first = Step::new(0, rows, 1);
        if let Case::Augment { augment, .. } = case {
            augment.mix(&mut first, [graph.dims(y)[2], graph.dims(y)[3]]);
        }
        if let Case::CrossEntropy { share: Some(share), .. } | Case::BinaryCrossEntropy { share: Some(share), .. } =
            case
        {
            first.share = *share;
        }
        let mut steps = vec![(first, Vec::new())];
        // Each step sees the weights of its row.
        let weighted = |step: Step, row: usize| -> Result<_, Failure> {
            Ok((step, vec![row_of(find("weights.after")?, row, "weights")]))
        };
        if let Case::Average { first, .. } = case {
            let rows = find("weights.after")?.0[0];
            let step = |row: usize| weighted(Step::new(first + row as u32, 1, 1), row);
            steps = (0..rows).map(step).collect::<Result<_, _>>()?;
        }
        if let Case::Lookahead { shares } = case {
            let step = |(row, &lookahead)| weighted(Step { lookahead, ..Step::new(row as u32, 1, 1) }, row);
            steps = shares.iter().enumerate().map(step).collect::<Result<_, _>>()?;
        }
        let read = |name: &&str| {
            ((*name).to_owned(), (*name).to_owned(), 0..find(name).map_or(0, |(shape, _)| shape.iter().product()))
        };
        let read = case.states().iter().filter(|name| **name != "weights").map(read).collect();
        Ok(Self { graph, buffers, steps, read, given: BTreeSet::new() })
    }

    /// An optimizer as a training run builds it. The loss is the sum of the parameters times given numbers, which are then
    /// their gradients.
    fn of_optimizer<'a>(
        optimizer: &Optimizer,
        rates: &[f64],
        find: impl Fn(&str) -> Result<&'a (Vec<usize>, Value), String>,
    ) -> Result<Self, Failure> {
        const NAMES: [(&str, u32); 2] = [("weight", GROUP_WEIGHTS), ("bias", GROUP_NO_DECAY)];
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
        optimizer.update(&mut build, loss, false)?;
        let mut flat = vec![0.0; parameters.flat_len()];
        let mut read = Vec::new();
        for (name, _) in NAMES {
            let range = parameters.find(name).ok_or("added")?.range();
            flat[range.clone()].copy_from_slice(&find(name)?.1.numbers());
            read.push((name.to_owned(), PARAMS.to_owned(), range));
        }
        let mut buffers = vec![(PARAMS.to_owned(), Value::Real(flat))];
        buffers.extend(
            optimizer.tables(&parameters).into_iter().map(|(name, table)| (name.to_owned(), Value::U32(table))),
        );
        let mut steps = Vec::new();
        for (number, &rate) in rates.iter().enumerate() {
            let mut step = Step::new(number as u32, 1, 1);
            let at = TrainingProgress { epoch: 0, step: number as u32, steps: rates.len() as u32, epochs: 1.0 };
            let with_rate = Optimizer { learning_rate: rate, ..optimizer.clone() };
            with_rate.fill(&mut step, &Schedule::default(), at);
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
        let rewritten = optimize(&self.graph, Passes::default())?;
        let names =
            |graph: &Graph| graph.nodes().iter().filter_map(|node| node.op().map(|op| op.name())).collect::<Vec<_>>();
        Ok(names(&self.graph).into_iter().chain(names(&rewritten)).collect())
    }

    /// Runs it by the definitions in double precision, the graph as it was built or rewritten as an executor gets it.
    ///
    /// # Errors
    /// When the graph cannot be rewritten.
    pub fn by_definition(&self, rewritten: bool) -> Result<Tensors, Failure> {
        let graph = if rewritten { optimize(&self.graph, Passes::default())? } else { self.graph.clone() };
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
        let plan = Plan::new(optimize(&self.graph, Passes::default())?, &engine.target(), PlanOptions::default())?;
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
                let value = gpunn::blocking::block_on(engine.read_output_value(program, name))?;
                results.insert(name.clone(), (shape.clone(), value));
            }
            for (name, buffer, range) in &self.read {
                let all: Vec<f32> = gpunn::blocking::block_on(engine.read(buffer))?;
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
