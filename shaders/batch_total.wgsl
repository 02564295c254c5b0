// needs: step, total
// The sum or mean of the valid rows of x, by one workgroup: each lane adds every 64th row in order, then the lanes' sums
// are added in pairs.
struct Dims {
    rows: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const MEAN: bool = false;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var row = local; row < min(step.valid, dims.rows); row += 64u) {
        sum += x[row];
    }
    sum = workgroup_total(local, sum);
    if local == 0u {
        y[0] = select(sum, sum * step.inverse_valid, MEAN);
    }
}
