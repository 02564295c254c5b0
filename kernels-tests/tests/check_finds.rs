//! The checks find what is wrong: planted kernels and gradient rules that are almost right are found, named, and shown
//! with their element and both values.

use gpunn::check::{CheckKind, central_difference, check_case, check_gradient, check_value};
use gpunn::gpu::DeviceOptions;
use gpunn::graph::{Differentiate, Graph, NodeId, Passes, Plan, PlanOptions, TensorType, optimize};
use gpunn::ops::elementwise::{Formula, Map, Unary};
use gpunn::ops::table::OpEntry;
use gpunn::ops::tolerance::{ROUNDED, TRANSCENDENTAL, Tolerance};
use gpunn::ops::{Real, Step, case};
use gpunn::{Engine, Result};
use kernels_tests::mlp::Mlp;

/// A sigmoid whose kernel forgets the `1 +`; its definition and gradient are right. It bears the sigmoid's name, by which the
/// debug mode finds its tolerance.
#[derive(Clone, Debug, PartialEq)]
struct WrongKernel;

impl Formula for WrongKernel {
    const NAME: &'static str = "sigmoid";
    const FUNCTION: &'static str = "wrong_kernel";
    const ARITY: usize = 1;
    const WGSL: &'static str = "fn wrong_kernel(x: f32) -> f32 {\n    return 1.0 / exp(-x);\n}\n";

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        T::one() / (T::one() + (-x).exp())
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let square = graph.square(at.y)?;
        let slope = graph.sub(at.y, square)?;
        Ok(vec![Some(graph.mul(at.dy, slope)?)])
    }
}

/// A sigmoid whose gradient rule forgets the `1 - y`.
#[derive(Clone, Debug, PartialEq)]
struct WrongRule;

impl Formula for WrongRule {
    const NAME: &'static str = "wrong_rule";
    const ARITY: usize = 1;
    const WGSL: &'static str = "fn wrong_rule(x: f32) -> f32 {\n    return 1.0 / (1.0 + exp(-x));\n}\n";

    fn value<T: Real>(&self, [x, ..]: [T; 3]) -> T {
        T::one() / (T::one() + (-x).exp())
    }
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(graph.mul(at.dy, at.y)?)])
    }
}

/// A square whose gradient rule is right but whose backward kernel loses the incoming gradient of one number.
#[derive(Clone, Debug, PartialEq)]
struct WrongBackward;

impl Unary for WrongBackward {
    const NAMES: [&'static str; 2] = ["wrong_backward", "backward"];
    const WGSL: &'static str = "fn wrong_backward(x: f32) -> f32 {\n    return x * x;\n}\n\n\
        fn backward(x: f32, dy: f32) -> f32 {\n    return select(2.0 * x * dy, 2.0 * x, x > 0.9);\n}\n";

    fn value<T: Real>(&self, x: T) -> T {
        x * x
    }

    /// 2 x dy.
    fn derivative<T: Real>(&self, x: T, dy: T) -> T {
        (x + x) * dy
    }
}

fn planted(name: &'static str, tolerance: Tolerance, cases: fn() -> Vec<case::Case>) -> OpEntry {
    OpEntry { name, summary: "planted", tolerance, cases, variants: Vec::new }
}

fn wrong_backward_cases() -> Vec<case::Case> {
    case::unary(-1.0, 1.0, |graph, x| graph.apply(Map::of(WrongBackward), &[x]))
}

fn wrong_kernel_cases() -> Vec<case::Case> {
    case::unary(-2.0, 2.0, |graph, x| graph.apply(Map::of(WrongKernel), &[x]))
}

#[test]
fn a_wrong_kernel_is_found_and_named() {
    let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) else { return };
    let entry = planted("wrong_kernel", TRANSCENDENTAL, wrong_kernel_cases);
    for case in (entry.cases)() {
        let outcomes = gpunn::blocking::block_on(check_case(&mut engine, &entry, &case)).expect("it runs");
        let outcome = &outcomes[0];
        assert!(!outcome.passed(), "{}", outcome.sentence());
        assert_eq!((outcome.op, outcome.kind, outcome.tensor.as_str()), ("wrong_kernel", CheckKind::Value, "y"));
        // The worst element is where the kernel's e^x is farthest, relatively, from the sigmoid: the largest x.
        let x = case.inputs[0].values(0);
        let largest = (0..x.len()).max_by(|&a, &b| x[a].total_cmp(&x[b])).expect("it has elements");
        let worst = &outcome.worst;
        assert_eq!(worst.index, largest, "{}", outcome.sentence());
        assert!((worst.value - x[largest].exp()).abs() < 1e-5, "{}", outcome.sentence());
        assert!((worst.reference - 1.0 / (1.0 + (-x[largest]).exp())).abs() < 1e-12, "{}", outcome.sentence());
        let sentence = outcome.sentence();
        for part in [
            "wrong_kernel [".to_owned(),
            format!("element {largest} of y ({})", case.inputs[0].ty),
            format!("is {:.7e}, expected {:.7e}", worst.value, worst.reference),
        ] {
            assert!(sentence.contains(&part), "{sentence:?} lacks {part:?}");
        }
        // The CPU runs the definition, which is right.
        let on_cpu = gpunn::blocking::block_on(check_value(&mut Engine::cpu(), &entry, &case)).expect("it runs");
        assert!(on_cpu.passed(), "{}", on_cpu.sentence());
    }
}

/// The engine computes the wrong rule faithfully, and agrees with the oracle: only central differences tell.
#[test]
fn a_wrong_gradient_rule_is_found_by_central_differences() {
    let cases = case::unary(-2.0, 2.0, |graph, x| graph.apply(Map::of(WrongRule), &[x]));
    for case in cases.iter().filter(|case| case.inputs[0].ty.elements() <= 3000) {
        let outcome = central_difference("wrong_rule", case).expect("it builds");
        assert!(!outcome.passed(), "{}", outcome.sentence());
        assert_eq!((outcome.kind, outcome.tensor.as_str()), (CheckKind::Differences, "gradient by input0"));
        let faithful =
            gpunn::blocking::block_on(check_gradient(&mut Engine::cpu(), "wrong_rule", case)).expect("it runs");
        assert!(faithful.passed(), "{}", faithful.sentence());
    }
}

#[test]
fn a_wrong_backward_kernel_is_found() {
    let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) else { return };
    let entry = planted("wrong_backward", ROUNDED, wrong_backward_cases);
    let cases = (entry.cases)();
    let mut found = 0;
    for case in cases.iter().filter(|case| case.inputs[0].values(0).iter().any(|&x| x > 0.9)) {
        let value = gpunn::blocking::block_on(check_value(&mut engine, &entry, case)).expect("it runs");
        assert!(value.passed(), "{}", value.sentence());
        if case.inputs[0].ty.elements() <= 3000 {
            assert!(central_difference("wrong_backward", case).expect("it builds").passed());
        }
        let gradient = gpunn::blocking::block_on(check_gradient(&mut engine, "wrong_backward", case)).expect("it runs");
        assert!(!gradient.passed(), "{}", gradient.sentence());
        let x = case.inputs[0].values(0)[gradient.worst.index];
        assert!(x > 0.9, "{} names an element whose gradient is right", gradient.sentence());
        found += 1;
    }
    assert!(found >= 3, "only {found} cases have the wrong element");
}

/// The debug mode compares each node for the device's own inputs: what follows a wrong node is not blamed.
#[test]
fn the_debug_mode_names_the_wrong_node() -> Result<()> {
    let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) else { return Ok(()) };
    let mut graph = Graph::new();
    let x = graph.leaf("x", 0, TensorType::f32([8, 12]))?;
    let mut weights = |name: &str, dims: [usize; 2]| graph.leaf(name, 0, TensorType::f32(dims));
    let (first, second) = (weights("w1", [12, 20])?, weights("w2", [20, 5])?);
    let hidden = graph.scoped("fc1", |graph| {
        let product = graph.matmul(x, first)?;
        graph.sigmoid(product)
    })?;
    let middle = graph.scoped("middle", |graph| graph.apply(Map::of(WrongKernel), &[hidden]))?;
    let y = graph.scoped("fc2", |graph| {
        let product = graph.matmul(middle, second)?;
        graph.softmax(product)
    })?;
    graph.output("y", y);
    let program = engine.load(Plan::new(graph, &engine.target(), PlanOptions::default())?)?;
    let values = |count: usize| (0..count).flat_map(|i| (0.1 * ((i * 7 % 13) as f32 - 6.0)).to_le_bytes());
    for (name, count) in [("x", 8 * 12), ("w1", 12 * 20), ("w2", 20 * 5)] {
        engine.write(name, 0, &values(count).collect::<Vec<u8>>())?;
    }
    engine.schedule(program, &[Step::new(0, 8, 1)])?;
    let checks = gpunn::blocking::block_on(gpunn::check::verify(&mut engine, program, 0))?;
    assert_eq!(checks.len(), 5);
    let wrong: Vec<_> = checks.iter().filter(|check| check.worst.excess > 1.0).collect();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert_eq!((wrong[0].name.as_str(), wrong[0].op), ("middle/sigmoid", "sigmoid"));
    assert!(wrong[0].worst.value > 1.0 && wrong[0].worst.reference < 1.0, "{:?}", wrong[0]);
    Ok(())
}

/// Nothing is blamed in a whole training step that is right, with nodes fused and updates among them.
#[test]
fn the_debug_mode_has_nothing_to_say_of_a_right_step() -> Result<()> {
    let Some(mut engine) = kernels_tests::gpu(DeviceOptions::default()) else { return Ok(()) };
    let mlp = Mlp::default();
    for passes in [Passes::default(), Passes::NONE] {
        engine.forget();
        let graph = optimize(&mlp.training()?, passes)?;
        let program = engine.load(Plan::new(graph, &engine.target(), PlanOptions::default())?)?;
        for (name, value) in &mlp.values(0.3).buffers {
            engine.write(name, 0, &value.to_bytes())?;
        }
        engine.schedule(program, &mlp.schedule(0.5))?;
        for step in 0..3 {
            for check in gpunn::blocking::block_on(gpunn::check::verify(&mut engine, program, step))? {
                assert!(check.worst.excess <= 1.0, "step {step}: {check:?}");
            }
        }
    }
    Ok(())
}
