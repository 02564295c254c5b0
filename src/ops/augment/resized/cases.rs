//! Shapes and settings to test and to time.

use crate::ops::augment::cases::from;
use crate::ops::augment::{Augment, AugmentMode, Augmented, Flip, ResizedCrop};
use crate::ops::case::{Case, Sample};

/// Crops that are reduced, enlarged or keep their size. The cases cover bytes and floats, one and three channels, a
/// partial batch, shards, a ring, and aspect ratios that never fit.
pub fn cases() -> Vec<Case> {
    let crop = |scale, ratio| Some(ResizedCrop { scale, ratio });
    let plain = |to| Augment {
        resized_crop: Some(ResizedCrop::default()),
        crop: Some(to),
        mean: Some(vec![0.4]),
        std: Some(vec![0.3]),
        ..Augment::default()
    };
    let all = |to| Augment {
        flip: Flip::Random,
        brightness: 0.3,
        contrast: 0.4,
        saturation: 0.5,
        mean: Some(vec![0.49, 0.48, 0.45]),
        std: Some(vec![0.25, 0.24, 0.26]),
        ..plain(to)
    };
    let of =
        |augment: &Augment| Augmented { batch: 9, augment: augment.clone(), mode: AugmentMode::Random, ring: false };
    let bytes = || vec![Sample::bytes(&[6, 3, 12, 13])];
    let floats = || vec![Sample::between(&[5, 1, 23, 17], 0.0, 1.0)];
    let whole = Augment { resized_crop: crop([1.0, 1.0], [3.0, 4.0]), ..plain([8, 8]) };
    let turns = Augment { flip: Flip::Alternate, vertical_flip: true, ..all([9, 10]) };
    let timed = Augmented { batch: 8, ..of(&all([224, 224])) };
    vec![
        from(floats(), of(&plain([7, 6])), "resized"),
        from(floats(), of(&plain([23, 17])), "enlarged"),
        from(bytes(), of(&all([9, 10])), "resized all"),
        from(bytes(), of(&turns), "resized alternate"),
        from(floats(), of(&whole), "middle"),
        from(vec![Sample::bytes(&[2, 1, 200, 190])], of(&plain([5, 5])), "shrunken"),
        from(vec![Sample::bytes(&[4, 3, 12, 13]), Sample::bytes(&[3, 3, 12, 13])], of(&all([9, 10])), "resized"),
        from([2, 2, 2, 1].map(|rows| Sample::bytes(&[rows, 1, 5, 7])).to_vec(), of(&plain([5, 5])), "resized"),
        from(bytes(), Augmented { ring: true, ..of(&all([12, 13])) }, "resized ring").valid(5),
        from(vec![Sample::bytes(&[16, 3, 256, 256])], timed, "resized all").timed(),
    ]
}
