// needs: grid, workgroup_sum
// Sums over the last axis of X [rows, reduced]. With pieces > 1 a row is split into that many runs, and Y [rows, pieces] holds a sum
// for each. A second dispatch adds them.
//
// Division of work: a workgroup for each sum, so that its lanes read neighbours. sum.wgsl has an invocation for each sum, which reads
// neighbours only if another axis follows.
struct Dims {
    sums: u32, // rows * pieces
    reduced: u32,
    pieces: u32,
    run: u32, // elements of a piece; the last may be shorter
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn term(i: u32) -> f32 { return x[i]; }

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let number = linear_group(invocation.group, invocation.groups);
    let sum_number = min(number, dims.sums - 1u); // beyond it is the end of a folded grid
    let row = sum_number / dims.pieces;
    let begin = (sum_number % dims.pieces) * dims.run;
    let end = min(begin + dims.run, dims.reduced);
    let first = row * dims.reduced;
    let sum = workgroup_sum(invocation.local, first + begin, first + end);
    if (invocation.local == 0u && number < dims.sums) {
        y[number] = sum;
    }
}
