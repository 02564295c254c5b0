//! One interface for both executors. Training loops, `predict` and users of the library call it.
//!
//! ```
//! use gpunn::Engine;
//! use gpunn::graph::{Graph, Passes, Plan, PlanOptions, TensorType, optimize};
//! use gpunn::ops::Step;
//!
//! let mut graph = Graph::new();
//! let x = graph.leaf("x", 0, TensorType::f32([3]))?;
//! let y = graph.relu(x)?;
//! graph.output("y", y);
//!
//! let mut engine = Engine::cpu();
//! let program = engine.load(Plan::new(optimize(&graph, Passes::default())?, &engine.target(), PlanOptions::default())?)?;
//! engine.write("x", 0, &[-1.0_f32, 0.0, 2.0])?;
//! engine.schedule(program, &[Step::new(0, 3, 1)])?;
//! engine.run(program, 0..1)?;
//! let y = gpunn::blocking::block_on(engine.read_output(program, "y"))?;
//! assert_eq!(y, [0.0, 0.0, 2.0]);
//! # Ok::<(), gpunn::Error>(())
//! ```

use std::ops::Range;

use crate::cpu::{self, Value};
use crate::gpu;
use crate::graph::{NodeId, Place, Plan, Target};
use crate::ops::Step;
use crate::{Error, Result};

/// A plan that an [`Engine`] has loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program(pub(crate) usize);

impl Program {
    /// Its index, which the methods of the executors take.
    pub fn index(self) -> usize {
        self.0
    }
}

/// An executor with its persistent buffers and loaded plans. Plans share persistent buffers by name, so training and
/// evaluation use the same parameters.
#[derive(Debug)]
pub enum Engine {
    /// The CPU, in f32. It uses several threads with the feature `threads`.
    Cpu(cpu::Executor),
    /// A GPU.
    Gpu(Box<gpu::Executor>),
}

impl Engine {
    /// The CPU executor.
    pub fn cpu() -> Self {
        Self::Cpu(cpu::Executor::new())
    }

    /// The CPU executor, for plans whose buffers have at most so many bytes together. Plans for its target that need more are refused.
    pub fn cpu_within(max_memory: usize) -> Self {
        Self::Cpu(cpu::Executor::within(max_memory))
    }

    /// The executor of an opened device.
    pub fn gpu(device: gpu::Device) -> Self {
        Self::Gpu(Box::new(gpu::Executor::new(device)))
    }

    /// The first GPU adapter, opened with these options; `None` if there is no adapter. On a machine with several,
    /// [`gpu::adapters`] lists them.
    ///
    /// # Errors
    /// When the driver refuses to open the device.
    pub async fn first_gpu(options: gpu::DeviceOptions) -> Result<Option<Self>> {
        match gpu::adapters().await.first() {
            Some(adapter) => Ok(Some(Self::gpu(gpu::Device::open(adapter, options).await?))),
            None => Ok(None),
        }
    }

    /// [`Engine::first_gpu`] for callers that are not async.
    ///
    /// # Errors
    /// As [`Engine::first_gpu`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn first_gpu_blocking(options: gpu::DeviceOptions) -> Result<Option<Self>> {
        crate::blocking::block_on(Self::first_gpu(options))
    }

    /// The executor of an opened device, with compiled kernels from earlier runs.
    pub fn gpu_with_kernels(device: gpu::Device, kept: gpu::KeptKernels) -> Self {
        Self::Gpu(Box::new(gpu::Executor::with_kernels(device, Some(kept))))
    }

    /// Why it cannot go on, if it is a GPU that failed. Then a new engine can be opened, on the same adapter or another.
    pub fn failure(&self) -> Option<gpu::Failure> {
        match self {
            Self::Cpu(_) => None,
            Self::Gpu(executor) => executor.device().failure(),
        }
    }

    /// `"cpu"` or `"gpu"`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cpu(_) => "cpu",
            Self::Gpu(_) => "gpu",
        }
    }

    /// The device's name: the adapter and its driver, or the CPU and its number of threads.
    pub fn device_name(&self) -> String {
        match self {
            Self::Cpu(_) => match crate::parallel::threads() {
                1 => "CPU, 1 thread".into(),
                threads => format!("CPU, {threads} threads"),
            },
            Self::Gpu(executor) => executor.device().description(),
        }
    }

    /// The target for which plans must be made.
    pub fn target(&self) -> Target {
        match self {
            Self::Cpu(executor) => executor.target(),
            Self::Gpu(executor) => executor.target(),
        }
    }

    /// Loads a plan. It makes the plan's buffers, zeroed, and on a GPU its pipelines and bind groups. Persistent
    /// buffers that exist already keep their content.
    ///
    /// # Errors
    /// When a persistent buffer exists with another length, or the device refuses a kernel or has too little memory. Other plans can
    /// still be loaded then.
    pub fn load(&mut self, plan: Plan) -> Result<Program> {
        match self {
            Self::Cpu(executor) => executor.load(plan),
            Self::Gpu(executor) => executor.load(plan),
        }
        .map(Program)
    }

    /// A loaded plan.
    pub fn plan(&self, program: Program) -> &Plan {
        match self {
            Self::Cpu(executor) => executor.plan(program.0),
            Self::Gpu(executor) => executor.plan(program.0),
        }
    }

    /// Sets the schedule: the steps from which [`Engine::run`] takes ranges. It is uploaded once, usually for an
    /// epoch.
    ///
    /// # Errors
    /// When the device is lost or has no memory for the table.
    pub fn schedule(&mut self, program: Program, steps: &[Step]) -> Result<()> {
        match self {
            Self::Cpu(executor) => executor.schedule(program.0, steps),
            Self::Gpu(executor) => executor.schedule(program.0, steps)?,
        }
        Ok(())
    }

    /// The number of steps that a run should have. On a GPU they take about a twentieth of a second: longer than the costs of a
    /// submit, and short enough for display drivers and for Ctrl-C. On the CPU it is one step.
    pub fn steps_at_once(&self, program: Program) -> usize {
        match self {
            Self::Cpu(_) => 1,
            Self::Gpu(executor) => executor.steps_at_once(program.0),
        }
    }

    /// Runs steps of the schedule, in order. On a GPU the call does not wait for them. They are one submit, or several if they are
    /// expected to take longer than a tenth of a second.
    ///
    /// # Errors
    /// When the schedule is shorter than the range, or the device is lost.
    pub fn run(&mut self, program: Program, steps: Range<usize>) -> Result<()> {
        self.check_scheduled(program, &steps)?;
        match self {
            Self::Cpu(executor) => executor.run(program.0, steps),
            Self::Gpu(executor) => executor.run(program.0, steps)?,
        }
        Ok(())
    }

    /// As [`Engine::run`], for work that may take long. After each tenth of a second, or less, it asks `going` whether to go on. Where
    /// that is false, the rest is left out; what the step writes is then partly old and partly new. Returns whether all was run.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub async fn run_while(
        &mut self,
        program: Program,
        steps: Range<usize>,
        going: &mut dyn FnMut() -> bool,
    ) -> Result<bool> {
        self.check_scheduled(program, &steps)?;
        match self {
            Self::Cpu(executor) => Ok(executor.run_while(program.0, steps, going)),
            Self::Gpu(executor) => executor.run_while(program.0, steps, going).await,
        }
    }

    fn check_scheduled(&self, program: Program, steps: &Range<usize>) -> Result<()> {
        let scheduled = match self {
            Self::Cpu(executor) => executor.steps(program.0).len(),
            Self::Gpu(executor) => executor.steps(program.0).len(),
        };
        if steps.end > scheduled {
            return Err(Error::Usage(format!(
                "steps {} to {} were asked for, but {scheduled} are scheduled; call schedule first",
                steps.start, steps.end
            )));
        }
        Ok(())
    }

    /// The scheduled steps of a program.
    pub fn steps(&self, program: Program) -> &[Step] {
        match self {
            Self::Cpu(executor) => executor.steps(program.0),
            Self::Gpu(executor) => executor.steps(program.0),
        }
    }

    /// Runs one node of a scheduled step. `node` is its index in [`Plan::work`].
    ///
    /// # Errors
    /// When the device is lost.
    pub fn run_node(&mut self, program: Program, node: usize, step: usize) -> Result<()> {
        match self {
            Self::Cpu(executor) => executor.run_node(program.0, node, step),
            Self::Gpu(executor) => executor.run_node(program.0, node, step)?,
        }
        Ok(())
    }

    /// Runs some nodes of a scheduled step, in order. They are indices in [`Plan::work`].
    ///
    /// # Errors
    /// When the device is lost.
    pub fn run_nodes(&mut self, program: Program, nodes: Range<usize>, step: usize) -> Result<()> {
        match self {
            Self::Cpu(executor) => executor.run_nodes(program.0, nodes, step),
            Self::Gpu(executor) => executor.run_nodes(program.0, nodes, step)?,
        }
        Ok(())
    }

    /// Replaces a node's value, for the nodes of the step that run after it. A value without memory is left out.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn write_node(&mut self, program: Program, id: NodeId, values: &[f32]) -> Result<()> {
        let Some(place) = self.plan(program).place(id) else { return Ok(()) };
        let bytes: &[u8] = bytemuck::cast_slice(values);
        match self {
            Self::Cpu(executor) => executor.write_place(program.0, place, bytes),
            Self::Gpu(executor) => executor.write_place(program.0, place, bytes)?,
        }
        Ok(())
    }

    /// The bytes of a node's value, after all submitted work is done: as long as no later node of the step has overwritten it. A
    /// value without memory has none.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn read_node(&mut self, program: Program, id: NodeId) -> Result<Vec<u8>> {
        match self.plan(program).place(id) {
            Some(place) => self.read_place(program, place).await,
            None => Ok(Vec::new()),
        }
    }

    /// Writes into a persistent buffer, starting at an element. `values` must have the buffer's element type: `f32`,
    /// `u32` or `u8`. Bytes must start at a multiple of 4. They must also end at a multiple of 4 or at the end of the
    /// buffer.
    ///
    /// # Errors
    /// When there is no such buffer or it is too short.
    pub fn write<T: bytemuck::NoUninit>(&mut self, buffer: &str, first: usize, values: &[T]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let offset = first * size_of::<T>();
        match self {
            Self::Cpu(executor) => executor.write(buffer, offset, bytes),
            Self::Gpu(executor) => executor.write(buffer, offset, bytes),
        }
    }

    /// Waits until the device can take another run. The device queues a limited number of runs and the data written
    /// for them.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn ready(&mut self) -> Result<()> {
        match self {
            Self::Cpu(_) => Ok(()),
            Self::Gpu(executor) => executor.ready().await,
        }
    }

    /// Waits until all submitted work is done.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn wait(&mut self) -> Result<()> {
        match self {
            Self::Cpu(_) => Ok(()),
            Self::Gpu(executor) => executor.wait().await,
        }
    }

    /// The floats of a persistent buffer, after all submitted work is done.
    ///
    /// # Errors
    /// When there is no such buffer or the device is lost.
    pub async fn read(&mut self, buffer: &str) -> Result<Vec<f32>> {
        let bytes = match self {
            Self::Cpu(executor) => executor.read(buffer)?,
            Self::Gpu(executor) => executor.read(buffer).await?,
        };
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }

    /// As [`Engine::read`], into `values`, which has the buffer's length or less: the first floats of the buffer.
    ///
    /// # Errors
    /// As [`Engine::read`], and when the buffer is shorter.
    pub async fn read_into(&mut self, buffer: &str, values: &mut [f32]) -> Result<()> {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(values);
        let mut copy = |from: &[u8]| match from.get(..bytes.len()) {
            Some(first) => {
                bytes.copy_from_slice(first);
                Ok(())
            }
            None => Err(Error::short_buffer(buffer, from.len(), bytes.len())),
        };
        match self {
            Self::Cpu(executor) => copy(executor.bytes(buffer)?),
            Self::Gpu(executor) => copy(&executor.read(buffer).await?),
        }
    }

    /// Removes all plans and persistent buffers. Compiled kernels stay.
    pub fn forget(&mut self) {
        match self {
            Self::Cpu(executor) => *executor = cpu::Executor::new(),
            Self::Gpu(executor) => executor.forget(),
        }
    }

    /// A plan's named output as a [`Value`], after all submitted work is done.
    ///
    /// # Errors
    /// As [`Engine::read_output`].
    pub async fn read_output_value(&mut self, program: Program, name: &str) -> Result<Value> {
        let plan = self.plan(program);
        let id = plan.output(name)?;
        let ty = plan.graph.ty(id).clone();
        let bytes = self.read_output_bytes(program, name).await?;
        Ok(Value::from_bytes(ty.dtype, &bytes, ty.elements()))
    }

    /// The floats of a plan's named output, after all submitted work is done.
    ///
    /// # Errors
    /// When there is no such output or the device is lost.
    pub async fn read_output(&mut self, program: Program, name: &str) -> Result<Vec<f32>> {
        Ok(bytemuck::pod_collect_to_vec(&self.read_output_bytes(program, name).await?))
    }

    async fn read_output_bytes(&mut self, program: Program, name: &str) -> Result<Vec<u8>> {
        let plan = self.plan(program);
        let id = plan.output(name)?;
        let place = plan.place(id).ok_or_else(|| Error::Usage(format!("the output '{name}' is empty")))?;
        self.read_place(program, place).await
    }

    async fn read_place(&mut self, program: Program, place: Place) -> Result<Vec<u8>> {
        match self {
            Self::Cpu(executor) => Ok(executor.read_place(program.0, place)),
            Self::Gpu(executor) => executor.read_place(program.0, place).await,
        }
    }
}
