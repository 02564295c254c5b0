// needs: register_tiles
// The loop over the steps of a large product. While a tile is multiplied, the numbers of the next one are on their way from
// device memory to registers.
//
// The kernel declares how a lane fetches its blocks, one after the other:
//   struct Cursor                                       where the lane's next block is, with its `place` in the tile
//   fn fetch(cursor: Cursor) -> Block                   loads the block
//   fn arrange(place: Place, block: Block) -> mat4x4f   what is stored of it, with zeros for what does not exist
//   fn advance(cursor: Cursor) -> Cursor                TILE_DEPTH steps further
// `second` is used if a lane fetches two blocks of a tile.
fn product(first: Cursor, second: Cursor, steps: u32, lane: u32) -> Sums {
    let has_second = TWO_BLOCKS && second.place.exists;
    var cursor = first;
    var other = second;
    var next = fetch(cursor);
    var next_other: Block;
    if (has_second) {
        next_other = fetch(other);
    }
    var sums: Sums;
    for (var step = 0u; step < steps; step += TILE_DEPTH) {
        store_block(first.place, arrange(first.place, next));
        if (has_second) {
            store_block(second.place, arrange(second.place, next_other));
        }
        workgroupBarrier(); // the tiles are complete
        if (step + TILE_DEPTH < steps) {
            cursor = advance(cursor);
            next = fetch(cursor);
            if (has_second) {
                other = advance(other);
                next_other = fetch(other);
            }
        }
        sums = add_tiles(sums, lane);
        workgroupBarrier(); // no lane reads the tiles any more
    }
    return sums;
}
