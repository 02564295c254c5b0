// needs: pool2d
// The index in X of the upper four pixels of two neighbouring windows of 2 x 2 without overlap, from the number of the pair of
// windows. The lower four are `pairs` further. A row of X has as many vectors of four as a row of Y has pairs.
fn upper_pixels(number: u32, pairs: u32) -> u32 {
    let row_index = number / pairs; // Division is slow: two of them, and the remainders from these.
    let plane = row_index / dims.rows;
    let row = row_index - plane * dims.rows;
    return (plane * dims.height + 2u * row) * pairs + number - row_index * pairs;
}

