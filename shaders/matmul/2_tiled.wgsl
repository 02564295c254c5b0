// needs: matmul_numbers
// Matrix product Y = A B, rung 2: tiles of both matrices in workgroup memory.
//
// Shapes: A is [M, K] (stored [K, M] when TRANSPOSE_A), B is [K, N] (stored [N, K] when TRANSPOSE_B), Y is [M, N];
// all row-major, any size.
//
// Division of work: a workgroup computes SIDE x SIDE outputs, a lane one of them. Grid: (ceil(N / SIDE), ceil(M / SIDE)).
//
// The idea: the lanes of a workgroup need the same numbers. So they fetch SIDE steps of their rows and columns together, each
// lane one number of A and one of B, and all read them from workgroup memory. A number is loaded once for SIDE multiply-adds
// instead of once for each.
//
// What is left to gain: each multiply-add still reads two numbers from workgroup memory, which costs more than the arithmetic.

const SIDE: u32 = 16u;

var<workgroup> a_tile: array<array<f32, SIDE>, SIDE>; // row, step
var<workgroup> b_tile: array<array<f32, SIDE>, SIDE>; // step, column

@compute @workgroup_size(SIDE, SIDE)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_id) local: vec3u,
) {
    let tile = tile_at(linear_group(group, groups), SIDE, SIDE);
    let tile_row = tile.x;
    let tile_column = tile.y;
    // The row or column, and the step, that this lane fetches. Neighbouring lanes take neighbouring numbers in memory.
    let of_a = select(local.yx, local.xy, TRANSPOSE_A);
    let of_b = select(local.xy, local.yx, TRANSPOSE_B);

    var sum = 0.0;
    for (var k = 0u; k < dims.depth; k += SIDE) {
        a_tile[of_a.x][of_a.y] = element_a(tile_row + of_a.x, k + of_a.y);
        b_tile[of_b.y][of_b.x] = element_b(k + of_b.y, tile_column + of_b.x);
        workgroupBarrier(); // the tiles are complete
        for (var step = 0u; step < SIDE; step++) {
            sum += a_tile[local.y][step] * b_tile[step][local.x];
        }
        workgroupBarrier(); // no lane reads them any more
    }
    let row = tile_row + local.y;
    let column = tile_column + local.x;
    if (inside(row, column)) {
        let index = (row * dims.columns) + column;
        y[index] = epilogue(sum, index, column);
    }
}
