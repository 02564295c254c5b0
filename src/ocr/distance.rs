//! Distances of pixels from ink or paper.
//!
//! P. F. Felzenszwalb and D. P. Huttenlocher, "Distance Transforms of Sampled Functions", Theory of Computing, 2012: the
//! squared distance in a plane is the distance along the rows, then along the columns. Along a line it is the lower envelope
//! of one parabola for each place.

/// The squared distance of each pixel from the nearest chosen one, in rows of `width`. It is 0 for chosen pixels, and
/// infinite where none is chosen. All finite values are whole numbers.
pub(super) fn squared(pixels: &[u8], width: usize, chosen: impl Fn(u8) -> bool) -> Vec<f64> {
    let start: Vec<f64> = pixels.iter().map(|&value| if chosen(value) { 0.0 } else { f64::INFINITY }).collect();
    let height = pixels.len() / width.max(1);
    along_rows(&along_rows(&start, width), height)
}

/// A parabola of the lower envelope.
struct Parabola {
    /// Where its lowest point is.
    centre: f64,
    /// Its lowest value.
    lowest: f64,
    /// Where it becomes the lowest one. It stays so up to the next parabola.
    from: f64,
}

/// The minimum of `values[place] + (x - place)^2` over all places of a row, for each x of the row. The result is transposed.
fn along_rows(values: &[f64], width: usize) -> Vec<f64> {
    let height = values.len() / width.max(1);
    let mut transposed = vec![f64::INFINITY; values.len()];
    let mut envelope: Vec<Parabola> = Vec::with_capacity(width);
    for (y, row) in values.chunks_exact(width.max(1)).enumerate() {
        envelope.clear();
        for (x, &lowest) in row.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            let centre = x as f64;
            let mut from = f64::NEG_INFINITY;
            while let Some(last) = envelope.last() {
                let rise = (lowest + centre * centre) - (last.lowest + last.centre * last.centre);
                from = rise / (2.0 * (centre - last.centre));
                if from > last.from {
                    break;
                }
                envelope.pop();
            }
            envelope.push(Parabola { centre, lowest, from });
        }
        let mut parabolas = envelope.iter().peekable();
        let Some(mut lowest) = parabolas.next() else { continue };
        for x in 0..width {
            while let Some(next) = parabolas.next_if(|next| next.from < x as f64) {
                lowest = next;
            }
            let far = x as f64 - lowest.centre;
            transposed[x * height + y] = far * far + lowest.lowest;
        }
    }
    transposed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_scipys() {
        // scipy 1.17: distance_transform_edt(~mask) ** 2 of the mask of (3 x^2 + 5 y + x y) mod 11 < 2.
        #[rustfmt::skip]
        let wanted = [
            0, 1, 0, 1, 4, 5, 8, 10, 9,
            1, 2, 1, 2, 1, 2, 5, 5, 4,
            4, 2, 1, 1, 0, 1, 4, 2, 1,
            4, 1, 0, 1, 1, 2, 4, 1, 0,
            2, 1, 1, 1, 2, 5, 5, 2, 1,
            1, 0, 1, 0, 1, 4, 8, 5, 4,
            2, 1, 2, 1, 2, 5, 10, 10, 9,
        ];
        let value = |(x, y): (u32, u32)| ((3 * x * x + 5 * y + x * y) % 11) as u8;
        let pixels: Vec<u8> = (0..63).map(|at| (at % 9, at / 9)).map(value).collect();
        assert_eq!(squared(&pixels, 9, |value| value < 2), wanted.map(f64::from));
    }

    #[test]
    fn nothing_is_near_when_nothing_is_chosen() {
        assert_eq!(squared(&[7; 6], 3, |_| false), [f64::INFINITY; 6]);
        assert_eq!(squared(&[7; 6], 3, |_| true), [0.0; 6]);
        assert!(squared(&[], 0, |_| true).is_empty());
        assert_eq!(squared(&[0, 0, 0, 1], 1, |value| value > 0), [9.0, 4.0, 1.0, 0.0]);
    }
}
