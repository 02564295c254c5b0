// needs: cross_entropy
// Softmax with cross-entropy of logits [rows, columns] against one integer label a row, in one pass over the logits:
// loss = log(sum e^x) - (1 - smoothing) x[label] - smoothing mean(x), where the largest logit
// is subtracted from all of x. The loss of masked rows is 0. With LOG_PROBABILITIES the input is a log-softmax already,
// whose log(sum e^x) is 0.
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

fn each(row: u32) {
    if row >= step.valid {
        loss[row] = 0.0;
        return;
    }
    let first = row * dims.columns;
    let last = first + dims.columns;
    var shift = 0.0;
    var log_sum = 0.0;
    if !LOG_PROBABILITIES {
        let sums = softmax_row(first, last);
        shift = sums.largest;
        log_sum = log(sums.sum); // not added to the shift, beside which it could lose its digits
    }
    var sum = 0.0;
    for (var i = first; i < last; i++) {
        sum += x[i] - shift;
    }
    let label = min(labels[row], dims.columns - 1u);
    let mean = sum / f32(dims.columns);
    loss[row] = log_sum - (1.0 - dims.smoothing) * (x[first + label] - shift) - dims.smoothing * mean;
}
