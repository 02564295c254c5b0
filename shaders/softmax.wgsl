// needs: softmax_row
// Softmax of each row of x [rows, columns], or its logarithm. The largest logit is subtracted first, so that no exponential
// overflows. One lane for each row, or a workgroup: lib/row.wgsl.
struct Dims {
    count: u32, // rows
    columns: u32,
}
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const LOG: bool = false;

fn each_row(row: Row) {
    let sums = softmax_row(row);
    let log_sum = log(sums.sum);
    let inverse = 1.0 / sums.sum;
    for (var i = row.first + row.lane; i < row.last; i += LANES) {
        if LOG {
            y[i] = (x[i] - sums.largest) - log_sum; // their sum would lose the logarithm's digits
        } else {
            y[i] = exp(x[i] - sums.largest) * inverse;
        }
    }
}
