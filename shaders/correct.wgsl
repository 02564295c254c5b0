// needs: grid, step
// 1 for each valid row of logits [rows, columns] whose largest logit (the first of equal ones) is that of the label, else 0.
struct Dims {
    rows: u32,
    columns: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let row = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if row >= dims.rows {
        return;
    }
    let first = row * dims.columns;
    var best = 0u;
    var largest = x[first];
    for (var column = 1u; column < dims.columns; column++) {
        let value = x[first + column];
        if value > largest {
            largest = value;
            best = column;
        }
    }
    y[row] = select(0.0, 1.0, row < step.valid && best == labels[row]);
}
