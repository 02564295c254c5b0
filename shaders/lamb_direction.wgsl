// needs: optimizer
// The first part of LAMB, on all parameters at once: running means of the gradient and of its square, and the direction that Adam would go,
// with weight decay. One invocation for four elements. Directions of gaps are 0.
struct Dims {
    count: u32, // fours
    clip: f32, // the largest norm of all gradients together
    beta2: f32,
    epsilon: f32,
}
@group(0) @binding(6) var<storage, read_write> first_moments: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> second_moments: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> directions: array<vec4f>;

fn each(index: u32) {
    let gradient = gradient_of(index);
    let beta1 = gradient.momentum;
    let first = beta1 * first_moments[index] + (1.0 - beta1) * gradient.value;
    let second = dims.beta2 * second_moments[index] + (1.0 - dims.beta2) * gradient.value * gradient.value;
    first_moments[index] = select(first_moments[index], first, gradient.inside);
    second_moments[index] = select(second_moments[index], second, gradient.inside);
    let root = sqrt(second / step.correction2) + dims.epsilon;
    let direction = (first / step.correction1) / root + gradient.decay * parameters[index];
    directions[index] = select(vec4f(0.0), direction, gradient.inside);
}
