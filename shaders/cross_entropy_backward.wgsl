// needs: cross_entropy
// The gradient of softmax with cross-entropy by the logits: (softmax(x) - target) dloss, where the target is
// 1 - smoothing at the label plus smoothing / columns everywhere, times the weight of the label's class. Masked rows get 0. With
// LOG_PROBABILITIES the input is a log-softmax already, and the gradient by it has no softmax term. MIXED and FOCUSED are those of
// the loss. One lane for each row, or a workgroup: lib/row.wgsl.
@group(0) @binding(4) var<storage, read> dloss: array<f32>;
@group(0) @binding(5) var<storage, read_write> d_x: array<f32>;

fn each_row(row: Row) {
    var own = own_part(row);
    let sums = sums_of(row, own.place);
    own.factor *= focused((x[own.place] - sums.shift) - sums.log_sum, sums.rest).y;
    let incoming = dloss[row.number];
    for (var i = row.first + row.lane; i < row.last; i += LANES) {
        let probability = exp(x[i] - sums.shift) * sums.inverse; // 0 for LOG_PROBABILITIES
        var slope = own.factor * less_target(probability, i == own.place);
        if MIXED {
            let other = other_part(row);
            slope += other.factor * less_target(probability, i == other.place);
        }
        d_x[i] = select(0.0, slope * incoming, row.number < step.valid);
    }
}

fn less_target(probability: f32, is_label: bool) -> f32 {
    let everywhere = dims.smoothing / f32(dims.columns);
    return probability - (everywhere + select(0.0, 1.0 - dims.smoothing, is_label));
}
