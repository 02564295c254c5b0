// needs: binary_cross_entropy
// Binary cross-entropy with logits [rows, columns]: the mean over a row of weight target softplus(-x) + (1 - target) softplus(x). Both
// forms of softplus share ln(1 + e^-|x|), so nothing overflows or cancels. The loss of masked rows is 0. One lane for each row, or a
// workgroup: lib/row.wgsl.
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;

fn each_row(row: Row) {
    let partner = partner_offset(row);
    var sum = 0.0;
    for (var i = row.first + row.lane; i < row.last; i += LANES) {
        let share = target_at(i, partner);
        let rest = log(1.0 + exp(-abs(x[i])));
        let wrong_if_set = weights[i - row.first] * share * (max(-x[i], 0.0) + rest);
        sum += wrong_if_set + (1.0 - share) * (max(x[i], 0.0) + rest);
    }
    sum = row_sum(row.lane, sum);
    if row.leads {
        loss[row.number] = select(0.0, sum / f32(dims.columns), row.number < step.valid);
    }
}
