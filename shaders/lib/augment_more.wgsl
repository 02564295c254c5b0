// needs: step, philox
// The random words of the later changes of an image: the blocks are those of src/ops/augment/draw.rs.
const PURPOSE_AUGMENTMORE: u32 = 8u;
const COLOURS: u32 = 0u;     // hue, grey, saturation, blur
const PERSPECTIVE: u32 = 1u; // two blocks: the corners
const ERASED: u32 = 3u;      // whether, then each attempt at a rectangle
const TRIVIAL: u32 = 14u;    // the change of TrivialAugment, its strength and sign

const GREY: vec3f = vec3f(0.299, 0.587, 0.114); // the shares of red, green and blue in grey: ITU-R BT.601

fn more_words(block: u32, row: u32) -> vec4u {
    return philox(vec4u(block, row + step.row_offset, step.number, PURPOSE_AUGMENTMORE), vec2u(step.seed_low, step.seed_high));
}

fn unit(word: u32) -> f32 {
    return f32(word >> 8u) * (1.0 / 16777216.0);
}
