// needs: grid
// The sizes of a matrix product Y = A B, and what distinguishes its variants. Each kernel declares A, B and Y itself, as
// numbers or as vec4s.
const TRANSPOSE_A: bool = false;
const TRANSPOSE_B: bool = false;
const EDGES: bool = true; // guards for sizes that are no multiples of the tile

struct Dims {
    rows: u32,    // M
    columns: u32, // N
    depth: u32,   // K
    share: u32,   // steps of k of a split
}

@group(0) @binding(0) var<uniform> dims: Dims;

fn epilogue(value: f32, index: u32, channel: u32) -> f32 { return value; } // spliced

// The epilogue of four neighbouring elements.
fn finish(sum: vec4f, index: u32, column: u32) -> vec4f {
    return vec4f(
        epilogue(sum.x, index, column),
        epilogue(sum.y, index + 1u, column + 1u),
        epilogue(sum.z, index + 2u, column + 2u),
        epilogue(sum.w, index + 3u, column + 3u),
    );
}

fn inside(row: u32, column: u32) -> bool {
    return !EDGES || (row < dims.rows && column < dims.columns);
}


// The row and the column of the tile with this number, for tiles of `height` x `width` outputs that are numbered along the rows. A
// folded grid may have more workgroups than Y has tiles: their row is not below dims.rows.
fn tile_at(number: u32, height: u32, width: u32) -> vec2u {
    let across = (dims.columns + width - 1u) / width;
    return vec2u(height * (number / across), width * (number % across));
}
