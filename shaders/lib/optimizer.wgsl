// needs: each, step
// What the updates of all parameters at once share: the gradients, clipped, with the learning rate and the weight decay of
// their parameters. One invocation for four elements.
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read> blocks: array<u32>; // a block of 64: group << 8 | elements of a parameter
@group(0) @binding(3) var<storage, read> groups: array<vec4f>; // factor on the rate, decay, group of the step's numbers
@group(0) @binding(4) var<storage, read> norm: array<f32>;   // of all gradients; unused without CLIP
@group(0) @binding(5) var<storage, read_write> parameters: array<vec4f>;

const CLIP: bool = false; // whether gradients are clipped by the norm of all of them

struct Gradient {
    inside: vec4<bool>, // A block can end in a gap. Its gradients are undefined, and its elements must not change.
    value: vec4f,
    rate: f32,
    momentum: f32,
    decay: f32,
}

fn gradient_of(index: u32) -> Gradient {
    let entry = blocks[index / 16u];
    let row = groups[entry >> 8u];
    let numbers = step.groups[u32(row.z)];
    let place = 4u * (index % 16u) + vec4u(0u, 1u, 2u, 3u);
    // Of a batch in parts, only the last one updates.
    let inside = place < vec4u(select(0u, entry & 0xffu, (step.part & 2u) != 0u));
    var value = select(vec4f(0.0), gradients[index], inside);
    if CLIP {
        value *= min(1.0, dims.clip / (norm[0] + 1e-6));
    }
    return Gradient(inside, value, numbers.x * row.x, numbers.y, row.y);
}

