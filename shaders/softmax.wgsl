// needs: grid
// Softmax of each row of x [rows, columns], or its logarithm. One invocation a row: the largest logit is subtracted
// first, so that no exponential overflows.
struct Dims {
    rows: u32,
    columns: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const LOG: bool = false;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_group(group, groups) * 64u + local;
    if row >= dims.rows {
        return;
    }
    let first = row * dims.columns;
    let last = first + dims.columns;
    var largest = x[first];
    for (var i = first + 1u; i < last; i++) {
        largest = max(largest, x[i]);
    }
    var sum = 0.0;
    for (var i = first; i < last; i++) {
        sum += exp(x[i] - largest);
    }
    let log_sum = log(sum);
    let inverse = 1.0 / sum;
    for (var i = first; i < last; i++) {
        if LOG {
            y[i] = (x[i] - largest) - log_sum; // their sum would lose the logarithm's digits
        } else {
            y[i] = exp(x[i] - largest) * inverse;
        }
    }
}
