//! Matrix product y = op(a) op(b), where op optionally transposes. An element-wise epilogue may follow: bias,
//! activation, residual.

mod ladder;
mod product;
pub(crate) mod variants;

use crate::Result;
use crate::graph::kernel::Lowering;
use crate::graph::{DType, Differentiate, Graph, NodeId, TensorType};
use crate::ops::case::{Case, Sample};
use crate::ops::elementwise::{Program, epilogue};
use crate::ops::{Call, Lower, Op, Types};

/// The product of a `[M, K]` (`[K, M]` if transposed) and b `[K, N]` (`[N, K]` if transposed), then the epilogue on
/// each element. Operand 0 of the epilogue is the product. Its other operands are the inputs from the third on,
/// broadcast to `[M, N]`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Matmul {
    /// Whether a is stored transposed.
    pub transpose_a: bool,
    /// Whether b is stored transposed.
    pub transpose_b: bool,
    /// The epilogue, in the same kernel.
    pub epilogue: Program,
}

/// The sizes of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MatmulShape {
    /// M.
    pub rows: usize,
    /// N.
    pub columns: usize,
    /// K.
    pub depth: usize,
}

impl Matmul {
    /// The sizes for these operands.
    ///
    /// # Errors
    /// The end of a sentence that says what does not fit.
    pub fn sizes(&self, a: &TensorType, b: &TensorType) -> Result<MatmulShape, String> {
        let (&[a0, a1], &[b0, b1]) = (a.dims(), b.dims()) else {
            return Err("both operands must be matrices with two axes".into());
        };
        if a.dtype != DType::F32 || b.dtype != DType::F32 {
            return Err("it takes only floats".into());
        }
        let (rows, depth) = if self.transpose_a { (a1, a0) } else { (a0, a1) };
        let (inner, columns) = if self.transpose_b { (b1, b0) } else { (b0, b1) };
        if depth != inner {
            let of = |transposed: bool| if transposed { " (transposed)" } else { "" };
            return Err(format!(
                "the left operand{} has {depth} columns, the right{} {inner} rows",
                of(self.transpose_a),
                of(self.transpose_b)
            ));
        }
        Ok(MatmulShape { rows, columns, depth })
    }
}

impl Op for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        let [a, b, extras @ ..] = inputs else { return Err("it takes two matrices".into()) };
        let sizes = self.sizes(a, b)?;
        let output = TensorType::f32([sizes.rows, sizes.columns]);
        epilogue::check(extras, &output)?;
        Ok(output)
    }

    /// da = dy op(b)^T and db = op(a)^T dy. Each is computed without a transpose in memory.
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let (a, b, dy) = (at.inputs[0], at.inputs[1], at.dy);
        let da = if self.transpose_a {
            graph.matmul_transposed(b, dy, self.transpose_b, true)?
        } else {
            graph.matmul_transposed(dy, b, false, !self.transpose_b)?
        };
        let db = if self.transpose_b {
            graph.matmul_transposed(dy, a, true, self.transpose_a)?
        } else {
            graph.matmul_transposed(a, dy, !self.transpose_a, false)?
        };
        Ok(vec![Some(da), Some(db)])
    }

    fn reference(&self, call: &mut Call<f64>) {
        let MatmulShape { rows, columns, depth } =
            self.sizes(&call.types.inputs[0], &call.types.inputs[1]).expect("checked");
        epilogue::on_whole(&self.epilogue, call, 2, |call, out| {
            let (a, b) = (call.real(0), call.real(1));
            for (index, y) in out.iter_mut().enumerate() {
                let (row, column) = (index / columns, index % columns);
                let product = |k: usize| {
                    let left = if self.transpose_a { a[k * rows + row] } else { a[row * depth + k] };
                    let right = if self.transpose_b { b[column * depth + k] } else { b[k * columns + column] };
                    left * right
                };
                *y = (0..depth).map(product).sum();
            }
        });
    }

    fn run(&self, call: &mut Call<f32>) {
        let sizes = self.sizes(&call.types.inputs[0], &call.types.inputs[1]).expect("checked");
        epilogue::with_output(call, |call, out| {
            let product = product::CpuProduct {
                sizes,
                a: call.real(0),
                b: call.real(1),
                transpose_a: self.transpose_a,
                transpose_b: self.transpose_b,
            };
            product.run(out, epilogue::finisher(&self.epilogue, call, 2));
        });
    }

    fn lower(&self, at: &Lower) -> Lowering {
        let sizes = self.sizes(&at.types.inputs[0], &at.types.inputs[1]).expect("checked");
        variants::lower(at, sizes, self)
    }

    epilogue::joined!(2);

    fn flops(&self, types: &Types) -> u64 {
        let Ok(sizes) = self.sizes(&types.inputs[0], &types.inputs[1]) else { return 0 };
        let outputs = (sizes.rows * sizes.columns) as u64;
        outputs * (2 * sizes.depth as u64 + self.epilogue.flops())
    }
}

impl Graph {
    /// The matrix product of a `[M, K]` and b `[K, N]`, as `[M, N]`.
    ///
    /// # Errors
    /// When they are not matrices, or the number of columns of a is not the number of rows of b.
    pub fn matmul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.matmul_transposed(a, b, false, false)
    }

    /// The matrix product with a, b or both read as their transpose, without a copy.
    ///
    /// # Errors
    /// As [`Graph::matmul`].
    pub fn matmul_transposed(&mut self, a: NodeId, b: NodeId, transpose_a: bool, transpose_b: bool) -> Result<NodeId> {
        self.apply(Matmul { transpose_a, transpose_b, ..Matmul::default() }, &[a, b])
    }
}

/// Shapes to test and to time. Each has all four combinations of transposes, then epilogues.
pub fn cases() -> Vec<Case> {
    let product = |m: usize, n: usize, k: usize, ta: bool, tb: bool| {
        let a = if ta { [k, m] } else { [m, k] };
        let b = if tb { [n, k] } else { [k, n] };
        let inputs = vec![Sample::floats(&a), Sample::floats(&b)];
        let case = Case::new(inputs, move |graph, x| graph.matmul_transposed(x[0], x[1], ta, tb));
        case.summing(k, [n, m]).labelled(["ab", "ab'", "a'b", "a'b'"][usize::from(ta) * 2 + usize::from(tb)])
    };
    let mut cases = Vec::new();
    for (m, n, k) in [(1, 1, 1), (3, 5, 7), (17, 33, 65), (64, 36, 64), (8, 64, 1024), (100, 36, 52), (140, 36, 300)] {
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            cases.push(product(m, n, k, ta, tb));
        }
    }
    cases.push(product(1024, 64, 64, true, false));
    for (m, n, k) in [(5, 9, 12), (64, 64, 256), (130, 132, 24)] {
        let inputs = vec![Sample::floats(&[m, k]), Sample::floats(&[k, n]), Sample::floats(&[n])];
        let case = Case::new(inputs, |graph, x| {
            let product = graph.matmul(x[0], x[1])?;
            let biased = graph.add(product, x[2])?;
            graph.sigmoid(biased)
        });
        cases.push(case.summing(k, [n, m, m]).labelled("bias, sigmoid"));
    }
    cases.push(product(512, 512, 512, false, false).differentiable(&[]).timed());
    cases.push(product(64, 64, 1024, false, false).timed());
    cases
}
