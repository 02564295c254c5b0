// needs: total
// The square root of the sum of all workgroups' sums of squares: the second step of a norm. One workgroup.
struct Dims {
    count: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> squares: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var i = local; i < dims.count; i += 64u) {
        sum += squares[i];
    }
    sum = workgroup_total(local, sum);
    if local == 0u {
        norm[0] = sqrt(sum);
    }
}
