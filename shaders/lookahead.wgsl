// needs: each, step
// Lookahead: in a step that joins them, slow = d slow + (1 - d) weights, and the weights become the slow weights. d comes from
// the step. Below 0, nothing changes. Flat buffers of the same length. One invocation for four neighbours.
struct Dims {
    count: u32, // fours
}
@group(0) @binding(1) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> slow: array<vec4f>;

fn each(index: u32) {
    let decay = step.lookahead;
    if decay >= 0.0 {
        let before = slow[index];
        let joined = before + (1.0 - decay) * (weights[index] - before);
        slow[index] = joined;
        weights[index] = joined;
    }
}
