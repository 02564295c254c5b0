// needs: optimizer
// What RMSProp with and without momentum share: the moving average of the squares of gradients, and the step in its unit.
struct Dims {
    count: u32, // fours
    clip: f32, // the largest norm of all gradients together
    alpha: f32,
    epsilon: f32,
}
@group(0) @binding(6) var<storage, read_write> squares: array<vec4f>;

fn change_of(index: u32, gradient: Gradient) -> vec4f {
    let slope = gradient.value + gradient.decay * parameters[index];
    let square = dims.alpha * squares[index] + (1.0 - dims.alpha) * slope * slope;
    squares[index] = select(squares[index], square, gradient.inside);
    return slope / (sqrt(square) + dims.epsilon);
}
