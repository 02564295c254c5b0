// needs: each, augment_more
// y = images x [rows, ...], blurred along one axis by a Gaussian whose standard deviation is drawn for each row; 0 for masked rows.
// Beyond its ends the axis is mirrored about its first and last pixel.
struct Dims {
    count: u32, // numbers
    image: u32, // of an image
    len: u32,   // of the axis
    stride: u32,
    reach: u32, // pixels on each side
    least: f32, // of the standard deviation, in pixels
    span: f32,
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn each(index: u32) {
    let row = index / dims.image;
    let deviation = dims.least + dims.span * unit(more_words(COLOURS, row).w);
    let scale = -0.5 / (deviation * deviation);
    let place = (index / dims.stride) % dims.len;
    let start = index - place * dims.stride;
    var sum = x[index];
    var total = 1.0;
    for (var far = 1u; far <= dims.reach; far++) {
        let weight = exp(scale * f32(far * far));
        let before = select(far - place, place - far, far <= place);
        let after = select(2u * (dims.len - 1u) - (place + far), place + far, place + far < dims.len);
        sum += weight * (x[start + before * dims.stride] + x[start + after * dims.stride]);
        total += 2.0 * weight;
    }
    y[index] = select(0.0, sum / total, row < step.valid);
}
