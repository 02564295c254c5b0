// needs: total
// The sum of `term(i)` for all i from `first` to below `last`, by one workgroup: each lane adds every 64th number in order,
// then the lanes are added in pairs. The kernel declares `fn term(i: u32) -> f32`. For few long sums.
fn workgroup_sum(local: u32, first: u32, last: u32) -> f32 {
    var sum = 0.0;
    for (var i = first + local; i < last; i += 64u) {
        sum += term(i);
    }
    return workgroup_total(local, sum);
}

