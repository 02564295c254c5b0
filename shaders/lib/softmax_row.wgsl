// The sums of each row for softmax and cross-entropy, over logits X [rows, columns]. One invocation for each row.
@group(0) @binding(1) var<storage, read> x: array<f32>;

struct SoftmaxRow {
    largest: f32, // logit; subtracted first, so that no exponential overflows
    sum: f32,     // of the exponentials of all logits less the largest
}

// The sums of the row with the elements `first..last`.
fn softmax_row(first: u32, last: u32) -> SoftmaxRow {
    var largest = x[first];
    for (var i = first + 1u; i < last; i++) {
        largest = max(largest, x[i]);
    }
    var sum = 0.0;
    for (var i = first; i < last; i++) {
        sum += exp(x[i] - largest);
    }
    return SoftmaxRow(largest, sum);
}

