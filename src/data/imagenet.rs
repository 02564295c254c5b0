//! What networks trained on ImageNet expect of an image and say of it.

/// The list, a class a line, after a comment that says where it comes from.
const CLASSES: &str = include_str!("../../data/imagenet-classes.txt");

/// Channel means of ImageNet's images, as torchvision's networks have them.
pub const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
/// Channel deviations of ImageNet's images.
pub const STD: [f64; 3] = [0.229, 0.224, 0.225];
/// The side of the images that those networks were trained on.
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
