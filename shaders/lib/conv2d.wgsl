// The sizes of a convolution, for kernels that read operands that are not packed. A tap is one weight of the kernel: an
// offset (ky, kx), at which it is multiplied by a pixel of the image.
struct Dims {
    batch: u32,
    in_channels: u32,
    out_channels: u32,
    groups: u32,
    height: u32,        // of the image X
    width: u32,
    kernel_height: u32, // taps
    kernel_width: u32,
    rows: u32,          // of the output Y
    columns: u32,
    stride_y: u32,
    stride_x: u32,
    padding_y: u32,
    padding_x: u32,
    dilation_y: u32,    // pixels from one tap to the next
    dilation_x: u32,
    share: u32,         // the gradient by the weight: rows or pixels of a split
    splits: u32,        // and how many splits its sums are in
}

