//! Shapes and settings to test and to time.

use super::{Augment, AugmentMode, Augmented, CutoutFill, Flip, Padding, View};
use crate::graph::{Graph, NodeId};
use crate::ops::case::{Case, Sample};

/// A case with images in shards and an order of `batch` images.
pub(super) fn from(shards: Vec<Sample>, augmented: Augmented, label: &str) -> Case {
    let rows: usize = shards.iter().map(|shard| shard.ty.dims()[0]).sum();
    let (count, batch) = (shards.len(), augmented.batch);
    let inputs = shards.into_iter().chain([Sample::integers(&[batch], rows as u32)]).collect();
    let build = move |graph: &mut Graph, x: &[NodeId]| graph.gather_augmented(&x[..count], x[count], augmented.clone());
    Case::new(inputs, build).differentiable(&[]).valid(batch as u32).labelled(label)
}

/// Each setting alone and all together. The cases cover bytes and floats, widths that are and are not multiples of
/// four, a partial batch, shards and a ring.
pub fn cases() -> Vec<Case> {
    let none = Augment::default;
    let normal = |channels: usize| Augment {
        mean: Some([0.49, 0.48, 0.45][..channels].to_vec()),
        std: Some([0.25, 0.24, 0.26][..channels].to_vec()),
        ..Augment::default()
    };
    let all = Augment {
        flip: Flip::Random,
        translate: 3,
        padding: Padding::Reflect,
        crop: Some([9, 10]),
        cutout: 4,
        cutout_fill: CutoutFill::Mean,
        rotate: 30.0,
        scale: Some([0.7, 1.3]),
        shear: 15.0,
        brightness: 0.3,
        contrast: 0.4,
        ..normal(3)
    };
    let of = |mode, augment: &Augment| Augmented { batch: 9, augment: augment.clone(), mode, ring: false };
    let still = |mirrored, shift, augment: &Augment| of(AugmentMode::Still(View { mirrored, shift }), augment);
    let random = |augment: &Augment| of(AugmentMode::Random, augment);
    let bytes = || vec![Sample::bytes(&[6, 3, 12, 13])];
    let floats = || vec![Sample::between(&[5, 1, 8, 8], 0.0, 1.0)];
    let timed = Augment { flip: Flip::Alternate, translate: 2, padding: Padding::Reflect, cutout: 8, ..normal(3) };
    let turned = Augment { rotate: 10.0, scale: Some([0.9, 1.1]), shear: 5.0, translate: 2, ..none() };
    let batch = 128;
    vec![
        from(bytes(), random(&none()), "nothing"),
        from(floats(), random(&Augment { flip: Flip::Random, ..none() }), "flip"),
        from(bytes(), random(&Augment { flip: Flip::Alternate, ..none() }), "alternate"),
        from(bytes(), random(&Augment { translate: 3, ..none() }), "translate"),
        from(floats(), random(&Augment { translate: 7, padding: Padding::Reflect, ..none() }), "translate reflect"),
        from(bytes(), random(&Augment { crop: Some([7, 5]), ..none() }), "crop"),
        from(floats(), random(&Augment { cutout: 3, ..none() }), "cutout"),
        from(bytes(), random(&Augment { brightness: 0.4, ..none() }), "brightness"),
        from(floats(), random(&Augment { contrast: 0.5, ..normal(1) }), "contrast"),
        from(floats(), random(&Augment { rotate: 180.0, ..none() }), "rotate"),
        from(
            bytes(),
            random(&Augment { scale: Some([0.5, 2.0]), padding: Padding::Reflect, ..none() }),
            "scale reflect",
        ),
        from(floats(), random(&Augment { shear: 40.0, ..none() }), "shear"),
        from(bytes(), random(&Augment { rotate: 90.0, affine_chance: Some(0.5), ..none() }), "rotate some"),
        from(floats(), random(&Augment { vertical_flip: true, ..none() }), "vertical flip"),
        from(bytes(), random(&Augment { perspective: 0.5, ..none() }), "perspective"),
        from(
            bytes(),
            random(&Augment { perspective: 0.3, affine_chance: Some(0.5), vertical_flip: true, ..all.clone() }),
            "all warped",
        ),
        from(bytes(), random(&all), "all"),
        from(vec![Sample::bytes(&[4, 3, 12, 13]), Sample::bytes(&[3, 3, 12, 13])], random(&all), "all"),
        from(bytes(), Augmented { ring: true, ..random(&all) }, "all ring").valid(5),
        from(bytes(), of(AugmentMode::MIDDLE, &all), "middle"),
        from(floats(), still(true, 0, &normal(1)), "mirrored"),
        from(bytes(), still(false, -1, &all), "up and left"),
        from(floats(), still(true, 1, &normal(1)), "mirrored down and right"),
        from([2, 2, 2, 1].map(|rows| Sample::bytes(&[rows, 1, 5, 7])).to_vec(), random(&turned), "turned"),
        from(vec![Sample::bytes(&[500, 3, 32, 32])], Augmented { batch, ..random(&timed) }, "flip move cutout").timed(),
        from(vec![Sample::bytes(&[500, 1, 32, 32])], Augmented { batch, ..random(&turned) }, "turned").timed(),
    ]
}
