//! Every kernel reads and writes only its own memory. Checked with guards and poison values for every case (value and
//! gradient), for random graphs and for a training step. Kernels with planted faults of each kind must be found.

use gpunn::check::{Inputs, gradient_graph};
use gpunn::gpu::{DeviceOptions, Executor};
use gpunn::graph::TensorType;
use gpunn::graph::kernel::{Dispatch, Kernel, Lowering, Slot};
use gpunn::ops::case::{Case, Sample};
use gpunn::ops::table::TABLE;
use gpunn::ops::{Call, Lower, Op};
use kernels_tests::for_every_variant;
use kernels_tests::memory::faults;
use kernels_tests::mlp::Mlp;
use kernels_tests::random_graph::random_graph;

/// Large cases run the same kernels as small ones, but it takes long to read their memory.
fn is_small(case: &Case) -> bool {
    case.inputs.iter().all(|input| input.ty.elements() <= 20_000)
}

/// Watches the small cases of the wanted ops, values and gradients. Returns the number of graphs.
fn watch(executor: &mut Executor, choice: &str, wanted: impl Fn(&str) -> bool) -> usize {
    let mut found = Vec::new();
    let mut graphs = 0;
    for entry in TABLE.iter().filter(|entry| wanted(entry.name)) {
        for case in (entry.cases)().iter().filter(|case| is_small(case)) {
            let mut watch = |what: &str, graph, inputs| {
                graphs += 1;
                let faults = faults(executor, &graph, &inputs).expect("it runs");
                found.extend(faults.iter().map(|fault| format!("{} [{}] {what}: {fault}", entry.name, case.label)));
            };
            watch("value", case.graph().expect("it builds").0, Inputs::of(case));
            if !case.differentiable.is_empty() {
                let (graph, inputs) = gradient_graph(case).expect("it builds");
                watch("gradient", graph, inputs);
            }
        }
    }
    assert!(found.is_empty(), "{choice}: {} faults:\n{}", found.len(), found.join("\n"));
    graphs
}

#[test]
fn every_case_keeps_to_its_own_memory() {
    let Some(mut executor) = kernels_tests::executor(DeviceOptions::default()) else { return };
    let graphs = watch(&mut executor, "the adapter's kernels", |_| true);
    println!("{graphs} graphs watched");
    assert!(graphs >= 250, "only {graphs} graphs");
}

/// Those of real GPUs; in slow tests every variant.
#[test]
fn every_choice_of_kernels_keeps_to_its_own_memory() {
    for_every_variant(|choice, device| {
        let is_own = choice.name == "the adapter's own";
        if !is_own && !choice.options.checks {
            let graphs = watch(&mut Executor::new(device), &choice.name, |op| choice.ops.contains(op));
            println!("{graphs} graphs watched");
        }
    });
}

#[test]
fn random_networks_keep_to_their_own_memory() {
    for_every_variant(|choice, device| {
        let mut executor = Executor::new(device);
        let step = if choice.name == "the adapter's own" { 8 } else { 24 };
        for seed in (0..200).step_by(step) {
            let (graph, inputs) = random_graph(seed, 5 + (seed as usize * 7) % 36).expect("it builds");
            let faults = faults(&mut executor, &graph, &inputs).expect("it runs");
            assert_eq!(faults, Vec::<String>::new(), "{}: graph {seed}", choice.name);
        }
    });
}

/// The gaps between the packed gradients keep the poison value, which must not reach the parameters.
#[test]
fn a_training_step_keeps_to_its_own_memory() {
    for_every_variant(|choice, device| {
        let mut executor = Executor::new(device);
        for mlp in [Mlp::default(), Mlp { batch: 7, inputs: 33, hidden: 5, classes: 3, ..Mlp::default() }] {
            let graph = mlp.training().expect("it builds");
            let faults = faults(&mut executor, &graph, &mlp.values(0.3)).expect("it runs");
            assert_eq!(faults, Vec::<String>::new(), "{}", choice.name);
        }
    });
}

/// An op that doubles its input, with a kernel from the test.
#[derive(Clone, Debug, PartialEq)]
struct Planted {
    name: &'static str,
    /// The code of each invocation.
    body: &'static str,
}

impl Op for Planted {
    fn name(&self) -> &'static str {
        self.name
    }
    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        Ok(inputs[0].clone())
    }
    fn reference(&self, call: &mut Call<f64>) {
        let x = call.real(0);
        call.out().iter_mut().zip(x).for_each(|(y, x)| *y = 2.0 * x);
    }
    fn run(&self, call: &mut Call<f32>) {
        let x = call.real(0);
        call.out().iter_mut().zip(x).for_each(|(y, x)| *y = 2.0 * x);
    }
    fn lower(&self, at: &Lower) -> Lowering {
        let source = format!(
            "// needs: grid
struct Dims {{ count: u32 }}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(invocation: Invocation) {{
    let i = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if i >= dims.count {{ return; }}
    {}
}}
",
            self.body
        );
        let count = at.types.output.elements();
        Dispatch {
            #[expect(unsafe_code, reason = "its kernels are wrong on purpose")]
            // SAFETY: none. The kernels are wrong on purpose; a software rasteriser keeps their writes within the buffers.
            kernel: unsafe { Kernel::new(self.name, &source, &[]).without_checks() },
            slots: vec![Slot::Input(0), Slot::Output],
            dims: vec![count as u32],
            groups: at.device.fold(count.div_ceil(64)),
            flops: 0,
            bytes: at.types.bytes(),
        }
        .into()
    }
}

/// The faults found for a planted kernel, first on a leaf, then between two other nodes.
fn watched(executor: &mut Executor, planted: Planted, elements: usize) -> [Vec<String>; 2] {
    [false, true].map(|between| {
        let op = planted.clone();
        let case = Case::new(vec![Sample::floats(&[elements])], move |graph, x| {
            if !between {
                return graph.apply(op.clone(), &[x[0]]);
            }
            let before = graph.exp(x[0])?;
            let y = graph.apply(op.clone(), &[before])?;
            let root = graph.square(y)?;
            graph.add(root, before)
        });
        let (graph, ..) = case.graph().expect("it builds");
        faults(executor, &graph, &Inputs::of(&case)).expect("it runs")
    })
}

fn each_says(found: &[Vec<String>; 2], what: &str) {
    for faults in found {
        assert!(faults.iter().any(|fault| fault.contains(what)), "nothing says {what:?} in {faults:?}");
    }
}

#[test]
fn a_right_kernel_has_no_faults() {
    let Some(mut executor) = kernels_tests::executor(DeviceOptions::default()) else { return };
    for elements in [1, 64, 101] {
        let right = Planted { name: "right", body: "y[i] = 2.0 * x[i];" };
        assert_eq!(watched(&mut executor, right, elements), [Vec::<String>::new(), Vec::new()]);
    }
}

/// Asserts that the faults of a planted kernel are found at several sizes; `says` is a part of their sentence at a size.
fn is_found(name: &'static str, body: &'static str, says: impl Fn(usize) -> String) {
    let Some(mut executor) = kernels_tests::executor(DeviceOptions::default()) else { return };
    for elements in [1, 64, 101] {
        each_says(&watched(&mut executor, Planted { name, body }, elements), &says(elements));
    }
}

#[test]
fn a_write_past_the_output_is_found() {
    let body = "y[i] = 2.0 * x[i]; if i == 0u { y[dims.count] = 1.0; }";
    is_found("writes_past", body, |_| "nobody's, but was written".into());
}

#[test]
fn an_unwritten_element_is_found() {
    let body = "if i + 1u < dims.count { y[i] = 2.0 * x[i]; }";
    is_found("leaves_one", body, |elements| format!("element {} of 'leaves_one' holds the poison", elements - 1));
}

#[test]
fn a_read_past_the_input_is_found() {
    let body = "y[i] = x[i] + x[i + 1u];";
    is_found("reads_past", body, |elements| format!("element {} of 'output y' is", elements - 1));
}

/// The kernel adds to the content of its output, which is not initialized.
#[test]
fn a_read_of_unwritten_memory_is_found() {
    let Some(mut executor) = kernels_tests::executor(DeviceOptions::default()) else { return };
    let found = watched(&mut executor, Planted { name: "adds_up", body: "y[i] += 2.0 * x[i];" }, 7);
    each_says(&found, "element 0 of 'output y' is");
}
