// needs: each, step
// A step of Muon: p = p (norm / |p|) - rate o, where o is the orthogonalised direction. One invocation for each element.
struct Dims {
    count: u32,
    group: u32,  // of the step's numbers
    factor: f32, // on the learning rate
    norm: f32,   // of the parameter before the step
}
@group(0) @binding(1) var<storage, read> directions: array<f32>;
@group(0) @binding(2) var<storage, read> squares: array<f32>; // the sum of squares of the parameter
@group(0) @binding(3) var<storage, read_write> parameters: array<f32>;

fn each(index: u32) {
    let rate = step.groups[dims.group].x * dims.factor;
    // A parameter of zeros has no direction to scale. Without a rate the group has ended, and its parameters stay as they are.
    let scale = select(1.0, dims.norm / sqrt(squares[0]), squares[0] > 0.0 && rate != 0.0);
    // Of a batch in parts, only the last one updates.
    if (step.part & 2u) != 0u {
        parameters[index] = scale * parameters[index] - rate * directions[index];
    }
}
