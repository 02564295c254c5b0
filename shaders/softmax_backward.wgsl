// needs: grid
// The gradient by the logits of softmax or its logarithm, from the result y and the incoming gradient dy, row by row:
// y (dy - sum(y dy)), or dy - e^y sum(dy). One invocation a row.
struct Dims {
    rows: u32,
    columns: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

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
    var sum = 0.0;
    for (var i = first; i < last; i++) {
        if LOG {
            sum += dy[i];
        } else {
            sum += y[i] * dy[i];
        }
    }
    for (var i = first; i < last; i++) {
        if LOG {
            dx[i] = dy[i] - exp(y[i]) * sum;
        } else {
            dx[i] = y[i] * (dy[i] - sum);
        }
    }
}
