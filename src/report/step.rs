//! A training step of the run, planned once more: its memory by tensor, and its time by kernel.

use std::time::{Duration, Instant};

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::draw::{Area, Drawing, Drawn, FAINT, FINE, Hint, INK, LETTERS, RULE, SERIES, text};
use super::material::Material;
use super::predictions::affordable;
use crate::data::{Dataset, Split, SplitName};
use crate::graph::{BufferKind, Plan, PlanOptions};
use crate::profile::{KernelTime, Timed, by_kernel};
use crate::train::graphs::{DeviceData, training};
use crate::train::{Checkpoint, plan, write_weights};
use crate::{Engine, Error, Program, Result, ops};

/// How long steps are timed for, about.
const TIMED_FOR: Duration = Duration::from_millis(200);
/// Steps that are timed at most.
const MOST_STEPS: usize = 20;
/// Floating-point operations that a timed step may have where no hardware GPU computes, but for the least batch.
const ALLOWANCE: u64 = 5_000_000_000;
const LEAST: usize = 2;

/// A tensor's life within a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The node that computes it.
    pub name: String,
    /// Its shape.
    pub shape: String,
    /// Its first byte, counted through all buffers of a step's tensors, and its size.
    pub bytes: [usize; 2],
    /// The first and the last turn that need it.
    pub turns: [usize; 2],
}

/// Who has the memory of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The tensors of a step.
    pub lives: Vec<Life>,
    /// Turns of a step.
    pub turns: usize,
    /// Bytes of the buffers that they lie in: the planned peak of a step's tensors.
    pub peak: usize,
    /// Bytes of the persistent buffers by name.
    pub persistent: Vec<(String, usize)>,
    /// Bytes of constants.
    pub constants: usize,
}

/// Times of some training steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Timings {
    /// Images of each step.
    pub rows: usize,
    /// Steps that were timed.
    pub steps: usize,
    /// By kernel, the longest first.
    pub kernels: Vec<KernelTime>,
}

/// A run's training step with one batch of images: of the training split where it is there, else black ones.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    checkpoint: &'a Checkpoint,
    images: Option<&'a Split>,
    /// Images of a step.
    rows: usize,
}

impl<'a> Step<'a> {
    /// Of a run, and its data set where it is there.
    pub fn new(checkpoint: &'a Checkpoint, dataset: Option<&'a Dataset>) -> Self {
        let images = dataset.and_then(|dataset| dataset.split(SplitName::Train).ok());
        let rows = images.map_or(usize::MAX, Split::len).min(checkpoint.recipe.training.batch_size);
        Self { checkpoint, images, rows }
    }

    /// The images of a step, as they lie on the device.
    fn resident(&self) -> DeviceData {
        let bytes = self.images.is_none_or(|split| split.pixels.value_bytes() == 1);
        DeviceData::whole("train", self.rows, bytes, self.checkpoint.input)
    }

    /// Its plan for an engine's device.
    ///
    /// # Errors
    /// When it does not fit the device.
    pub fn plan(&self, engine: &Engine) -> Result<Plan> {
        let model = Material::model(self.checkpoint)?;
        let graph = training(&model, &self.checkpoint.recipe, self.resident(), self.rows)?;
        plan(&graph, &engine.target(), PlanOptions::default())
    }

    /// Times it again and again for a moment, kernel by kernel; on a CPU with fewer images where a step takes long.
    ///
    /// # Errors
    /// When the device has no timestamps or is lost.
    pub async fn time(mut self, engine: &mut Engine) -> Result<Timings> {
        // There and back are about three times the way there.
        let most = affordable(engine, self.checkpoint, ALLOWANCE / 3)?;
        self.rows = self.rows.min(most.max(LEAST));
        let program = self.load(engine)?;
        let (steps, timed) = time(engine, program).await?;
        Ok(Timings { rows: self.rows, steps, kernels: by_kernel(&timed) })
    }

    /// Loads it with the run's weights.
    fn load(&self, engine: &mut Engine) -> Result<Program> {
        let recipe = &self.checkpoint.recipe;
        let model = Material::model(self.checkpoint)?;
        let program = engine.load(self.plan(engine)?)?;
        if let Some(images) = self.images {
            let batch = images.select(&(0..self.rows as u32).collect::<Vec<u32>>());
            self.resident().upload(engine, recipe.model.task()?, &batch)?;
        }
        write_weights(engine, model.parameters(), &self.checkpoint.weights("", model.parameters())?)?;
        for (name, table) in recipe.optimizer.tables(model.parameters()) {
            engine.write(name, 0, &table)?;
        }
        let mut step = ops::Step::new(0, self.rows as u32, recipe.seed);
        recipe.optimizer.fill(&mut step, 0.0, recipe.optimizer.momentum());
        engine.schedule(program, &[step; MOST_STEPS])?;
        Ok(program)
    }
}

/// Who has the memory of a step.
pub fn memory(plan: &Plan) -> Memory {
    let mut firsts = vec![None; plan.buffers.len()];
    let mut peak = 0;
    for (buffer, first) in plan.buffers.iter().zip(&mut firsts) {
        if buffer.kind == BufferKind::Pool {
            *first = Some(peak);
            peak += buffer.bytes;
        }
    }
    let life = |work: &crate::graph::PlannedNode| {
        let place = plan.place(work.node)?;
        let (node, (start, end)) = (plan.graph.node(work.node), plan.lifetimes[work.node.index()]);
        Some(Life {
            name: node.name.clone(),
            shape: node.ty.shape.to_string(),
            bytes: [firsts[place.buffer]? + place.offset, place.bytes],
            turns: [start, end],
        })
    };
    let lives: Vec<Life> = plan.work.iter().filter_map(life).collect();
    let turns = lives.iter().map(|life| life.turns[1] + 1).max().unwrap_or(1);
    let persistent = plan.buffers.iter().filter(|buffer| buffer.kind == BufferKind::Persistent);
    Memory {
        lives,
        turns,
        peak,
        persistent: persistent.map(|buffer| (buffer.name.clone(), buffer.bytes)).collect(),
        constants: plan.bytes_of(BufferKind::Constants),
    }
}

/// How many steps were timed, and the times of their nodes.
async fn time(engine: &mut Engine, program: Program) -> Result<(usize, Vec<Timed>)> {
    // The first touch of the memory, and a GPU's first use of each kernel.
    engine.run(program, 0..1)?;
    engine.wait().await?;
    let start = Instant::now();
    engine.run(program, 0..1)?;
    engine.wait().await?;
    let one = start.elapsed().max(Duration::from_micros(1));
    let steps = (TIMED_FOR.as_secs_f64() / one.as_secs_f64()).clamp(1.0, MOST_STEPS as f64) as usize;
    let timed = match engine {
        Engine::Gpu(executor) => executor.profile(program.index(), 0..steps).await?,
        Engine::Cpu(executor) => executor.profile(program.index(), 0..steps, || start.elapsed().as_secs_f64() * 1e9),
    };
    match timed.is_empty() {
        true => Err(Error::Device("nothing was timed".into())),
        false => Ok((steps, timed)),
    }
}

const WIDTH: i32 = 900 * FINE;
const HEIGHT: i32 = 320 * FINE;
const LEFT: i32 = 92 * FINE;
const TOP: i32 = 34 * FINE;
const BOTTOM: i32 = 44 * FINE;
const RIGHT: i32 = 10 * FINE;
const MARKS: usize = 4;
/// Width of a name's letter, and height of a name.
const LETTER: i32 = 8 * FINE;
const LINE: i32 = 15 * FINE;

impl Memory {
    /// Left, top, width and height of a tensor's bar.
    fn bar(&self, life: &Life) -> [i32; 4] {
        let (width, height) = (f64::from(WIDTH - LEFT - RIGHT), f64::from(HEIGHT - TOP - BOTTOM));
        let x = |turn: usize| (width * turn as f64 / self.turns.max(1) as f64).round() as i32;
        let y = |byte: usize| (height * byte as f64 / self.peak.max(1) as f64).round() as i32;
        let ([first, size], [start, end]) = (life.bytes, life.turns);
        let (top, bottom) = (HEIGHT - BOTTOM - y(first + size), HEIGHT - BOTTOM - y(first));
        [LEFT + x(start), top, (x(end + 1) - x(start)).max(FINE), (bottom - top).max(FINE)]
    }

    /// The names that fit into their bars, and where their middles are. Tensors may share a place; the first has its name there.
    fn names(&self) -> Vec<(&str, (i32, i32))> {
        let mut names: Vec<(&str, (i32, i32))> = Vec::new();
        let half = |name: &str| name.len() as i32 * LETTER / 2;
        for life in &self.lives {
            let ([x, y, width, height], name) = (self.bar(life), life.name.rsplit('/').next().unwrap_or_default());
            let middle = (x + width / 2, y + height / 2);
            let free = names.iter().all(|&(other, at)| {
                (at.0 - middle.0).abs() > half(name) + half(other) || (at.1 - middle.1).abs() > LINE
            });
            if free && height > LINE && width > 2 * half(name) {
                names.push((name, middle));
            }
        }
        names
    }
}

impl Drawing for Memory {
    fn label(&self) -> String {
        format!("{} tensors of a training step by when they are needed and where they lie", self.lives.len())
    }

    fn size(&self) -> (u32, u32) {
        (WIDTH as u32, HEIGHT as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for mark in 0..=MARKS {
            let y = floor - (floor - TOP) * mark as i32 / MARKS as i32;
            area.draw(&PathElement::new(vec![(LEFT, y), (right, y)], RULE.stroke_width(FINE as u32)))?;
            let ink = text(LETTERS, INK, (HPos::Right, VPos::Center));
            area.draw(&Text::new(bytes(self.peak * mark / MARKS), (LEFT - 6 * FINE, y), ink))?;
        }
        for (number, life) in self.lives.iter().enumerate() {
            let [x, y, width, height] = self.bar(life);
            let colour = SERIES[number % 6];
            area.draw(&Rectangle::new([(x, y), (x + width, y + height)], colour.mix(0.75).filled()))?;
        }
        for (name, middle) in self.names() {
            area.draw(&Text::new(name.to_owned(), middle, text(13 * FINE, INK, (HPos::Center, VPos::Center))))?;
        }
        area.draw(&PathElement::new(vec![(LEFT, TOP), (right, TOP)], INK.stroke_width(2 * FINE as u32)))?;
        let says = format!("planned peak of a step's tensors: {}", bytes(self.peak));
        let peak = text(LETTERS, INK, (HPos::Right, VPos::Bottom));
        area.draw(&Text::new(says, (right, TOP - 6 * FINE), peak))?;
        let below = text(LETTERS, FAINT, (HPos::Center, VPos::Bottom));
        let says = format!("nodes of a training step in their order, 1 to {}", self.turns);
        area.draw(&Text::new(says, ((LEFT + right) / 2, HEIGHT - 8 * FINE), below))
    }

    fn hints(&self) -> Vec<Hint> {
        let hint = |life: &Life| {
            let [start, end] = life.turns;
            let text = format!(
                "{} ({}): {}, needed from node {} to {}",
                life.name,
                life.shape,
                bytes(life.bytes[1]),
                start + 1,
                end + 1
            );
            Hint { place: self.bar(life), text }
        };
        self.lives.iter().map(hint).collect()
    }
}

/// Bytes for people.
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
        let life = |name: &str, first: usize, turns: [usize; 2]| Life {
            name: format!("layer/{name}"),
            shape: "8".into(),
            bytes: [first, 100],
            turns,
        };
        let lives =
            vec![life("relu", 0, [0, 9]), life("sum", 0, [0, 9]), life("pool", 100, [0, 9]), life("loss", 0, [10, 10])];
        let memory = Memory { lives, turns: 100, peak: 200, persistent: Vec::new(), constants: 0 };
        let names: Vec<&str> = memory.names().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["relu", "pool"]);
    }
}
