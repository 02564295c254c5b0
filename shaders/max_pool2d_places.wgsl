// needs: max_pool2d
// The index in X [planes, height, width] of the largest pixel of each window, as PLACES [planes, rows, columns]. Of equal
// pixels the first one counts, row by row. This is the first step of max-pool's gradient for windows that overlap.
// One invocation for each window.
@group(0) @binding(2) var<storage, read_write> places: array<u32>;

fn each(index: u32) {
    let at = place_of(index, dims.rows, dims.columns);
    let plane = at.number * dims.height;
    let winner = winner_of(plane, at);
    places[index] = winner;
}
