// needs: workgroup_sum
// The square root of the sum of all workgroups' sums of squares: the second step of a norm. One workgroup.
struct Dims {
    count: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> squares: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;

fn term(i: u32) -> f32 { return squares[i]; }

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32) {
    let sum = workgroup_sum(local, 0u, dims.count);
    if local == 0u {
        norm[0] = sqrt(sum);
    }
}
