// needs: each
// y[i] = f(x0[i], x1[i], ...), element by element. The host splices in the operands' bindings and `value_at`: a chain of
// functions, each from its op's own file. Every operand is read once, and no intermediate result is stored.
// One invocation for each element, or for four as a vec4f if all sizes are multiples of four.
struct Dims {
    count: u32, // in Values
}
alias Value = f32;
@group(0) @binding(1) var<storage, read_write> y: array<Value>;

fn value_at(index: u32) -> Value { return Value(); } // spliced

fn each(index: u32) {
    y[index] = value_at(index);
}
