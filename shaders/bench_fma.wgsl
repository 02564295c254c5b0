// needs: grid
// Measures the peak rate of fused multiply-adds: eight independent chains of vec4 in registers, without loads or stores in
// the loop. `gpunn bench` compares the other kernels with this rate.
struct Dims {
    count: u32, // invocations, a vec4 each
    rounds: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if index >= dims.count {
        return;
    }
    // Each chain converges to 1 / 2, so that nothing overflows after any number of rounds.
    let factor = vec4f(0.5);
    let summand = vec4f(0.25);
    let start = x[index];
    var a = start;
    var b = start + 0.125;
    var c = start + 0.25;
    var d = start + 0.375;
    var e = start + 0.5;
    var f = start + 0.625;
    var g = start + 0.75;
    var h = start + 0.875;
    for (var round = 0u; round < dims.rounds; round++) {
        a = fma(a, factor, summand);
        b = fma(b, factor, summand);
        c = fma(c, factor, summand);
        d = fma(d, factor, summand);
        e = fma(e, factor, summand);
        f = fma(f, factor, summand);
        g = fma(g, factor, summand);
        h = fma(h, factor, summand);
    }
    y[index] = ((a + b) + (c + d)) + ((e + f) + (g + h));
}
