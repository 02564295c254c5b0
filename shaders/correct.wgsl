// needs: each, step
// 1 for each valid row of logits [rows, columns] whose largest logit (the first of equal ones) is that of the label, else 0.
struct Dims {
    count: u32, // rows
    columns: u32,
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn each(row: u32) {
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
