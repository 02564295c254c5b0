enable f16;
// needs: grid
// Copies a tensor of up to four axes into half precision: with its axes in another order, scaled, and with zeros around it.
//
// Shapes: X is any tensor, read with a stride for each axis of PACKED. PACKED is [n0, n1, n2, 16 * blocks]. Its element
// (i0, i1, i2, i3) is that of X at index i - offset, or 0 where the index is not below the axis' size in X. SCALE is [1].
//
// Division of work: an invocation writes 16 neighbours on the last axis: 32 bytes, the unit of device memory. With ALONG_ROWS
// neighbouring invocations write neighbouring blocks. That reads X best if the last axis is contiguous there. Otherwise they write
// the same block of neighbours on axis 2, which is contiguous in X then.

struct Dims {
    count: u32, // invocations
    n1: u32,
    n2: u32,
    blocks: u32,
    offset1: u32,
    offset2: u32,
    size0: u32,
    size1: u32,
    size2: u32,
    size3: u32,
    first: u32,
    stride0: u32, // strides may be negative, in two's complement
    stride1: u32,
    stride2: u32,
    stride3: u32,
}

const ALONG_ROWS: bool = true;

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> packed: array<vec4<f16>>;

fn element(at: u32, i3: u32, exists: bool) -> f32 {
    if (exists && i3 < dims.size3) {
        return x[at + (i3 * dims.stride3)];
    }
    return 0.0;
}

fn four(at: u32, i3: u32, exists: bool) -> vec4<f16> {
    let numbers = vec4f(
        element(at, i3, exists),
        element(at, i3 + 1u, exists),
        element(at, i3 + 2u, exists),
        element(at, i3 + 3u, exists),
    );
    return vec4<f16>(numbers * scale[0]);
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let number = (linear_group(invocation.group, invocation.groups) * 64u) + invocation.local;
    if (number >= dims.count) {
        return;
    }
    var block: u32;
    var i2: u32;
    var rest: u32;
    if (ALONG_ROWS) {
        block = number % dims.blocks;
        i2 = (number / dims.blocks) % dims.n2;
        rest = number / (dims.blocks * dims.n2);
    } else {
        i2 = number % dims.n2;
        block = (number / dims.n2) % dims.blocks;
        rest = number / (dims.blocks * dims.n2);
    }
    let i1 = rest % dims.n1;
    let i0 = rest / dims.n1;
    // An index below the offset wraps around, and is then not below the size.
    let exists = i0 < dims.size0 && i1 - dims.offset1 < dims.size1 && i2 - dims.offset2 < dims.size2;
    let at = dims.first + (i0 * dims.stride0) + ((i1 - dims.offset1) * dims.stride1) + ((i2 - dims.offset2) * dims.stride2);
    let to = 4u * ((((rest * dims.n2) + i2) * dims.blocks) + block);
    packed[to] = four(at, 16u * block, exists);
    packed[to + 1u] = four(at, (16u * block) + 4u, exists);
    packed[to + 2u] = four(at, (16u * block) + 8u, exists);
    packed[to + 3u] = four(at, (16u * block) + 12u, exists);
}
