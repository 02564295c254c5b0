//! Convolutions with packed operands. The operands are copied so that no edge cuts a vector, in slices of the batch,
//! which limits the memory. Kernels with large register tiles multiply them.

mod folded;
mod weight;

use crate::graph::kernel::{Constant, Dispatch, Kernel, Lowering, Slot, signed_word, word};
use crate::ops::Lower;
use crate::ops::conv2d::Conv2dShape;
use crate::ops::conv2d::variants::Direction;
use crate::ops::elementwise::{Program, epilogue};
use crate::ops::software::SUBGROUP;

/// The maximum number of floats of a packed slice of the batch. It is small enough for a cache.
const SLICE: usize = 1 << 20;

/// The dispatches of one convolution with its epilogue.
pub(crate) fn lower(
    direction: Direction,
    at: &Lower,
    sizes: Conv2dShape,
    program: &Program,
    subgroup: bool,
) -> Lowering {
    match direction {
        Direction::Forward => {
            PackedConvolution::forward(&sizes).flattened().lower(at, sizes.flops(), program, subgroup)
        }
        Direction::BackwardInput if sizes.geometry.stride == [1, 1] => {
            PackedConvolution::flipped(&sizes).flattened().lower(at, sizes.flops(), program, subgroup)
        }
        Direction::BackwardInput => folded::lower(at, &sizes, program, subgroup),
        Direction::BackwardWeight => weight::lower(at, &sizes, subgroup),
    }
}

/// The packing of images `[batch, channels, height, width]`. The layout is described in
/// `shaders/software/conv2d_pack_image.wgsl`.
#[derive(Clone, Copy, Debug)]
struct ImagePacking {
    channels: usize,
    image: [usize; 2],
    kernel_width: usize,
    rows: usize,
    columns: usize,
    stride_x: usize,
    dilation_x: usize,
    /// Negative for the gradient of an image with more padding than the kernel's size.
    padding: [isize; 2],
}

impl ImagePacking {
    fn vectors(&self) -> usize {
        self.columns.div_ceil(4)
    }
    /// Floats per packed image.
    fn floats(&self) -> usize {
        self.channels * self.kernel_width * self.rows * 4 * self.vectors()
    }
    /// Whether the images already have the packed layout.
    fn is_there(&self) -> bool {
        let [height, width] = self.image;
        self.kernel_width == 1
            && self.stride_x == 1
            && self.padding == [0, 0]
            && [self.rows, self.columns] == [height, width]
            && width.is_multiple_of(4)
    }
    fn dispatch(&self, at: &Lower, slice: BatchSlice, from: Slot, to: Slot) -> Dispatch {
        let rows = slice.images * self.channels * self.rows;
        let counts = [rows, slice.first, self.channels, self.image[0], self.image[1], self.kernel_width];
        let steps = [self.rows, self.vectors(), self.columns, self.stride_x, self.dilation_x];
        let padding = self.padding.map(signed_word);
        Dispatch {
            kernel: Kernel::built_in(
                "conv2d_pack_image",
                include_str!("../../../../shaders/software/conv2d_pack_image.wgsl"),
                &[],
            ),
            slots: vec![from, to],
            dims: counts.into_iter().chain(steps).map(word).chain(padding).collect(),
            groups: at.device.fold(rows.div_ceil(64)),
            flops: 0,
            bytes: 4 * (slice.images * (self.channels * self.image[0] * self.image[1] + self.floats())) as u64,
        }
    }
}

/// Images that are computed at once.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BatchSlice {
    first: usize,
    images: usize,
}

/// Splits the batch into slices of nearly equal size, limited by the number of floats of each image.
fn slices(batch: usize, floats: usize, most: usize) -> Vec<BatchSlice> {
    let most = (SLICE / floats.max(1)).min(most).clamp(1, batch.max(1));
    let images = batch.div_ceil(batch.div_ceil(most).max(1)).max(1);
    (0..batch).step_by(images).map(|first| BatchSlice { first, images: images.min(batch - first) }).collect()
}

/// The strides, in floats, of an element of a weight. They are negative if the kernel is flipped.
#[derive(Clone, Copy, Debug)]
struct WeightLayout {
    offset: usize,
    group: usize,
    output: usize,
    channel: usize,
    ky: isize,
    kx: isize,
}

/// A convolution as the packed kernels compute it. Numbers of channels are per group.
#[derive(Clone, Copy, Debug)]
struct PackedConvolution {
    batch: usize,
    groups: usize,
    outputs: usize,
    channels: usize,
    kernel: [usize; 2],
    map: [usize; 2],
    stride_y: usize,
    dilation_y: usize,
    packing: ImagePacking,
    layout: WeightLayout,
}

impl PackedConvolution {
    fn forward(sizes: &Conv2dShape) -> Self {
        let geometry = sizes.geometry;
        let [kh, kw] = sizes.kernel;
        let taps = sizes.group_inputs() * kh * kw;
        let layout = WeightLayout {
            offset: 0,
            group: sizes.group_outputs() * taps,
            output: taps,
            channel: kh * kw,
            ky: kw as isize,
            kx: 1,
        };
        let padding = geometry.padding.map(|n| n as isize);
        let channels = [sizes.group_inputs(), sizes.group_outputs()];
        Self::new(sizes, channels, [sizes.image, sizes.outputs], padding, layout)
    }

    /// The gradient with respect to the image at stride 1: the convolution of dy with the flipped kernel. Input and
    /// output channels are exchanged.
    fn flipped(sizes: &Conv2dShape) -> Self {
        let geometry = sizes.geometry;
        let [kh, kw] = sizes.kernel;
        let taps = sizes.group_inputs() * kh * kw;
        let layout = WeightLayout {
            offset: kh * kw - 1,
            group: sizes.group_outputs() * taps,
            output: kh * kw,
            channel: taps,
            ky: -(kw as isize),
            kx: -1,
        };
        let reach = |axis: usize| (geometry.dilation[axis] * (sizes.kernel[axis] - 1)) as isize;
        let padding = [0, 1].map(|axis| reach(axis) - geometry.padding[axis] as isize);
        let channels = [sizes.group_outputs(), sizes.group_inputs()];
        Self::new(sizes, channels, [sizes.outputs, sizes.image], padding, layout)
    }

    fn new(
        sizes: &Conv2dShape,
        [channels, outputs]: [usize; 2],
        [image, map]: [[usize; 2]; 2],
        padding: [isize; 2],
        layout: WeightLayout,
    ) -> Self {
        let [stride, dilation] = [sizes.geometry.stride, sizes.geometry.dilation];
        let packing = ImagePacking {
            channels: channels * sizes.geometry.groups,
            image,
            kernel_width: sizes.kernel[1],
            rows: (map[0] - 1) * stride[0] + (sizes.kernel[0] - 1) * dilation[0] + 1,
            columns: map[1],
            stride_x: stride[1],
            dilation_x: dilation[1],
            padding,
        };
        Self {
            batch: sizes.batch,
            groups: sizes.geometry.groups,
            outputs,
            channels,
            kernel: sizes.kernel,
            map,
            stride_y: stride[0],
            dilation_y: dilation[0],
            packing,
            layout,
        }
    }

    /// The matrix product before the taps are added to the image: a convolution of dy with a 1x1 kernel, with one
    /// output for each input channel and tap.
    fn taps(sizes: &Conv2dShape) -> Self {
        let [kh, kw] = sizes.kernel;
        let taps = sizes.group_inputs() * kh * kw;
        let layout =
            WeightLayout { offset: 0, group: sizes.group_outputs() * taps, output: 1, channel: taps, ky: 0, kx: 0 };
        let map = sizes.outputs;
        let packing = ImagePacking {
            channels: sizes.out_channels,
            image: map,
            kernel_width: 1,
            rows: map[0],
            columns: map[1],
            stride_x: 1,
            dilation_x: 1,
            padding: [0, 0],
        };
        let groups = sizes.geometry.groups;
        let product = Self {
            batch: sizes.batch,
            groups,
            outputs: taps,
            channels: sizes.group_outputs(),
            kernel: [1, 1],
            map,
            stride_y: 1,
            dilation_y: 1,
            packing,
            layout,
        };
        product.flattened()
    }

    /// A 1x1 convolution does not depend on rows. The map is treated as one row, which wastes least.
    fn flattened(self) -> Self {
        let same = self.packing.image == self.map && self.packing.padding == [0, 0];
        if self.kernel != [1, 1] || [self.stride_y, self.packing.stride_x] != [1, 1] || !same {
            return self;
        }
        let line = [1, self.map[0] * self.map[1]];
        Self {
            map: line,
            packing: ImagePacking { image: line, rows: line[0], columns: line[1], ..self.packing },
            ..self
        }
    }

    fn lower(&self, at: &Lower, flops: u64, program: &Program, subgroup: bool) -> Lowering {
        let tile = OutputTile::of(self.outputs, subgroup);
        let (weight, weight_floats) = self.pack_weight(at, &tile, Slot::Scratch(0));
        let mut lowering = Lowering { dispatches: vec![weight], scratch: vec![weight_floats] };
        if self.packing.is_there() {
            let whole = PackedImages { first_x: 0, first_y: 0, images: self.batch };
            let operands = [Slot::Input(0), Slot::Scratch(0)];
            lowering.dispatches.push(self.multiply(at, &tile, whole, operands, program, flops));
            return lowering;
        }
        for slice in slices(self.batch, self.packing.floats(), self.batch) {
            let from_scratch = PackedImages { first_x: 0, first_y: slice.first, images: slice.images };
            let floats = slice.images * self.packing.floats();
            if lowering.scratch.len() == 1 {
                lowering.scratch.push(floats); // the first slice is the largest
            }
            let part = flops * slice.images as u64 / self.batch as u64;
            lowering.dispatches.extend([
                self.packing.dispatch(at, slice, Slot::Input(0), Slot::Scratch(1)),
                self.multiply(at, &tile, from_scratch, [Slot::Scratch(1), Slot::Scratch(0)], program, part),
            ]);
        }
        lowering
    }

    /// Vectors of four terms of a sum, horizontally.
    fn quads(&self) -> usize {
        (self.channels * self.kernel[1]).div_ceil(4)
    }

    fn pack_weight(&self, at: &Lower, tile: &OutputTile, to: Slot) -> (Dispatch, usize) {
        let blocks = self.outputs.div_ceil(tile.outputs) * tile.outputs / 8;
        let vectors = self.groups * blocks * self.kernel[0] * self.quads() * 8;
        let WeightLayout { offset, group, output, channel, ky, kx } = self.layout;
        let counts = [vectors, blocks, self.kernel[0], self.quads(), self.outputs, self.channels, self.kernel[1]];
        let factors = [offset, group, output, channel];
        let dispatch = Dispatch {
            kernel: Kernel::built_in(
                "conv2d_pack_weight",
                include_str!("../../../../shaders/software/conv2d_pack_weight.wgsl"),
                &[],
            ),
            slots: vec![Slot::Input(1), to],
            dims: counts.into_iter().chain(factors).map(word).chain([ky, kx].map(signed_word)).collect(),
            groups: at.device.fold(vectors.div_ceil(64)),
            flops: 0,
            bytes: 4 * (4 * vectors + at.types.inputs[1].elements()) as u64,
        };
        (dispatch, 4 * vectors)
    }

    /// Computes the product of a slice into the node's output, with its epilogue.
    fn multiply(
        &self,
        at: &Lower,
        tile: &OutputTile,
        part: PackedImages,
        operands: [Slot; 2],
        program: &Program,
        flops: u64,
    ) -> Dispatch {
        let (kernel, words) = epilogue::splice(program, self.kernel(tile, !program.calls.is_empty()), at.types, 2);
        let mut dispatch = self.dispatch(at, tile, part, kernel, flops);
        let extras = 2..at.types.inputs.len();
        dispatch.bytes += extras.clone().map(|i| at.types.inputs[i].bytes() as u64).sum::<u64>();
        dispatch.slots = operands.into_iter().chain(extras.map(Slot::Input)).chain([Slot::Output]).collect();
        dispatch.dims.extend(words);
        dispatch.flops += (part.images * self.floats()) as u64 * program.flops();
        dispatch
    }

    /// Floats per image of the output.
    fn floats(&self) -> usize {
        self.groups * self.outputs * self.map[0] * self.map[1]
    }

    fn kernel(&self, tile: &OutputTile, epilogue: bool) -> Kernel {
        in_vectors(tile.kernel("conv2d_packed", &[("EPILOGUE", epilogue.into())]), self.map[1])
    }

    /// The dispatch without its bindings.
    fn dispatch(&self, at: &Lower, tile: &OutputTile, part: PackedImages, kernel: Kernel, flops: u64) -> Dispatch {
        let [rows, columns] = self.map;
        let vectors = self.packing.vectors();
        let [tiles, steps] = [self.outputs.div_ceil(tile.outputs), self.channels * self.kernel[1]];
        let pixels = part.images * rows * vectors;
        let counts = [part.first_x, part.first_y, pixels, self.groups, self.outputs, tiles, steps, self.quads()];
        let places = [self.kernel[0], rows, columns, vectors, self.packing.rows, self.stride_y, self.dilation_y];
        Dispatch {
            kernel,
            slots: Vec::new(),
            dims: counts.into_iter().chain(places).map(word).collect(),
            groups: at.device.fold(pixels.div_ceil(tile.vectors) * tiles * self.groups),
            flops,
            bytes: 4 * (part.images * (self.packing.floats() + self.floats())) as u64,
        }
    }
}

/// The images of a packed product: the first image in the input and in the output.
#[derive(Clone, Copy, Debug)]
struct PackedImages {
    first_x: usize,
    first_y: usize,
    images: usize,
}

/// The kernel with its output bound as vectors, if rows of this many columns are whole vectors.
fn in_vectors(kernel: Kernel, columns: usize) -> Kernel {
    if !columns.is_multiple_of(4) {
        return kernel;
    }
    let begin = kernel.wgsl.find("fn load_y").expect("the kernel reads back what it stores");
    let end = kernel.wgsl.find("// end of what is spliced").expect("the kernel says where that ends");
    let scalar = kernel.wgsl[begin..end].to_owned();
    let vector = "fn load_y(index: u32, count: u32) -> vec4f { return y[index >> 2u]; }
fn store_y(index: u32, count: u32, value: vec4f) { y[index >> 2u] = value; }
";
    let kernel = kernel.splice(&scalar, vector).splice("y: array<f32>; // spliced", "y: array<vec4f>;");
    Kernel { label: format!("{} x4", kernel.label), ..kernel }
}

/// The tile of a workgroup.
#[derive(Clone, Copy, Debug)]
struct OutputTile {
    subgroup: bool,
    /// Output channels.
    outputs: usize,
    /// Vectors of pixels, or of taps.
    vectors: usize,
}

impl OutputTile {
    /// The tile for a group with this number of outputs.
    fn of(outputs: usize, subgroup: bool) -> Self {
        // Smaller tiles load more per result. Larger tiles compute more results that are discarded.
        let cost = |tile: usize, each: usize| outputs.div_ceil(tile) * tile * each;
        let tile = [(32, 20), (16, 24), (8, 30)].into_iter().min_by_key(|&(tile, each)| cost(tile, each));
        Self { subgroup, outputs: tile.expect("three").0, vectors: 16 }
    }

    fn kernel(&self, name: &str, constants: &[(&str, Constant)]) -> Kernel {
        let (subgroup, strip) = match name {
            "conv2d_packed" => (
                include_str!("../../../../shaders/software/conv2d_packed_subgroup.wgsl"),
                include_str!("../../../../shaders/software/conv2d_packed_strip.wgsl"),
            ),
            _ => (
                include_str!("../../../../shaders/software/conv2d_weight_subgroup.wgsl"),
                include_str!("../../../../shaders/software/conv2d_weight_strip.wgsl"),
            ),
        };
        let outputs = word(self.outputs);
        if self.subgroup {
            let shape = [("ROW_BLOCKS", (outputs / 8).into()), ("COLUMN_VECTORS", (word(self.vectors) / 8).into())];
            return Kernel::built_in(&format!("{name}_subgroup"), subgroup, &[constants, &shape].concat())
                .for_subgroup(SUBGROUP);
        }
        // Each lane has four by four vectors. As many lanes cover the outputs as the tile has room for.
        let [rows, down] = [(outputs / 4).min(4), outputs.div_ceil(16)];
        let across = 8 / down;
        let shape = [
            ("ROW_VECTORS", rows.into()),
            ("COLUMN_VECTORS", (word(self.vectors) / across).into()),
            ("LANES_DOWN", down.into()),
            ("LANES_ACROSS", across.into()),
        ];
        Kernel::built_in(&format!("{name}_strip"), strip, &[constants, &shape].concat())
    }
}
