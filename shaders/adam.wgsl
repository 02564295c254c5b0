// needs: grid, step
// Adam or AdamW on all parameters at once: running means of the gradient and of its square, with bias correction. AdamW
// (DECOUPLED) applies weight decay to the parameter directly, not through the gradient. One invocation for four elements.
struct Dims {
    quarters: u32,
    weight_decay: f32,
    clip: f32, // the largest norm of all gradients together
    beta2: f32,
    epsilon: f32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read> blocks: array<u32>; // a block of 64: group << 8 | elements of a parameter
@group(0) @binding(3) var<storage, read> groups: array<vec2f>; // factors on rate and decay
@group(0) @binding(4) var<storage, read> norm: array<f32>;   // of all gradients; unused without CLIP
@group(0) @binding(5) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> first_moments: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> second_moments: array<vec4f>;

const CLIP: bool = false;
const EDGES: bool = true; // whether the last workgroup runs past the end
const DECOUPLED: bool = false;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if EDGES {
        if index >= dims.quarters {
            return;
        }
    }
    // A block can end in a gap. Its gradients are undefined, so its elements are left unchanged.
    let entry = blocks[index / 16u];
    let factors = groups[entry >> 8u];
    let place = 4u * (index % 16u) + vec4u(0u, 1u, 2u, 3u);
    let inside = place < vec4u(entry & 0xffu);
    var gradient = select(vec4f(0.0), gradients[index], inside);
    if CLIP {
        gradient *= min(1.0, dims.clip / (norm[0] + 1e-6));
    }
    let rate = step.learning_rate * factors.x;
    let decay = dims.weight_decay * factors.y;
    let before = parameters[index];
    var parameter = before;
    if DECOUPLED {
        parameter -= rate * decay * parameter;
    } else {
        gradient += decay * parameter;
    }
    let beta1 = step.momentum;
    let first = beta1 * first_moments[index] + (1.0 - beta1) * gradient;
    let second = dims.beta2 * second_moments[index] + (1.0 - dims.beta2) * gradient * gradient;
    first_moments[index] = select(first_moments[index], first, inside);
    second_moments[index] = select(second_moments[index], second, inside);
    let root = sqrt(second / step.correction2) + dims.epsilon;
    parameters[index] = select(before, parameter - rate * (first / step.correction1) / root, inside);
}
