//! Muon (K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024): momentum, whose matrix is then
//! brought close to an orthogonal one. Here with the numbers of "airbench94_muon", in which each parameter keeps its norm.

use crate::Result;
use crate::graph::kernel::{Kernel, Lowering, Slot};
use crate::graph::{Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::op::{defined_by, in_pieces};
use crate::ops::{Call, Lower, Op, Real, Step, Types, expect_inputs};

/// The coefficients of an iteration: X = a X + (b A + c A^2) X with A = X X^T. They make small singular values grow fast. They
/// do not bring singular values to 1, but to between about 0.7 and 1.2.
const COEFFICIENTS: [f32; 3] = [3.4445, -4.775, 2.0315];

/// Added to the sum of squares before the root, so that a direction of zeros stays zero.
const EPSILON: f32 = 1e-14;

/// Nesterov momentum of one gradient: v = momentum v + g; the value is g + momentum v, with the gradient's shape. The momentum
/// is that of the step's group. Input: the gradient. State: the velocity, of the same shape.
#[derive(Clone, Debug, PartialEq)]
pub struct MuonMomentum {
    /// The index in [`Step::groups`](crate::ops::Step::groups).
    pub group: usize,
}

/// A step of one parameter: p = p norm / |p| - rate factor o. |p| is the Frobenius norm; a parameter of zeros is not scaled.
/// The rate is that of the step's group. Inputs: o, the orthogonalised direction, and the sum of squares of p, `[1]`. State:
/// p, of the shape of o.
#[derive(Clone, Debug, PartialEq)]
pub struct Muon {
    /// The index in [`Step::groups`](crate::ops::Step::groups).
    pub group: usize,
    /// The factor on the learning rate.
    pub factor: f32,
    /// The parameter's norm before each step.
    pub norm: f32,
}

fn check_group(group: usize) -> Result<(), String> {
    match group < Step::GROUPS {
        true => Ok(()),
        false => Err(format!("there are {} groups, but it is of group {group}", Step::GROUPS)),
    }
}

impl MuonMomentum {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        let momentum = T::of(f64::from(call.step.groups[self.group].momentum));
        let gradients = call.real(0);
        // Of a batch in parts, only the last one changes the velocity; the directions of the others are not used.
        let updated = if call.step.updates() { gradients } else { &[] };
        for (velocity, &gradient) in call.states[0].iter_mut().zip(updated) {
            *velocity = momentum * *velocity + gradient;
        }
        let velocities: &[T] = call.states[0];
        let crate::ops::TensorOut::Real(y) = &mut call.output else { return };
        for ((y, &gradient), &velocity) in y.iter_mut().zip(gradients).zip(velocities) {
            *y = gradient + momentum * velocity;
        }
    }
}

impl Op for MuonMomentum {
    fn name(&self) -> &'static str {
        "muon_momentum"
    }
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 1)?;
        check_group(self.group)?;
        match states {
            [velocity] if *velocity == inputs[0] => Ok(inputs[0].clone()),
            _ => Err("it updates a velocity of the gradient's shape".into()),
        }
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let count = at.types.output.elements();
        let source = include_str!("../../shaders/muon_momentum.wgsl");
        let kernel = Kernel::built_in("muon_momentum", source, &[at.edges(count)]);
        let slots = [Slot::Input(0), Slot::State(0), Slot::Output];
        at.linear(self, kernel, &slots, &[count, self.group], count).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        4 * types.output.elements() as u64
    }
}

impl Muon {
    fn define<T: Real>(&self, call: &mut Call<T>) {
        if !call.step.updates() {
            return;
        }
        let (directions, squares) = (call.real(0), call.real(1)[0]);
        let of = |value: f32| T::of(f64::from(value));
        let rate = of(call.step.groups[self.group].rate) * of(self.factor);
        // Without a rate the parameter stays as it is: the group has ended.
        let scales = squares > T::zero() && rate != T::zero();
        let scale = if scales { of(self.norm) / squares.sqrt() } else { T::one() };
        in_pieces(call.states[0], 1, |first, parameters| {
            for (parameter, &direction) in parameters.iter_mut().zip(&directions[first..]) {
                *parameter = scale * *parameter - rate * direction;
            }
        });
    }
}

impl Op for Muon {
    fn name(&self) -> &'static str {
        "muon"
    }
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, 2)?;
        check_group(self.group)?;
        if inputs[1].elements() != 1 {
            return Err("the sum of squares must be one number".into());
        }
        match states {
            [parameter] if *parameter == inputs[0] => Ok(TensorType::f32([0])),
            _ => Err("it updates a parameter of the direction's shape".into()),
        }
    }
    defined_by!(define);
    fn lower(&self, at: &Lower) -> Lowering {
        let count = at.types.inputs[0].elements();
        let kernel = Kernel::built_in("muon", include_str!("../../shaders/muon.wgsl"), &[at.edges(count)]);
        let dims = [count, self.group, self.factor.to_bits() as usize, self.norm.to_bits() as usize];
        at.linear(self, kernel, &[Slot::Input(0), Slot::Input(1), Slot::State(0)], &dims, count).into()
    }
    fn flops(&self, types: &Types) -> u64 {
        3 * types.inputs[0].elements() as u64
    }
}

impl Graph {
    /// The sum of squares of all elements of x, `[1]`. It adds over the first axis first, where neighbours lie together.
    ///
    /// # Errors
    /// When x does not hold floats.
    pub fn sum_of_squares(&mut self, x: NodeId) -> Result<NodeId> {
        let (rows, columns) = (self.dims(x).first().copied().unwrap_or(1).max(1), self.ty(x).elements());
        let squares = self.square(x)?;
        let squares = self.reshape(squares, [rows, columns / rows])?;
        let sums = self.sum(squares, 0, 0)?;
        let sum = self.sum(sums, 1, 1)?;
        self.reshape(sum, [1])
    }

    /// A matrix close to the nearest orthogonal one of x `[rows, columns]`: x divided by its Frobenius norm, then so many
    /// iterations of Newton and Schulz's kind with Muon's coefficients. Singular vectors stay, singular values come near 1.
    ///
    /// # Errors
    /// When x is not a matrix of floats.
    pub fn orthogonalised(&mut self, x: NodeId, iterations: u32) -> Result<NodeId> {
        let [a, b, c] = COEFFICIENTS;
        let &[rows, columns] = self.dims(x) else {
            let name = &self.node(x).name;
            return Err(crate::Error::Shape(format!("'{name}' is {}, which is not a matrix", self.ty(x))));
        };
        // The products of the shorter side's vectors make the smaller matrix. The result is the same.
        let wide = rows <= columns;
        let squares = self.sum_of_squares(x)?;
        let one = self.constant(TensorType::f32([1]), [1.0]);
        let factor = self.norm_factor(one, squares, EPSILON)?;
        let mut x = self.mul(x, factor)?;
        for _ in 0..iterations {
            let products = self.matmul_transposed(x, x, !wide, wide)?;
            let of_second = self.matmul(products, products)?;
            let (first, second) = (self.scale(products, b)?, self.scale(of_second, c)?);
            let changes = self.add(second, first)?;
            let changed = if wide { self.matmul(changes, x)? } else { self.matmul(x, changes)? };
            let kept = self.scale(x, a)?;
            x = self.add(changed, kept)?;
        }
        Ok(x)
    }
}

/// Shapes to test and to time [`MuonMomentum`] on.
pub fn momentum_cases() -> Vec<Case> {
    let of = |dims: &[usize], group: usize| {
        let samples = || vec![Sample::floats(dims)];
        Case::updating(samples(), samples(), move |graph, x, states| graph.update(MuonMomentum { group }, x, states))
            .labelled(&format!("group {group}"))
    };
    vec![of(&[1], 0), of(&[5, 3, 3, 3], 1), of(&[64, 24, 3, 3], 7), of(&[256, 256, 3, 3], 2).timed()]
}

/// Shapes to test and to time [`Muon`] on.
pub fn cases() -> Vec<Case> {
    let of = |dims: &[usize], group: usize| {
        let op = Muon { group, factor: 0.5, norm: (dims[0] as f32).sqrt() };
        let inputs = vec![Sample::floats(dims), Sample::between(&[1], 0.5, 4.0)];
        let states = vec![Sample::floats(dims)];
        Case::updating(inputs, states, move |graph, x, states| graph.update(op.clone(), x, states))
            .labelled(&format!("group {group}"))
    };
    vec![of(&[1], 0), of(&[5, 3, 3, 3], 1), of(&[64, 24, 3, 3], 7), of(&[256, 256, 3, 3], 2).timed()]
}

/// Shapes to test and to time [`Graph::orthogonalised`] on: wide, high, square and with one row. Gradients of large matrices
/// are left out, because central differences take an evaluation for each element.
pub fn orthogonalised_cases() -> Vec<Case> {
    let of = |dims: &'static [usize; 2], iterations: u32| {
        let summands = dims[0].max(dims[1]) * iterations as usize;
        Case::new(vec![Sample::floats(dims)], move |graph, x| graph.orthogonalised(x[0], iterations))
            .summing_all(summands)
            .labelled(&format!("{iterations} iterations"))
    };
    let large = of(&[64, 216], 3).differentiable(&[]);
    let timed = of(&[256, 576], 3).differentiable(&[]).timed();
    vec![of(&[1, 7], 3), of(&[5, 27], 3), of(&[27, 5], 3), of(&[16, 16], 1), large, timed]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Oracle, Value};

    /// The values of `build` for these numbers as a matrix, in double precision.
    fn of(dims: [usize; 2], numbers: &[f64], iterations: u32) -> Result<Vec<f64>> {
        let mut graph = Graph::new();
        let x = graph.leaf("x", 0, TensorType::f32(dims))?;
        let y = graph.orthogonalised(x, iterations)?;
        let mut oracle = Oracle::default();
        oracle.set("x", Value::Real(numbers.to_vec()));
        let values = oracle.run(&graph, graph.ids(), &Step::new(0, 1, 1));
        Ok(values[y.index()].as_ref().map(Value::numbers).unwrap_or_default())
    }

    #[test]
    fn singular_values_come_near_one_on_both_sides() -> Result<()> {
        // A diagonal matrix has its diagonal as singular values, and keeps its zeros.
        let numbers = [0.3, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0];
        for dims in [[3, 3], [4, 3]] {
            let y = of(dims, &numbers[..dims[0] * dims[1]], 5)?;
            for (place, value) in y.iter().enumerate() {
                let diagonal = place % 4 == 0 && place < 9;
                assert!(if diagonal { (0.65..1.25).contains(value) } else { *value == 0.0 }, "{place}: {value}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_high_matrix_gives_the_transposed_result_of_a_wide_one() -> Result<()> {
        let wide: Vec<f64> = (0..15).map(|i| f64::from(i * i % 11) - 4.0).collect();
        let high: Vec<f64> = (0..15).map(|i| wide[i % 3 * 5 + i / 3]).collect();
        let (of_wide, of_high) = (of([3, 5], &wide, 3)?, of([5, 3], &high, 3)?);
        for i in 0..15 {
            assert!((of_high[i] - of_wide[i % 3 * 5 + i / 3]).abs() < 1e-12);
        }
        Ok(())
    }

    #[test]
    fn zeros_stay_zero() -> Result<()> {
        assert_eq!(of([2, 3], &[0.0; 6], 3)?, [0.0; 6]);
        Ok(())
    }
}
