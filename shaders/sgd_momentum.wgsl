// needs: optimizer
// Stochastic gradient descent with momentum on all parameters at once, as in PyTorch: d = g + decay p;
// v = momentum v + d; p -= rate v, or rate (d + momentum v) for Nesterov. One invocation for four elements.
struct Dims {
    count: u32, // fours
    clip: f32, // the largest norm of all gradients together
}
@group(0) @binding(6) var<storage, read_write> velocities: array<vec4f>;

const NESTEROV: bool = false;

fn each(index: u32) {
    let gradient = gradient_of(index);
    let parameter = parameters[index];
    let direction = gradient.value + gradient.decay * parameter;
    let velocity = gradient.momentum * velocities[index] + direction;
    velocities[index] = select(velocities[index], velocity, gradient.inside);
    let update = select(velocity, direction + gradient.momentum * velocity, NESTEROV);
    parameters[index] = select(parameter, parameter - gradient.rate * update, gradient.inside);
}
