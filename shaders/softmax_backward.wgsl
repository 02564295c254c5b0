// needs: row_by_lane
// The gradient by the logits of softmax or its logarithm, from the result y and the incoming gradient d_y, row by row:
// y (d_y - sum(y d_y)), or d_y - e^y sum(d_y). One lane for each row, or a workgroup: lib/row.wgsl.
struct Dims {
    count: u32, // rows
    columns: u32,
}
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

const LOG: bool = false;

fn each_row(row: Row) {
    var sum = 0.0;
    for (var i = row.first + row.lane; i < row.last; i += LANES) {
        if LOG {
            sum += d_y[i];
        } else {
            sum += y[i] * d_y[i];
        }
    }
    sum = row_sum(row.lane, sum);
    for (var i = row.first + row.lane; i < row.last; i += LANES) {
        if LOG {
            d_x[i] = d_y[i] - exp(y[i]) * sum;
        } else {
            d_x[i] = y[i] * (d_y[i] - sum);
        }
    }
}
