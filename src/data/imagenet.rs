//! The normalisation, the image size and the class names of networks that were trained on ImageNet.

/// The class names, one per line, after a comment with their source.
const CLASSES: &str = include_str!("../../data/imagenet-classes.txt");

/// The mean of each channel, as in torchvision's networks.
pub const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
/// The standard deviation of each channel, as in torchvision's networks.
pub const STD: [f64; 3] = [0.229, 0.224, 0.225];
/// The side of the training images in pixels.
pub const SIDE: usize = 224;

/// The names of the 1,000 classes, in the order of a network's outputs.
pub fn classes() -> Vec<String> {
    CLASSES.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_are_a_thousand_classes_of_different_names() {
        let mut classes = super::classes();
        assert_eq!((classes.len(), classes[0].as_str(), classes[999].as_str()), (1000, "tench", "toilet tissue"));
        classes.sort();
        classes.dedup();
        assert_eq!(classes.len(), 1000);
    }
}
