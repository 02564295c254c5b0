//! Runs plans on the CPU in f32. In a plan, no node reads a buffer that it writes. So each node borrows its outputs
//! mutably and its inputs shared, and the borrow checker verifies that rule.

use std::collections::HashMap;
use std::ops::{Range, RangeBounds};

use crate::graph::{BufferKind, DType, NodeSource, Place, Plan, PlannedNode, Target};
use crate::ops::{Call, Step, TensorData, TensorOut};
use crate::profile::Timed;
use crate::{Error, Result};

/// The values of a buffer.
#[derive(Clone, Debug)]
enum Values {
    F32(Vec<f32>),
    U32(Vec<u32>),
    U8(Vec<u8>),
}

impl Default for Values {
    fn default() -> Self {
        Self::F32(Vec::new())
    }
}

impl Values {
    fn zeros(dtype: DType, bytes: usize) -> Self {
        match dtype {
            DType::F32 => Self::F32(vec![0.0; bytes / 4]),
            DType::U32 => Self::U32(vec![0; bytes / 4]),
            DType::U8 => Self::U8(vec![0; bytes]),
        }
    }
    fn bytes(&self) -> &[u8] {
        match self {
            Self::F32(values) => bytemuck::cast_slice(values),
            Self::U32(values) => bytemuck::cast_slice(values),
            Self::U8(values) => values,
        }
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::F32(values) => bytemuck::cast_slice_mut(values),
            Self::U32(values) => bytemuck::cast_slice_mut(values),
            Self::U8(values) => values,
        }
    }
    fn data(&self, offset: usize, elements: usize) -> TensorData<'_, f32> {
        match self {
            Self::F32(values) => TensorData::Real(&values[offset / 4..][..elements]),
            Self::U32(values) => TensorData::U32(&values[offset / 4..][..elements]),
            Self::U8(values) => TensorData::U8(&values[offset..][..elements]),
        }
    }
    fn out(&mut self, offset: usize, elements: usize) -> TensorOut<'_, f32> {
        match self {
            Self::F32(values) => TensorOut::Real(&mut values[offset / 4..][..elements]),
            Self::U32(values) => TensorOut::U32(&mut values[offset / 4..][..elements]),
            Self::U8(_) => TensorOut::Real(&mut []),
        }
    }
}

/// The time in seconds that the nodes of a piece are expected to take together. Between pieces [`Executor::run_while`] can stop.
const PIECE: f64 = 0.1;
/// Speeds of a slow CPU, in floating-point operations and bytes a second.
const SPEEDS: [f64; 2] = [2e10, 5e9];

/// Cuts the nodes of a plan into pieces.
fn pieces(plan: &Plan) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    let mut seconds = 0.0;
    for (index, work) in plan.work.iter().enumerate() {
        let flops = plan.graph.node(work.node).op().map_or(0, |op| op.flops(&work.types));
        let of_this = flops as f64 / SPEEDS[0] + work.types.bytes() as f64 / SPEEDS[1];
        match pieces.last_mut() {
            Some(piece) if seconds + of_this <= PIECE => {
                piece.end += 1;
                seconds += of_this;
            }
            _ => {
                pieces.push(index..index + 1);
                seconds = of_this;
            }
        }
    }
    pieces
}

/// A loaded plan with its own buffers. The entries of persistent buffers are empty while the plan does not run.
#[derive(Debug)]
struct Loaded {
    plan: Plan,
    buffers: Vec<Values>,
    steps: Vec<Step>,
    /// The nodes, in pieces that take about [`PIECE`].
    pieces: Vec<Range<usize>>,
}

/// Executes plans made for [`Target::cpu`].
#[derive(Debug)]
pub struct Executor {
    persistent: HashMap<String, Values>,
    loaded: Vec<Loaded>,
    max_memory: usize,
}

impl Default for Executor {
    fn default() -> Self {
        Self::within(usize::MAX)
    }
}

impl Executor {
    /// An executor without plans or buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, for plans whose buffers have at most so many bytes together.
    pub fn within(max_memory: usize) -> Self {
        Self { persistent: HashMap::new(), loaded: Vec::new(), max_memory }
    }

    /// The target for which plans must be made.
    pub fn target(&self) -> Target {
        Target { max_memory: self.max_memory, ..Target::cpu() }
    }

    /// Loads a plan and makes its buffers, zeroed. Persistent buffers that exist already keep their content.
    ///
    /// # Errors
    /// When a persistent buffer exists with another length.
    pub fn load(&mut self, plan: Plan) -> Result<usize> {
        let mut buffers = Vec::new();
        for buffer in &plan.buffers {
            let zeros = || Values::zeros(buffer.dtype, buffer.bytes);
            if buffer.kind != BufferKind::Persistent {
                buffers.push(zeros());
                continue;
            }
            let known = self.persistent.entry(buffer.name.clone()).or_insert_with(zeros);
            if known.bytes().len() != buffer.bytes {
                return Err(Error::Shape(format!(
                    "the buffer '{}' has {} bytes already, but the plan asks for {}",
                    buffer.name,
                    known.bytes().len(),
                    buffer.bytes
                )));
            }
            buffers.push(Values::default());
        }
        for id in plan.graph.ids() {
            if let (NodeSource::Constant(values), Some(place)) = (&plan.graph.node(id).source, plan.place(id)) {
                let bytes = &mut buffers[place.buffer].bytes_mut()[place.offset..][..place.bytes];
                bytes.copy_from_slice(bytemuck::cast_slice(values));
            }
        }
        let pieces = pieces(&plan);
        self.loaded.push(Loaded { plan, buffers, steps: Vec::new(), pieces });
        Ok(self.loaded.len() - 1)
    }

    /// A loaded plan.
    pub fn plan(&self, program: usize) -> &Plan {
        &self.loaded[program].plan
    }

    /// Sets the schedule: the steps from which [`Executor::run`] takes ranges.
    pub fn schedule(&mut self, program: usize, steps: &[Step]) {
        self.loaded[program].steps = steps.to_vec();
    }

    /// The scheduled steps of a program.
    pub fn steps(&self, program: usize) -> &[Step] {
        &self.loaded[program].steps
    }

    /// Writes into a persistent buffer, starting at a byte offset.
    ///
    /// # Errors
    /// When there is no such buffer or it is too short.
    pub fn write(&mut self, name: &str, offset: usize, bytes: &[u8]) -> Result<()> {
        let buffer = self.persistent.get_mut(name).ok_or_else(|| Error::unknown_buffer(name))?;
        let all = buffer.bytes_mut();
        let len = all.len();
        let range = all.get_mut(offset..offset + bytes.len());
        range.ok_or_else(|| Error::short_buffer(name, len, offset + bytes.len()))?.copy_from_slice(bytes);
        Ok(())
    }

    /// The bytes of a persistent buffer.
    ///
    /// # Errors
    /// When there is no such buffer.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        self.bytes(name).map(<[u8]>::to_vec)
    }

    /// As [`Executor::read`], without a copy.
    ///
    /// # Errors
    /// As [`Executor::read`].
    pub fn bytes(&self, name: &str) -> Result<&[u8]> {
        self.persistent.get(name).map(Values::bytes).ok_or_else(|| Error::unknown_buffer(name))
    }

    /// The bytes of a tensor of a loaded plan.
    pub fn read_place(&self, program: usize, place: Place) -> Vec<u8> {
        let Loaded { plan, buffers, .. } = &self.loaded[program];
        let buffer = &plan.buffers[place.buffer];
        let values = match buffer.kind {
            BufferKind::Persistent => &self.persistent[&buffer.name],
            _ => &buffers[place.buffer],
        };
        values.bytes()[place.offset..][..place.bytes].to_vec()
    }

    /// Runs steps of the schedule.
    pub fn run(&mut self, program: usize, range: Range<usize>) {
        self.each_node(program, range, .., |_, _, _, run| run());
    }

    /// Runs steps of the schedule. Within a step that takes longer than a tenth of a second, it asks `going` from time to time whether
    /// to go on. Returns whether all was run.
    pub fn run_while(&mut self, program: usize, range: Range<usize>, going: &mut dyn FnMut() -> bool) -> bool {
        let pieces = self.loaded[program].pieces.clone();
        if pieces.len() < 2 && range.len() < 2 {
            self.run(program, range);
            return true;
        }
        let all = range.flat_map(|step| pieces.iter().map(move |piece| (step, piece)));
        for (index, (step, piece)) in all.enumerate() {
            if index > 0 && !going() {
                return false;
            }
            self.each_node(program, step..step + 1, piece.clone(), |_, _, _, run| run());
        }
        true
    }

    /// Runs some nodes of a scheduled step. They are indices in [`Plan::work`].
    pub fn run_nodes(&mut self, program: usize, nodes: Range<usize>, step: usize) {
        self.each_node(program, step..step + 1, nodes, |_, _, _, run| run());
    }

    /// Writes bytes over a tensor of a loaded plan that is not in a persistent buffer.
    pub fn write_place(&mut self, program: usize, place: Place, bytes: &[u8]) {
        let buffer = &mut self.loaded[program].buffers[place.buffer];
        buffer.bytes_mut()[place.offset..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Runs one node of a scheduled step. `node` is its index in [`Plan::work`].
    pub fn run_node(&mut self, program: usize, node: usize, step: usize) {
        self.each_node(program, step..step + 1, node..=node, |_, _, _, run| run());
    }

    /// Runs steps of the schedule and measures the time of each node. `clock` returns nanoseconds.
    pub fn profile(&mut self, program: usize, range: Range<usize>, clock: impl Fn() -> f64 + Sync) -> Vec<Timed> {
        let mut timed = Vec::new();
        self.each_node(program, range, .., |step, plan, work, run| {
            let start = clock();
            run();
            let duration = clock() - start;
            let node = plan.graph.node(work.node);
            let op = node.op().expect("only computed nodes are in the work");
            timed.push(Timed {
                kernel: format!("{} {}", op.name(), node.ty.shape),
                node: node.name.clone(),
                step,
                start,
                duration,
                flops: op.flops(&work.types),
                bytes: work.types.bytes(),
            });
        });
        let first = timed.first().map_or(0.0, |node| node.start);
        timed.iter_mut().for_each(|node| node.start -= first);
        timed
    }

    /// Calls `around` for each of these nodes of each step, with the step's number, the plan, the node and a function that runs
    /// it. A node is its index in [`Plan::work`].
    fn each_node(
        &mut self,
        program: usize,
        range: Range<usize>,
        nodes: impl RangeBounds<usize>,
        mut around: impl FnMut(usize, &Plan, &PlannedNode, &mut dyn FnMut()) + Send,
    ) {
        let Loaded { plan, buffers, steps, .. } = &mut self.loaded[program];
        for (buffer, values) in plan.buffers.iter().zip(buffers.iter_mut()) {
            if buffer.kind == BufferKind::Persistent {
                *values = std::mem::take(self.persistent.get_mut(&buffer.name).expect("made when loaded"));
            }
        }
        let nodes = &plan.work[(nodes.start_bound().cloned(), nodes.end_bound().cloned())];
        crate::parallel::within(|| {
            for step in range {
                for work in nodes {
                    around(step, plan, work, &mut || run_node(plan, work, buffers, &steps[step]));
                }
            }
        });
        for (buffer, values) in plan.buffers.iter().zip(buffers.iter_mut()) {
            if buffer.kind == BufferKind::Persistent {
                self.persistent.insert(buffer.name.clone(), std::mem::take(values));
            }
        }
    }
}

/// Takes the output and state buffers out of the list, borrows the inputs, runs the node, and puts the buffers back.
fn run_node(plan: &Plan, work: &PlannedNode, buffers: &mut [Values], step: &Step) {
    let node = plan.graph.node(work.node);
    let op = node.op().expect("only computed nodes are in the work");
    let place = plan.place(work.node);
    let mut output = place.map(|place| std::mem::take(&mut buffers[place.buffer])).unwrap_or_default();
    let mut states: Vec<(Place, Values)> = Vec::new();
    for place in node.states().iter().filter_map(|&state| plan.place(state)) {
        states.push((place, std::mem::take(&mut buffers[place.buffer])));
    }
    let input = |(index, ty): (usize, &crate::graph::TensorType)| {
        let computed_in_output = work.placed.get(index).copied().unwrap_or(false);
        match plan.place(node.inputs()[index]) {
            Some(place) if !computed_in_output => buffers[place.buffer].data(place.offset, ty.elements()),
            _ => TensorData::Real(&[]),
        }
    };
    let inputs: Vec<_> = work.types.inputs.iter().enumerate().map(input).collect();
    let mut state_slices: Vec<&mut [f32]> = Vec::new();
    for ((place, values), ty) in states.iter_mut().zip(&work.types.states) {
        if let TensorOut::Real(slice) = values.out(place.offset, ty.elements()) {
            state_slices.push(slice);
        }
    }
    let out = output.out(place.map_or(0, |place| place.offset), node.ty.elements());
    op.run(&mut Call { types: &work.types, inputs: &inputs, states: &mut state_slices, output: out, step });
    for (place, values) in states {
        buffers[place.buffer] = values;
    }
    if let Some(place) = place {
        buffers[place.buffer] = output;
    }
}
