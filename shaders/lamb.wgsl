// needs: optimizer
// The last part of LAMB, on all parameters at once: the step, whose length is in proportion to the parameter's norm. One invocation for
// four elements.
struct Dims {
    count: u32, // fours
    clip: f32,
    beta2: f32,
    epsilon: f32,
}
@group(0) @binding(6) var<storage, read> directions: array<vec4f>;
@group(0) @binding(7) var<storage, read> ratios: array<f32>; // of each block

fn each(index: u32) {
    let gradient = gradient_of(index);
    let parameter = parameters[index];
    let by = gradient.rate * ratios[index / 16u];
    parameters[index] = select(parameter, parameter - by * directions[index], gradient.inside);
}
