// needs: augment_more
// Which change of TrivialAugment an image gets. The same as src/ops/augment/trivial/draw.rs.
const IDENTITY: u32 = 0u;
const SHEAR_X: u32 = 1u;
const SHEAR_Y: u32 = 2u;
const TRANSLATE_X: u32 = 3u;
const TRANSLATE_Y: u32 = 4u;
const ROTATE: u32 = 5u;
const BRIGHTNESS: u32 = 6u;
const COLOUR: u32 = 7u;
const CONTRAST: u32 = 8u;
const SHARPNESS: u32 = 9u;
const POSTERIZE: u32 = 10u;
const SOLARIZE: u32 = 11u;
const AUTO_CONTRAST: u32 = 12u;
const EQUALIZE: u32 = 13u;
const KINDS: u32 = 14u;
const STRENGTHS: u32 = 30u; // above none

const WHITE: f32 = 255.0;

struct Change {
    kind: u32,
    level: u32,   // the strength, from 0 to STRENGTHS
    share: f32,   // the strength as a part of the largest one, with its sign
    factor: f32,  // of brightness, colour, contrast and sharpness
    moved: f32,   // of a translation, in pixels
}

fn change_of(row: u32) -> Change {
    let words = more_words(TRIVIAL, row);
    let level = multiply_high(words.y, STRENGTHS + 1u);
    let sign = select(1.0, -1.0, (words.z >> 31u) == 1u);
    let share = sign * f32(level) / f32(STRENGTHS);
    let kind = select(IDENTITY, multiply_high(words.x, KINDS), row < step.valid);
    return Change(kind, level, share, 1.0 + 0.99 * share, sign * f32(32u * level / STRENGTHS));
}

fn to_white(value: f32) -> f32 {
    return clamp(value, 0.0, WHITE);
}
