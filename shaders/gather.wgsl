// needs: grid, step
// y[row] = data[order[step.first + row]] for the rows of a batch; 0 for rows that are not valid. Bytes stand four in a
// word and become floats from 0 to 1; labels stay integers. All pass through as words, so that one file serves.
// One invocation an element.
struct Dims {
    count: u32,  // elements of the batch
    width: u32,  // of a row
    rows: u32,   // of the data
    listed: u32, // length of the order
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

const BYTES: bool = false; // else words

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_group(group, groups) * 64u + local;
    if index >= dims.count {
        return;
    }
    let row = index / dims.width;
    let place = step.first + row;
    if row >= step.valid || place >= dims.listed {
        y[index] = 0u;
        return;
    }
    let source = min(order[place], dims.rows - 1u) * dims.width + index % dims.width;
    if BYTES {
        let byte = (data[source / 4u] >> (8u * (source % 4u))) & 0xffu;
        y[index] = bitcast<u32>(f32(byte) / 255.0);
    } else {
        y[index] = data[source];
    }
}
