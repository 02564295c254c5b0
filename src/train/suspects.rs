//! Labels that are probably wrong, found from cross-validated class probabilities.

use super::evaluation::largest;

/// An image whose label is probably wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suspect {
    /// The number of the image.
    pub number: usize,
    /// Its label.
    pub label: usize,
    /// The class that it probably has.
    pub class: usize,
    /// The loss: minus the logarithm of the probability of the label.
    pub loss: f64,
    /// The probability of `class`.
    pub confidence: f64,
}

/// The images whose labels are probably wrong, those with the largest loss first.
///
/// `probabilities` are the class probabilities of each image from a network that was not trained on it. A label is suspected if
/// another class is as probable for the image as this class is, on average, for the images that have it as their label, and no
/// class for which this holds is more probable ("confident learning": C. Northcutt, L. Jiang, I. Chuang, "Confident Learning:
/// Estimating Uncertainty in Dataset Labels", 2021).
pub fn suspects(labels: &[u32], probabilities: &[Vec<f64>]) -> Vec<Suspect> {
    let classes = probabilities.first().map_or(0, Vec::len);
    let usual: Vec<f64> = (0..classes).map(|class| mean_confidence(class, labels, probabilities)).collect();
    let suspect = |(number, (&label, of_image)): (usize, (&u32, &Vec<f64>))| {
        let confident =
            |(class, &probability): (usize, &f64)| if probability >= usual[class] { probability } else { 0.0 };
        let scores: Vec<f64> = of_image.iter().enumerate().map(confident).collect();
        let (label, class) = (label as usize, largest(&scores));
        let loss = -of_image[label].max(f64::MIN_POSITIVE).ln();
        let is_other = class != label && scores[class] > 0.0;
        is_other.then_some(Suspect { number, label, class, loss, confidence: of_image[class] })
    };
    let mut found: Vec<Suspect> = labels.iter().zip(probabilities).enumerate().filter_map(suspect).collect();
    found.sort_by(|a, b| b.loss.total_cmp(&a.loss));
    found
}

/// The mean probability of a class for the images that have it as their label. More than 1 for a class without images.
fn mean_confidence(class: usize, labels: &[u32], probabilities: &[Vec<f64>]) -> f64 {
    let of = labels.iter().zip(probabilities).filter(|&(&label, _)| label as usize == class);
    let (sum, count) = of.fold((0.0, 0_u32), |(sum, count), (_, of_image)| (sum + of_image[class], count + 1));
    if count == 0 { 2.0 } else { sum / f64::from(count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities of three classes in per cent.
    const PROBABILITIES: [[u32; 3]; 24] = [
        [76, 6, 18],
        [6, 90, 4],
        [3, 3, 94],
        [96, 3, 1],
        [1, 96, 3],
        [5, 27, 68],
        [78, 12, 10],
        [19, 75, 6],
        [29, 44, 27],
        [82, 5, 13],
        [3, 86, 11],
        [12, 6, 82],
        [62, 6, 32],
        [1, 91, 8],
        [3, 34, 63],
        [87, 12, 1],
        [9, 63, 28],
        [6, 43, 51],
        [53, 4, 43],
        [2, 96, 2],
        [27, 27, 46],
        [60, 34, 6],
        [12, 70, 18],
        [6, 8, 86],
    ];
    const LABELS: [u32; 24] = [0, 1, 2, 1, 1, 2, 0, 1, 2, 0, 2, 2, 0, 1, 2, 0, 1, 0, 0, 1, 2, 0, 1, 2];

    /// The expected numbers are those of cleanlab 2.9.0: `find_label_issues` with `filter_by="confident_learning"`, ranked by
    /// `self_confidence`.
    #[test]
    fn suspected_labels_are_those_that_cleanlab_finds() {
        let probabilities: Vec<Vec<f64>> =
            PROBABILITIES.iter().map(|row| row.iter().map(|&per_cent| f64::from(per_cent) / 100.0).collect()).collect();
        let found = suspects(&LABELS, &probabilities);
        assert_eq!(found.iter().map(|suspect| suspect.number).collect::<Vec<_>>(), [3, 10]);
        assert_eq!((found[0].label, found[0].class, found[0].confidence), (1, 0, 0.96));
        assert!((found[0].loss - 3.506_557_897).abs() < 1e-6, "-ln 0.03");
        assert!(suspects(&[], &[]).is_empty());
    }
}
