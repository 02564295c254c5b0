// needs: grid
// The gradient by the logits of softmax or its logarithm, from the result y and the incoming gradient d_y, row by row:
// y (d_y - sum(y d_y)), or d_y - e^y sum(d_y). One invocation a row.
struct Dims {
    rows: u32,
    columns: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

const LOG: bool = false;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let row = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if row >= dims.rows {
        return;
    }
    let first = row * dims.columns;
    let last = first + dims.columns;
    var sum = 0.0;
    for (var i = first; i < last; i++) {
        if LOG {
            sum += d_y[i];
        } else {
            sum += y[i] * d_y[i];
        }
    }
    for (var i = first; i < last; i++) {
        if LOG {
            d_x[i] = d_y[i] - exp(y[i]) * sum;
        } else {
            d_x[i] = y[i] * (d_y[i] - sum);
        }
    }
}
