// needs: step, row_by_lane
// 1 for each valid row of logits [rows, columns] whose largest logit (the first of equal ones) is that of the label, else 0. It counts
// the logits that would be found instead of the label's: those before it that are not smaller, and those after it that are larger.
// With MIXED the label is that of the larger share: the row's own or the next row's. One lane for each row, or a workgroup:
// lib/row.wgsl.
struct Dims {
    count: u32, // rows
    columns: u32,
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const MIXED: bool = false;

fn each_row(row: Row) {
    let next = (row.number + 1u) % max(step.valid, 1u);
    let label = labels[select(row.number, next, MIXED && step.share < 0.5)];
    let own = x[row.first + min(label, dims.columns - 1u)];
    let place = row.first + label;
    var better = 0.0;
    for (var i = row.first + row.lane; i < row.last; i += LANES) {
        let is_better = select(x[i] > own, x[i] >= own, i < place);
        better += select(0.0, 1.0, is_better);
    }
    better = row_sum(row.lane, better);
    if row.leads {
        // A search for the largest logit leaves the first one only for a larger one, so never if one of the two is not a number.
        let is_found = better == 0.0 && (label == 0u || own > x[row.first]);
        y[row.number] = select(0.0, 1.0, row.number < step.valid && is_found && label < dims.columns);
    }
}
