// needs: cross_entropy
// The gradient of softmax with cross-entropy by the logits: (softmax(x) - target) dloss, where the target is
// 1 - smoothing at the label plus smoothing / columns everywhere. Masked rows get 0. With LOG_PROBABILITIES the input is
// a log-softmax already, and the gradient by it has no softmax term. One lane for each row, or a workgroup: lib/row.wgsl.
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_x: array<f32>;

fn each_row(row: Row) {
    var largest = 0.0;
    var inverse = 0.0;
    if !LOG_PROBABILITIES {
        let sums = softmax_row(row);
        largest = sums.largest;
        inverse = 1.0 / sums.sum;
    }
    let incoming = dloss[row.number];
    let label = row.first + min(labels[row.number], dims.columns - 1u);
    let everywhere = dims.smoothing / f32(dims.columns);
    for (var i = row.first + row.lane; i < row.last; i += LANES) {
        let probability = exp(x[i] - largest) * inverse; // 0 for LOG_PROBABILITIES
        let target_share = everywhere + select(0.0, 1.0 - dims.smoothing, i == label);
        d_x[i] = select(0.0, (probability - target_share) * incoming, row.number < step.valid);
    }
}
