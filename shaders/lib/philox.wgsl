// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011), a counter-based random number generator: four random words that depend
// only on a counter and a key. So the number of any element in any step can be computed directly. The same as
// `random::philox` in Rust.

// The high half of a 32 x 32 bit product, from 16-bit halves: WGSL has no 64-bit integers.
fn multiply_high(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let middle1 = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let middle2 = (a & 0xffffu) * (b >> 16u) + (middle1 & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (middle1 >> 16u) + (middle2 >> 16u);
}

fn philox(counter: vec4u, seed: vec2u) -> vec4u {
    var c = counter;
    var key = seed;
    for (var round = 0u; round < 10u; round++) {
        let high0 = multiply_high(0xd2511f53u, c.x);
        let low0 = 0xd2511f53u * c.x;
        let high1 = multiply_high(0xcd9e8d57u, c.z);
        let low1 = 0xcd9e8d57u * c.z;
        c = vec4u(high1 ^ c.y ^ key.x, low1, high0 ^ c.w ^ key.y, low0);
        key += vec2u(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}

