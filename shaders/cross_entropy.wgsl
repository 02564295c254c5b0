// needs: grid, step
// Softmax with cross-entropy of logits [rows, columns] against one integer label a row, in one pass over the logits:
// loss = log(sum e^x) - (1 - smoothing) x[label] - smoothing mean(x), all of x less its largest. Rows that are not valid
// lose nothing. With LOG_PROBABILITIES the input is a log-softmax already, whose log(sum e^x) is 0.
struct Dims {
    rows: u32,
    columns: u32,
    smoothing: f32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

const LOG_PROBABILITIES: bool = false;

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
    if row >= step.valid {
        loss[row] = 0.0;
        return;
    }
    let first = row * dims.columns;
    let last = first + dims.columns;
    var shift = 0.0;
    var log_sum = 0.0;
    if !LOG_PROBABILITIES {
        shift = x[first];
        for (var i = first + 1u; i < last; i++) {
            shift = max(shift, x[i]);
        }
        var exponentials = 0.0;
        for (var i = first; i < last; i++) {
            exponentials += exp(x[i] - shift);
        }
        log_sum = log(exponentials); // not added to the shift, beside which it could lose its digits
    }
    var sum = 0.0;
    for (var i = first; i < last; i++) {
        sum += x[i] - shift;
    }
    let label = min(labels[row], dims.columns - 1u);
    let mean = sum / f32(dims.columns);
    loss[row] = log_sum - (1.0 - dims.smoothing) * (x[first + label] - shift) - dims.smoothing * mean;
}
