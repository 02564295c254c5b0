// needs: matmul
// Matrix product Y = A B, rung 1: one invocation computes one output.
//
// Shapes: A is [M, K] (stored [K, M] when TRANSPOSE_A), B is [K, N] (stored [N, K] when TRANSPOSE_B), Y is [M, N];
// all row-major, any size.
//
// Division of work: a workgroup computes WORKGROUP_X x WORKGROUP_Y outputs, columns by rows. An output is the dot product of a row of A and a column of B, summed in the order of k.
//
// What is left to gain: each product reads both numbers from memory, two loads for one multiply-add. The next rungs use a
// number several times after loading it.

const WORKGROUP_X: u32 = 16u; // columns of Y a workgroup computes
const WORKGROUP_Y: u32 = 16u; // rows of Y a workgroup computes

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let tile = tile_at(linear_group(group, groups), WORKGROUP_Y, WORKGROUP_X);
    let row = tile.x + local.y;
    let column = tile.y + local.x;
    if (!inside(row, column)) {
        return;
    }
    // The first index of the row of A and of the column of B, and the distance between their elements.
    let a_start = select(row * dims.depth, row, TRANSPOSE_A);
    let a_stride = select(1u, dims.rows, TRANSPOSE_A);
    let b_start = select(column, column * dims.depth, TRANSPOSE_B);
    let b_stride = select(dims.columns, 1u, TRANSPOSE_B);

    var sum = 0.0;
    for (var k = 0u; k < dims.depth; k++) {
        sum += a[a_start + (k * a_stride)] * b[b_start + (k * b_stride)];
    }
    let index = (row * dims.columns) + column;
    y[index] = epilogue(sum, index, column);
}
