// needs: each, step, philox
// The images of a data set as the augmentations read them: through an order, from several shards or from a ring of slots.
alias Stored = u32;
@group(0) @binding(1) var<storage, read> data: array<Stored>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
// A channel's mean, 1 / standard deviation, pivot of the contrast, and value of the cutout.
@group(0) @binding(3) var<storage, read> levels: array<vec4f>;

const BYTES: bool = true; // whether images are bytes
const RING: bool = false; // whether the data are a ring
const FLIP: u32 = 1u;     // never, at random, in turn by epoch, always
const VERTICAL_FLIP: bool = false;

const PURPOSE_AUGMENT: u32 = 3u;
const ALTERNATE: u32 = 3u; // the block that says which images are mirrored in even epochs

fn stored_at(shard: u32, index: u32) -> Stored { return data[index]; } // spliced

fn value_at(shard: u32, index: u32) -> f32 {
    if BYTES {
        return unpack4x8unorm(stored_at(shard, index / 4u))[index % 4u];
    }
    return bitcast<f32>(stored_at(shard, index));
}

// Four neighbouring pixels of the result: their row of the batch, the first one's place in the image, and the image to read.
struct Strip {
    row: u32,
    down: u32,
    left: u32,
    valid: bool, // a masked row reads the first listed image and drops it
    image: u32,
    shard: u32,
    within: u32, // the image's number in the shard
}

fn strip_of(index: u32) -> Strip {
    let strips = (dims.out_width + 3u) / 4u;
    let row = index / (strips * dims.out_height);
    let position = step.first + row;
    let valid = row < step.valid && position < dims.listed;
    let image = order[select(0u, position, valid)];
    let picked = min(select(image, position % dims.rows, RING), dims.rows - 1u);
    let down = (index / strips) % dims.out_height;
    return Strip(row, down, 4u * (index % strips), valid, image, picked / dims.each, picked % dims.each);
}

// Whether an image is mirrored. `word` is the first random word of its row.
fn is_mirrored(word: u32, image: u32) -> bool {
    if FLIP == 2u {
        let alternate = philox(vec4u(ALTERNATE, image, 0u, PURPOSE_AUGMENT), vec2u(step.seed_low, step.seed_high)).x;
        return ((alternate >> 31u) ^ (step.epoch & 1u)) == 1u;
    }
    return FLIP == 3u || (FLIP == 1u && (word >> 31u) == 1u);
}

// Whether an image is turned upside down.
fn is_upside_down(word: u32) -> bool {
    return VERTICAL_FLIP && ((word >> 30u) & 1u) == 1u;
}
