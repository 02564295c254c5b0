// needs: grid, step
// Stochastic gradient descent with momentum on all parameters at once, as in PyTorch: d = g + decay p;
// v = momentum v + d; p -= rate v, or rate (d + momentum v) for Nesterov. One invocation for four elements.
struct Dims {
    quarters: u32,
    weight_decay: f32,
    clip: f32, // the largest norm of all gradients together
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read> blocks: array<u32>; // a block of 64: group << 8 | elements of a parameter
@group(0) @binding(3) var<storage, read> groups: array<vec2f>; // factors on rate and decay
@group(0) @binding(4) var<storage, read> norm: array<f32>;   // of all gradients; unused without CLIP
@group(0) @binding(5) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> velocities: array<vec4f>;

const CLIP: bool = false;
const EDGES: bool = true; // whether the last workgroup runs past the end
const NESTEROV: bool = false;

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
    let parameter = parameters[index];
    let direction = gradient + decay * parameter;
    let velocity = step.momentum * velocities[index] + direction;
    velocities[index] = select(velocities[index], velocity, inside);
    let way = select(velocity, direction + step.momentum * velocity, NESTEROV);
    parameters[index] = select(parameter, parameter - rate * way, inside);
}
