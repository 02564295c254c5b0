enable f16;
enable wgpu_cooperative_matrix;
// needs: bands
// A product by matrix units, from operands in half precision, with sums in single precision. A subgroup computes
// 4 x 4 fragments of SIDE x SIDE outputs. All lanes of the subgroup hold them together; WGSL does not say which lane holds what.
//
// Shapes: A is [rows, depth], B is [depth, columns], each for every tap, with any stride. Both are padded with zeros to whole tiles,
// so nothing is guarded. SUMS is [planes, 4 SIDE tiles down, stride], with the taps' planes before the splits'.
// A matrix product has one tap. The taps of a convolution are the weights of its kernel: A for a tap is the image, some pixels
// further. The gradient of the weight has sums for each tap.
//
// The fragments come straight from device memory, or from the caches, without workgroup memory between: an earlier dispatch wrote
// them there (pack.wgsl). The reason is wgpu's issue 8805: modules with cooperative matrices use Vulkan's memory model, but naga
// does not translate accesses to workgroup memory for it.
//
// WGSL has no arrays of fragments, so the sixteen sums have names: sum<row><column>.

struct Dims {
    down: u32,    // tiles
    across: u32,
    planes: u32,  // parts of the sum, times taps if each has its own sum
    depth: u32,   // of the sum, a multiple of SIDE
    share: u32,   // of the depth, that a plane adds
    a_stride: u32,
    b_stride: u32,
    y_stride: u32,
    taps: u32,
    taps_x: u32,  // taps in a row of the kernel
    a_tap_y: u32, // elements of A from a tap to the one below, and to the one at its right
    a_tap_x: u32,
    b_tap: u32,   // elements of B from a tap to the next
}

const SIDE: u32 = 16u; // of a fragment
const LANES: u32 = 32u; // of a subgroup
const A_BY_COLUMNS: bool = false; // whether A is stored with its columns contiguous: [depth, rows]
const SUM_OVER_TAPS: bool = true; // else each tap has a plane of its own

alias FragmentA = coop_mat16x16<f16, A>;
alias FragmentB = coop_mat16x16<f16, B>;
alias FragmentC = coop_mat16x16<f32, C>;

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> a: array<f16>;
@group(0) @binding(2) var<storage, read> b: array<f16>;
@group(0) @binding(3) var<storage, read> scale_a: array<f32>;
@group(0) @binding(4) var<storage, read> scale_b: array<f32>;
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;

fn load_a(tap: u32, row: u32, step: u32) -> FragmentA {
    if (A_BY_COLUMNS) {
        return coopLoad<FragmentA>(&a[tap + (step * dims.a_stride) + row], dims.a_stride);
    }
    return coopLoadT<FragmentA>(&a[tap + (row * dims.a_stride) + step], dims.a_stride);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    // naga does not see that the result of a function is uniform; a cooperative load needs that.
    let number = (group.y * groups.x) + group.x;
    let tiles = dims.down * dims.across;
    let plane = number / tiles;
    if (plane >= dims.planes) {
        return; // the end of a folded grid
    }
    let tile = place_in_band(number % tiles, dims.down, dims.across);
    let row = tile.x * (4u * SIDE);
    let column = tile.y * (4u * SIDE);
    let splits = select(dims.planes / dims.taps, dims.planes, SUM_OVER_TAPS);
    let first_step = (plane % splits) * dims.share;
    let end_step = min(first_step + dims.share, dims.depth);
    let first_tap = select(plane / splits, 0u, SUM_OVER_TAPS);
    let end_tap = select(first_tap + 1u, dims.taps, SUM_OVER_TAPS);

    var sum00 = FragmentC();
    var sum01 = FragmentC();
    var sum02 = FragmentC();
    var sum03 = FragmentC();
    var sum10 = FragmentC();
    var sum11 = FragmentC();
    var sum12 = FragmentC();
    var sum13 = FragmentC();
    var sum20 = FragmentC();
    var sum21 = FragmentC();
    var sum22 = FragmentC();
    var sum23 = FragmentC();
    var sum30 = FragmentC();
    var sum31 = FragmentC();
    var sum32 = FragmentC();
    var sum33 = FragmentC();
    for (var tap = first_tap; tap < end_tap; tap++) {
        let a_tap = ((tap / dims.taps_x) * dims.a_tap_y) + ((tap % dims.taps_x) * dims.a_tap_x);
        let b_tap = tap * dims.b_tap;
        for (var step = first_step; step < end_step; step += SIDE) {
            let b_at = b_tap + (step * dims.b_stride) + column;
            let b0 = coopLoadT<FragmentB>(&b[b_at], dims.b_stride);
            let b1 = coopLoadT<FragmentB>(&b[b_at + SIDE], dims.b_stride);
            let b2 = coopLoadT<FragmentB>(&b[b_at + (2u * SIDE)], dims.b_stride);
            let b3 = coopLoadT<FragmentB>(&b[b_at + (3u * SIDE)], dims.b_stride);
            let a0 = load_a(a_tap, row, step);
            sum00 = coopMultiplyAdd(a0, b0, sum00);
            sum01 = coopMultiplyAdd(a0, b1, sum01);
            sum02 = coopMultiplyAdd(a0, b2, sum02);
            sum03 = coopMultiplyAdd(a0, b3, sum03);
            let a1 = load_a(a_tap, row + SIDE, step);
            sum10 = coopMultiplyAdd(a1, b0, sum10);
            sum11 = coopMultiplyAdd(a1, b1, sum11);
            sum12 = coopMultiplyAdd(a1, b2, sum12);
            sum13 = coopMultiplyAdd(a1, b3, sum13);
            let a2 = load_a(a_tap, row + (2u * SIDE), step);
            sum20 = coopMultiplyAdd(a2, b0, sum20);
            sum21 = coopMultiplyAdd(a2, b1, sum21);
            sum22 = coopMultiplyAdd(a2, b2, sum22);
            sum23 = coopMultiplyAdd(a2, b3, sum23);
            let a3 = load_a(a_tap, row + (3u * SIDE), step);
            sum30 = coopMultiplyAdd(a3, b0, sum30);
            sum31 = coopMultiplyAdd(a3, b1, sum31);
            sum32 = coopMultiplyAdd(a3, b2, sum32);
            sum33 = coopMultiplyAdd(a3, b3, sum33);
        }
    }
    // The scales of the operands are powers of two. The larger one is undone first, so that only a result that is too large itself
    // overflows. naga evaluates the arguments of coopStoreT too late if they are not names.
    let first_scale = 1.0 / max(scale_a[0], scale_b[0]);
    let second_scale = 1.0 / min(scale_a[0], scale_b[0]);
    let stride = dims.y_stride;
    let down = SIDE * stride;
    let y0 = (((plane * dims.down * (4u * SIDE)) + row) * stride) + column;
    let total00 = sum00 * first_scale * second_scale;
    coopStoreT(total00, &sums[y0], stride);
    let y01 = y0 + SIDE;
    let total01 = sum01 * first_scale * second_scale;
    coopStoreT(total01, &sums[y01], stride);
    let y02 = y0 + (2u * SIDE);
    let total02 = sum02 * first_scale * second_scale;
    coopStoreT(total02, &sums[y02], stride);
    let y03 = y0 + (3u * SIDE);
    let total03 = sum03 * first_scale * second_scale;
    coopStoreT(total03, &sums[y03], stride);
    let y1 = y0 + down;
    let total10 = sum10 * first_scale * second_scale;
    coopStoreT(total10, &sums[y1], stride);
    let y11 = y1 + SIDE;
    let total11 = sum11 * first_scale * second_scale;
    coopStoreT(total11, &sums[y11], stride);
    let y12 = y1 + (2u * SIDE);
    let total12 = sum12 * first_scale * second_scale;
    coopStoreT(total12, &sums[y12], stride);
    let y13 = y1 + (3u * SIDE);
    let total13 = sum13 * first_scale * second_scale;
    coopStoreT(total13, &sums[y13], stride);
    let y2 = y1 + down;
    let total20 = sum20 * first_scale * second_scale;
    coopStoreT(total20, &sums[y2], stride);
    let y21 = y2 + SIDE;
    let total21 = sum21 * first_scale * second_scale;
    coopStoreT(total21, &sums[y21], stride);
    let y22 = y2 + (2u * SIDE);
    let total22 = sum22 * first_scale * second_scale;
    coopStoreT(total22, &sums[y22], stride);
    let y23 = y2 + (3u * SIDE);
    let total23 = sum23 * first_scale * second_scale;
    coopStoreT(total23, &sums[y23], stride);
    let y3 = y2 + down;
    let total30 = sum30 * first_scale * second_scale;
    coopStoreT(total30, &sums[y3], stride);
    let y31 = y3 + SIDE;
    let total31 = sum31 * first_scale * second_scale;
    coopStoreT(total31, &sums[y31], stride);
    let y32 = y3 + (2u * SIDE);
    let total32 = sum32 * first_scale * second_scale;
    coopStoreT(total32, &sums[y32], stride);
    let y33 = y3 + (3u * SIDE);
    let total33 = sum33 * first_scale * second_scale;
    coopStoreT(total33, &sums[y33], stride);
}
