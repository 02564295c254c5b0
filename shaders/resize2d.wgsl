// needs: resize2d
// Resizes images X [planes, height, width] to Y [planes, rows, columns]. One invocation for each pixel of Y.
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn each(index: u32) {
    let down = sources_of((index / dims.columns) % dims.rows, dims.height, dims.rows);
    let across = sources_of(index % dims.columns, dims.width, dims.columns);
    let plane = (index / (dims.columns * dims.rows)) * dims.height;
    let above = (plane + down.before) * dims.width;
    if BILINEAR {
        let under = (plane + down.after) * dims.width;
        let upper = mix(x[above + across.before], x[above + across.after], across.rest);
        let lower = mix(x[under + across.before], x[under + across.after], across.rest);
        y[index] = mix(upper, lower, down.rest);
    } else {
        y[index] = x[above + across.before];
    }
}
