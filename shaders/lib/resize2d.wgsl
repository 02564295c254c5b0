// needs: each
// The sizes of a resize of X [planes, height, width] to Y [planes, rows, columns], and the pixels of X that a pixel of Y is
// computed from.
struct Dims {
    count: u32,
    height: u32, // of X
    width: u32,
    rows: u32,   // of Y
    columns: u32,
}

const BILINEAR: bool = false; // the nearest pixel, or four pixels' mean by distance

// Along one axis, for pixel `place` of the result: the source pixel before it, the one after it, and the weight of the
// latter.
struct Sources {
    before: u32,
    after: u32,
    rest: f32,
}

fn sources_of(place: u32, source_length: u32, length: u32) -> Sources {
    if BILINEAR {
        // (place + 1/2) source_length / length - 1/2, at least 0, as a fraction with denominator 2 length.
        let at = max((2u * place + 1u) * source_length, length) - length;
        let before = at / (2u * length);
        return Sources(before, min(before + 1u, source_length - 1u), f32(at % (2u * length)) / f32(2u * length));
    }
    let scale = f32(source_length) / f32(length);
    let nearest = min(u32(floor(f32(place) * scale)), source_length - 1u);
    return Sources(nearest, nearest, 0.0);
}

