// The sum over a workgroup of 64 lanes with one number each, in pairs. The order is the same on every device.
var<workgroup> lane_sums: array<f32, 64>;

fn workgroup_total(local: u32, value: f32) -> f32 {
    lane_sums[local] = value;
    for (var reach = 32u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if local < reach {
            lane_sums[local] += lane_sums[local + reach];
        }
    }
    workgroupBarrier();
    let sum = lane_sums[0];
    workgroupBarrier(); // before the next sum overwrites it
    return sum;
}

