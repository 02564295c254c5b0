//! Mathematical properties of the networks, checked on both executors; and equal counter-based random numbers
//! on both.

use gpunn::gpu::DeviceOptions;
use gpunn::graph::kernel::{Dispatch, Kernel, Lowering, Slot};
use gpunn::graph::{Graph, NodeId, Passes, Plan, PlanOptions, TensorType, optimize};
use gpunn::ops::{Call, Lower, Op, Step};
use gpunn::random::{CounterRng, Purpose, philox};
use gpunn::{Engine, Result};
use kernels_tests::engines;
use kernels_tests::mlp::Mlp;
use kernels_tests::numbers::assert_close as close;

/// Builds a graph over leaves of these shapes and values, runs a step, and returns the outputs.
fn run<const N: usize>(
    engine: &mut Engine,
    leaves: &[(&[usize], &[f32])],
    build: impl Fn(&mut Graph, &[NodeId]) -> Result<[NodeId; N]>,
) -> Result<[Vec<f32>; N]> {
    let mut graph = Graph::new();
    let mut ids = Vec::new();
    for (number, (dims, _)) in leaves.iter().enumerate() {
        ids.push(graph.leaf(format!("x{number}"), 0, TensorType::f32(*dims))?);
    }
    for (number, id) in build(&mut graph, &ids)?.into_iter().enumerate() {
        graph.output(format!("y{number}"), id);
    }
    let graph = optimize(&graph, Passes::default())?;
    engine.forget();
    let program = engine.load(Plan::new(graph, &engine.target(), PlanOptions::default())?)?;
    for (number, (_, values)) in leaves.iter().enumerate() {
        engine.write(&format!("x{number}"), 0, values)?;
    }
    engine.schedule(program, &[Step::new(0, 1, 0)])?;
    engine.run(program, 0..1)?;
    let mut kept = Vec::new();
    for number in 0..N {
        kept.push(gpunn::blocking::block_on(engine.read_output(program, &format!("y{number}")))?);
    }
    Ok(std::array::from_fn(|i| std::mem::take(&mut kept[i])))
}

/// Random numbers from `low` to `high`, the same in every call.
fn numbers(count: usize, low: f32, high: f32) -> Vec<f32> {
    let counted = CounterRng::new(31, Purpose::Init, 0, 0);
    (0..count as u32).map(|i| low + (high - low) * counted.uniform(i)).collect()
}

/// The logits are multiples of 1/64, so the constants are added without rounding, and no bit of the result may change.
#[test]
fn softmax_does_not_change_when_a_constant_is_added() -> Result<()> {
    let logits: Vec<f32> = numbers(12 * 10, -3.0, 3.0).iter().map(|x| (64.0 * x).round() / 64.0).collect();
    for mut engine in engines() {
        let softmax = |engine: &mut Engine, constant: f32| {
            let shifted: Vec<f32> = logits.iter().map(|x| x + constant).collect();
            run(engine, &[(&[12, 10], &shifted)], |graph, x| Ok([graph.softmax(x[0])?]))
        };
        let [plain] = softmax(&mut engine, 0.0)?;
        for row in plain.chunks(10) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{row:?} does not add up to 1");
        }
        for constant in [1.0, -17.5, 100.0, 4096.0, -10_000.0] {
            let [shifted] = softmax(&mut engine, constant)?;
            assert!(shifted == plain, "{}: other bits with {constant} added", engine.device_name());
        }
    }
    Ok(())
}

#[test]
fn softmax_is_finite_for_large_logits() -> Result<()> {
    let logits: Vec<f32> = [[1e4, -1e4, 0.0, 9.999e3], [1e4, 1e4, 1e4, 1e4], [-1e4, -1e4, -1e4, 1e4]].concat();
    let leaves = [(&[3_usize, 4][..], &logits[..])];
    for mut engine in engines() {
        let [softmax, logarithm, gradient] = run(&mut engine, &leaves, |graph, x| {
            let (y, log) = (graph.softmax(x[0])?, graph.log_softmax(x[0])?);
            let flat = graph.reshape(log, [12])?;
            let sum = graph.sum(flat, 0, 0)?;
            Ok([y, log, graph.gradient(sum, &[x[0]])?[0]])
        })?;
        let tail = (-1.0_f64).exp();
        let first = [1.0 / (1.0 + tail), 0.0, 0.0, tail / (1.0 + tail)];
        close(&softmax, &[first, [0.25; 4], [0.0, 0.0, 0.0, 1.0]].concat(), 1e-6, 1e-5);
        let most = -(1.0 + tail).ln();
        let wanted =
            [[most, most - 2e4, most - 1e4, most - 1.0], [-(4.0_f64).ln(); 4], [-2e4, -2e4, -2e4, 0.0]].concat();
        close(&logarithm, &wanted, 1e-6, 1e-6);
        let of_first = first.map(|y| 1.0 - 4.0 * y);
        close(&gradient, &[of_first, [0.0; 4], [1.0, 1.0, 1.0, -3.0]].concat(), 1e-5, 1e-5);
    }
    Ok(())
}

/// Cross-entropy of large logits, fused with softmax and not fused, loses no digit.
#[test]
fn cross_entropy_is_exact_for_large_logits() -> Result<()> {
    let logits = [1e4, 9.999e3, -1e4, 9.9995e3];
    for mut engine in engines() {
        for passes in [Passes::default(), Passes::NONE] {
            let mut graph = Graph::new();
            let x = graph.leaf("x", 0, TensorType::f32([4, 4]))?;
            let labels = graph.leaf("labels", 0, TensorType::u32([4]))?;
            let loss = graph.cross_entropy(x, labels, 0.0)?;
            let total = graph.batch_total(loss, gpunn::ops::batch::Reduction::Sum)?;
            let gradient = graph.gradient(total, &[x])?[0];
            graph.output("loss", loss);
            graph.output("gradient", gradient);
            engine.forget();
            let graph = optimize(&graph, passes)?;
            let program = engine.load(Plan::new(graph, &engine.target(), PlanOptions::default())?)?;
            engine.write("x", 0, &logits.repeat(4))?;
            engine.write("labels", 0, &[0_u32, 1, 2, 3])?;
            engine.schedule(program, &[Step::new(0, 4, 0)])?;
            engine.run(program, 0..1)?;
            let below = logits.map(|x: f32| f64::from(x) - 1e4);
            let sum: f64 = below.iter().map(|x| x.exp()).sum();
            let wanted = below.map(|x| sum.ln() - x);
            close(&gpunn::blocking::block_on(engine.read_output(program, "loss"))?, &wanted, 1e-6, 1e-6);
            let share = |at: usize| below[at % 4].exp() / sum - if at.is_multiple_of(5) { 1.0 } else { 0.0 };
            let gradients: Vec<f64> = (0..16).map(share).collect();
            close(&gpunn::blocking::block_on(engine.read_output(program, "gradient"))?, &gradients, 1e-6, 1e-5);
        }
    }
    Ok(())
}

#[test]
fn the_sigmoids_slope_is_y_times_1_less_y() -> Result<()> {
    let x = numbers(501, -9.0, 9.0);
    for mut engine in engines() {
        let [y, slope] = run(&mut engine, &[(&[501], &x)], |graph, x| {
            let y = graph.sigmoid(x[0])?;
            let sum = graph.sum(y, 0, 0)?;
            Ok([y, graph.gradient(sum, &[x[0]])?[0]])
        })?;
        let sigmoid = |x: &f32| 1.0 / (1.0 + (-f64::from(*x)).exp());
        close(&y, &x.iter().map(sigmoid).collect::<Vec<_>>(), 2e-6, 1e-6);
        let slopes = |y: &f32| f64::from(*y) * (1.0 - f64::from(*y));
        close(&slope, &y.iter().map(slopes).collect::<Vec<_>>(), 1e-7, 1e-6);
        // The same slope by differences of the exact function.
        let rise =
            |x: &f32| (sigmoid(&(x + 1e-2)) - sigmoid(&(x - 1e-2))) / (f64::from(x + 1e-2) - f64::from(x - 1e-2));
        close(&slope, &x.iter().map(rise).collect::<Vec<_>>(), 1e-5, 1e-5);
    }
    Ok(())
}

#[test]
fn tanh_is_a_scaled_sigmoid() -> Result<()> {
    let x = numbers(501, -6.0, 6.0);
    for mut engine in engines() {
        let [tanh, sigmoid] = run(&mut engine, &[(&[501], &x)], |graph, x| {
            let twice = graph.scale(x[0], 2.0)?;
            Ok([graph.tanh(x[0])?, graph.sigmoid(twice)?])
        })?;
        let wanted: Vec<f64> = sigmoid.iter().map(|&s| 2.0 * f64::from(s) - 1.0).collect();
        close(&tanh, &wanted, 4e-6, 1e-6);
        assert!(tanh.iter().any(|y| y.abs() > 0.99) && tanh.iter().any(|y| y.abs() < 0.5));
    }
    Ok(())
}

/// y = W x + b for a column x: dW = delta x^T and db = delta are single products, so they are exact. dx = W^T delta is a
/// sum.
#[test]
fn gradients_of_a_linear_layer() -> Result<()> {
    let (m, n) = (13, 37);
    let (w, x, b) = (numbers(m * n, -1.0, 1.0), numbers(n, 0.5, 1.5), numbers(m, -2.0, 2.0));
    let delta: Vec<f32> = numbers(m, -1.0, 3.0);
    for mut engine in engines() {
        let leaves: [(&[usize], &[f32]); 4] = [(&[m, n], &w), (&[n, 1], &x), (&[m, 1], &b), (&[m, 1], &delta)];
        let [dw, dx, db] = run(&mut engine, &leaves, |graph, leaf| {
            let product = graph.matmul(leaf[0], leaf[1])?;
            let y = graph.add(product, leaf[2])?;
            let gradients = graph.gradient_from(y, leaf[3], &leaf[..3])?;
            Ok([gradients[0], gradients[1], gradients[2]])
        })?;
        let outer: Vec<f32> = delta.iter().flat_map(|d| x.iter().map(move |x| d * x)).collect();
        assert!(dw == outer, "{}: dW is not delta x^T", engine.device_name());
        assert!(db == delta, "{}: db is not delta", engine.device_name());
        let column = |k: usize| (0..m).map(|i| f64::from(w[i * n + k]) * f64::from(delta[i])).sum();
        close(&dx, &(0..n).map(column).collect::<Vec<f64>>(), 1e-5, 1e-5);
    }
    Ok(())
}

/// The largest difference between hidden units, over input weights, biases and output weights.
fn hidden_spread(mlp: &Mlp, [w1, b1, w2, _]: &[Vec<f32>; 4]) -> f32 {
    let units = |values: &[f32], unit: &dyn Fn(usize, usize) -> usize, count: usize| {
        let of = |i: usize| (1..mlp.hidden).map(move |h| (i, h));
        let apart = (0..count).flat_map(of).map(|(i, h)| (values[unit(i, h)] - values[unit(i, 0)]).abs());
        apart.fold(0.0, f32::max)
    };
    let into = units(w1, &|i, h| i * mlp.hidden + h, mlp.inputs);
    let bias = units(b1, &|_, h| h, 1);
    let out = units(w2, &|i, h| h * mlp.classes + i, mlp.classes);
    into.max(bias).max(out)
}

#[test]
fn a_network_that_starts_at_zero_keeps_its_hidden_units_equal() -> Result<()> {
    let mlp = Mlp::default();
    for mut engine in engines() {
        for (spread, equal) in [(0.0, true), (0.3, false)] {
            engine.forget();
            let graph = optimize(&mlp.training()?, Passes::default())?;
            let program = engine.load(Plan::new(graph, &engine.target(), PlanOptions::default())?)?;
            mlp.fill(&mut engine, spread)?;
            engine.schedule(program, &mlp.schedule(1.0))?;
            engine.run(program, 0..30)?;
            let parameters = mlp.parameters(&mut engine)?;
            let apart = hidden_spread(&mlp, &parameters);
            assert_eq!(apart == 0.0, equal, "{}: hidden units differ by {apart}", engine.device_name());
            // The parameters of all layers have changed.
            for values in &parameters {
                let largest = values.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                assert!(largest > 1e-4, "a parameter has not moved");
            }
        }
    }
    Ok(())
}

#[test]
fn two_layers_without_a_non_linearity_are_one() -> Result<()> {
    let (rows, n, hidden, m) = (9, 21, 33, 6);
    let (x, w1, b1) = (numbers(rows * n, -1.0, 1.0), numbers(n * hidden, -0.5, 0.5), numbers(hidden, -0.5, 0.5));
    let (w2, b2) = (numbers(hidden * m, -0.5, 0.5), numbers(m, -1.0, 1.0));
    let leaves: [(&[usize], &[f32]); 5] =
        [(&[rows, n], &x), (&[n, hidden], &w1), (&[1, hidden], &b1), (&[hidden, m], &w2), (&[m], &b2)];
    for mut engine in engines() {
        let [two, one, bent] = run(&mut engine, &leaves, |graph, leaf| {
            let (x, w1, b1, w2, b2) = (leaf[0], leaf[1], leaf[2], leaf[3], leaf[4]);
            let layer = |graph: &mut Graph, x, w, b| {
                let product = graph.matmul(x, w)?;
                graph.add(product, b)
            };
            let hidden = layer(graph, x, w1, b1)?;
            let two = layer(graph, hidden, w2, b2)?;
            let (w, b) = (graph.matmul(w1, w2)?, layer(graph, b1, w2, b2)?);
            let one = layer(graph, x, w, b)?;
            let bent = graph.sigmoid(hidden)?;
            Ok([two, one, layer(graph, bent, w2, b2)?])
        })?;
        let apart = |other: &[f32]| two.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart(&one) <= 3e-5, "{}: they differ by {}", engine.device_name(), apart(&one));
        assert!(apart(&bent) > 0.1, "a sigmoid between them changes nothing");
    }
    Ok(())
}

/// An op that returns the first words of Philox for each element's counter, as integers.
#[derive(Clone, Debug, PartialEq)]
struct Words {
    blocks: usize,
    stream: u32,
}

impl Op for Words {
    fn name(&self) -> &'static str {
        "words"
    }
    fn output(&self, _: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        Ok(TensorType::u32([4 * self.blocks]))
    }
    fn reference(&self, _: &mut Call<f64>) {}
    fn run(&self, _: &mut Call<f32>) {}
    fn lower(&self, at: &Lower) -> Lowering {
        const WGSL: &str = "// needs: grid, step, philox
struct Dims {
    blocks: u32,
    stream: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read_write> y: array<vec4u>;
@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let i = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if i < dims.blocks {
        // Counters at both ends of the range.
        let block = select(i, 0xffffffffu - i, i % 2u == 1u);
        y[i] = philox(vec4u(block, dims.stream, step.number, step.epoch), vec2u(step.seed_low, step.seed_high));
    }
}
";
        Dispatch {
            kernel: Kernel::new("words", WGSL, &[]),
            slots: vec![Slot::Output],
            dims: vec![self.blocks as u32, self.stream],
            groups: at.device.fold(self.blocks.div_ceil(64)),
            flops: 0,
            bytes: 0,
        }
        .into()
    }
}

#[test]
fn philox_is_the_same_words_on_the_gpu() -> Result<()> {
    let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) else { return Ok(()) };
    const BLOCKS: usize = 1000;
    let seeds = [0, 1, u64::MAX, 0x0123_4567_89ab_cdef, 0xffff_ffff, 0xffff_ffff_0000_0000];
    let steps = [(0, 0), (1, 5), (u32::MAX, 2), (0x8000_0000, u32::MAX)];
    let scheduled: Vec<Step> = seeds
        .iter()
        .flat_map(|&seed| steps.map(|(number, epoch)| Step { epoch, ..Step::new(number, 1, seed) }))
        .collect();
    for stream in [0, 7, u32::MAX] {
        let mut graph = Graph::new();
        let words = graph.apply(Words { blocks: BLOCKS, stream }, &[])?;
        graph.output("words", words);
        engine.forget();
        let program = engine.load(Plan::new(graph, &engine.target(), PlanOptions::default())?)?;
        engine.schedule(program, &scheduled)?;
        for (index, step) in scheduled.iter().enumerate() {
            engine.run(program, index..index + 1)?;
            let found = gpunn::blocking::block_on(engine.read_output(program, "words"))?;
            let found: Vec<u32> = found.into_iter().map(f32::to_bits).collect();
            let words = |i: u32| {
                let block = if i.is_multiple_of(2) { i } else { u32::MAX - i };
                philox([block, stream, step.number, step.epoch], [step.seed_low, step.seed_high])
            };
            let wanted: Vec<u32> = (0..BLOCKS as u32).flat_map(words).collect();
            assert!(found == wanted, "stream {stream}, step {step:?}");
        }
    }
    Ok(())
}

/// Dropout of ones shows which elements are dropped. On both executors these are the elements that the random generator
/// gives. Another step, stream or seed gives another pattern.
#[test]
fn dropout_drops_the_same_elements_everywhere() -> Result<()> {
    const COUNT: usize = 1031;
    let scheduled = [(0, 1), (1, 1), (77, 1), (0, u64::MAX)].map(|(number, seed)| Step::new(number, 1, seed));
    for mut engine in engines() {
        let mut patterns = Vec::new();
        for stream in [0, 3] {
            let mut graph = Graph::new();
            let ones = graph.constant(TensorType::f32([COUNT]), vec![1.0; COUNT]);
            let y = graph.dropout(ones, 0.5, stream)?;
            graph.output("y", y);
            engine.forget();
            let program = engine.load(Plan::new(graph, &engine.target(), PlanOptions::default())?)?;
            engine.schedule(program, &scheduled)?;
            for (index, step) in scheduled.iter().enumerate() {
                engine.run(program, index..index + 1)?;
                let found = gpunn::blocking::block_on(engine.read_output(program, "y"))?;
                let counted = CounterRng::new(step.seed(), Purpose::Dropout, stream, step.number);
                let kept = |i: u32| if counted.word(i) < 1 << 31 { 0.0 } else { 2.0 };
                assert!(found.iter().copied().eq((0..COUNT as u32).map(kept)), "stream {stream}, {step:?}");
                assert!(!patterns.contains(&found), "a pattern came twice");
                patterns.push(found);
            }
        }
    }
    Ok(())
}
