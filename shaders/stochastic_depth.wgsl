// needs: each, step, philox
// A factor for each row of a batch, as dropout has one for each element: 0 with a given probability, else 1 / (1 - rate). Four
// neighbours share one call of the counter-based generator.
struct Dims {
    count: u32,     // fours
    rows: u32,
    threshold: u32, // a random word below it drops
    stream: u32,
    factor: f32,    // 1 / (1 - rate)
}
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

const PURPOSE_DROPOUT: u32 = 2u;

fn each(four: u32) {
    let first = 4u * four;
    let counter = vec4u(step.row_offset / 4u + four, dims.stream, step.number, PURPOSE_DROPOUT);
    let words = philox(counter, vec2u(step.seed_low, step.seed_high));
    for (var i = 0u; i < 4u && first + i < dims.rows; i++) {
        y[first + i] = select(dims.factor, 0.0, words[i] < dims.threshold);
    }
}
