// The sum of `count` numbers in order, by one invocation: `term(first)`, `term(first + stride)` and so on. The kernel declares
// `fn term(i: u32) -> f32`. For many sums.
fn ordered_sum(first: u32, stride: u32, count: u32) -> f32 {
    var sum = 0.0;
    for (var k = 0u; k < count; k++) {
        sum += term(first + k * stride);
    }
    return sum;
}

