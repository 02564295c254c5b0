//! Convolution and its gradients by matrix units.
//!
//! The images are packed with their channels as the last axis, and with the padding as zeros after each row and each image. The
//! zeros after a row are also those before the next one. Then the pixels that a tap of the kernel meets are the same pixels, some
//! places further: a convolution is a sum of matrix products, one for each tap, with A as the images from that place on. It
//! computes sums for the zeros, too, which are left out.

use super::{BLOCK, Packed, Packing, Product, Units, is_worth_packing};
use crate::graph::kernel::{Dispatch, Kernel, Lowering, Slot, word};
use crate::ops::Lower;
use crate::ops::conv2d::Conv2dShape;
use crate::ops::conv2d::variants::Direction;
use crate::ops::elementwise::{Program, epilogue};
use crate::ops::splits::WORKGROUPS;

/// The least number of pixels that a split of the gradient of a weight adds.
const LEAST_SHARE: usize = 1024;

/// Images, and the grid of pixels in which they are packed.
#[derive(Clone, Copy, Debug)]
struct Images {
    batch: usize,
    channels: usize,
    image: [usize; 2],
    /// Height and width with the zeros.
    grid: [usize; 2],
    /// The zeros before the first row and the first column.
    offsets: [usize; 2],
}

impl Images {
    /// The pixels of all images, with the zeros.
    fn pixels(&self) -> usize {
        self.batch * self.grid[0] * self.grid[1]
    }

    /// The images in half precision: at least `pixels` pixels, with `channels` channels.
    fn packing(&self, pixels: usize, channels: usize) -> Packing {
        let ([height, width], [rows, columns]) = (self.image, self.grid);
        let plane = (height * width) as isize;
        Packing {
            sizes: [pixels.div_ceil(rows * columns), rows, columns, channels],
            offsets: self.offsets,
            of: [self.batch, height, width, self.channels],
            first: 0,
            strides: [self.channels as isize * plane, width as isize, 1, plane],
            along_rows: false,
        }
    }
}

/// The padding of the product's images. For the gradient of the image they are the gradients of the outputs.
fn padding(direction: Direction, sizes: &Conv2dShape) -> Option<[usize; 2]> {
    let mut own = sizes.geometry.padding;
    for (axis, padding) in own.iter_mut().enumerate() {
        let reach = sizes.geometry.dilation[axis] * (sizes.kernel[axis] - 1);
        // Zeros between two rows are used for both, so there must not be more of them than the kernel reaches over.
        let other = reach.checked_sub(*padding)?;
        if direction == Direction::BackwardInput {
            *padding = other;
        }
    }
    Some(own)
}

/// The images that are multiplied by the kernel.
fn images(direction: Direction, sizes: &Conv2dShape) -> Option<Images> {
    let padding = padding(direction, sizes)?;
    let (channels, image) = match direction {
        Direction::BackwardInput => (sizes.out_channels, sizes.outputs),
        _ => (sizes.in_channels, sizes.image),
    };
    let grid = [image[0] + padding[0], image[1] + padding[1]];
    Some(Images { batch: sizes.batch, channels, image, grid, offsets: padding })
}

/// The kernel: for each tap a matrix of `rows` channels that are summed over, and `columns` channels of the result.
fn weight(direction: Direction, sizes: &Conv2dShape, [rows, columns]: [usize; 2]) -> Packing {
    let [height, width] = sizes.kernel;
    let taps = (height * width) as isize;
    let (output, input) = (sizes.in_channels as isize * taps, taps);
    let of = [height, width, sizes.in_channels, sizes.out_channels];
    let packing = Packing {
        sizes: [height, width, rows, columns],
        offsets: [0, 0],
        of,
        first: 0,
        strides: [width as isize, 1, input, output],
        along_rows: true,
    };
    match direction {
        // The kernel is turned by half a turn, and its channels change places.
        Direction::BackwardInput => Packing {
            of: [height, width, sizes.out_channels, sizes.in_channels],
            first: height * width - 1,
            strides: [-(width as isize), -1, output, input],
            ..packing
        },
        _ => packing,
    }
}

/// The product of a direction. `None` for shapes that it cannot have.
fn packed(direction: Direction, sizes: &Conv2dShape, units: Units) -> Option<Packed> {
    let geometry = sizes.geometry;
    if geometry.groups != 1 || geometry.stride != [1, 1] || sizes.kernel.contains(&0) {
        return None;
    }
    let images = images(direction, sizes)?;
    let tile = units.tile();
    let columns_of = if direction == Direction::BackwardInput { sizes.in_channels } else { sizes.out_channels };
    let columns = columns_of.next_multiple_of(tile);
    let channels = images.channels.next_multiple_of(if direction == Direction::BackwardWeight { tile } else { BLOCK });
    let [tap_y, tap_x] = [geometry.dilation[0] * images.grid[1], geometry.dilation[1]];
    let furthest = (sizes.kernel[0] - 1) * tap_y + (sizes.kernel[1] - 1) * tap_x;
    let common = Product {
        down: 0,
        across: columns / tile,
        depth: 0,
        share: 0,
        a_stride: channels,
        b_stride: columns,
        taps: sizes.kernel,
        a_taps: [tap_y * channels, tap_x * channels],
        b_tap: 0,
        a_by_columns: false,
        sum_over_taps: true,
    };
    if direction != Direction::BackwardWeight {
        let pixels = images.pixels().next_multiple_of(tile);
        let product =
            Product { down: pixels / tile, depth: channels, share: channels, b_tap: channels * columns, ..common };
        let operands = [images.packing(pixels + furthest, channels), weight(direction, sizes, [channels, columns])];
        return Some(Packed { operands, product });
    }
    let (down, taps) = (channels / tile, sizes.kernel[0] * sizes.kernel[1]);
    let depth = images.pixels().next_multiple_of(BLOCK);
    let wanted = WORKGROUPS.div_ceil((down * common.across * taps).max(1)).min(depth.div_ceil(LEAST_SHARE)).max(1);
    let share = depth.div_ceil(wanted).next_multiple_of(BLOCK).max(BLOCK);
    let product = Product { down, depth, share, a_by_columns: true, sum_over_taps: false, ..common };
    // The outputs lie in the grid of the images, with zeros where there is no output.
    let outputs = Images { channels: sizes.out_channels, image: sizes.outputs, offsets: [0, 0], ..images };
    let operands = [images.packing(depth + furthest, channels), outputs.packing(depth, columns)];
    Some(Packed { operands, product })
}

/// Whether the direction can be computed by matrix units.
pub(crate) fn runs(direction: Direction, sizes: &Conv2dShape, units: Option<Units>) -> bool {
    units.is_some_and(|units| packed(direction, sizes, units).is_some_and(|packed| packed.fits(units)))
}

/// Whether it is faster so.
pub(crate) fn pays(sizes: &Conv2dShape) -> bool {
    let pixels = sizes.batch * sizes.outputs[0] * sizes.outputs[1];
    is_worth_packing(sizes.flops(), [sizes.in_channels, sizes.out_channels, pixels])
}

/// The dispatches: both operands are packed and multiplied, and the sums are copied to where they belong.
pub(crate) fn lower(
    direction: Direction,
    at: &Lower,
    sizes: &Conv2dShape,
    program: &Program,
    units: Units,
) -> Option<Lowering> {
    let packed = packed(direction, sizes, units)?;
    let (mut lowering, sums) = packed.lower(at, units, sizes.flops());
    let unpack = match direction {
        Direction::BackwardWeight => unpack_weight(at, sizes, &packed.product, units, sums),
        _ => unpack_image(at, &images(direction, sizes)?, &packed.product, program, units, sums),
    };
    lowering.dispatches.push(unpack);
    Some(lowering)
}

fn unpack_image(
    at: &Lower,
    images: &Images,
    product: &Product,
    program: &Program,
    units: Units,
    sums: Slot,
) -> Dispatch {
    let [batch, channels, rows, columns] = at.types.output.dims() else { unreachable!("images have four axes") };
    let invocations = batch * channels.div_ceil(8) * rows * columns;
    let source = include_str!("../../../shaders/half/unpack_image.wgsl");
    let kernel = Kernel::built_in("half_unpack_image", source, &[]);
    let (kernel, words) = epilogue::splice(program, kernel, at.types, 2);
    let dims = [invocations, *channels, *rows, *columns, images.grid[0], images.grid[1], product.stride(units.tile())];
    let extras = (2..at.types.inputs.len()).map(Slot::Input);
    Dispatch {
        kernel,
        slots: std::iter::once(sums).chain(extras).chain([Slot::Output]).collect(),
        dims: dims.into_iter().map(word).chain(words).collect(),
        groups: at.device.fold(invocations.div_ceil(64)),
        flops: at.types.output.elements() as u64 * program.flops(),
        bytes: 2 * at.types.output.bytes() as u64,
    }
}

fn unpack_weight(at: &Lower, sizes: &Conv2dShape, product: &Product, units: Units, sums: Slot) -> Dispatch {
    let (elements, splits) = (at.types.output.elements(), product.splits());
    let (plane, stride) = (product.plane(units.tile()), product.stride(units.tile()));
    let source = include_str!("../../../shaders/half/unpack_weight.wgsl");
    let taps = sizes.kernel[0] * sizes.kernel[1];
    Dispatch {
        kernel: Kernel::built_in("half_unpack_weight", source, &[]),
        slots: vec![sums, Slot::Output],
        dims: [elements, sizes.in_channels, taps, splits, plane, stride].map(word).to_vec(),
        groups: at.device.fold(elements.div_ceil(64)),
        flops: (elements * splits) as u64,
        bytes: 4 * (elements * (splits + 1)) as u64,
    }
}
