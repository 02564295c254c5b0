// needs: register_tiles
// The loop over the steps of a large product. While a tile is multiplied, the numbers of the next one are on their way from
// device memory to registers.
//
// The kernel declares how a lane fetches its blocks, one after the other:
//   struct Cursor                                       where the lane's next block is
//   fn fetch(cursor: Cursor) -> Block                   loads the block
//   fn arrange(place: Place, block: Block) -> mat4x4f   what is stored of it, with zeros for what does not exist
//   fn advance(cursor: Cursor) -> Cursor                TILE_DEPTH steps further
fn product(first: Cursor, steps: u32, lane: u32) -> Sums {
    let place = place_of(lane);
    var cursor = first;
    var next = fetch(cursor);
    var sums: Sums;
    for (var step = 0u; step < steps; step += TILE_DEPTH) {
        store_block(place, arrange(place, next));
        workgroupBarrier(); // the tiles are complete
        if (step + TILE_DEPTH < steps) {
            cursor = advance(cursor);
            next = fetch(cursor);
        }
        sums = add_tiles(sums, lane);
        workgroupBarrier(); // no lane reads the tiles any more
    }
    return sums;
}
