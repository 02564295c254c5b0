// needs: pool2d_pairs
// Max-pool of X [planes, height, width] to Y [planes, rows, columns], for windows of 2 x 2 without overlap and a width of X
// that is a multiple of four. One invocation for two neighbouring windows: it reads a vec4 of pixels from each of their two
// lines.
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec2f>;

fn each(index: u32) {
    let pairs = dims.columns / 2u;
    let place = upper_pixels(index, pairs);
    let tallest = max(x[place], x[place + pairs]);
    y[index] = max(tallest.xz, tallest.yw);
}
