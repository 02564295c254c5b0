//! The measured peak of an engine: arithmetic in registers, and memory bandwidth.

use super::{BenchResult, Effort, time_graph};
use crate::check::Inputs;
use crate::graph::TensorType;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::ops::case::{Case, Sample};
use crate::ops::op::defined_by;
use crate::ops::{Call, Lower, Op, Real, Types, expect_inputs};
use crate::{Engine, Result};

/// The peak rates of a device.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Peak {
    /// GFLOP/s.
    pub gflops: f64,
    /// GB/s, read and written.
    pub gbytes: f64,
}

/// For each element, the sum of eight independent chains of `rounds` multiply-adds.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiplyAdds {
    /// Multiply-adds per chain.
    pub rounds: u32,
}

/// Chains per element.
const CHAINS: usize = 8;

impl MultiplyAdds {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let x = call.real(0);
        for (y, &x) in call.out().iter_mut().zip(x) {
            let mut chains: [T; CHAINS] = std::array::from_fn(|i| x + T::of(i as f64 / 8.0));
            for _ in 0..self.rounds {
                chains.iter_mut().for_each(|chain| *chain = *chain * T::of(0.5) + T::of(0.25));
            }
            *y = chains.into_iter().fold(T::zero(), |sum, chain| sum + chain);
        }
    }
}

impl Op for MultiplyAdds {
    fn name(&self) -> &'static str {
        "multiply_adds"
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        let whole = inputs[0] == TensorType::f32(inputs[0].shape.clone()) && inputs[0].elements().is_multiple_of(4);
        if whole { Ok(inputs[0].clone()) } else { Err("the input has to be f32 with a multiple of 4 elements".into()) }
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let count = at.types.output.elements() / 4;
        let kernel = Kernel::built_in("bench_fma", include_str!("../../shaders/bench_fma.wgsl"), &[]);
        at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &[count, self.rounds as usize], count).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        (2 * CHAINS * self.rounds as usize * types.output.elements()) as u64
    }
}

/// Measures an engine's peak.
///
/// Arithmetic: multiply-adds in registers on a GPU, a 1024 x 1024 x 1024 matrix product on the CPU. Memory: the sum of two
/// tensors, of 1 MiB each (which fit into caches) and of 64 MiB each; the higher rate counts.
///
/// # Errors
/// When the device fails.
pub fn measure(engine: &mut Engine, effort: Effort) -> Result<Peak> {
    let arithmetic = match engine {
        Engine::Cpu(_) => {
            let inputs = vec![Sample::floats(&[1024, 1024]), Sample::floats(&[1024, 1024])];
            run(engine, &Case::new(inputs, |graph, x| graph.matmul(x[0], x[1])), effort)?
        }
        Engine::Gpu(_) => {
            let many = vec![Sample::floats(&[1 << 20])];
            let few = vec![Sample::floats(&[1 << 14])];
            let chains = |rounds| {
                move |graph: &mut crate::graph::Graph, x: &[crate::graph::NodeId]| {
                    graph.apply(MultiplyAdds { rounds }, &[x[0]])
                }
            };
            // Software adapters are fastest with few invocations, hardware with many; the higher rate counts.
            let few = run(engine, &Case::new(few, chains(512)), effort)?;
            let many = run(engine, &Case::new(many, chains(64)), effort)?;
            if few.gflops > many.gflops { few } else { many }
        }
    };
    let mut gbytes: f64 = 0.0;
    for elements in [1 << 18, 1 << 24] {
        let inputs = vec![Sample::floats(&[elements]), Sample::floats(&[elements])];
        let memory = run(engine, &Case::new(inputs, |graph, x| graph.add(x[0], x[1])), effort)?;
        gbytes = gbytes.max(memory.gbytes);
    }
    Ok(Peak { gflops: arithmetic.gflops.unwrap_or(0.0), gbytes })
}

fn run(engine: &mut Engine, case: &Case, effort: Effort) -> Result<BenchResult> {
    let (graph, ..) = case.graph()?;
    time_graph(engine, case.label.clone(), &graph, &Inputs::of(case), effort)
}
