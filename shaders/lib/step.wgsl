// The numbers that change with each step: a row of a table that is uploaded once an epoch and bound with a dynamic offset.
// The same as `ops::Step` in Rust.
struct Step {
    number: u32,          // counted over the whole run
    first: u32,           // where this batch begins in the list of rows
    valid: u32,           // rows of the batch that are not masked
    epoch: u32,
    seed_low: u32,
    seed_high: u32,
    correction1: f32,     // 1 - beta1^t
    correction2: f32,     // 1 - beta2^t
    inverse_valid: f32,   // 1 / valid
    lookahead: f32,       // the share of the slow weights that remains; below 0 in steps that do not join them
    share: f32,           // of a row's own label among mixed images
    blend: f32,           // of a row's own image, outside the hole
    hole: vec4u,          // top, left, bottom, right
    row_offset: u32,      // rows of the batch's earlier parts
    rows: u32,            // valid rows of all parts
    inverse_rows: f32,    // 1 / rows
    part: u32,            // 1 for the first part of a batch, plus 2 for the last one, after which parameters are updated
    groups: array<vec4f, 8>, // of each group of parameters: learning rate, momentum or Adam's beta1
}
@group(1) @binding(0) var<uniform> step: Step;

