// needs: grid
// One of the tensors that stand one after another along an axis, X [outer, run], into its place in each row of Y [outer, row].
// One invocation a value of X, which is a vector of four elements where runs, rows and places are multiples of four.
struct Dims {
    count: u32,
    run: u32,
    row: u32,
    first: u32, // where X's part of a row begins
}
alias Value = f32;

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read_write> y: array<Value>;

const EDGES: bool = true; // whether the last workgroup runs past the end

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if EDGES {
        if index >= dims.count {
            return;
        }
    }
    y[(index / dims.run) * dims.row + dims.first + index % dims.run] = x[index];
}
