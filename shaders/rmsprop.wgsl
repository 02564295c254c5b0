// needs: rmsprop
// RMSProp on all parameters at once: d = g + decay p; s = alpha s + (1 - alpha) d^2; p -= rate d / (sqrt(s) + epsilon). One invocation for
// four elements.
fn each(index: u32) {
    let gradient = gradient_of(index);
    let parameter = parameters[index];
    let change = gradient.rate * change_of(index, gradient);
    parameters[index] = select(parameter, parameter - change, gradient.inside);
}
