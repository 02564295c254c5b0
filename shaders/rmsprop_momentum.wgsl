// needs: rmsprop
// RMSProp with momentum on all parameters at once: d = g + decay p; s = alpha s + (1 - alpha) d^2;
// v = momentum v + d / (sqrt(s) + epsilon); p -= rate v. One invocation for four elements.
@group(0) @binding(7) var<storage, read_write> velocities: array<vec4f>;

fn each(index: u32) {
    let gradient = gradient_of(index);
    let parameter = parameters[index];
    let velocity = gradient.momentum * velocities[index] + change_of(index, gradient);
    velocities[index] = select(velocities[index], velocity, gradient.inside);
    parameters[index] = select(parameter, parameter - gradient.rate * velocity, gradient.inside);
}
