//! One face for both executors: what a training loop, `predict` or a library user drives.
//!
//! ```
//! use gpunn::Engine;
//! use gpunn::graph::{Graph, Passes, Plan, PlanOptions, TensorType, optimise};
//! use gpunn::ops::Step;
//!
//! let mut graph = Graph::new();
//! let x = graph.leaf("x", 0, TensorType::f32([3]))?;
//! let y = graph.relu(x)?;
//! graph.output("y", y);
//!
//! let mut engine = Engine::cpu();
//! let program = engine.load(Plan::new(optimise(&graph, Passes::default())?, &engine.target(), PlanOptions::default())?)?;
//! engine.write("x", 0, &[-1.0_f32, 0.0, 2.0])?;
//! engine.schedule(program, &[Step::new(0, 3, 1)])?;
//! engine.run(program, 0..1)?;
//! let y = gpunn::blocking::block_on(engine.read_output(program, "y"))?;
//! assert_eq!(y, [0.0, 0.0, 2.0]);
//! # Ok::<(), gpunn::Error>(())
//! ```

use crate::cpu::{self, Value};
use crate::gpu;
use crate::graph::{Plan, Target};
use crate::ops::Step;
use crate::{Error, Result};

/// A plan that an [`Engine`] has loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program(pub(crate) usize);

impl Program {
    /// Its number, as the executors' own methods take it.
    pub fn index(self) -> usize {
        self.0
    }
}

/// An executor with its persistent buffers and loaded plans. Persistent buffers are shared by name between plans:
/// training and evaluation use the same parameters.
#[derive(Debug)]
pub enum Engine {
    /// On the CPU, in f32, threaded by rayon.
    Cpu(cpu::Executor),
    /// On a GPU.
    Gpu(Box<gpu::Executor>),
}

impl Engine {
    /// The CPU executor.
    pub fn cpu() -> Self {
        Self::Cpu(cpu::Executor::new())
    }

    /// The executor on an opened device.
    pub fn gpu(device: gpu::Device) -> Self {
        Self::Gpu(Box::new(gpu::Executor::new(device)))
    }

    /// The executor on an opened device, with the compiled kernels of earlier runs.
    pub fn gpu_with_kernels(device: gpu::Device, kept: gpu::KeptKernels) -> Self {
        Self::Gpu(Box::new(gpu::Executor::with_kernels(device, Some(kept))))
    }

    /// `"cpu"` or `"gpu"`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cpu(_) => "cpu",
            Self::Gpu(_) => "gpu",
        }
    }

    /// The device's name: the adapter and its driver, or the CPU's threads.
    pub fn device_name(&self) -> String {
        match self {
            Self::Cpu(_) => match crate::parallel::threads() {
                1 => "CPU, 1 thread".into(),
                threads => format!("CPU, {threads} threads"),
            },
            Self::Gpu(executor) => executor.device().description(),
        }
    }

    /// What plans must be made for.
    pub fn target(&self) -> Target {
        match self {
            Self::Cpu(executor) => executor.target(),
            Self::Gpu(executor) => executor.target(),
        }
    }

    /// Takes a plan: makes its buffers (zeroed; persistent ones that are there already stay) and, on a GPU, its
    /// pipelines and bind groups.
    ///
    /// # Errors
    /// When a persistent buffer is there with another length, or the device refuses a kernel or the memory.
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

    /// Sets the steps that [`Engine::run`] takes ranges of: uploaded once, typically for an epoch.
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

    /// Runs steps of the schedule, in order. A GPU is given the work in one submit and not waited for.
    ///
    /// # Errors
    /// When the schedule has no such steps, or the device is lost.
    pub fn run(&mut self, program: Program, steps: std::ops::Range<usize>) -> Result<()> {
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
        match self {
            Self::Cpu(executor) => executor.run(program.0, steps),
            Self::Gpu(executor) => executor.run(program.0, steps)?,
        }
        Ok(())
    }

    /// Writes into a persistent buffer from an element on. `values` are `f32`, `u32` or `u8`, as the buffer's; bytes
    /// must begin and end at whole words unless they end the buffer.
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

    /// Waits until the device may be given another run: it queues some, each of which holds what was written for it.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn ready(&mut self) -> Result<()> {
        match self {
            Self::Cpu(_) => Ok(()),
            Self::Gpu(executor) => executor.ready().await,
        }
    }

    /// Waits until all work given so far is done.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn wait(&mut self) -> Result<()> {
        match self {
            Self::Cpu(_) => Ok(()),
            Self::Gpu(executor) => executor.wait().await,
        }
    }

    /// The floats of a persistent buffer, after all work given so far.
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

    /// Forgets all plans and persistent buffers; compiled kernels stay.
    pub fn forget(&mut self) {
        match self {
            Self::Cpu(executor) => *executor = cpu::Executor::new(),
            Self::Gpu(executor) => executor.forget(),
        }
    }

    /// A plan's named output in the oracle's form, after all work given so far.
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

    /// The floats of a plan's named output, after all work given so far.
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
        match self {
            Self::Cpu(executor) => Ok(executor.read_place(program.0, place)),
            Self::Gpu(executor) => executor.read_place(program.0, place).await,
        }
    }
}
