// needs: grid
// The largest absolute value of X, for the scale of its numbers in half precision (scale.wgsl).
//
// Shapes: X is [count], PARTS is [workgroups]: the largest absolute value of each workgroup's share.
//
// Division of work: a workgroup takes `share` neighbouring elements. Its lanes take turns, so that they read neighbours.
//
// Absolute values are compared by their bits, which have the same order. A NaN has larger bits than any number, so that a NaN in
// X stays visible.

struct Dims {
    count: u32,
    share: u32,
}

const LANES: u32 = 256u;

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> parts: array<u32>;

var<workgroup> of_lane: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn main(invocation: Invocation) {
    let lane = invocation.local;
    let part = linear_group(invocation.group, invocation.groups);
    let first = part * dims.share;
    let last = min(first + dims.share, dims.count);
    var largest = 0u;
    for (var i = first + lane; i < last; i += LANES) {
        largest = max(largest, bitcast<u32>(abs(x[i])));
    }
    of_lane[lane] = largest;
    workgroupBarrier(); // all lanes have stored theirs
    for (var reach = LANES / 2u; reach > 0u; reach /= 2u) {
        if (lane < reach) {
            of_lane[lane] = max(of_lane[lane], of_lane[lane + reach]);
        }
        workgroupBarrier(); // the next round reads what this one stored
    }
    if (lane == 0u && first < dims.count) {
        parts[part] = of_lane[0];
    }
}
