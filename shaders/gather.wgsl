// needs: each, step
// y[row] = data[order[step.first + row]] for the rows of a batch; 0 for masked rows. Floats and labels are copied
// as words. Bytes, four in a word, become floats from 0 to 1.
// The data may be in several shards; all but the last have the same number of rows (the host adds their bindings). Or they
// are a ring of slots, in which the rows are in the order of the steps.
// One invocation for each element, or for four if the row length is a multiple of four (the host widens the aliases).
struct Dims {
    count: u32,  // Values of the batch
    width: u32,  // Values of a row
    rows: u32,   // of the data
    each: u32,   // rows of a shard
    listed: u32, // length of the order
}
alias Stored = u32; // what the data hold: a word, four words, or four bytes in a word
alias Value = u32;
@group(0) @binding(1) var<storage, read> data: array<Stored>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<Value>;

const RING: bool = false; // whether the data are a ring

fn stored_at(shard: u32, index: u32) -> Stored { return data[index]; } // spliced
fn value_at(shard: u32, source: u32) -> Value { return stored_at(shard, source); } // spliced

fn each(index: u32) {
    // Masked rows read the first listed row and drop it: a conditional load costs more than a load.
    let row = index / dims.width;
    let position = step.first + row;
    let valid = row < step.valid && position < dims.listed;
    let named = order[select(0u, position, valid)];
    let picked = min(select(named, position % dims.rows, RING), dims.rows - 1u);
    let value = value_at(picked / dims.each, picked % dims.each * dims.width + index % dims.width);
    y[index] = select(Value(), value, valid);
}
