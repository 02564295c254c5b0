// needs: grid, total, maximum, row
// Each row of a matrix by a workgroup, whose lanes read neighbours: in place of row_by_lane.wgsl, for long rows on hardware.
@group(0) @binding(0) var<uniform> dims: Dims;

const LANES: u32 = 64u;

fn row_sum(lane: u32, value: f32) -> f32 { return workgroup_total(lane, value); }

fn row_maximum(lane: u32, value: f32) -> f32 { return workgroup_maximum(lane, value); }

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let number = linear_group(invocation.group, invocation.groups);
    // At the end of a folded grid there are more workgroups than rows. They meet the barriers too, with a row that has no numbers.
    let exists = number < dims.count;
    let row = min(number, dims.count - 1u);
    let first = row * dims.columns;
    let last = first + select(0u, dims.columns, exists);
    each_row(Row(row, first, last, invocation.local, exists && invocation.local == 0u));
}

