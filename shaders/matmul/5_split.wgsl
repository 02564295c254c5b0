// needs: matmul_blocks, matmul_tiles, prefetched_product
// Matrix product Y = A B, rung 5: long sums are split over workgroups.
//
// Shapes and sizes: as in 3_registers.wgsl. Y is [splits, M, N]: the sums of each split. sum_splits.wgsl adds them in order, so
// that the bits are always the same, and applies the epilogue.
//
// Division of work: a workgroup computes TILE_ROWS x TILE_COLUMNS outputs for `share` steps of k, a multiple of TILE_DEPTH.
// Grid: one workgroup for each tile and split, folded.
//
// The idea: a weight's gradient has few outputs, and its sums are as long as the batch, or longer. A GPU of 132
// multiprocessors wants several hundred workgroups. If the outputs are too few for that, the sums are divided.

@compute @workgroup_size(LANES)
fn main(invocation: Invocation) {
    let lane = invocation.local;
    let tile = tile_of_group(linear_group(invocation.group, invocation.groups));
    if (!tile.exists) {
        return;
    }
    let begin = tile.split * dims.share;
    let steps = min(dims.share, dims.depth - min(begin, dims.depth));
    let first = first_block(place_of(lane, false), tile.row, tile.column, begin);
    let second = first_block(place_of(lane, true), tile.row, tile.column, begin);
    let sums = product(first, second, steps, lane);
    store_sums(sums, tile, lane);
}
