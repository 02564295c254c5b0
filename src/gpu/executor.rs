//! Runs plans on a GPU. Loading a plan makes its pipelines, buffers and bind groups. A run is usually one encoder, one pass
//! and one submit, and does not wait.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::counters::Counters;
use super::device::Device;
use super::pace::{self, Pace};
use super::pipelines::{KeptKernels, Pipeline, Pipelines};
use crate::graph::kernel::{Dispatch, Slot};
use crate::graph::{BufferKind, NodeSource, Place, Plan, PlannedNode, Target};
use crate::ops::Step;
use crate::{Error, Result};

/// The number of submissions after which resources of finished work are freed.
const FREE_INTERVAL: u64 = 8;

/// A dispatch with its pipeline and bindings.
#[derive(Debug)]
pub(super) struct Ready {
    pub pipeline: Arc<Pipeline>,
    pub bind_group: wgpu::BindGroup,
    pub step: bool,
    pub groups: [u32; 3],
    /// Index into [`Plan::work`].
    pub work: usize,
    /// Index into that node's dispatches.
    pub dispatch: usize,
}

/// A loaded plan.
#[derive(Debug)]
pub(super) struct Loaded {
    pub plan: Plan,
    pub buffers: Vec<wgpu::Buffer>,
    pub ready: Vec<Ready>,
    /// The work of each dispatch.
    work: Vec<f64>,
    steps: Option<StepTable>,
}

/// The table of steps on the device.
#[derive(Debug)]
struct StepTable {
    buffer: wgpu::Buffer,
    bind_group: wgpu::BindGroup,
    capacity: usize,
    steps: Vec<Step>,
}

/// Executes plans made for the [`Target`] of its device.
#[derive(Debug)]
pub struct Executor {
    pub(super) device: Device,
    pub(super) loaded: Vec<Loaded>,
    persistent: HashMap<String, (wgpu::Buffer, usize)>,
    pipelines: Pipelines,
    pace: Pace,
    /// Bytes written since the last submission.
    staged: usize,
    submitted: u64,
    margin: usize,
}

impl Executor {
    /// An executor without plans or buffers.
    pub fn new(device: Device) -> Self {
        Self::with_kernels(device, None)
    }

    /// An executor with compiled kernels from earlier runs, if the backend can save them.
    pub fn with_kernels(device: Device, kept: Option<KeptKernels>) -> Self {
        let pipelines = Pipelines::new(&device, kept);
        let pace = Pace::new(device.capabilities().class);
        let (loaded, persistent) = (Vec::new(), HashMap::new());
        Self { device, loaded, persistent, pipelines, pace, staged: 0, submitted: 0, margin: 0 }
    }

    /// Extends the bindings of plans loaded from now on by this many bytes beyond their tensors, up to the end of the
    /// buffer: for tests. With exact bindings, a robust driver drops writes beyond them, and a test cannot see the
    /// error.
    pub fn bind_beyond(&mut self, bytes: usize) {
        self.margin = bytes;
    }

    /// Removes all plans and buffers. Compiled kernels stay.
    pub fn forget(&mut self) {
        self.loaded.clear();
        self.persistent.clear();
        self.pace.forget();
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The target for which plans must be made.
    pub fn target(&self) -> Target {
        self.device.target()
    }

    /// A loaded plan.
    pub fn plan(&self, program: usize) -> &Plan {
        &self.loaded[program].plan
    }

    /// Loads a plan: makes its buffers, pipelines and bind groups.
    ///
    /// # Errors
    /// When the device refuses, or a persistent buffer exists with another length.
    pub fn load(&mut self, plan: Plan) -> Result<usize> {
        let dispatches = || plan.work.iter().flat_map(|work| &work.lowering.dispatches);
        self.pipelines.compile(&self.device, dispatches().map(|dispatch| &dispatch.kernel))?;
        let mut buffers = Vec::new();
        for buffer in &plan.buffers {
            buffers.push(match buffer.kind {
                BufferKind::Persistent => self.persistent(&buffer.name, buffer.bytes)?,
                _ => self.device.buffer(&buffer.name, buffer.bytes, wgpu::BufferUsages::STORAGE),
            });
        }
        for id in plan.graph.ids() {
            if let (NodeSource::Constant(values), Some(place)) = (&plan.graph.node(id).source, plan.place(id)) {
                self.device.write(&buffers[place.buffer], place.offset, bytemuck::cast_slice(values));
            }
        }
        let ready = self.bind(&plan, &buffers)?;
        let work = plan.work.iter().flat_map(|node| &node.lowering.dispatches).map(pace::work).collect();
        self.loaded.push(Loaded { plan, buffers, ready, work, steps: None });
        self.device.check()?;
        Ok(self.loaded.len() - 1)
    }

    fn persistent(&mut self, name: &str, bytes: usize) -> Result<wgpu::Buffer> {
        if let Some((buffer, known)) = self.persistent.get(name) {
            return match *known == bytes {
                true => Ok(buffer.clone()),
                false => Err(Error::Shape(format!(
                    "the buffer '{name}' has {known} bytes already, but the plan asks for {bytes}"
                ))),
            };
        }
        let buffer = self.device.buffer(name, bytes, wgpu::BufferUsages::STORAGE);
        self.persistent.insert(name.into(), (buffer.clone(), bytes));
        Ok(buffer)
    }

    /// One uniform buffer holds the dims of all dispatches. Each bind group uses its own range of it.
    fn bind(&self, plan: &Plan, buffers: &[wgpu::Buffer]) -> Result<Vec<Ready>> {
        let stride = self.device.uniform_stride();
        let count: usize = plan.work.iter().map(|work| work.lowering.dispatches.len()).sum();
        let mut dims = vec![0_u8; stride * count];
        let uniforms = self.device.buffer("dims", dims.len(), wgpu::BufferUsages::UNIFORM);
        let mut ready = Vec::new();
        for (number, work) in plan.work.iter().enumerate() {
            for (index, dispatch) in work.lowering.dispatches.iter().enumerate() {
                let offset = stride * ready.len();
                let words: &[u8] = bytemuck::cast_slice(&dispatch.dims);
                dims[offset..offset + words.len()].copy_from_slice(words);
                let pipeline = self.pipelines.get(&dispatch.kernel).clone();
                let bind_group = self.bind_group(plan, work, dispatch, buffers, &pipeline, (&uniforms, offset))?;
                let (step, groups) = (dispatch.kernel.step, dispatch.groups);
                ready.push(Ready { pipeline, bind_group, step, groups, work: number, dispatch: index });
            }
        }
        if count > 0 {
            self.device.write(&uniforms, 0, &dims);
        }
        Ok(ready)
    }

    fn bind_group(
        &self,
        plan: &Plan,
        work: &PlannedNode,
        dispatch: &Dispatch,
        buffers: &[wgpu::Buffer],
        pipeline: &Pipeline,
        (uniforms, offset): (&wgpu::Buffer, usize),
    ) -> Result<wgpu::BindGroup> {
        Counters::add(&self.device.counters.bind_groups);
        let node = plan.graph.node(work.node);
        let mut entries = vec![entry(0, uniforms, offset, self.device.uniform_stride())];
        for (index, slot) in dispatch.slots.iter().enumerate() {
            let place = match *slot {
                Slot::Input(i) => plan.place(node.inputs()[i]),
                Slot::State(i) => plan.place(node.states()[i]),
                Slot::Output => plan.place(work.node),
                Slot::Scratch(i) => work.scratch.get(i).copied(),
            };
            let place = place.ok_or_else(|| Error::Shape(format!("node '{}' binds an empty tensor", node.name)))?;
            let most = plan.buffers[place.buffer].bytes - place.offset;
            let bytes = (place.bytes + self.margin).min(most);
            entries.push(entry(index as u32 + 1, &buffers[place.buffer], place.offset, bytes));
        }
        Ok(self.device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&node.name),
            layout: &pipeline.layout,
            entries: &entries,
        }))
    }

    /// Uploads the schedule: the steps from which [`Executor::run`] takes ranges.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn schedule(&mut self, program: usize, steps: &[Step]) -> Result<()> {
        let stride = self.device.uniform_stride();
        // The place of a step in the table is given to the device in 32 bits.
        let most = self.device.target().max_buffer.min(u32::MAX as usize) / stride;
        if steps.len() > most {
            return Err(Error::Usage(format!(
                "{} steps were scheduled, but the device takes {most} at once",
                steps.len()
            )));
        }
        let loaded = &mut self.loaded[program];
        if loaded.steps.as_ref().is_none_or(|table| table.capacity < steps.len()) {
            let buffer = self.device.buffer("steps", stride * steps.len().max(1), wgpu::BufferUsages::UNIFORM);
            Counters::add(&self.device.counters.bind_groups);
            let bind_group = self.device.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("step"),
                layout: &self.pipelines.step_layout,
                entries: &[entry(0, &buffer, 0, size_of::<Step>())],
            });
            loaded.steps = Some(StepTable { buffer, bind_group, capacity: steps.len(), steps: Vec::new() });
        }
        if let Some(table) = &mut loaded.steps {
            let mut rows = vec![0_u8; stride * steps.len()];
            for (row, step) in rows.chunks_mut(stride).zip(steps) {
                row[..size_of::<Step>()].copy_from_slice(bytemuck::bytes_of(step));
            }
            self.device.write(&table.buffer, 0, &rows);
            table.steps = steps.to_vec();
        }
        self.device.check()
    }

    /// Writes into a persistent buffer, starting at a byte offset.
    ///
    /// # Errors
    /// When there is no such buffer or it is too short.
    pub fn write(&mut self, name: &str, offset: usize, bytes: &[u8]) -> Result<()> {
        let (buffer, len) = self.persistent.get(name).ok_or_else(|| Error::unknown_buffer(name))?;
        if offset + bytes.len() > *len {
            return Err(Error::short_buffer(name, *len, offset + bytes.len()));
        }
        if !bytes.is_empty() {
            self.device.write(buffer, offset, bytes);
            self.staged += bytes.len();
        }
        self.device.check()
    }

    /// The bytes of a persistent buffer, after all submitted work is done.
    ///
    /// # Errors
    /// When there is no such buffer or the device is lost.
    pub async fn read(&mut self, name: &str) -> Result<Vec<u8>> {
        let (buffer, bytes) = self.persistent.get(name).ok_or_else(|| Error::unknown_buffer(name))?;
        self.device.read(buffer, 0, *bytes).await
    }

    /// The bytes of a tensor of a loaded plan, after all submitted work is done.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn read_place(&mut self, program: usize, place: Place) -> Result<Vec<u8>> {
        self.device.read(&self.loaded[program].buffers[place.buffer], place.offset, place.bytes).await
    }

    /// Runs steps of the schedule. It does not wait. Usually this is one submit; work that is expected to take longer than a tenth
    /// of a second is cut into several, so that no driver takes it for hung. Before many submits, call [`Executor::ready`] each
    /// time.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn run(&mut self, program: usize, steps: Range<usize>) -> Result<()> {
        self.submit_all(program, &self.dispatches(program, steps, |_| true));
        self.after_submit()
    }

    /// As [`Executor::run`]. Before each submit but the first it waits for [`Executor::ready`], and asks `going` whether to go on.
    /// Returns whether all was run.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn run_while(
        &mut self,
        program: usize,
        steps: Range<usize>,
        going: &mut dyn FnMut() -> bool,
    ) -> Result<bool> {
        let all = self.dispatches(program, steps, |_| true);
        let mut done = 0;
        while done < all.len() {
            if done > 0 {
                self.ready().await?;
                if !going() {
                    return Ok(false);
                }
            }
            done += self.submit(program, &all[done..], done > 0);
            self.after_submit()?;
        }
        Ok(true)
    }

    fn after_submit(&mut self) -> Result<()> {
        if self.submitted.is_multiple_of(FREE_INTERVAL) {
            self.device.free_finished()?;
        }
        // A lost device takes work and does nothing.
        self.device.check()
    }

    /// Runs some nodes of a scheduled step. They are indices in [`Plan::work`].
    ///
    /// # Errors
    /// When the device is lost.
    pub fn run_nodes(&mut self, program: usize, nodes: Range<usize>, step: usize) -> Result<()> {
        self.submit_all(program, &self.dispatches(program, step..step + 1, |ready| nodes.contains(&ready.work)));
        self.device.free_finished()
    }

    /// Writes bytes over a tensor of a loaded plan, after all submitted work.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn write_place(&mut self, program: usize, place: Place, bytes: &[u8]) -> Result<()> {
        self.device.write(&self.loaded[program].buffers[place.buffer], place.offset, bytes);
        self.staged += bytes.len();
        self.device.check()
    }

    /// Runs one node of a scheduled step, for comparisons node by node.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn run_node(&mut self, program: usize, node: usize, step: usize) -> Result<()> {
        self.submit_all(program, &self.dispatches(program, step..step + 1, |ready| ready.work == node));
        self.device.free_finished()
    }

    /// The number of steps that a submit should have, by the time that the last ones took: about a twentieth of a second.
    pub fn steps_at_once(&self, program: usize) -> usize {
        self.pace.steps(program, &self.loaded[program].work)
    }

    /// The dispatches of a step, cut into submissions.
    pub(super) fn submissions(&self, program: usize) -> Vec<Range<usize>> {
        self.pace.pieces(program, &self.loaded[program].work)
    }

    /// The dispatches of steps that `wanted` selects, each as the number of its step and its index.
    fn dispatches(&self, program: usize, steps: Range<usize>, wanted: impl Fn(&Ready) -> bool) -> Vec<(usize, usize)> {
        let ready = &self.loaded[program].ready;
        let chosen: Vec<usize> = (0..ready.len()).filter(|&index| wanted(&ready[index])).collect();
        steps.flat_map(|step| chosen.iter().map(move |&index| (step, index))).collect()
    }

    fn submit_all(&mut self, program: usize, dispatches: &[(usize, usize)]) {
        let mut done = 0;
        while done < dispatches.len() {
            done += self.submit(program, &dispatches[done..], done > 0);
        }
    }

    /// Submits the first of these dispatches, which may be the rest of what was cut. Returns how many.
    fn submit(&mut self, program: usize, dispatches: &[(usize, usize)], is_rest: bool) -> usize {
        let Loaded { ready, work, .. } = &self.loaded[program];
        let count = self.pace.piece(program, dispatches.iter().map(|&(_, index)| work[index]), is_rest);
        let piece = &dispatches[..count];
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for &(step, index) in piece {
                self.encode(&mut pass, program, &ready[index], step);
            }
        }
        let work = piece.iter().map(|&(_, index)| work[index]).sum();
        let done = self.device.submit(encoder);
        self.pace.submitted(program, work, std::mem::take(&mut self.staged), done);
        self.submitted += 1;
        count
    }

    /// Waits until few enough submissions are pending, with few enough bytes written for them.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn ready(&mut self) -> Result<()> {
        self.pace.collect();
        while self.pace.too_much() {
            let Some(oldest) = self.pace.oldest() else { break };
            self.device.wait_for(oldest).await?;
            self.pace.collect();
        }
        Ok(())
    }

    /// Waits until all submitted work is done.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn wait(&mut self) -> Result<()> {
        self.device.wait_for(self.device.all_submitted()).await?;
        self.pace.collect();
        Ok(())
    }

    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>, program: usize, ready: &Ready, step: usize) {
        pass.set_pipeline(&ready.pipeline.pipeline);
        pass.set_bind_group(0, &ready.bind_group, &[]);
        if let (true, Some(table)) = (ready.step, &self.loaded[program].steps) {
            pass.set_bind_group(1, &table.bind_group, &[(step * self.device.uniform_stride()) as u32]);
        }
        let [x, y, z] = ready.groups;
        pass.dispatch_workgroups(x, y, z);
    }

    /// The scheduled steps of a program.
    pub fn steps(&self, program: usize) -> &[Step] {
        self.loaded[program].steps.as_ref().map_or(&[], |table| &table.steps)
    }

    /// Fills a buffer of a loaded plan with a word, for tests that detect reads of unwritten memory.
    pub fn poison(&mut self, program: usize, buffer: usize, word: u32) {
        let loaded = &self.loaded[program];
        let words = vec![word; loaded.buffers[buffer].size() as usize / 4];
        self.device.write(&loaded.buffers[buffer], 0, bytemuck::cast_slice(&words));
    }
}

fn entry(binding: u32, buffer: &wgpu::Buffer, offset: usize, bytes: usize) -> wgpu::BindGroupEntry<'_> {
    wgpu::BindGroupEntry {
        binding,
        resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer,
            offset: offset as u64,
            size: std::num::NonZeroU64::new(bytes as u64),
        }),
    }
}
