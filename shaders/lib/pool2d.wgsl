// needs: each
// The sizes of a pooling of X [planes, height, width] into Y [planes, rows, columns]; a plane is a channel of an image.
struct Dims {
    count: u32, // invocations: windows, pairs of windows or pixels of all planes
    height: u32,
    width: u32,
    rows: u32,
    columns: u32,
    stride_y: u32,
    stride_x: u32,
    padding_y: u32,
    padding_x: u32,
}

// The position of an element in planes of `rows` x `columns`. Division is slow, so there are only two, and the remainders
// are computed from them.
struct Place {
    number: u32, // of the plane
    row: u32,
    column: u32,
}

fn place_of(index: u32, rows: u32, columns: u32) -> Place {
    let row_index = index / columns; // over all planes
    let number = row_index / rows;
    return Place(number, row_index - number * rows, index - row_index * columns);
}

