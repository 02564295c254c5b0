// needs: each
// Copies the weight of a convolution into the layout of the packed kernels: for each of eight neighbouring output channels,
// four steps of the sum.
// A tap is one weight of the kernel: an offset (ky, kx) within an input channel.
//
// Shapes: PACKED is [groups, blocks, kernel_height, steps / 4, 8 outputs, 4 steps]. A step is an input channel and a
// tap kx, with the number channel * kernel_width + kx. Steps are padded with zeros to a multiple of four, and the outputs
// of a group to whole blocks.
// W's element for (group, output, channel, ky, kx) is at offset + group * by_group + output * by_output + ... With
// other factors, which may be negative (two's complement), the kernel is flipped, or input and output channels are swapped.
//
// Division of work: one invocation for each vec4.

struct Dims {
    count: u32,         // vec4s in all
    blocks: u32,
    kernel_height: u32,
    quads: u32,         // steps / 4, filled up
    outputs: u32,       // of a group
    channels: u32,      // of a group
    kernel_width: u32,
    offset: u32,
    by_group: u32,
    by_output: u32,
    by_channel: u32,
    by_ky: u32,
    by_kx: u32,
}

@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<vec4f>;

fn weight(row_start: u32, step: u32, exists: bool) -> f32 {
    let channel = step / dims.kernel_width;
    if (!exists || channel >= dims.channels) {
        return 0.0;
    }
    return w[row_start + (channel * dims.by_channel) + ((step - (channel * dims.kernel_width)) * dims.by_kx)];
}

fn each(index: u32) {
    let quad = (index / 8u) % dims.quads;
    let ky = (index / (8u * dims.quads)) % dims.kernel_height;
    let block = (index / (8u * dims.quads * dims.kernel_height)) % dims.blocks;
    let channel_group = index / (8u * dims.quads * dims.kernel_height * dims.blocks);
    let out_channel = (8u * block) + (index % 8u);

    let exists = out_channel < dims.outputs;
    let row_start = dims.offset + (channel_group * dims.by_group) + (out_channel * dims.by_output) + (ky * dims.by_ky);
    packed[index] = vec4f(
        weight(row_start, 4u * quad, exists),
        weight(row_start, (4u * quad) + 1u, exists),
        weight(row_start, (4u * quad) + 2u, exists),
        weight(row_start, (4u * quad) + 3u, exists),
    );
}
