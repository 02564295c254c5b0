// needs: step, total
// Adds the sums of two lists, and the number of valid rows, to totals that are read at the end of an epoch.
// One workgroup, in a fixed order.
struct Dims {
    rows: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> losses: array<f32>;
@group(0) @binding(2) var<storage, read> scores: array<f32>;
@group(0) @binding(3) var<storage, read_write> totals: array<f32>; // loss, score, rows

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32) {
    var loss = 0.0;
    var score = 0.0;
    for (var row = local; row < dims.rows; row += 64u) {
        loss += losses[row];
        score += scores[row];
    }
    loss = workgroup_total(local, loss);
    score = workgroup_total(local, score);
    if local == 0u {
        totals[0] += loss;
        totals[1] += score;
        totals[2] += f32(step.valid);
    }
}
