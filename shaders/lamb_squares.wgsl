// needs: each
// The second part of LAMB: for each block of 64, the sums of squares of its parameters and of their directions, without gaps.
struct Dims {
    count: u32, // blocks
}
@group(0) @binding(1) var<storage, read> blocks: array<u32>; // group << 8 | elements of a parameter
@group(0) @binding(2) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(3) var<storage, read> directions: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> squares: array<vec2f>;

fn each(block: u32) {
    let elements = vec4u(blocks[block] & 0xffu);
    var sums = vec2f(0.0);
    for (var i = 0u; i < 16u; i++) {
        let inside = 4u * i + vec4u(0u, 1u, 2u, 3u) < elements;
        let parameter = select(vec4f(0.0), parameters[16u * block + i], inside);
        let direction = select(vec4f(0.0), directions[16u * block + i], inside);
        sums += vec2f(dot(parameter, parameter), dot(direction, direction));
    }
    squares[block] = sums;
}
