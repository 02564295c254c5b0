// needs: optimizer
// Stochastic gradient descent on all parameters at once: p -= rate (g + decay p). One invocation for four elements.
struct Dims {
    count: u32, // fours
    clip: f32, // the largest norm of all gradients together
}

fn each(index: u32) {
    let gradient = gradient_of(index);
    let parameter = parameters[index];
    let change = gradient.rate * (gradient.value + gradient.decay * parameter);
    parameters[index] = select(parameter, parameter - change, gradient.inside);
}
