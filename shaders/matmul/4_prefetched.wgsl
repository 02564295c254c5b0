// needs: matmul_blocks, matmul_tiles, prefetched_product
// Matrix product Y = A B, rung 4: the next tile is fetched while this one is multiplied.
//
// Shapes, sizes and division of work: as in 3_registers.wgsl.
//
// The idea: device memory answers after several hundred cycles, the time of several hundred multiply-adds. So a lane asks for
// its block of the next tile before it multiplies the tile in workgroup memory. The block waits in registers, because workgroup
// memory is in use. Registers and workgroup memory are the two buffers of a double buffer. The loop is in
// lib/prefetched_product.wgsl; convolutions use it too.
//
// What is left to gain: a product with few outputs has few workgroups, however long its sums are.

@compute @workgroup_size(LANES)
fn main(invocation: Invocation) {
    let lane = invocation.local;
    let tile = tile_of_group(linear_group(invocation.group, invocation.groups));
    if (!tile.exists) {
        return;
    }
    let first = first_block(place_of(lane, false), tile.row, tile.column, 0u);
    let second = first_block(place_of(lane, true), tile.row, tile.column, 0u);
    let sums = product(first, second, dims.depth, lane);
    store_sums(sums, tile, lane);
}
