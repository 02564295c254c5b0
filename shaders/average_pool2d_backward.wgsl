// needs: grid
// The gradient of average-pool by its picture, DX [planes, height, width]: each pixel adds up its shares of DY [planes, rows,
// columns] of the windows that it is under. One invocation a pixel.
struct Dims {
    count: u32, // pixels of all planes
    height: u32,
    width: u32,
    rows: u32,
    columns: u32,
    stride_y: u32,
    stride_x: u32,
    padding_y: u32,
    padding_x: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

const HEIGHT: u32 = 2u; // of the window
const WIDTH: u32 = 2u;
const INCLUDE_PADDING: bool = true; // whether the padding's zeros count
const EDGES: bool = true; // whether the last workgroup runs past the end

fn epilogue(value: f32, index: u32) -> f32 { return value; } // spliced

// Along one axis, the pixels that the mean of a window with this padded start is over.
fn counted(start: u32, kernel: u32, padding: u32, length: u32) -> u32 {
    if INCLUDE_PADDING {
        return min(kernel, length + 2u * padding - start);
    }
    return min(start + kernel, padding + length) - max(start, padding);
}

// The first window over a padded place, and one more than the last.
fn windows(place: u32, kernel: u32, stride: u32, count: u32) -> vec2u {
    let first = select(0u, (place - kernel) / stride + 1u, place >= kernel);
    return vec2u(first, min(place / stride + 1u, count));
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let index = linear_group(group, groups) * 64u + local;
    if EDGES {
        if index >= dims.count {
            return;
        }
    }
    let plane = (index / (dims.width * dims.height)) * dims.rows;
    let rows = windows((index / dims.width) % dims.height + dims.padding_y, HEIGHT, dims.stride_y, dims.rows);
    let columns = windows(index % dims.width + dims.padding_x, WIDTH, dims.stride_x, dims.columns);
    var sum = 0.0;
    for (var row = rows.x; row < rows.y; row++) {
        let lines = counted(row * dims.stride_y, HEIGHT, dims.padding_y, dims.height);
        for (var column = columns.x; column < columns.y; column++) {
            let pixels = lines * counted(column * dims.stride_x, WIDTH, dims.padding_x, dims.width);
            sum += dy[(plane + row) * dims.columns + column] / f32(pixels);
        }
    }
    dx[index] = epilogue(sum, index);
}
