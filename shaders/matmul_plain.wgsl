// The matrix product as it is defined: y[m, n] = sum over k of a[m, k] b[k, n], one invocation an output.
struct Dims {
    rows: u32,    // M
    columns: u32, // N
    depth: u32,   // K
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> a: array<f32>; // [M, K], or [K, M] when transposed
@group(0) @binding(2) var<storage, read> b: array<f32>; // [K, N], or [N, K] when transposed
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const TRANSPOSE_A: bool = false;
const TRANSPOSE_B: bool = false;

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let column = id.x;
    let row = id.y;
    if row >= dims.rows || column >= dims.columns {
        return;
    }
    var sum = 0.0;
    for (var k = 0u; k < dims.depth; k++) {
        let left = select(row * dims.depth + k, k * dims.rows + row, TRANSPOSE_A);
        let right = select(k * dims.columns + column, column * dims.depth + k, TRANSPOSE_B);
        sum += a[left] * b[right];
    }
    let index = row * dims.columns + column;
    y[index] = epilogue(sum, index);
}
