// The operands of a matrix product read as vec4, and what the strip and the subgroup kernel for them share.
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
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

// The 4 steps x 4 columns of B that begin at (k, column); one column of the matrix for each step of k.
fn load_b(k: u32, column: u32) -> mat4x4f {
    if (!TRANSPOSE_B) {
        let c = select(column, min(column, dims.columns - 4u), EDGES);
        // For a step beyond the end, A is zero, so that any valid index will do.
        let last = select(k + 3u, dims.depth - 1u, EDGES && TRANSPOSE_A);
        return mat4x4f(
            b[((k * dims.columns) + c) >> 2u],
            b[((min(k + 1u, last) * dims.columns) + c) >> 2u],
            b[((min(k + 2u, last) * dims.columns) + c) >> 2u],
            b[((min(k + 3u, last) * dims.columns) + c) >> 2u],
        );
    }
    let c = select(column, min(column, dims.columns - 4u), EDGES);
    return transpose(mat4x4f(
        b[((c * dims.depth) + k) >> 2u],
        b[(((c + 1u) * dims.depth) + k) >> 2u],
        b[(((c + 2u) * dims.depth) + k) >> 2u],
        b[(((c + 3u) * dims.depth) + k) >> 2u],
    ));
}

fn finish(sum: vec4f, index: u32) -> vec4f {
    return vec4f(
        epilogue(sum.x, index),
        epilogue(sum.y, index + 1u),
        epilogue(sum.z, index + 2u),
        epilogue(sum.w, index + 3u),
    );
}

fn inside(row: u32, column: u32) -> bool {
    return !EDGES || (row < dims.rows && column < dims.columns);
}

