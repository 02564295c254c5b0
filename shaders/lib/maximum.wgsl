// The largest number of a workgroup of 64 lanes with one number each.
var<workgroup> lane_maxima: array<f32, 64>;

fn workgroup_maximum(local: u32, value: f32) -> f32 {
    lane_maxima[local] = value;
    for (var reach = 32u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if local < reach {
            lane_maxima[local] = max(lane_maxima[local], lane_maxima[local + reach]);
        }
    }
    workgroupBarrier();
    let largest = lane_maxima[0];
    workgroupBarrier(); // before the next maximum overwrites it
    return largest;
}

