// needs: grid
// The entry point of kernels that compute all numbers below a count independently, one invocation for each number. The kernel
// declares `Dims`, whose first field is the count, and `fn each(number: u32)`.
@group(0) @binding(0) var<uniform> dims: Dims;

const EDGES: bool = true; // whether the last workgroup runs past the end

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
    let number = linear_group(invocation.group, invocation.groups) * 64u + invocation.local;
    if EDGES {
        if number >= dims.count {
            return;
        }
    }
    each(number);
}

