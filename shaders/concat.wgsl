// needs: each
// Copies one of the tensors to concatenate, X [outer, run], to its position in each row of Y [outer, row]. One invocation for
// each value of X. A value is a vec4 of elements if runs, rows and positions are multiples of four.
struct Dims {
    count: u32,
    run: u32,
    row: u32,
    first: u32, // where X's part of a row begins
}
alias Value = f32;

@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read_write> y: array<Value>;

fn each(index: u32) {
    y[(index / dims.run) * dims.row + dims.first + index % dims.run] = x[index];
}
