// Rectangles of random area, aspect ratio and place. `roots` is the table of src/ops/augment/resized/crop_box.rs: integer products are
// equal on every device.
const TRIES: u32 = 10u;

// Top, left, height and width of the rectangle that a block of words draws in an image (height, width), at most as large as `most`.
// Its height is 0 if it does not fit.
fn rectangle(words: vec4u, image: vec2u, most: vec2u) -> vec4u {
    let area = u32(roots[words.x >> 22u]);
    let wide = (area * u32(roots[1024u + (words.y >> 22u)]) + 131072u) >> 18u;
    let high = (area * u32(roots[2048u + (words.y >> 22u)]) + 131072u) >> 18u;
    let size = vec2u(high, wide);
    if any(size == vec2u(0u)) || any(size > most) {
        return vec4u(0u);
    }
    let room = image - size + 1u;
    return vec4u(multiply_high(words.z, room.x), multiply_high(words.w, room.y), size);
}
