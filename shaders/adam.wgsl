// needs: optimizer
// Adam or AdamW on all parameters at once: running means of the gradient and of its square, with bias correction. AdamW
// (DECOUPLED) applies weight decay to the parameter directly, not through the gradient. One invocation for four elements.
struct Dims {
    count: u32, // fours
    clip: f32, // the largest norm of all gradients together
    beta2: f32,
    epsilon: f32,
}
@group(0) @binding(6) var<storage, read_write> first_moments: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> second_moments: array<vec4f>;

const DECOUPLED: bool = false;

fn each(index: u32) {
    let gradient = gradient_of(index);
    let before = parameters[index];
    var parameter = before;
    var slope = gradient.value;
    if DECOUPLED {
        parameter -= gradient.rate * gradient.decay * parameter;
    } else {
        slope += gradient.decay * parameter;
    }
    let beta1 = gradient.momentum;
    let first = beta1 * first_moments[index] + (1.0 - beta1) * slope;
    let second = dims.beta2 * second_moments[index] + (1.0 - dims.beta2) * slope * slope;
    first_moments[index] = select(first_moments[index], first, gradient.inside);
    second_moments[index] = select(second_moments[index], second, gradient.inside);
    let root = sqrt(second / step.correction2) + dims.epsilon;
    parameters[index] = select(before, parameter - gradient.rate * (first / step.correction1) / root, gradient.inside);
}
