//! One training step of the run, planned again for the report: memory by tensor and time by kernel.

use std::time::{Duration, Instant};

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::draw::{
    Area, CAPTION_COLOR, CURVE_COLORS, Drawing, Drawn, GRID_COLOR, LETTERS, SCALE, TEXT_COLOR, Tooltip, text,
};
use super::predictions::affordable_images;
use crate::data::{Dataset, LabelSets, Split, SplitName};
use crate::graph::{BufferKind, Plan, PlanOptions};
use crate::profile::{KernelTime, Timed, by_kernel};
use crate::train::graphs::{DeviceData, training};
use crate::train::{Checkpoint, plan, write_weights};
use crate::{Engine, Error, Program, Result, ops};

/// Approximate total time of the timed steps.
const TIMED_DURATION: Duration = Duration::from_millis(200);
/// The largest number of timed steps.
const MOST_STEPS: usize = 20;
/// Floating-point operations that a timed step may take without a hardware GPU; [`MIN_IMAGES`] images are always timed.
const MAX_OPERATIONS: u64 = 5_000_000_000;
const MIN_IMAGES: usize = 2;

/// Memory and lifetime of a tensor within a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorLifetime {
    /// The node that computes it.
    pub name: String,
    /// Its shape.
    pub shape: String,
    /// Offset and size in bytes; offsets count through all buffers of the step's tensors.
    pub bytes: [usize; 2],
    /// Index of the node that computes it, and of the last node that reads it.
    pub nodes: [usize; 2],
}

/// The memory plan of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepMemory {
    /// The temporary tensors of a step.
    pub tensors: Vec<TensorLifetime>,
    /// Number of nodes of a step.
    pub nodes: usize,
    /// Total bytes of the buffers that hold them: the planned peak.
    pub peak: usize,
    /// Name and bytes of each persistent buffer.
    pub persistent: Vec<(String, usize)>,
    /// Bytes of all constants.
    pub constants: usize,
}

/// Times of some training steps.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTimings {
    /// Images of each step.
    pub images: usize,
    /// Steps that were timed.
    pub steps: usize,
    /// Times by kernel, the longest first.
    pub kernels: Vec<KernelTime>,
}

/// A run's training step on one batch of the training split; without a dataset the images are black.
#[derive(Clone, Copy, Debug)]
pub struct TimedStep<'a> {
    checkpoint: &'a Checkpoint,
    images: Option<&'a Split>,
    /// The sets of labels of the images.
    sets: Option<&'a LabelSets>,
    /// Images of a step.
    rows: usize,
}

impl<'a> TimedStep<'a> {
    /// A step of this checkpoint's network.
    pub fn new(checkpoint: &'a Checkpoint, dataset: Option<&'a Dataset>) -> Self {
        let images = dataset.and_then(|dataset| dataset.split(SplitName::Train).ok());
        let rows = images.map_or(usize::MAX, Split::len).min(checkpoint.recipe.training.batch_size);
        let sets = dataset.and_then(|dataset| dataset.sets.as_ref());
        Self { checkpoint, images, sets, rows }
    }

    /// The layout of the batch on the device.
    fn resident(&self) -> DeviceData {
        let bytes = self.images.is_none_or(|split| split.pixels.value_bytes() == 1);
        DeviceData::whole("train", self.rows, bytes, self.checkpoint.input)
    }

    /// The step's plan for this engine.
    ///
    /// # Errors
    /// When the plan does not fit the device.
    pub fn plan(&self, engine: &Engine) -> Result<Plan> {
        let model = self.checkpoint.model()?;
        let graph = training(&model, &self.checkpoint.recipe, self.resident(), self.rows)?;
        plan(&graph, &engine.target(), PlanOptions::default())
    }

    /// Repeats the step for about 0.2 s and times each kernel. Without a hardware GPU, long steps get a smaller batch.
    ///
    /// # Errors
    /// When the device has no timestamps or is lost.
    pub async fn time(mut self, engine: &mut Engine) -> Result<StepTimings> {
        // Forward and backward pass take about three times the forward pass.
        let most = affordable_images(engine, self.checkpoint, MAX_OPERATIONS / 3)?;
        self.rows = self.rows.min(most.max(MIN_IMAGES));
        let program = self.load(engine)?;
        let (steps, timed) = time(engine, program).await?;
        Ok(StepTimings { images: self.rows, steps, kernels: by_kernel(&timed) })
    }

    /// Loads the plan and the run's weights.
    fn load(&self, engine: &mut Engine) -> Result<Program> {
        let recipe = &self.checkpoint.recipe;
        let model = self.checkpoint.model()?;
        let program = engine.load(self.plan(engine)?)?;
        if let Some(images) = self.images {
            let batch = images.select(&(0..self.rows as u32).collect::<Vec<u32>>());
            let as_what = (recipe.task_of(&model), self.checkpoint.classes.len());
            self.resident().upload(engine, as_what, &batch, self.sets)?;
        }
        write_weights(engine, model.parameters(), &self.checkpoint.weights("", model.parameters())?)?;
        for (name, table) in recipe.optimizer.tables(model.parameters()) {
            engine.write(name, 0, &table)?;
        }
        // With learning rates of 0.
        let step = ops::Step::new(0, self.rows as u32, recipe.seed);
        engine.schedule(program, &[step; MOST_STEPS])?;
        Ok(program)
    }
}

/// The memory of a planned step, by tensor.
pub fn memory(plan: &Plan) -> StepMemory {
    let mut firsts = vec![None; plan.buffers.len()];
    let mut peak = 0;
    for (buffer, first) in plan.buffers.iter().zip(&mut firsts) {
        if buffer.kind == BufferKind::Pool {
            *first = Some(peak);
            peak += buffer.bytes;
        }
    }
    let tensor = |work: &crate::graph::PlannedNode| {
        let place = plan.place(work.node)?;
        let (node, (start, end)) = (plan.graph.node(work.node), plan.lifetimes[work.node.index()]);
        Some(TensorLifetime {
            name: node.name.clone(),
            shape: node.ty.shape.to_string(),
            bytes: [firsts[place.buffer]? + place.offset, place.bytes],
            nodes: [start, end],
        })
    };
    let tensors: Vec<TensorLifetime> = plan.work.iter().filter_map(tensor).collect();
    let nodes = tensors.iter().map(|tensor| tensor.nodes[1] + 1).max().unwrap_or(1);
    let persistent = plan.buffers.iter().filter(|buffer| buffer.kind == BufferKind::Persistent);
    StepMemory {
        tensors,
        nodes,
        peak,
        persistent: persistent.map(|buffer| (buffer.name.clone(), buffer.bytes)).collect(),
        constants: plan.bytes_of(BufferKind::Constants),
    }
}

/// Times some steps; returns their number and the times of their nodes.
async fn time(engine: &mut Engine, program: Program) -> Result<(usize, Vec<Timed>)> {
    // Warm-up: the first access to the memory, and a GPU's first use of each kernel.
    engine.run(program, 0..1)?;
    engine.wait().await?;
    let start = Instant::now();
    engine.run(program, 0..1)?;
    engine.wait().await?;
    let one = start.elapsed().max(Duration::from_micros(1));
    let steps = (TIMED_DURATION.as_secs_f64() / one.as_secs_f64()).clamp(1.0, MOST_STEPS as f64) as usize;
    let timed = match engine {
        Engine::Gpu(executor) => executor.profile(program.index(), 0..steps).await?,
        Engine::Cpu(executor) => executor.profile(program.index(), 0..steps, || start.elapsed().as_secs_f64() * 1e9),
    };
    match timed.is_empty() {
        true => Err(Error::Device("the device returned no times".into())),
        false => Ok((steps, timed)),
    }
}

const WIDTH: i32 = 900 * SCALE;
const HEIGHT: i32 = 320 * SCALE;
const LEFT: i32 = 92 * SCALE;
const TOP: i32 = 34 * SCALE;
const BOTTOM: i32 = 44 * SCALE;
const RIGHT: i32 = 10 * SCALE;
const TICKS: usize = 4;
/// Width of a character and height of a line of text.
const LETTER_WIDTH: i32 = 8 * SCALE;
const LINE_HEIGHT: i32 = 15 * SCALE;

impl StepMemory {
    /// Left, top, width and height of a tensor's bar.
    fn bar(&self, tensor: &TensorLifetime) -> [i32; 4] {
        let (width, height) = (f64::from(WIDTH - LEFT - RIGHT), f64::from(HEIGHT - TOP - BOTTOM));
        let x = |turn: usize| (width * turn as f64 / self.nodes.max(1) as f64).round() as i32;
        let y = |byte: usize| (height * byte as f64 / self.peak.max(1) as f64).round() as i32;
        let ([first, size], [start, end]) = (tensor.bytes, tensor.nodes);
        let (top, bottom) = (HEIGHT - BOTTOM - y(first + size), HEIGHT - BOTTOM - y(first));
        [LEFT + x(start), top, (x(end + 1) - x(start)).max(SCALE), (bottom - top).max(SCALE)]
    }

    /// The names that fit into their bars, and their centers. Where tensors share memory, the first shows its name.
    fn names(&self) -> Vec<(&str, (i32, i32))> {
        let mut names: Vec<(&str, (i32, i32))> = Vec::new();
        let half = |name: &str| name.len() as i32 * LETTER_WIDTH / 2;
        for tensor in &self.tensors {
            let ([x, y, width, height], name) = (self.bar(tensor), tensor.name.rsplit('/').next().unwrap_or_default());
            let middle = (x + width / 2, y + height / 2);
            let free = names.iter().all(|&(other, at)| {
                (at.0 - middle.0).abs() > half(name) + half(other) || (at.1 - middle.1).abs() > LINE_HEIGHT
            });
            if free && height > LINE_HEIGHT && width > 2 * half(name) {
                names.push((name, middle));
            }
        }
        names
    }
}

impl Drawing for StepMemory {
    fn label(&self) -> String {
        format!("{} tensors of a training step by lifetime and memory offset", self.tensors.len())
    }

    fn size(&self) -> (u32, u32) {
        (WIDTH as u32, HEIGHT as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for mark in 0..=TICKS {
            let y = floor - (floor - TOP) * mark as i32 / TICKS as i32;
            area.draw(&PathElement::new(vec![(LEFT, y), (right, y)], GRID_COLOR.stroke_width(SCALE as u32)))?;
            let ink = text(LETTERS, TEXT_COLOR, (HPos::Right, VPos::Center));
            area.draw(&Text::new(bytes(self.peak * mark / TICKS), (LEFT - 6 * SCALE, y), ink))?;
        }
        for (number, tensor) in self.tensors.iter().enumerate() {
            let [x, y, width, height] = self.bar(tensor);
            let colour = CURVE_COLORS[number % 6];
            area.draw(&Rectangle::new([(x, y), (x + width, y + height)], colour.mix(0.75).filled()))?;
        }
        for (name, middle) in self.names() {
            area.draw(&Text::new(name.to_owned(), middle, text(13 * SCALE, TEXT_COLOR, (HPos::Center, VPos::Center))))?;
        }
        area.draw(&PathElement::new(vec![(LEFT, TOP), (right, TOP)], TEXT_COLOR.stroke_width(2 * SCALE as u32)))?;
        let label = format!("planned peak of the step's tensors: {}", bytes(self.peak));
        let peak = text(LETTERS, TEXT_COLOR, (HPos::Right, VPos::Bottom));
        area.draw(&Text::new(label, (right, TOP - 6 * SCALE), peak))?;
        let below = text(LETTERS, CAPTION_COLOR, (HPos::Center, VPos::Bottom));
        let label = format!("nodes of the training step in execution order, 1 to {}", self.nodes);
        area.draw(&Text::new(label, ((LEFT + right) / 2, HEIGHT - 8 * SCALE), below))
    }

    fn tooltips(&self) -> Vec<Tooltip> {
        let hint = |tensor: &TensorLifetime| {
            let [start, end] = tensor.nodes;
            let text = format!(
                "{} ({}): {}, in use from node {} to {}",
                tensor.name,
                tensor.shape,
                bytes(tensor.bytes[1]),
                start + 1,
                end + 1
            );
            Tooltip { place: self.bar(tensor), text }
        };
        self.tensors.iter().map(hint).collect()
    }
}

/// A number of bytes with a unit.
pub fn bytes(count: usize) -> String {
    match count {
        0..0x400 => format!("{count} bytes"),
        0x400..0x10_0000 => format!("{:.1} KiB", count as f64 / 1024.0),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", count as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", count as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_that_share_a_place_have_one_name_there() {
        let tensor = |name: &str, first: usize, nodes: [usize; 2]| TensorLifetime {
            name: format!("layer/{name}"),
            shape: "8".into(),
            bytes: [first, 100],
            nodes,
        };
        let tensors = vec![
            tensor("relu", 0, [0, 9]),
            tensor("sum", 0, [0, 9]),
            tensor("pool", 100, [0, 9]),
            tensor("loss", 0, [10, 10]),
        ];
        let memory = StepMemory { tensors, nodes: 100, peak: 200, persistent: Vec::new(), constants: 0 };
        let names: Vec<&str> = memory.names().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["relu", "pool"]);
    }
}
