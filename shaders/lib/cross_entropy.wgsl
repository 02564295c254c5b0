// needs: step, softmax_row
// The sizes and the labels of softmax with cross-entropy, over logits X [rows, columns].
struct Dims {
    count: u32, // rows
    columns: u32,
    smoothing: f32,
}
@group(0) @binding(2) var<storage, read> labels: array<u32>;

const LOG_PROBABILITIES: bool = false; // whether X is a log-softmax already

