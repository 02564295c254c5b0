// needs: step, softmax_row
// The sizes, the labels and the weights of classes of softmax with cross-entropy, over logits X [rows, columns].
struct Dims {
    count: u32, // rows
    columns: u32,
    smoothing: f32,
    focus: f32, // exponent of focal loss
}
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>; // of each class

const LOG_PROBABILITIES: bool = false; // whether X is a log-softmax already
const MIXED: bool = false;             // whether a row has a second label, that of the next row
const FOCUSED: bool = false;           // whether the loss is focal

// A label of a row, as its index in X, and the factor of its loss.
struct Part {
    place: u32,
    factor: f32,
}

fn part(row: Row, labelled: u32, share: f32) -> Part {
    let label = min(labels[labelled], dims.columns - 1u);
    return Part(row.first + label, share * weights[label]);
}

fn own_part(row: Row) -> Part {
    return part(row, row.number, select(1.0, step.share, MIXED));
}

fn other_part(row: Row) -> Part {
    return part(row, (row.number + 1u) % max(step.valid, 1u), 1.0 - step.share);
}

// What the loss of a row needs of its numbers.
struct Sums {
    shift: f32,   // the largest logit; subtracted first, so that no exponential overflows
    log_sum: f32, // the logarithm of the sum of the shifted exponentials
    inverse: f32, // 1 / that sum, or 0 for LOG_PROBABILITIES
    rest: f32,    // for FOCUSED: the probability of all classes but the label's
}

fn sums_of(row: Row, place: u32) -> Sums {
    if LOG_PROBABILITIES {
        return Sums(0.0, 0.0, 0.0, select(0.0, max(1.0 - exp(x[place]), 0.0), FOCUSED));
    }
    let sums = softmax_row(row);
    var rest = 0.0;
    if FOCUSED {
        // Without the digits that 1 - p loses where p is near 1.
        for (var i = row.first + row.lane; i < row.last; i += LANES) {
            rest += select(exp(x[i] - sums.largest), 0.0, i == place);
        }
        rest = row_sum(row.lane, rest) / sums.sum;
    }
    return Sums(sums.largest, log(sums.sum), 1.0 / sums.sum, rest);
}

// The factor of focal loss (x) and that of its gradient by the logits (y), for the logarithm of the label's probability.
fn focused(log_probability: f32, rest: f32) -> vec2f {
    if !FOCUSED {
        return vec2f(1.0);
    }
    // pow(0, 0) is undefined.
    let less = select(pow(rest, dims.focus - 1.0), 1.0, dims.focus == 1.0);
    return less * vec2f(rest, rest - dims.focus * exp(log_probability) * log_probability);
}
