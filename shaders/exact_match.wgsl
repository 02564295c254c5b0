// needs: tags
// 1 for each valid row of logits [rows, columns] whose logits are at least 0 exactly where the targets are above one half, else 0. With
// MIXED the targets are those of the larger share: the row's own or the next row's. One lane for each row, or a workgroup: lib/row.wgsl.
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn each_row(row: Row) {
    let partner = select(0u, partner_offset(row), MIXED && step.share < 0.5);
    var wrong = 0.0;
    for (var i = row.first + row.lane; i < row.last; i += LANES) {
        // Not a number is no answer.
        let is_right = select(x[i] < 0.0, x[i] >= 0.0, targets[i + partner] > 0.5);
        wrong += select(1.0, 0.0, is_right);
    }
    wrong = row_sum(row.lane, wrong);
    if row.leads {
        y[row.number] = select(0.0, 1.0, row.number < step.valid && wrong == 0.0);
    }
}
