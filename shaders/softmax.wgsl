// needs: each, softmax_row
// Softmax of each row of x [rows, columns], or its logarithm. One invocation for each row: the largest logit is subtracted
// first, so that no exponential overflows.
struct Dims {
    count: u32, // rows
    columns: u32,
}
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const LOG: bool = false;

fn each(row: u32) {
    let first = row * dims.columns;
    let last = first + dims.columns;
    let sums = softmax_row(first, last);
    let log_sum = log(sums.sum);
    let inverse = 1.0 / sums.sum;
    for (var i = first; i < last; i++) {
        if LOG {
            y[i] = (x[i] - sums.largest) - log_sum; // their sum would lose the logarithm's digits
        } else {
            y[i] = exp(x[i] - sums.largest) * inverse;
        }
    }
}
