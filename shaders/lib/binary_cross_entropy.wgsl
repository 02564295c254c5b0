// needs: tags
// What the loss of a logit needs of its target and its class.
@group(0) @binding(3) var<storage, read> weights: array<f32>; // of the positive part of each class

// The target of a place of X, with label smoothing. `partner` is the offset of the next row.
fn target_at(place: u32, partner: u32) -> f32 {
    var target_share = targets[place];
    if MIXED {
        target_share = step.share * target_share + (1.0 - step.share) * targets[place + partner];
    }
    return (1.0 - dims.smoothing) * target_share + 0.5 * dims.smoothing;
}
