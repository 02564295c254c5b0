//! The plan: the order in which nodes run, and the memory of each tensor in a few buffers. The peak memory is known
//! before anything runs.

use super::kernel::Lowering;
use super::network::{Graph, NodeId, NodeSource};
use super::op::{Lower, Types};
use super::order::order;
use super::placement::{Pools, Range};
use super::shape::{DType, TensorType};
use super::target::Target;
use crate::{Error, Result};

/// How tensors share memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Whether tensors reuse the memory of tensors that are no longer needed. This includes updates in place.
    pub reuse: bool,
    /// Unused bytes before and after every tensor. Tests check that nothing writes there.
    pub guard: usize,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self { reuse: true, guard: 0 }
    }
}

/// The purpose of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BufferKind {
    /// A buffer that outlives the plan: parameters, optimizer state, data.
    Persistent,
    /// The graph's constants.
    Constants,
    /// Tensors that are needed only within a step.
    Pool,
}

/// A buffer of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The name of a persistent buffer, or the purpose of another buffer.
    pub name: String,
    /// Its purpose.
    pub kind: BufferKind,
    /// Element type of all its tensors.
    pub dtype: DType,
    /// Its size in bytes.
    pub bytes: usize,
}

/// The memory of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
    /// The offset from the buffer's start, in bytes.
    pub offset: usize,
    /// Its size in bytes, a multiple of 4.
    pub bytes: usize,
}

/// A node with its memory and dispatches.
#[derive(Clone, Debug)]
pub struct PlannedNode {
    /// The node.
    pub node: NodeId,
    /// Types of its inputs, states and output.
    pub types: Types,
    /// For an op with [`Op::places_inputs`](super::Op::places_inputs): which inputs are computed directly into the
    /// output.
    pub placed: Vec<bool>,
    /// Its dispatches on a GPU.
    pub lowering: Lowering,
    /// The memory of its scratch tensors.
    pub scratch: Vec<Place>,
}

/// The order of the nodes and the memory of every tensor.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The planned graph.
    pub graph: Graph,
    /// The computed nodes, in the order in which they run. Views are not included.
    pub work: Vec<PlannedNode>,
    /// The memory of each node's value. `None` for a value without elements.
    pub places: Vec<Option<Place>>,
    /// The buffers.
    pub buffers: Vec<Buffer>,
    /// The first and last position in the order of all nodes at which each node's value is needed.
    pub lifetimes: Vec<(usize, usize)>,
}

impl Plan {
    /// Plans a graph for a target.
    ///
    /// # Errors
    /// [`Error::Memory`] when a tensor or a buffer is larger than the target allows. [`Error::Shape`] when a node
    /// reads a buffer that it updates.
    pub fn new(graph: Graph, target: &Target, options: PlanOptions) -> Result<Self> {
        Planner::new(&graph, target, options)?.plan()
    }

    /// The total size of all buffers in bytes: exactly the memory that a run needs.
    pub fn peak_bytes(&self) -> usize {
        self.buffers.iter().map(|buffer| buffer.bytes).sum()
    }

    /// The total size of the buffers of one kind, in bytes.
    pub fn bytes_of(&self, kind: BufferKind) -> usize {
        self.buffers.iter().filter(|buffer| buffer.kind == kind).map(|buffer| buffer.bytes).sum()
    }

    /// Floating-point operations of one run.
    pub fn flops(&self) -> u64 {
        let of = |work: &PlannedNode| self.graph.node(work.node).op().map_or(0, |op| op.flops(&work.types));
        self.work.iter().map(of).sum()
    }

    /// Bytes that one run reads and writes, each operand of each node counted once.
    pub fn traffic(&self) -> u64 {
        self.work.iter().map(|work| work.types.bytes()).sum()
    }

    /// The memory of a node's value. `None` if the value is empty.
    pub fn place(&self, id: NodeId) -> Option<Place> {
        self.places[id.index()]
    }

    /// The node of a named output.
    ///
    /// # Errors
    /// When there is no output with that name.
    pub fn output(&self, name: &str) -> Result<NodeId> {
        let found = self.graph.outputs().iter().find(|(output, _)| output == name);
        found.map(|&(_, id)| id).ok_or_else(|| Error::Usage(format!("the plan has no output '{name}'")))
    }
}

/// Where a node's value is stored: inside the value of a root node, at an offset in bytes.
#[derive(Clone, Copy)]
struct Root {
    node: NodeId,
    offset: usize,
}

struct Planner<'a> {
    graph: &'a Graph,
    target: &'a Target,
    options: PlanOptions,
    order: Vec<NodeId>,
    /// The root of each node.
    roots: Vec<Root>,
    /// For each root, the positions in the order of its first write and its last read.
    lifetimes: Vec<(usize, usize)>,
    /// For each root, its memory once assigned.
    places: Vec<Option<Place>>,
    pools: Pools<DType>,
    buffers: Vec<Buffer>,
    /// The number of buffers before the pools.
    fixed: usize,
}

impl<'a> Planner<'a> {
    fn new(graph: &'a Graph, target: &'a Target, options: PlanOptions) -> Result<Self> {
        let order = order(graph)?;
        let roots = roots(graph, target, options);
        let lifetimes = lifetimes(graph, &order, &roots);
        let pools = Pools::new(target.alignment, (options.guard, options.reuse), target.max_buffer);
        let places = vec![None; graph.nodes().len()];
        Ok(Self { graph, target, options, order, roots, lifetimes, places, pools, buffers: Vec::new(), fixed: 0 })
    }

    fn plan(mut self) -> Result<Plan> {
        self.check_tensors()?;
        self.place_leaves();
        self.fixed = self.buffers.len();
        let mut work = Vec::new();
        for turn in 0..self.order.len() {
            if self.options.reuse && turn > 0 {
                self.release(turn);
            }
            let id = self.order[turn];
            if let NodeSource::Op { .. } = self.graph.node(id).source {
                work.extend(self.place(turn, id)?);
            }
        }
        let pools: Vec<_> = self.pools.sizes().collect();
        for (number, (dtype, bytes)) in pools.into_iter().enumerate() {
            let (name, kind) = (format!("pool {number}"), BufferKind::Pool);
            self.buffers.push(Buffer { name, kind, dtype, bytes });
        }
        self.check_buffers()?;
        let places = self.graph.ids().map(|id| self.final_place(id)).collect();
        let lifetimes = self.graph.ids().map(|id| self.lifetimes[self.roots[id.index()].node.index()]).collect();
        Ok(Plan { graph: self.graph.clone(), work, places, buffers: self.buffers, lifetimes })
    }

    /// Persistent buffers have the length that the graph gives. Constants follow one another in one buffer.
    fn place_leaves(&mut self) {
        let mut index_of = std::collections::HashMap::new();
        for (name, buffer) in self.graph.buffers() {
            index_of.insert(name.as_str(), self.buffers.len());
            let bytes = (buffer.len * buffer.dtype.bytes()).next_multiple_of(4);
            let (name, kind) = (name.clone(), BufferKind::Persistent);
            self.buffers.push(Buffer { name, kind, dtype: buffer.dtype, bytes });
        }
        let constants = self.buffers.len();
        let mut end = 0;
        for id in self.graph.ids() {
            let node = self.graph.node(id);
            let bytes = node.ty.bytes();
            self.places[id.index()] = match &node.source {
                NodeSource::Leaf { buffer, offset } => {
                    Some(Place { buffer: index_of[buffer.as_str()], offset: offset * node.ty.dtype.bytes(), bytes })
                }
                NodeSource::Constant(_) => {
                    let place = Place { buffer: constants, offset: end, bytes };
                    end = (end + bytes).next_multiple_of(self.target.alignment);
                    Some(place)
                }
                NodeSource::Op { .. } => None,
            };
        }
        if end > 0 {
            let (name, kind) = ("constants".into(), BufferKind::Constants);
            self.buffers.push(Buffer { name, kind, dtype: DType::F32, bytes: end });
        }
    }

    fn final_place(&self, id: NodeId) -> Option<Place> {
        let root = self.roots[id.index()];
        let place = self.places[root.node.index()]?;
        let bytes = self.graph.ty(id).bytes();
        (bytes > 0).then_some(Place { buffer: place.buffer, offset: place.offset + root.offset, bytes })
    }

    /// Frees the memory of values that were last needed at the previous position.
    fn release(&mut self, turn: usize) {
        for id in self.graph.ids() {
            let ends = self.lifetimes[id.index()].1 == turn - 1 && self.roots[id.index()].node == id;
            if let (true, Some(place)) = (ends && self.graph.node(id).op().is_some(), self.places[id.index()])
                && place.buffer >= self.fixed
                && !self.taken_over(id, turn - 1)
            {
                let range = Range { offset: place.offset, bytes: place.bytes };
                self.pools.release(place.buffer - self.fixed, range);
            }
        }
    }

    /// Whether the node at position `turn` took over this node's memory.
    fn taken_over(&self, id: NodeId, turn: usize) -> bool {
        let by = self.roots[self.order[turn].index()].node;
        by != id && self.places[by.index()].is_some_and(|place| Some(place) == self.places[id.index()])
    }

    /// Assigns memory to one node's value and scratch tensors, and lowers its op.
    fn place(&mut self, turn: usize, id: NodeId) -> Result<Option<PlannedNode>> {
        let node = self.graph.node(id);
        let op = node.op().expect("only computed nodes are placed");
        let types = self.graph.types(id);
        if self.roots[id.index()].node != id && op.view(&types).is_some() {
            return Ok(None);
        }
        let reads: Vec<usize> =
            node.inputs().iter().filter_map(|&id| self.final_place(id)).map(|place| place.buffer).collect();
        self.check_states(id, &reads)?;
        let in_place = self.place_output(turn, id, &types, &reads);
        let placed: Vec<bool> = match op.places_inputs() {
            Some(_) => node.inputs().iter().map(|input| self.roots[input.index()].node == id).collect(),
            None => Vec::new(),
        };
        let lowering = match &self.target.device {
            Some(device) => op.lower(&Lower { types: &types, in_place, placed: &placed, device }),
            None => Lowering::default(),
        };
        self.check_lowering(id, &lowering)?;
        let mut avoid: Vec<usize> =
            reads.iter().chain(self.final_place(id).map(|p| p.buffer).iter()).copied().collect();
        let mut scratch = Vec::new();
        for &floats in &lowering.scratch {
            let place = self.allocate(DType::F32, 4 * floats, &avoid);
            avoid.push(place.buffer);
            scratch.push(place);
        }
        for place in &scratch {
            self.pools.release(place.buffer - self.fixed, Range { offset: place.offset, bytes: place.bytes });
        }
        Ok(Some(PlannedNode { node: id, types, placed, lowering, scratch }))
    }

    /// A dispatch cannot read and write the same buffer, nor write it through two bindings.
    fn check_states(&self, id: NodeId, reads: &[usize]) -> Result<()> {
        let node = self.graph.node(id);
        let mut written = Vec::new();
        for buffer in node.states().iter().filter_map(|&state| self.final_place(state)).map(|place| place.buffer) {
            let name = &self.buffers[buffer].name;
            if reads.contains(&buffer) {
                return Err(Error::Shape(format!("node '{}' reads the buffer '{name}' that it updates", node.name)));
            }
            if written.contains(&buffer) {
                return Err(Error::Shape(format!("node '{}' updates two parts of the buffer '{name}'", node.name)));
            }
            written.push(buffer);
        }
        Ok(())
    }

    /// Assigns memory to a node's output: that of an input which is no longer needed, or a range of its own. Returns
    /// the index of that input.
    fn place_output(&mut self, turn: usize, id: NodeId, types: &Types, reads: &[usize]) -> Option<usize> {
        let root = self.roots[id.index()].node;
        let bytes = types.output.bytes();
        if bytes == 0 || self.places[root.index()].is_some() {
            return None;
        }
        if root != id {
            // The output is part of a pack that comes later. The pack gets a buffer of its own now.
            let (pool, range) = self.pools.dedicate(DType::F32, self.graph.ty(root).bytes());
            self.places[root.index()] = Some(self.pool_place(pool, range));
            return None;
        }
        let op = self.graph.node(id).op()?;
        if op.places_inputs().is_some() {
            let (pool, range) = self.pools.dedicate(DType::F32, bytes);
            self.places[id.index()] = Some(self.pool_place(pool, range));
            return None;
        }
        if self.options.reuse && self.target.device.is_some() {
            for input in op.in_place(types) {
                if let Some(place) = self.dying(turn, id, input, reads) {
                    self.places[id.index()] = Some(place);
                    return Some(input);
                }
            }
        }
        self.places[id.index()] = Some(self.allocate(types.output.dtype, bytes, reads));
        None
    }

    /// The memory of an input, if this is its last read and the output may take it over.
    fn dying(&self, turn: usize, id: NodeId, input: usize, reads: &[usize]) -> Option<Place> {
        let inputs = self.graph.node(id).inputs();
        let root = self.roots[inputs[input].index()];
        let place = self.places[root.node.index()]?;
        let whole = root.offset == 0 && place.bytes == self.graph.ty(id).bytes();
        let of_a_step = self.graph.node(root.node).op().is_some_and(|op| op.places_inputs().is_none());
        let alone = reads.iter().filter(|&&buffer| buffer == place.buffer).count() == 1;
        (whole && of_a_step && alone && self.lifetimes[root.node.index()].1 == turn).then_some(place)
    }

    fn allocate(&mut self, dtype: DType, bytes: usize, avoid: &[usize]) -> Place {
        let avoid: Vec<usize> = avoid.iter().filter_map(|buffer| buffer.checked_sub(self.fixed)).collect();
        let (pool, range) = self.pools.allocate(dtype, bytes, &avoid);
        self.pool_place(pool, range)
    }

    fn pool_place(&self, pool: usize, range: Range) -> Place {
        Place { buffer: self.fixed + pool, offset: range.offset, bytes: range.bytes }
    }

    /// Checks the tensors' sizes before the ops are lowered: then all sizes in dispatches fit 32 bits.
    fn check_tensors(&self) -> Result<()> {
        for id in self.graph.ids() {
            self.check_tensor(id, self.graph.ty(id).bytes(), &format!("({})", self.graph.ty(id)))?;
        }
        Ok(())
    }

    fn check_tensor(&self, id: NodeId, bytes: usize, what: &str) -> Result<()> {
        let (name, most) = (&self.graph.node(id).name, self.target.max_binding);
        match bytes <= most {
            true => Ok(()),
            false => Err(Error::Memory(format!(
                "'{name}' takes {bytes} bytes {what}, but the device allows at most {most} bytes for a tensor"
            ))),
        }
    }

    /// Checks that the device can run a node's dispatches and bind its scratch tensors.
    fn check_lowering(&self, id: NodeId, lowering: &Lowering) -> Result<()> {
        for &floats in &lowering.scratch {
            self.check_tensor(id, 4 * floats, "of scratch memory")?;
        }
        // Every device allows 65,535. Targets with fewer are for tests of folded grids.
        let most = self.target.device.as_ref().map_or(u32::MAX, |device| device.max_groups.max(65_535));
        match lowering.dispatches.iter().flat_map(|dispatch| dispatch.groups).find(|&groups| groups > most) {
            Some(groups) => Err(Error::Memory(format!(
                "'{}' needs a row of {groups} workgroups, but the device allows at most {most}",
                self.graph.node(id).name
            ))),
            None => Ok(()),
        }
    }

    fn check_buffers(&self) -> Result<()> {
        for buffer in &self.buffers {
            if buffer.bytes > self.target.max_buffer {
                return Err(Error::Memory(format!(
                    "the buffer '{}' takes {} bytes, but the device allows at most {} bytes for a buffer",
                    buffer.name, buffer.bytes, self.target.max_buffer
                )));
            }
        }
        let all = self.buffers.iter().fold(0, |sum: usize, buffer| sum.saturating_add(buffer.bytes));
        match all <= self.target.max_memory {
            true => Ok(()),
            false => Err(Error::Memory(format!(
                "its buffers take {all} bytes together, but there are only {} bytes of memory",
                self.target.max_memory
            ))),
        }
    }
}

/// The root of each node. A view's root is its input's. An input that is computed directly into a pack has the pack
/// as its root.
fn roots(graph: &Graph, target: &Target, options: PlanOptions) -> Vec<Root> {
    let mut roots: Vec<Root> = Vec::new();
    for id in graph.ids() {
        let node = graph.node(id);
        let view = node.op().and_then(|op| op.view(&graph.types(id)));
        let aligned = |offset: &usize| (offset * node.ty.dtype.bytes()).is_multiple_of(target.alignment);
        roots.push(match view.filter(aligned) {
            Some(offset) => {
                let of = roots[node.inputs()[0].index()];
                Root { node: of.node, offset: of.offset + offset * node.ty.dtype.bytes() }
            }
            None => Root { node: id, offset: 0 },
        });
    }
    if options.reuse {
        for id in graph.ids() {
            if let Some(offsets) = graph.node(id).op().and_then(|op| op.places_inputs()) {
                place_into(graph, target, &mut roots, id, offsets);
            }
        }
    }
    roots
}

/// Makes a pack the root of its inputs where possible. The input must be computed and whole. The pack must contain it
/// once. Nothing inside the pack may be read to compute it.
fn place_into(graph: &Graph, target: &Target, roots: &mut [Root], pack: NodeId, offsets: &[usize]) {
    for (&input, &offset) in graph.node(pack).inputs().iter().zip(offsets) {
        let root = roots[input.index()];
        let node = graph.node(root.node);
        let in_pack = |id: &NodeId| roots[id.index()].node == pack;
        let computed = node.op().is_some_and(|op| op.places_inputs().is_none());
        let whole = root.offset == 0 && node.ty.elements() == graph.ty(input).elements();
        let reads = |id: NodeId| graph.node(id).inputs().iter().filter(|i| roots[i.index()].node == root.node).count();
        let read_beside = graph.ids().any(|id| id != pack && in_pack(&id) && reads(id) > 0);
        let twice = reads(pack) > 1;
        if !computed || !whole || twice || root.node == pack || node.inputs().iter().any(in_pack) || read_beside {
            continue;
        }
        let bytes = offset * 4;
        if bytes % target.alignment != 0 {
            continue;
        }
        for other in roots.iter_mut().filter(|other| other.node == root.node) {
            *other = Root { node: pack, offset: bytes + other.offset };
        }
    }
}

/// For each root, the positions of its first write and its last read. Outputs are read after the last position.
fn lifetimes(graph: &Graph, order: &[NodeId], roots: &[Root]) -> Vec<(usize, usize)> {
    let mut lifetimes = vec![(usize::MAX, 0); graph.nodes().len()];
    for (turn, &id) in order.iter().enumerate() {
        let own = &mut lifetimes[roots[id.index()].node.index()];
        *own = (own.0.min(turn), own.1.max(turn));
        for input in graph.node(id).inputs() {
            let read = &mut lifetimes[roots[input.index()].node.index()];
            read.1 = read.1.max(turn);
        }
    }
    for (_, id) in graph.outputs() {
        lifetimes[roots[id.index()].node.index()].1 = order.len();
    }
    lifetimes
}

/// The type of a persistent buffer as one flat tensor.
impl From<super::network::BufferType> for TensorType {
    fn from(buffer: super::network::BufferType) -> Self {
        Self { shape: [buffer.len].into(), dtype: buffer.dtype }
    }
}
