// needs: each, step
// Nesterov momentum of one gradient, without a change of parameters: v = momentum v + g; y = g + momentum v.
// One invocation for each element.
struct Dims {
    count: u32,
    group: u32, // of the step's numbers
}
@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read_write> velocities: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn each(index: u32) {
    let momentum = step.groups[dims.group].y;
    let gradient = gradients[index];
    // Of a batch in parts, only the last one changes the velocity; the directions of the others are not used.
    let before = velocities[index];
    let velocity = select(before, momentum * before + gradient, (step.part & 2u) != 0u);
    velocities[index] = velocity;
    y[index] = gradient + momentum * velocity;
}
