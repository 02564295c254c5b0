//! Convolution as matrix products on the CPU ("im2col"; K. Chellapilla, S. Puri and P. Simard, "High performance
//! convolutional neural networks for document processing", 2006). It works on one tile of output pixels at a time.
//! The pixels that each kernel tap reads are copied into a matrix `[inputs x kernel, pixels]` that fits the cache. A
//! tap is one weight of the kernel: its row, its column and, in a sum, its input channel.

use std::ops::Range;

use super::{Conv2dShape, Geometry};

/// The number of floats of a patch matrix: half a megabyte, the second-level cache of most CPUs.
const FLOATS: usize = 128 * 1024;
/// The number of pixels of a tile over several images. It is large enough for fast matrix products.
const PIXELS: usize = 512;

/// A tile: neighbouring rows of output pixels for one group of channels. Rows are counted through all images.
#[derive(Clone, Debug)]
pub(super) struct PatchTile {
    /// The rows, as `image * rows + row`.
    pub rows: Range<usize>,
    /// The group of channels.
    pub group: usize,
}

impl Conv2dShape {
    /// The number of rows of the patch matrix: the taps of one output.
    pub(super) fn taps(&self) -> usize {
        self.group_inputs() * self.kernel[0] * self.kernel[1]
    }

    /// The tiles of some images. Each tile is several whole images or part of one.
    pub(super) fn tiles(&self, images: Range<usize>) -> Vec<PatchTile> {
        let ([rows, columns], taps) = (self.outputs, self.taps());
        let fitting = (FLOATS / (taps * columns)).max(1);
        let step = if fitting < rows {
            rows.div_ceil(rows.div_ceil(fitting))
        } else {
            (fitting / rows).min(PIXELS / (rows * columns)).max(1) * rows
        };
        let mut tiles = Vec::new();
        let mut first = images.start * rows;
        while first < images.end * rows {
            // A tile that is part of an image ends at the image's end.
            let end = if step < rows { (first / rows + 1) * rows } else { images.end * rows };
            let last = end.min(first + step);
            tiles.extend((0..self.geometry.groups).map(|group| PatchTile { rows: first..last, group }));
            first = last;
        }
        tiles
    }

    /// Whether x itself is the patch matrix: a kernel of one tap that reads every pixel.
    pub(super) fn is_pointwise(&self) -> bool {
        let Geometry { stride, padding, .. } = self.geometry;
        self.kernel == [1, 1] && stride == [1, 1] && padding == [0, 0]
    }

    /// For tiles inside one image: the offset of the group's first channel plane in a tensor, and the tile's offset
    /// in each plane. The tensor has `channels` channels per group and planes of `plane` pixels.
    pub(super) fn first_plane(&self, tile: &PatchTile, channels: usize, plane: usize) -> usize {
        let image = tile.rows.start / self.outputs[0];
        (image * self.geometry.groups + tile.group) * channels * plane
    }

    /// Whether all pixels of the tile are in one image.
    pub(super) fn is_within_image(&self, tile: &PatchTile) -> bool {
        tile.rows.start / self.outputs[0] == (tile.rows.end - 1) / self.outputs[0]
    }

    /// The images of which this is the first tile.
    pub(super) fn begun_by(&self, tile: &PatchTile) -> Option<Range<usize>> {
        let rows = self.outputs[0];
        (tile.group == 0 && tile.rows.start.is_multiple_of(rows))
            .then(|| tile.rows.start / rows..tile.rows.end.div_ceil(rows))
    }

    /// The images of which this is the last tile.
    pub(super) fn ended_by(&self, tile: &PatchTile) -> Option<Range<usize>> {
        let rows = self.outputs[0];
        (tile.group + 1 == self.geometry.groups && tile.rows.end.is_multiple_of(rows))
            .then(|| tile.rows.start / rows..tile.rows.end / rows)
    }

    /// The number of pixels of the tile.
    pub(super) fn pixels(&self, tile: &PatchTile) -> usize {
        tile.rows.len() * self.outputs[1]
    }

    /// Copies the pixels of x that the tile's taps read into `patches` `[taps, pixels]`. Padding gives zeros.
    pub(super) fn gather(&self, tile: &PatchTile, x: &[f32], patches: &mut [f32]) {
        let stride = self.geometry.stride[1];
        self.each_run(tile, |run| {
            let (before, rest) = patches[run.patch..][..self.outputs[1]].split_at_mut(run.columns.start);
            let (inside, after) = rest.split_at_mut(run.columns.len());
            before.fill(0.0);
            after.fill(0.0);
            if stride == 1 {
                inside.copy_from_slice(&x[run.x..][..inside.len()]);
            } else if !inside.is_empty() {
                inside.iter_mut().zip(x[run.x..].iter().step_by(stride)).for_each(|(to, from)| *to = *from);
            }
        });
    }

    /// Adds `patches` to the pixels of dx that the tile's taps read: the reverse of [`Conv2dShape::gather`].
    pub(super) fn scatter(&self, tile: &PatchTile, patches: &[f32], dx: &mut [f32]) {
        let stride = self.geometry.stride[1];
        self.each_run(tile, |run| {
            let inside = &patches[run.patch + run.columns.start..][..run.columns.len()];
            if stride == 1 {
                dx[run.x..][..inside.len()].iter_mut().zip(inside).for_each(|(to, from)| *to += *from);
            } else if !inside.is_empty() {
                dx[run.x..].iter_mut().step_by(stride).zip(inside).for_each(|(to, from)| *to += *from);
            }
        });
    }

    /// Calls a function for each row of output pixels with each tap of the group.
    fn each_run(&self, tile: &PatchTile, mut visit: impl FnMut(TapRun)) {
        let Geometry { stride, padding, dilation, .. } = self.geometry;
        let ([height, width], columns, pixels) = (self.image, self.outputs[1], self.pixels(tile));
        for channel in 0..self.group_inputs() {
            for (ky, kx) in (0..self.kernel[0]).flat_map(|ky| (0..self.kernel[1]).map(move |kx| (ky, kx))) {
                let tap = (channel * self.kernel[0] + ky) * self.kernel[1] + kx;
                let inside = self.columns_inside(kx);
                for (number, row) in tile.rows.clone().enumerate() {
                    let (image, row) = (row / self.outputs[0], row % self.outputs[0]);
                    let iy = (row * stride[0] + ky * dilation[0]).checked_sub(padding[0]).filter(|&iy| iy < height);
                    let patch = tap * pixels + number * columns;
                    let plane = image * self.in_channels + tile.group * self.group_inputs() + channel;
                    visit(match iy {
                        Some(iy) if !inside.is_empty() => {
                            let ix = inside.start * stride[1] + kx * dilation[1] - padding[1];
                            TapRun { patch, columns: inside.clone(), x: (plane * height + iy) * width + ix }
                        }
                        _ => TapRun { patch, columns: 0..0, x: 0 },
                    });
                }
            }
        }
    }

    /// The columns of output pixels for which tap column `kx` reads inside the image.
    pub(super) fn columns_inside(&self, kx: usize) -> Range<usize> {
        let Geometry { stride, padding, dilation, .. } = self.geometry;
        let (tap, padding, stride) = (kx * dilation[1], padding[1], stride[1]);
        let first = padding.saturating_sub(tap).div_ceil(stride);
        let end = (self.image[1] + padding).saturating_sub(tap).div_ceil(stride).min(self.outputs[1]);
        first.min(end)..end
    }
}

/// A row of output pixels combined with one tap.
struct TapRun {
    /// The start of the row in the patch matrix.
    patch: usize,
    /// The columns in which the tap reads inside the image.
    columns: Range<usize>,
    /// The index of the pixel that the tap reads in the first of these columns.
    x: usize,
}
