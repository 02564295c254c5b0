//! The images that are most similar to one, by the cosine similarity of their features.

use super::normalize;

/// An image that is similar to another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbor {
    /// The number under which it was offered.
    pub number: usize,
    /// The cosine similarity, from -1 to 1.
    pub similarity: f32,
}

/// The most similar of many images, which are offered one after another. Only the best of them are kept.
#[derive(Clone, Debug)]
pub struct Nearest {
    /// Of length 1.
    wanted: Vec<f32>,
    most: usize,
    /// The most similar first.
    found: Vec<Neighbor>,
}

impl Nearest {
    /// Searches for the `most` images that are most similar to the one with these features, as an [`Embedder`](super::Embedder) gives them.
    pub fn new(mut features: Vec<f32>, most: usize) -> Self {
        normalize(&mut features);
        Self { wanted: features, most, found: Vec::new() }
    }

    /// Offers an image: its number and its features, normalized by [`normalize`]. Of equally similar images the first ones are kept.
    pub fn offer(&mut self, number: usize, normalized: &[f32]) {
        let products = self.wanted.iter().zip(normalized).map(|(&a, &b)| f64::from(a) * f64::from(b));
        let similarity = (products.sum::<f64>() as f32).clamp(-1.0, 1.0);
        let place = self.found.partition_point(|other| other.similarity >= similarity);
        if place < self.most {
            self.found.insert(place, Neighbor { number, similarity });
            self.found.truncate(self.most);
        }
    }

    /// The images found, the most similar first.
    pub fn found(&self) -> &[Neighbor] {
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_are_kept_in_their_order() {
        let mut nearest = Nearest::new(vec![2.0, 0.0], 3);
        let offered = [[0.0, 1.0], [3.0, 4.0], [-1.0, 0.0], [9.0, 0.0], [0.6, 0.8], [0.5, 0.0]];
        for (number, mut features) in offered.into_iter().enumerate() {
            normalize(&mut features);
            nearest.offer(number, &features);
        }
        let found: Vec<_> = nearest.found().iter().map(|found| (found.number, found.similarity)).collect();
        assert_eq!(found, [(3, 1.0), (5, 1.0), (1, 0.6)]);
    }

    #[test]
    fn features_of_zeros_are_like_nothing() {
        let mut nearest = Nearest::new(vec![0.0, 0.0], 2);
        nearest.offer(7, &[1.0, 0.0]);
        assert_eq!(nearest.found(), [Neighbor { number: 7, similarity: 0.0 }]);
        assert!(Nearest::new(vec![1.0], 0).found().is_empty());
    }
}
