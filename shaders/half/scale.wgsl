// The power of two that brings the largest number of a tensor close to the largest number of half precision.
//
// Shapes: PARTS is [count], the bits of the largest absolute values of parts of the tensor (largest.wgsl). SCALE is [1].
//
// Half precision has no numbers above 65504, and loses digits below 6e-5. Gradients are often smaller. A power of two changes no
// digit, and the product is divided by it again in single precision. The largest number comes between 2^14 and 2^15. Then only
// numbers 200 million times smaller than it lose digits.
//
// Division of work: one invocation, as there are few parts.

struct Dims {
    count: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> parts: array<u32>;
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;

@compute @workgroup_size(1)
fn main() {
    var largest = 0u;
    for (var i = 0u; i < dims.count; i++) {
        largest = max(largest, parts[i]);
    }
    // The exponent of the scale is 14 minus that of the largest number, within +-112: then the scale and its inverse are normal
    // numbers. 127 is the bias of exponents in single precision.
    let exponent = clamp(14 - (i32(largest >> 23u) - 127), -112, 112);
    scale[0] = bitcast<f32>(u32(exponent + 127) << 23u);
}
