// needs: grid, bands
// Which tile of Y a workgroup computes, and where the tile's sums are stored.
struct Tile {
    row: u32, // its first row and column
    column: u32,
    split: u32,   // the share of the sum
    exists: bool, // a folded grid may be larger than the product
}

fn tile_of_group(number: u32) -> Tile {
    let down = (dims.rows + TILE_ROWS - 1u) / TILE_ROWS;
    let across = (dims.columns + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    let split = number / (down * across);
    let at = place_in_band(number - (split * down * across), down, across);
    return Tile(at.x * TILE_ROWS, at.y * TILE_COLUMNS, split, split == 0u || split * dims.share < dims.depth);
}

fn store_rows(sums: mat4x4f, split: u32, row: u32, column: u32) {
    store_row(sums[0], split, row, column);
    store_row(sums[1], split, row + 1u, column);
    store_row(sums[2], split, row + 2u, column);
    store_row(sums[3], split, row + 3u, column);
}

fn store_sums(sums: Sums, tile: Tile, lane: u32) {
    let at = vectors_of(lane);
    let row = tile.row + (4u * at.x);
    let column = tile.column + (4u * at.y);
    store_rows(sums.top_left, tile.split, row, column);
    store_rows(sums.top_right, tile.split, row, column + (4u * LANES_ACROSS));
    store_rows(sums.bottom_left, tile.split, row + (4u * LANES_DOWN), column);
    store_rows(sums.bottom_right, tile.split, row + (4u * LANES_DOWN), column + (4u * LANES_ACROSS));
}
