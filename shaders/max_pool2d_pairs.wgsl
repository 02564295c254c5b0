// needs: grid, pool2d
// Max-pool of X [planes, height, width] to Y [planes, rows, columns], for windows of 2 x 2 without overlap and a width of X
// that is a multiple of four. One invocation for two neighbouring windows: it reads a vec4 of pixels from each of their two
// lines.
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec2f>;

const EDGES: bool = true; // whether the last workgroup runs past the end

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if EDGES {
        if index >= dims.count {
            return;
        }
    }
    let pairs = dims.columns / 2u;
    let row_index = index / pairs; // Division is slow: two of them, and the remainders from these.
    let plane = row_index / dims.rows;
    let row = row_index - plane * dims.rows;
    // A line of X has as many vectors as one of Y has pairs.
    let place = (plane * dims.height + 2u * row) * pairs + index - row_index * pairs;
    let tallest = max(x[place], x[place + pairs]);
    y[index] = max(tallest.xz, tallest.yw);
}
