// needs: grid
// y[i] = f(x0[i], x1[i], ...), element by element. The host splices in the operands' bindings and `value_at`: a chain of
// functions, each from its op's own file. Every operand is read once, and no intermediate result is stored.
// One invocation for each element, or for four as a vec4f if all sizes are multiples of four.
struct Dims {
    count: u32, // in Values
}
alias Value = f32;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read_write> y: array<Value>;

const GROUP: u32 = 64u;
const EDGES: bool = true; // whether the last workgroup runs past the end

fn value_at(index: u32) -> Value { return Value(); } // spliced

@compute @workgroup_size(GROUP)
fn main(invocation: Invocation) {
    let index = linear_group(invocation.group, invocation.groups) * GROUP + invocation.local;
    if EDGES {
        if index < dims.count {
            y[index] = value_at(index);
        }
    } else {
        y[index] = value_at(index);
    }
}
