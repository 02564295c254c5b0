// needs: each, ordered_sum
// The gradient by the logits of softmax or its logarithm, from the result y and the incoming gradient d_y, row by row:
// y (d_y - sum(y d_y)), or d_y - e^y sum(d_y). One invocation a row.
struct Dims {
    count: u32, // rows
    columns: u32,
}
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

const LOG: bool = false;

fn term(i: u32) -> f32 {
    if LOG {
        return d_y[i];
    }
    return y[i] * d_y[i];
}

fn each(row: u32) {
    let first = row * dims.columns;
    let sum = ordered_sum(first, 1u, dims.columns);
    for (var i = first; i < first + dims.columns; i++) {
        if LOG {
            d_x[i] = d_y[i] - exp(y[i]) * sum;
        } else {
            d_x[i] = y[i] * (d_y[i] - sum);
        }
    }
}
