//! The whole training step of a small classifier: batch, forward, backward, update, running sums.

use gpunn::check::Inputs;
use gpunn::cpu::Value;
use gpunn::graph::{Graph, NodeId, TensorType};
use gpunn::ops::Step;
use gpunn::ops::batch::{Accumulate, Reduction};
use gpunn::ops::pack::Pack;
use gpunn::ops::update::{BLOCK, GROUP_FLOATS, Sgd, block_entry, group_row};
use gpunn::random::{CounterRng, Purpose};
use gpunn::{Engine, Program, Result};

/// Sizes of the network and its data.
#[derive(Clone, Copy, Debug)]
pub struct Mlp {
    /// Rows of a batch.
    pub batch: usize,
    /// Pixels of an image.
    pub inputs: usize,
    /// Hidden units.
    pub hidden: usize,
    /// Classes.
    pub classes: usize,
    /// Images.
    pub rows: usize,
    /// Number of steps for which the shuffled order has images.
    pub steps: usize,
    /// Whether a sigmoid follows the hidden layer.
    pub sigmoid: bool,
}

impl Default for Mlp {
    fn default() -> Self {
        Self { batch: 16, inputs: 49, hidden: 20, classes: 10, rows: 200, steps: 120, sigmoid: true }
    }
}

impl Mlp {
    /// Shapes of the parameters: weights and bias of both layers.
    pub fn shapes(&self) -> [Vec<usize>; 4] {
        [vec![self.inputs, self.hidden], vec![self.hidden], vec![self.hidden, self.classes], vec![self.classes]]
    }

    /// The start of each parameter in the flat buffer, and the length of the buffer.
    pub fn offsets(&self) -> (Vec<usize>, usize) {
        let mut end = 0;
        let mut offsets = Vec::new();
        for shape in self.shapes() {
            offsets.push(end);
            end = (end + shape.iter().product::<usize>()).next_multiple_of(BLOCK);
        }
        (offsets, end)
    }

    /// The training step: outputs `loss` (the batch's mean) and `gradients`; buffers `data`, `labels`, `order`,
    /// `parameters`, `blocks`, `groups` and `totals`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn training(&self) -> Result<Graph> {
        let mut graph = Graph::new();
        let data = graph.leaf("data", 0, TensorType::u8([self.rows, self.inputs]))?;
        let labels = graph.leaf("labels", 0, TensorType::u32([self.rows]))?;
        let order = graph.leaf("order", 0, TensorType::u32([self.batch * self.steps]))?;
        let (offsets, len) = self.offsets();
        let mut parameters = Vec::new();
        for (shape, &offset) in self.shapes().into_iter().zip(&offsets) {
            parameters.push(graph.leaf("parameters", offset, TensorType::f32(shape))?);
        }
        let x = graph.scoped("batch", |graph| graph.gather(data, order, self.batch))?;
        let labels = graph.scoped("batch", |graph| graph.gather(labels, order, self.batch))?;
        let hidden = graph.scoped("fc1", |graph| self.layer(graph, x, &parameters[..2], self.sigmoid))?;
        let logits = graph.scoped("fc2", |graph| self.layer(graph, hidden, &parameters[2..], false))?;
        let losses = graph.cross_entropy(logits, labels, 0.0)?;
        let correct = graph.correct(logits, labels)?;
        let loss = graph.batch_total(losses, Reduction::Mean)?;
        let gradients = graph.gradient(loss, &parameters)?;
        let packed = graph.apply(Pack { offsets, len }, &gradients)?;
        let blocks = graph.leaf("blocks", 0, TensorType::u32([len / BLOCK]))?;
        let groups = graph.leaf("groups", 0, TensorType::f32([GROUP_FLOATS]))?;
        let flat = graph.leaf("parameters", 0, TensorType::f32([len]))?;
        let sgd = Sgd { momentum: false, nesterov: false, clip: None };
        graph.update(sgd, &[packed, blocks, groups], &[flat])?;
        let totals = graph.leaf("totals", 0, TensorType::f32([3]))?;
        graph.update(Accumulate, &[losses, correct], &[totals])?;
        graph.output("loss", loss);
        graph.output("gradients", packed);
        Ok(graph)
    }

    fn layer(&self, graph: &mut Graph, x: NodeId, parameters: &[NodeId], sigmoid: bool) -> Result<NodeId> {
        let product = graph.matmul(x, parameters[0])?;
        let biased = graph.add(product, parameters[1])?;
        if sigmoid { graph.sigmoid(biased) } else { Ok(biased) }
    }

    /// Steps with this learning rate, each with its own batch.
    pub fn schedule(&self, learning_rate: f32) -> Vec<Step> {
        let step = |number: u32| Step {
            first: number * self.batch as u32,
            ..Step::new(number, self.batch as u32, 5).with_rate(learning_rate, 0.0)
        };
        (0..self.steps as u32).map(step).collect()
    }

    /// Images whose classes can be learned, their order, the table of parameters, and initial parameters, uniform in
    /// +-`spread`; with the first step of a schedule.
    pub fn values(&self, spread: f32) -> Inputs {
        let counted = |stream| CounterRng::new(9, Purpose::Init, stream, 0);
        // An image of a class is bright in the class's own pixels, with noise.
        let pixel = |at: usize| {
            let bright = at % self.inputs % self.classes == at / self.inputs % self.classes;
            (counted(0).word(at as u32) % 128 + if bright { 127 } else { 0 }) as u8
        };
        let (offsets, len) = self.offsets();
        let mut parameters = vec![0.0; len];
        for (shape, first) in self.shapes().iter().zip(offsets) {
            let value = |at: usize| f64::from(spread * (2.0 * counted(2).uniform(at as u32) - 1.0));
            let elements: usize = shape.iter().product();
            parameters[first..][..elements].iter_mut().zip(first..).for_each(|(p, at)| *p = value(at));
        }
        let order = |at: usize| counted(1).word(at as u32) % self.rows as u32;
        let buffers = [
            ("data", Value::U8((0..self.rows * self.inputs).map(pixel).collect())),
            ("labels", Value::U32((0..self.rows as u32).map(|row| row % self.classes as u32).collect())),
            ("order", Value::U32((0..self.batch * self.steps).map(order).collect())),
            ("parameters", Value::Real(parameters)),
            ("blocks", Value::U32(self.blocks())),
            ("groups", Value::Real(group_row(1.0, 0.0, 0).map(f64::from).to_vec())),
            ("totals", Value::Real(vec![0.0; 3])),
        ];
        let buffers = buffers.map(|(name, value)| (name.to_owned(), value)).into();
        Inputs { buffers, step: self.schedule(0.5)[0] }
    }

    /// Writes [`Mlp::values`].
    ///
    /// # Errors
    /// When the device fails.
    pub fn fill(&self, engine: &mut Engine, spread: f32) -> Result<()> {
        self.values(spread).write(engine)
    }

    fn blocks(&self) -> Vec<u32> {
        let of = |shape: &Vec<usize>| {
            let elements: usize = shape.iter().product();
            (0..elements.div_ceil(BLOCK)).map(move |block| block_entry(0, BLOCK.min(elements - block * BLOCK) as u32))
        };
        self.shapes().iter().flat_map(of).collect()
    }

    /// The parameters after all work so far, without the padding between them.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn parameters(&self, engine: &mut Engine) -> Result<[Vec<f32>; 4]> {
        let flat = gpunn::blocking::block_on(engine.read("parameters"))?;
        let (offsets, _) = self.offsets();
        let mut shapes = self.shapes().into_iter().zip(offsets);
        Ok(std::array::from_fn(|_| {
            let (shape, offset) = shapes.next().expect("there are four");
            flat[offset..][..shape.iter().product()].to_vec()
        }))
    }

    /// The mean loss of each step of a range, with one step per submit.
    ///
    /// # Errors
    /// When the device fails.
    pub fn losses(&self, engine: &mut Engine, program: Program, steps: std::ops::Range<usize>) -> Result<Vec<f32>> {
        let mut losses = Vec::new();
        for step in steps {
            engine.run(program, step..step + 1)?;
            losses.push(gpunn::blocking::block_on(engine.read_output(program, "loss"))?[0]);
        }
        Ok(losses)
    }
}
