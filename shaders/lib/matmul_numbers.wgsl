// needs: matmul
// The operands of a matrix product read number by number, and what the strip and the subgroup kernel for them share.
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

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

// Applies the epilogue to the elements that a lane has just stored: `vectors` groups of four of each row, `stride` columns
// apart. The kernels' own loops are unrolled, because registers have no index; there the epilogue would be compiled once for
// each output.
fn apply_epilogue(first_row: u32, rows: u32, first_column: u32, vectors: u32, stride: u32) {
    let end_row = min(first_row + rows, dims.rows);
    for (var row = first_row; row < end_row; row++) {
        for (var c = 0u; c < 4u * vectors; c++) {
            let column = first_column + ((c / 4u) * stride) + (c % 4u);
            if (inside(row, column)) {
                let index = (row * dims.columns) + column;
                y[index] = epilogue(y[index], index, column);
            }
        }
    }
}

// One row x 4 steps of A.
fn load_a(row: u32, k: u32) -> vec4f {
    return vec4f(element_a(row, k), element_a(row, k + 1u), element_a(row, k + 2u), element_a(row, k + 3u));
}

