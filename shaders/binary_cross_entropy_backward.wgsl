// needs: binary_cross_entropy
// The gradient of binary cross-entropy by the logits: ((1 - target) sigmoid(x) - weight target sigmoid(-x)) dloss / columns. Masked rows
// get 0. One lane for each row, or a workgroup: lib/row.wgsl.
@group(0) @binding(4) var<storage, read> dloss: array<f32>;
@group(0) @binding(5) var<storage, read_write> d_x: array<f32>;

fn each_row(row: Row) {
    let partner = partner_offset(row);
    let incoming = dloss[row.number] / f32(dims.columns);
    for (var i = row.first + row.lane; i < row.last; i += LANES) {
        let share = target_at(i, partner);
        let small = exp(-abs(x[i]));
        let likely = 1.0 / (1.0 + small);
        let unlikely = small / (1.0 + small);
        let chance = select(unlikely, likely, x[i] >= 0.0);
        let other_chance = select(likely, unlikely, x[i] >= 0.0);
        let slope = (1.0 - share) * chance - weights[i - row.first] * share * other_chance;
        d_x[i] = select(0.0, slope * incoming, row.number < step.valid);
    }
}
