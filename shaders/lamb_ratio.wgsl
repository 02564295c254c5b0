// needs: grid, total
// The third part of LAMB: the norm of each parameter divided by that of its direction, for each of its blocks. A workgroup for each
// parameter.
struct Dims {
    parameters: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> spans: array<vec2f>; // the first block and the number of blocks of a parameter
@group(0) @binding(2) var<storage, read> blocks: array<u32>; // group << 8 | elements of a parameter
@group(0) @binding(3) var<storage, read> groups: array<vec4f>; // the last number is 1 for parameters that adapt
@group(0) @binding(4) var<storage, read> squares: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> ratios: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let local = invocation.local;
    let parameter = linear_group(invocation.group, invocation.groups);
    let span = vec2u(spans[min(parameter, dims.parameters - 1u)]);
    var sums = vec2f(0.0);
    for (var block = local; block < span.y; block += 64u) {
        sums += squares[span.x + block];
    }
    let own = workgroup_total(local, sums.x);
    let other = workgroup_total(local, sums.y);
    let adapts = groups[blocks[span.x] >> 8u].w > 0.0 && own > 0.0 && other > 0.0;
    let ratio = select(1.0, sqrt(own) / sqrt(select(1.0, other, adapts)), adapts);
    for (var block = local; block < select(0u, span.y, parameter < dims.parameters); block += 64u) {
        ratios[span.x + block] = ratio;
    }
}
