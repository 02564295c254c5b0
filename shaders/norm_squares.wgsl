// needs: grid, total
// The sums of squares of runs of blocks, one workgroup for each run. Lane i adds the squares of element i of every block of
// the run in order, then the lanes are added in pairs. Gaps between parameters are left out.
struct Dims {
    blocks: u32,
    run: u32, // blocks of a workgroup; the last may have fewer
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read> blocks: array<u32>; // group << 8 | elements of a parameter
@group(0) @binding(3) var<storage, read_write> squares: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let local = invocation.local;
    let piece = linear_group(invocation.group, invocation.groups);
    let first = piece * dims.run;
    let last = min(first + dims.run, dims.blocks);
    var sum = 0.0;
    for (var block = first; block < last; block++) {
        if local < (blocks[block] & 0xffu) {
            let gradient = gradients[block * 64u + local];
            sum += gradient * gradient;
        }
    }
    sum = workgroup_total(local, sum);
    if local == 0u && first < dims.blocks {
        squares[piece] = sum;
    }
}
