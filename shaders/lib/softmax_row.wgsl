// needs: row_by_lane
// The sums of each row for softmax and cross-entropy, over logits X [rows, columns].
@group(0) @binding(1) var<storage, read> x: array<f32>;

struct SoftmaxRow {
    largest: f32, // logit; subtracted first, so that no exponential overflows
    sum: f32,     // of the exponentials of all logits less the largest
}

fn softmax_row(row: Row) -> SoftmaxRow {
    var largest = x[row.first];
    for (var i = row.first + row.lane; i < row.last; i += LANES) {
        largest = max(largest, x[i]);
    }
    largest = row_maximum(row.lane, largest);
    var sum = 0.0;
    for (var i = row.first + row.lane; i < row.last; i += LANES) {
        sum += exp(x[i] - largest);
    }
    return SoftmaxRow(largest, row_sum(row.lane, sum));
}

