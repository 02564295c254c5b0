// needs: each, step, philox
// Each element is set to zero with a given probability, else scaled up. Four neighbours share one call of the counter-based
// generator. Its counter holds the element's number, the layer's stream and the step. So the backward pass can compute the
// same mask again, and nothing is stored.
struct Dims {
    count: u32,     // fours
    elements: u32,
    threshold: u32, // a random word below it drops
    stream: u32,
    factor: f32,    // 1 / (1 - rate)
    row: u32,       // elements of a row of the batch
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const PURPOSE_DROPOUT: u32 = 2u;

fn each(four: u32) {
    let first = 4u * four;
    // The numbers of a part of a batch are those that its rows have in the whole batch.
    let before = step.row_offset * dims.row / 4u;
    let counter = vec4u(before + four, dims.stream, step.number, PURPOSE_DROPOUT);
    let words = philox(counter, vec2u(step.seed_low, step.seed_high));
    for (var i = 0u; i < 4u && first + i < dims.elements; i++) {
        y[first + i] = select(dims.factor * x[first + i], 0.0, words[i] < dims.threshold);
    }
}
