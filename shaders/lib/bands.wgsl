// The row and the column of a workgroup's tile in a matrix of `down` x `across` tiles. Workgroups with neighbouring numbers
// run at the same time. They are in bands of eight rows of tiles, so that they read few different parts of both matrices, which
// stay in the cache.
const BAND: u32 = 8u;

fn place_in_band(number: u32, down: u32, across: u32) -> vec2u {
    let first = BAND * (number / (BAND * across));
    let within = number - (first * across);
    let height = min(BAND, down - first);
    return vec2u(first + (within % height), within / height);
}
