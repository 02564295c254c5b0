// A row of a matrix, as one of its lanes sees it, for row_by_lane.wgsl and row_by_workgroup.wgsl. The kernel declares `Dims`, whose
// first fields are `count`, the number of rows, and `columns`, and `fn each_row(row: Row)`. Its loops over the row go from
// `row.first + row.lane` to below `row.last` in steps of `LANES`. `row_sum` and `row_maximum` join what the lanes found. All lanes
// must call them, so `each_row` never returns early.
struct Row {
    number: u32,
    first: u32,  // the index of its first number
    last: u32,   // one more than that of its last number
    lane: u32,
    leads: bool, // whether this lane stores what the row has only once
}
