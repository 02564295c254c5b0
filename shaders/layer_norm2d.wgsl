// needs: layer_norm2d
// Layer norm over the channels of each pixel, Y [images, channels, pixels]: (x - mean) / sqrt(variance + epsilon).
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn each(pixel: u32) {
    let first = first_channel(pixel);
    let mean = mean_of_channels(first);
    var squares = 0.0;
    for (var channel = 0u; channel < dims.channels; channel++) {
        let centred = x[first + channel * dims.pixels] - mean;
        squares += centred * centred;
    }
    let inverse = inverse_deviation(squares);
    for (var channel = 0u; channel < dims.channels; channel++) {
        let index = first + channel * dims.pixels;
        y[index] = epilogue((x[index] - mean) * inverse, index);
    }
}
