// needs: each
// y[i] = x at an index that is the sum of i's coordinates, each times the stride of its axis: for transposes and slices.
// One invocation for each element of y. There are always six axes; missing ones come first and have size 1.
struct Dims {
    count: u32,
    offset: u32,
    size0: u32, size1: u32, size2: u32, size3: u32, size4: u32, size5: u32,
    stride0: u32, stride1: u32, stride2: u32, stride3: u32, stride4: u32, stride5: u32,
}
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn each(index: u32) {
    var rest = index;
    var place = dims.offset;
    place += (rest % dims.size5) * dims.stride5;
    rest /= dims.size5;
    place += (rest % dims.size4) * dims.stride4;
    rest /= dims.size4;
    place += (rest % dims.size3) * dims.stride3;
    rest /= dims.size3;
    place += (rest % dims.size2) * dims.stride2;
    rest /= dims.size2;
    place += (rest % dims.size1) * dims.stride1;
    rest /= dims.size1;
    place += rest * dims.stride0;
    y[index] = x[place];
}
