// needs: matmul
// The operands of a matrix product read as vec4, and what the strip and the subgroup kernel for them share.
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

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

// Applies the epilogue to the elements that a lane has just stored: `vectors` vec4s of each row, `stride` columns apart. The
// kernels' own loops are unrolled, because registers have no index; there the epilogue would be compiled once for each output.
fn apply_epilogue(first_row: u32, rows: u32, first_column: u32, vectors: u32, stride: u32) {
    let end_row = min(first_row + rows, dims.rows);
    for (var row = first_row; row < end_row; row++) {
        for (var v = 0u; v < vectors; v++) {
            let column = first_column + (v * stride);
            if (inside(row, column)) {
                let index = (row * dims.columns) + column;
                y[index >> 2u] = finish(y[index >> 2u], index, column);
            }
        }
    }
}

