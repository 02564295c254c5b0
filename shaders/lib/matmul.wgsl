// The sizes of a matrix product Y = A B, and what distinguishes its variants. Each kernel declares A, B and Y itself, as
// numbers or as vec4s.
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

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

fn inside(row: u32, column: u32) -> bool {
    return !EDGES || (row < dims.rows && column < dims.columns);
}

