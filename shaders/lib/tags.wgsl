// needs: step, row_by_lane
// Logits and targets [rows, columns] of several labels a row: each target is the share of a label, 0 or 1 where images are not mixed.
struct Dims {
    count: u32, // rows
    columns: u32,
    smoothing: f32,
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;

const MIXED: bool = false; // whether a row is mixed with the next one

// How far the next row's target for the same class is.
fn partner_offset(row: Row) -> u32 {
    return ((row.number + 1u) % max(step.valid, 1u)) * dims.columns - row.first;
}
