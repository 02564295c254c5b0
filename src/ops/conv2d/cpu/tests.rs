//! Convolutions and their gradients against their definition in double precision, with one image and with several in a cell.

use super::*;
use crate::graph::TensorType;
use crate::ops::conv2d::Geometry;
use crate::ops::lanes::lanes;
use crate::ops::product::Scratch;

fn numbers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + salt * 11) % 101) as f32 / 50.0 - 1.0).collect()
}

/// Fills what this thread and those of the pool keep with numbers that would be seen in any result.
fn poison() {
    let fill = || {
        let mut all: Vec<Scratch> = [1 << 10, 1 << 14, 1 << 17].map(Scratch::new).into();
        all.iter_mut().for_each(|scratch| scratch.fill(f32::NAN));
    };
    fill();
    #[cfg(feature = "threads")]
    rayon::broadcast(|_| fill());
}

fn assert_close(found: &[f32], wanted: &[f64], terms: usize, what: &str) {
    for (index, (&found, &wanted)) in found.iter().zip(wanted).enumerate() {
        let allowed = 2e-5 * wanted.abs().max(1.0) + 1e-7 * terms as f64;
        assert!((f64::from(found) - wanted).abs() <= allowed, "{what}: element {index} is {found} instead of {wanted}");
    }
}

/// Checks all three directions.
fn check(x: [usize; 4], outputs: usize, kernel: [usize; 2], geometry: Geometry) {
    let w = [outputs, x[1] / geometry.groups, kernel[0], kernel[1]];
    let sizes = Conv2dShape::forward(&TensorType::f32(x), &TensorType::f32(w), geometry).expect("it fits");
    let what = format!("{x:?} to {outputs} by {kernel:?}, {geometry:?}");
    let count = |dims: [usize; 4]| dims.iter().product::<usize>();
    let lengths = [x, w, sizes.output_dims()].map(count);
    let [x, w, dy] = [0, 1, 2].map(|index| numbers(lengths[index], index + 1));
    let mut wanted = lengths.map(|len| vec![0.0_f64; len]);
    let mut products = 0;
    sizes.each_product(|ix, iw, iy| {
        products += 1;
        let [x, w, dy] = [x[ix], w[iw], dy[iy]].map(f64::from);
        wanted[0][ix] += dy * w;
        wanted[1][iw] += x * dy;
        wanted[2][iy] += x * w;
    });
    for cell in [1, lanes()] {
        poison();
        let mut y = vec![f32::NAN; lengths[2]];
        correlation::run(&Job::forward(&sizes), cell, (&x, &w), &mut y, |_, _| ());
        assert_close(&y, &wanted[2], products / lengths[2], &format!("y of {what}, {cell} images in a cell"));
        poison();
        let mut dx = vec![f32::NAN; lengths[0]];
        correlation::run(&Job::backward_input(&sizes), cell, (&dy, &w), &mut dx, |_, _| ());
        assert_close(&dx, &wanted[0], products / lengths[0], &format!("dx of {what}, {cell} images in a cell"));
    }
    poison();
    let mut dw = vec![f32::NAN; lengths[1]];
    backward_weight(&sizes, &x, &dy, &mut dw);
    assert_close(&dw, &wanted[1], products / lengths[1], &format!("dw of {what}"));
}

#[test]
fn every_geometry_is_that_of_the_definition() {
    let geometries = [
        Geometry::default(),
        Geometry::padded(1),
        Geometry { stride: [2, 2], padding: [1, 1], ..Geometry::default() },
        Geometry { stride: [2, 3], padding: [0, 2], ..Geometry::default() },
        Geometry { stride: [3, 1], dilation: [1, 2], padding: [2, 3], ..Geometry::default() },
        Geometry { dilation: [2, 2], padding: [2, 2], ..Geometry::default() },
        Geometry { stride: [4, 5], padding: [3, 3], ..Geometry::default() },
    ];
    for geometry in geometries {
        for batch in [1, 3, 33, 70] {
            for kernel in [[1, 1], [3, 3], [2, 3]] {
                check([batch, 3, 6, 7], 9, kernel, geometry);
            }
        }
    }
}

#[test]
fn channels_and_groups_of_every_number() {
    let groups = |groups: usize, stride: usize| Geometry { groups, stride: [stride; 2], ..Geometry::padded(1) };
    for batch in [2, 17, 64] {
        check([batch, 1, 5, 5], 1, [3, 3], groups(1, 1));
        check([batch, 17, 4, 4], 70, [3, 3], groups(1, 1));
        check([batch, 6, 5, 8], 6, [3, 3], groups(6, 1));
        check([batch, 6, 5, 8], 12, [3, 3], groups(6, 2));
        check([batch, 8, 5, 6], 18, [3, 3], groups(2, 2));
        check([batch, 6, 5, 8], 12, [1, 1], Geometry { groups: 6, ..Geometry::default() });
    }
}

#[test]
fn large_planes_are_computed_in_blocks_and_few_images_in_pieces_of_channels() {
    check([1, 3, 130, 141], 40, [3, 3], Geometry { stride: [2, 2], ..Geometry::default() });
    check([2, 4, 20, 16], 80, [3, 3], Geometry::padded(1));
    check([1, 10, 90, 100], 20, [3, 3], Geometry { groups: 10, ..Geometry::padded(1) });
    check([5, 2, 40, 33], 70, [1, 1], Geometry::default());
}

#[test]
fn paddings_and_dilations_larger_than_the_image_need_no_memory() {
    check([2, 1, 2, 3], 2, [3, 3], Geometry { dilation: [3000; 2], ..Geometry::padded(3000) });
    check([1, 2, 3, 3], 3, [1, 1], Geometry { stride: [1024; 2], ..Geometry::default() });
    let far = Geometry { stride: [500; 2], padding: [700; 2], ..Geometry::default() };
    check([2, 2, 3, 4], 3, [2, 2], far);
}

/// An image's numbers that are not finite reach only what reads them.
#[test]
fn nothing_leaks_from_one_image_to_another() {
    let x = TensorType::f32([3, 2, 5, 5]);
    let w = TensorType::f32([4, 2, 3, 3]);
    let sizes = Conv2dShape::forward(&x, &w, Geometry::padded(1)).expect("it fits");
    let mut pixels = numbers(150, 1);
    pixels[60] = f32::INFINITY;
    for cell in [1, lanes()] {
        let mut y = vec![0.0; 300];
        correlation::run(&Job::forward(&sizes), cell, (&pixels, &numbers(72, 2)), &mut y, |_, _| ());
        let infinite: Vec<bool> = y.chunks(100).map(|image| image.iter().any(|y| !y.is_finite())).collect();
        assert_eq!(infinite, [false, true, false]);
    }
}

#[cfg(feature = "threads")]
#[test]
fn the_number_of_threads_changes_no_bit() {
    let grouped = Geometry { groups: 20, stride: [2, 2], ..Geometry::padded(1) };
    let cases = [
        ([1, 24, 40, 30], 20, [1, 1], Geometry::default()),
        ([1, 6, 50, 33], 70, [3, 3], Geometry::padded(1)),
        ([20, 20, 20, 17], 24, [3, 3], Geometry::padded(1)),
        ([1, 24, 41, 30], 20, [1, 1], Geometry { stride: [2, 2], ..Geometry::default() }),
        ([2, 20, 31, 40], 40, [3, 3], grouped),
    ];
    for (x, outputs, kernel, geometry) in cases {
        let w = [outputs, x[1] / geometry.groups, kernel[0], kernel[1]];
        let sizes = Conv2dShape::forward(&TensorType::f32(x), &TensorType::f32(w), geometry).expect("it fits");
        let [pixels, weights, dy] = [&x[..], &w, &sizes.output_dims()].map(|dims| numbers(dims.iter().product(), 1));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
            pool.install(|| {
                let (mut y, mut dx) = (vec![f32::NAN; dy.len()], vec![f32::NAN; pixels.len()]);
                // What is finished is a piece of the output, once.
                forward(&sizes, &pixels, &weights, &mut y, |_, piece| piece.iter_mut().for_each(|y| *y += 1.0));
                backward_input(&sizes, &dy, &weights, &mut dx, |_, _| ());
                (y, dx)
            })
        };
        let alone = with(1);
        let mut wanted = (vec![1.0_f64; dy.len()], vec![0.0_f64; pixels.len()]);
        sizes.each_product(|ix, iw, iy| {
            wanted.0[iy] += f64::from(pixels[ix]) * f64::from(weights[iw]);
            wanted.1[ix] += f64::from(dy[iy]) * f64::from(weights[iw]);
        });
        let terms = weights.len() / outputs.min(x[1]);
        assert_close(&alone.0, &wanted.0, terms, &format!("y of {x:?}"));
        assert_close(&alone.1, &wanted.1, terms, &format!("dx of {x:?}"));
        for threads in [2, 3, 16] {
            assert!(alone == with(threads), "{x:?} with {threads} threads");
        }
    }
}
