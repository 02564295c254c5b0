// The operands of a matrix product read number by number, and what the strip and the subgroup kernel for them share.
const TRANSPOSE_A: bool = false;
const TRANSPOSE_B: bool = false;
const EDGES: bool = true; // guards for sizes that are no multiples of the tile

struct Dims {
    rows: u32,    // M
    columns: u32, // N
    depth: u32,   // K
    unused: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

// One element of A. It is zero for steps of k beyond the end. Beyond the edge of Y the last row is read again.
fn element_a(row: u32, k: u32) -> f32 {
    let r = select(row, min(row, dims.rows - 1u), EDGES);
    let step = select(k, min(k, dims.depth - 1u), EDGES);
    let value = a[select((r * dims.depth) + step, (step * dims.rows) + r, TRANSPOSE_A)];
    return select(value, 0.0, EDGES && k >= dims.depth);
}

// One element of B. For a step of k beyond the end, A is zero, so that any valid index will do.
fn element_b(k: u32, column: u32) -> f32 {
    let c = select(column, min(column, dims.columns - 1u), EDGES);
    let step = select(k, min(k, dims.depth - 1u), EDGES);
    return b[select((step * dims.columns) + c, (c * dims.depth) + step, TRANSPOSE_B)];
}

// One step x 4 columns of B.
fn load_b(k: u32, column: u32) -> vec4f {
    return vec4f(
        element_b(k, column),
        element_b(k, column + 1u),
        element_b(k, column + 2u),
        element_b(k, column + 3u),
    );
}

// 4 steps x 4 columns of B from (k, column) on: column i of the result is step k + i.
fn load_b_block(k: u32, column: u32) -> mat4x4f {
    return mat4x4f(load_b(k, column), load_b(k + 1u, column), load_b(k + 2u, column), load_b(k + 3u, column));
}

fn inside(row: u32, column: u32) -> bool {
    return !EDGES || (row < dims.rows && column < dims.columns);
}

