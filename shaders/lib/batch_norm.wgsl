// needs: each
// A kernel that treats the values of a channel alike, for images [batch, channels, pixels]. One invocation for a run of values. A
// value is a vec4 of pixels if the number of pixels is a multiple of four.
struct Dims {
    count: u32,  // runs
    values: u32, // of a channel of an image
    channels: u32,
}
alias Value = f32;

const RUN: u32 = 1u; // neighbouring values of one channel that an invocation treats

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced
fn finished(value: Value, index: u32) -> Value { return epilogue(value, index); } // spliced

