// needs: cross_entropy
// Softmax with cross-entropy of logits [rows, columns] against one integer label a row:
// loss = log(sum e^x) - (1 - smoothing) x[label] - smoothing mean(x), where the largest logit
// is subtracted from all of x, times the weight of the label's class. The loss of masked rows is 0. With LOG_PROBABILITIES the input
// is a log-softmax already, whose log(sum e^x) is 0. With MIXED the loss is the weighted sum of that of two labels, with FOCUSED it is
// multiplied by (1 - p)^focus. One lane for each row, or a workgroup: lib/row.wgsl.
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;

fn each_row(row: Row) {
    let own = own_part(row);
    let sums = sums_of(row, own.place);
    var sum = 0.0;
    for (var i = row.first + row.lane; i < row.last; i += LANES) {
        sum += x[i] - sums.shift;
    }
    let mean = row_sum(row.lane, sum) / f32(dims.columns);
    if row.leads {
        let factor = own.factor * focused((x[own.place] - sums.shift) - sums.log_sum, sums.rest).x;
        var value = factor * against(sums, own.place, mean);
        if MIXED {
            let other = other_part(row);
            value += other.factor * against(sums, other.place, mean);
        }
        loss[row.number] = select(0.0, value, row.number < step.valid);
    }
}

// The loss against one label. log_sum is not added to the shift, beside which it could lose its digits.
fn against(sums: Sums, place: u32, mean: f32) -> f32 {
    return sums.log_sum - (1.0 - dims.smoothing) * (x[place] - sums.shift) - dims.smoothing * mean;
}
