// needs: matmul_blocks, matmul_tiles
// Matrix product Y = A B, rung 3: 8 x 8 outputs in the registers of each lane.
//
// Shapes: A is [M, K] (stored [K, M] when TRANSPOSE_A), B is [K, N] (stored [N, K] when TRANSPOSE_B), Y is [M, N];
// all row-major. With matmul_blocks, N is a multiple of 4, K too without TRANSPOSE_A or with TRANSPOSE_B, and M with
// TRANSPOSE_A. With matmul_blocks_scalar, which replaces it, any size.
//
// Division of work: a workgroup computes TILE_ROWS x TILE_COLUMNS outputs, a lane 8 x 8 of them. The tiles of a grid are
// numbered in bands. Grid: one workgroup for each tile, folded.
//
// The idea: a lane reads 8 numbers of A and 8 of B from workgroup memory, as four vec4s, and multiplies each with each: 64
// multiply-adds for four loads instead of two loads for one. Device memory is read as vec4s too.
//
// What is left to gain: the lanes wait for the numbers of each tile, then for one another.

@compute @workgroup_size(LANES)
fn main(invocation: Invocation) {
    let lane = invocation.local;
    let tile = tile_of_group(linear_group(invocation.group, invocation.groups));
    if (!tile.exists) {
        return;
    }
    let place = place_of(lane, false);
    var cursor = first_block(place, tile.row, tile.column, 0u);
    var sums: Sums;
    for (var k = 0u; k < dims.depth; k += TILE_DEPTH) {
        store_block(place, arrange(place, fetch(cursor)));
        workgroupBarrier(); // the tiles are complete
        sums = add_tiles(sums, lane);
        workgroupBarrier(); // no lane reads them any more
        cursor = advance(cursor);
    }
    store_sums(sums, tile, lane);
}
