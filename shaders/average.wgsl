// needs: each, step
// Exponential moving average of the weights: average = d average + (1 - d) weights, flat buffers of the same length.
// d is the decay, or (1 + t) / (10 + t) in step t if that is smaller, so that the initial weights soon lose influence.
// The weights are only read. They are bound for writing because the average has to wait for their update.
// One invocation for four neighbours.
struct Dims {
    count: u32, // fours
    decay: f32,
}
@group(0) @binding(1) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> averages: array<vec4f>;

fn each(index: u32) {
    let time = f32(step.number);
    let decay = min(dims.decay, (1.0 + time) / (10.0 + time));
    let average = averages[index];
    // Of a batch in parts, only the last one updates.
    let share = select(0.0, 1.0 - decay, (step.part & 2u) != 0u);
    averages[index] = average + share * (weights[index] - average);
}
