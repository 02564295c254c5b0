// needs: each, ordered_sum
// Adds the partial sums of a product whose sums were split over workgroups. The order is fixed, so that the bits are always the
// same.
//
// Shapes: SUMS is [splits, rows, pitch], Y is [rows, columns]; elements of a row after the columns, and rows of a split after
// those of Y, are left out.
//
// Division of work: one invocation for each element of Y.

struct Dims {
    count: u32, // elements of Y
    columns: u32,
    pitch: u32,
    plane: u32, // elements of a split
    splits: u32,
}

@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn epilogue(value: f32, index: u32, channel: u32) -> f32 { return value; } // spliced

fn term(i: u32) -> f32 { return sums[i]; }

fn each(index: u32) {
    let row = index / dims.columns;
    let column = index - row * dims.columns;
    y[index] = epilogue(ordered_sum(row * dims.pitch + column, dims.plane, dims.splits), index, column);
}
