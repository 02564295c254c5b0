// needs: grid, pool2d, max_pool2d
// Where the largest pixel of each window of X [planes, height, width] stands, the first of equal ones, row by row: its index
// in X, as PLACES [planes, rows, columns]. The first half of max-pool's gradient where windows overlap.
// One invocation a window.
@group(0) @binding(2) var<storage, read_write> places: array<u32>;

const EDGES: bool = true; // whether the last workgroup runs past the end

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if EDGES {
        if index >= dims.count {
            return;
        }
    }
    let at = place_of(index, dims.rows, dims.columns);
    let plane = at.number * dims.height;
    let winner = winner_of(plane, at);
    places[index] = winner;
}
