//! Random graphs of any ops and shapes that fit, with values near 1. They give the passes and the planner combinations
//! that no model has.

use std::ops::Range;

use gpunn::Result;
use gpunn::check::Inputs;
use gpunn::cpu::Value;
use gpunn::graph::{Graph, NodeId, TensorType};
use gpunn::ops::Step;
use gpunn::ops::pack::Pack;
use gpunn::random::{CounterRng, Purpose};

/// Sizes of axes: 1, odd ones, multiples of four, and one longer than a workgroup.
const SIZES: [usize; 7] = [1, 3, 4, 5, 8, 16, 65];
/// The largest number of elements of a tensor.
const MOST_ELEMENTS: usize = 5000;

/// A random graph with outputs, of `nodes` nodes or a few more, and the values of its leaves.
///
/// # Errors
/// If the shapes of a new node do not fit, which would be a mistake in this file.
pub fn random_graph(seed: u64, nodes: usize) -> Result<(Graph, Inputs)> {
    let mut random = Random { draws: Draws::of_seed(seed), graph: Graph::new(), values: Vec::new(), leaves: 0 };
    for _ in 0..random.draws.number(2..5) {
        let dims = random.dims();
        let leaf = random.leaf(&dims)?;
        random.values.push(leaf);
    }
    while random.graph.nodes().len() < nodes {
        let value = random.node()?;
        if random.graph.ty(value).elements() <= MOST_ELEMENTS {
            random.values.push(value);
        }
    }
    let last = *random.values.last().expect("there are leaves");
    random.graph.output("last", last);
    for number in 0..random.draws.number(1..4) {
        let value = random.any();
        random.graph.output(format!("output{number}"), value);
    }
    let mut buffers = Vec::new();
    for (name, buffer) in random.graph.buffers() {
        let values = (0..buffer.len).map(|_| f64::from(2.0 * random.draws.share() - 1.0)).collect();
        buffers.push((name.clone(), Value::Real(values)));
    }
    Ok((random.graph, Inputs { buffers, step: Step::new(random.draws.number(0..9) as u32, 1, seed) }))
}

/// Random numbers one after another.
struct Draws {
    numbers: CounterRng,
    next: u32,
}

impl Draws {
    fn of_seed(seed: u64) -> Self {
        Self { numbers: CounterRng::new(seed, Purpose::Init, 0, 0), next: 0 }
    }

    /// A number in [0, 1).
    fn share(&mut self) -> f32 {
        self.next += 1;
        self.numbers.uniform(self.next - 1)
    }

    /// A whole number of a range. All are equally probable, as far as 2^24 values can be divided by so few.
    fn number(&mut self, range: Range<usize>) -> usize {
        range.start + (f64::from(self.share()) * range.len() as f64) as usize
    }

    /// True with this probability.
    fn chance(&mut self, probability: f32) -> bool {
        self.share() < probability
    }
}

struct Random {
    draws: Draws,
    graph: Graph,
    /// The values that further nodes may read.
    values: Vec<NodeId>,
    leaves: usize,
}

impl Random {
    fn dims(&mut self) -> Vec<usize> {
        loop {
            let rank = self.draws.number(1..4);
            let dims: Vec<usize> = (0..rank).map(|_| SIZES[self.draws.number(0..SIZES.len())]).collect();
            if dims.iter().product::<usize>() <= MOST_ELEMENTS {
                return dims;
            }
        }
    }

    fn leaf(&mut self, dims: &[usize]) -> Result<NodeId> {
        self.leaves += 1;
        self.graph.leaf(format!("leaf{}", self.leaves), 0, TensorType::f32(dims))
    }

    /// A random value, more often one of the last.
    fn any(&mut self) -> NodeId {
        let count = self.values.len();
        let recent = if self.draws.chance(0.6) { count.saturating_sub(4) } else { 0 };
        self.values[self.draws.number(recent..count)]
    }

    /// A value of this shape if there is one, else a new leaf.
    fn of_dims(&mut self, dims: &[usize]) -> Result<NodeId> {
        let fitting: Vec<NodeId> =
            self.values.iter().copied().filter(|&value| self.graph.dims(value) == dims).collect();
        match fitting.len() {
            0 => self.leaf(dims),
            count => Ok(fitting[self.draws.number(0..count)]),
        }
    }

    fn node(&mut self) -> Result<NodeId> {
        let x = self.any();
        let dims = self.graph.dims(x).to_vec();
        match self.draws.number(0..13) {
            0..3 => self.function(x),
            3..6 => self.functions_of_two(x, &dims),
            6 => self.product(x, &dims),
            7 => {
                let axis = self.draws.number(0..dims.len());
                self.graph.mean(x, axis, axis)
            }
            8 => {
                let mut order: Vec<usize> = (0..dims.len()).collect();
                order.rotate_left(self.draws.number(0..dims.len()));
                self.graph.transpose(x, &order)
            }
            9 => {
                let axis = self.draws.number(0..dims.len());
                let start = self.draws.number(0..dims[axis]);
                let len = self.draws.number(1..dims[axis] - start + 1);
                self.graph.slice(x, axis, start, len)
            }
            10 => {
                let (rows, columns) = self.graph.ty(x).shape.as_matrix();
                let shapes = [vec![rows, columns], vec![rows * columns], vec![columns, rows], vec![1, rows, columns]];
                self.graph.reshape(x, shapes[self.draws.number(0..4)].as_slice())
            }
            11 => self.graph.softmax(x),
            _ => self.pack(x),
        }
    }

    fn function(&mut self, x: NodeId) -> Result<NodeId> {
        let graph = &mut self.graph;
        match self.draws.number(0..12) {
            0 => graph.sigmoid(x),
            1 => graph.tanh(x),
            2 => graph.relu(x),
            3 => graph.leaky_relu(x, 0.1),
            4 => graph.square(x),
            6 => graph.sin(x),
            7 => graph.cos(x),
            8 => graph.erf(x),
            9 => graph.elu(x, 0.5),
            10 => graph.clip(x, -0.4, 0.6),
            5 => {
                let kept = graph.dropout(x, 0.25, 2)?;
                graph.scale(kept, 0.75)
            }
            _ => graph.scale(x, -0.9),
        }
    }

    /// Functions of x and an operand of the same shape, of its last axis, or of one element.
    fn functions_of_two(&mut self, x: NodeId, dims: &[usize]) -> Result<NodeId> {
        let other = match self.draws.number(0..6) {
            0 => self.of_dims(&dims[dims.len() - 1..])?,
            1 => self.of_dims(&[1])?,
            2 => {
                let column: Vec<usize> = dims[..dims.len() - 1].iter().copied().chain([1]).collect();
                self.of_dims(&column)?
            }
            _ => self.of_dims(dims)?,
        };
        let graph = &mut self.graph;
        match self.draws.number(0..5) {
            0 => graph.mul(x, other),
            3 => graph.maximum(x, other),
            4 => graph.minimum(other, x),
            1 => {
                let sum = graph.add(x, other)?;
                graph.scale(sum, 0.5)
            }
            _ => {
                let difference = graph.sub(other, x)?;
                graph.scale(difference, 0.5)
            }
        }
    }

    /// A matrix product with random transposes; half of them have a bias.
    fn product(&mut self, x: NodeId, dims: &[usize]) -> Result<NodeId> {
        let (rows, columns) = self.graph.ty(x).shape.as_matrix();
        let a = if dims.len() == 2 { x } else { self.graph.reshape(x, [rows, columns])? };
        let (transpose_a, transpose_b) = (self.draws.chance(0.5), self.draws.chance(0.5));
        let (depth, width) = (if transpose_a { rows } else { columns }, SIZES[self.draws.number(0..SIZES.len())]);
        let b = self.of_dims(&if transpose_b { [width, depth] } else { [depth, width] })?;
        let product = self.graph.matmul_transposed(a, b, transpose_a, transpose_b)?;
        let product = self.graph.scale(product, 1.0 / depth as f32)?;
        if self.draws.chance(0.5) {
            return Ok(product);
        }
        let bias = self.of_dims(&[width])?;
        let biased = self.graph.add(product, bias)?;
        self.graph.tanh(biased)
    }

    /// Packs some values, perhaps one of them twice, and reads one again.
    fn pack(&mut self, x: NodeId) -> Result<NodeId> {
        let mut packed = vec![x];
        for _ in 0..self.draws.number(1..4) {
            packed.push(self.any());
        }
        let mut end = 0_usize;
        let mut offsets = Vec::new();
        for &value in &packed {
            let gap = 64 * self.draws.number(0..2);
            offsets.push(end.next_multiple_of(64) + gap);
            end = offsets[offsets.len() - 1] + self.graph.ty(value).elements();
        }
        let again = self.draws.number(0..packed.len());
        let (offset, ty) = (offsets[again], self.graph.ty(packed[again]).clone());
        let whole = self.graph.apply(Pack { offsets, len: end }, &packed)?;
        let part = self.graph.slice(whole, 0, offset, ty.elements())?;
        self.graph.reshape(part, ty.shape)
    }
}
