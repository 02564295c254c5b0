// needs: each, augment_more
// y = images x [batch, 3, height, width] with changed saturation and hue, or in grey; 0 for masked rows. They are normalised: levels
// [3] are a channel's mean and 1 / standard deviation. The hue is turned in sixths of the colour circle; a colour's largest and
// smallest value stay. The same as src/ops/augment/recolour.rs.
struct Dims {
    count: u32, // pixels
    plane: u32, // pixels of an image
    saturation: f32,
    hue: f32,
    grey: f32,
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> levels: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn turned(colour: vec3f, turn: f32) -> vec3f {
    let most = max(max(colour.x, colour.y), colour.z);
    let chroma = most - min(min(colour.x, colour.y), colour.z);
    let inverse = 1.0 / select(1.0, chroma, chroma > 0.0);
    let by_blue = select(4.0 + (colour.x - colour.y) * inverse, 2.0 + (colour.z - colour.x) * inverse, most == colour.y);
    let hue = select(by_blue, (colour.y - colour.z) * inverse, most == colour.x);
    var place = vec3f(5.0, 3.0, 1.0) + hue + turn;
    place -= 6.0 * floor(place / 6.0);
    let seen = most - chroma * clamp(min(place, 4.0 - place), vec3f(0.0), vec3f(1.0));
    return select(colour, seen, chroma > 0.0);
}

fn each(index: u32) {
    let row = index / dims.plane;
    let at = 3u * row * dims.plane + index % dims.plane;
    let words = more_words(COLOURS, row);
    let means = vec3f(levels[0].x, levels[1].x, levels[2].x);
    let inverses = vec3f(levels[0].y, levels[1].y, levels[2].y);
    let colour = vec3f(x[at], x[at + dims.plane], x[at + 2u * dims.plane]) / inverses + means;
    let mean = dot(GREY, colour);
    let saturation = 1.0 + dims.saturation * (2.0 * unit(words.z) - 1.0);
    let bright = turned(mean + saturation * (colour - mean), dims.hue * (2.0 * unit(words.x) - 1.0));
    let seen = select(bright, vec3f(dot(GREY, bright)), unit(words.y) < dims.grey);
    let normal = select(vec3f(0.0), (seen - means) * inverses, row < step.valid);
    y[at] = normal.x;
    y[at + dims.plane] = normal.y;
    y[at + 2u * dims.plane] = normal.z;
}
