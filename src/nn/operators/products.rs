//! Matrix products.

use super::arithmetic::binary;
use super::call::Call;
use super::known::common;
use super::movement::joined;
use super::scope::{Scope, one};
use super::value::{Fault, Value};
use crate::graph::{Graph, NodeId};

/// The largest number of products of a batch of matrices. Each is a kernel of its own.
const MOST_PRODUCTS: usize = 256;

/// alpha a b + beta c.
pub(super) fn gemm(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (a, b, c) = (scope.input(call, 0)?, scope.input(call, 1)?, scope.optional(call, 2)?);
    let (transpose_a, transpose_b) = (call.flag("transA", false)?, call.flag("transB", false)?);
    let (alpha, beta) = (call.float("alpha", 1.0)?, call.float("beta", 1.0)?);
    let _ = call.flag("broadcast", true)?;
    let mut y = scope.build.matmul_transposed(a, b, transpose_a, transpose_b)?;
    if alpha != 1.0 {
        y = scope.build.scale(y, alpha)?;
    }
    if let Some(mut c) = c {
        if beta != 1.0 {
            c = scope.build.scale(c, beta)?;
        }
        y = binary(scope, y, c, Graph::add)?;
    }
    Ok(one(y))
}

/// As NumPy's `matmul`.
pub(super) fn matmul(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let (a, b) = (scope.input(call, 0)?, scope.input(call, 1)?);
    Ok(one(product(scope, a, b)?))
}

fn product(scope: &mut Scope, a: NodeId, b: NodeId) -> Result<NodeId, Fault> {
    let (dims_a, dims_b) = (scope.build.dims(a).to_vec(), scope.build.dims(b).to_vec());
    if dims_a.is_empty() || dims_b.is_empty() {
        return Fault::refuse("it takes no single numbers");
    }
    // A list is a row on the left and a column on the right; its axis is removed from the result.
    let of_a = if dims_a.len() == 1 { vec![1, dims_a[0]] } else { dims_a.clone() };
    let of_b = if dims_b.len() == 1 { vec![dims_b[0], 1] } else { dims_b.clone() };
    let (batch_a, matrix_a) = of_a.split_at(of_a.len() - 2);
    let (batch_b, matrix_b) = of_b.split_at(of_b.len() - 2);
    let batch = common(&[batch_a.to_vec(), batch_b.to_vec()])?;
    let y = if batch_b.iter().all(|&size| size == 1) {
        // All rows of the left side are multiplied by one matrix.
        let rows = batch_a.iter().product::<usize>() * matrix_a[0];
        let [a, b] = [scope.reshape(a, &[rows, matrix_a[1]])?, scope.reshape(b, matrix_b)?];
        scope.build.matmul(a, b)?
    } else {
        let count: usize = batch.iter().product();
        if count > MOST_PRODUCTS {
            return Fault::refuse(format!("a batch of more than {MOST_PRODUCTS} matrix products is not supported"));
        }
        let mut parts = Vec::new();
        let [a, b] = [(a, matrix_a), (b, matrix_b)].map(|(x, matrix)| all_of(scope, x, &batch, matrix));
        let (a, b) = (a?, b?);
        for number in 0..count {
            let [left, right] = [(a, matrix_a), (b, matrix_b)].map(|(x, matrix)| {
                let one = scope.build.slice(x, 0, number, 1)?;
                scope.build.reshape(one, matrix)
            });
            let product = scope.build.matmul(left?, right?)?;
            parts.push(product);
        }
        joined(scope, &parts, 0)?
    };
    let mut dims = batch;
    if dims_a.len() > 1 {
        dims.push(matrix_a[0]);
    }
    if dims_b.len() > 1 {
        dims.push(matrix_b[1]);
    }
    scope.reshape(y, &dims)
}

/// A batch of matrices, repeated to the whole batch, with one axis for the batch.
fn all_of(scope: &mut Scope, x: NodeId, batch: &[usize], matrix: &[usize]) -> Result<NodeId, Fault> {
    let missing = vec![1; batch.len() + 2 - scope.rank(x)];
    let own = [missing, scope.build.dims(x).to_vec()].concat();
    let mut x = scope.reshape(x, &own)?;
    for axis in 0..batch.len() {
        if own[axis] != batch[axis] {
            let mut next = scope.build.dims(x).to_vec();
            next[axis] = batch[axis];
            x = scope.build.broadcast_to(x, next)?;
        }
    }
    scope.reshape(x, &[&[batch.iter().product()], matrix].concat())
}
