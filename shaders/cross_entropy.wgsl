// needs: cross_entropy
// Softmax with cross-entropy of logits [rows, columns] against one integer label a row, in one pass over the logits:
// loss = log(sum e^x) - (1 - smoothing) x[label] - smoothing mean(x), where the largest logit
// is subtracted from all of x. The loss of masked rows is 0. With LOG_PROBABILITIES the input is a log-softmax already,
// whose log(sum e^x) is 0. One lane for each row, or a workgroup: lib/row.wgsl.
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

fn each_row(row: Row) {
    var shift = 0.0;
    var log_sum = 0.0;
    if !LOG_PROBABILITIES {
        let sums = softmax_row(row);
        shift = sums.largest;
        log_sum = log(sums.sum); // not added to the shift, beside which it could lose its digits
    }
    var sum = 0.0;
    for (var i = row.first + row.lane; i < row.last; i += LANES) {
        sum += x[i] - shift;
    }
    let mean = row_sum(row.lane, sum) / f32(dims.columns);
    if row.leads {
        let label = row.first + min(labels[row.number], dims.columns - 1u);
        let value = log_sum - (1.0 - dims.smoothing) * (x[label] - shift) - dims.smoothing * mean;
        loss[row.number] = select(0.0, value, row.number < step.valid);
    }
}
