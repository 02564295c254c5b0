// needs: step, workgroup_sum
// The sum or mean of the valid rows of x, by one workgroup.
struct Dims {
    rows: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const MEAN: bool = false;

fn term(row: u32) -> f32 { return x[row]; }

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32) {
    let sum = workgroup_sum(local, 0u, min(step.valid, dims.rows));
    if local == 0u {
        y[0] = select(sum, sum * step.inverse_rows, MEAN);
    }
}
