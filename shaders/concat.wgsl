// needs: grid
// Copies one of the tensors to concatenate, X [outer, run], to its position in each row of Y [outer, row]. One invocation for
// each value of X. A value is a vec4 of elements if runs, rows and positions are multiples of four.
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
