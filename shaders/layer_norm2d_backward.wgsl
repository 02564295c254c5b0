// needs: layer_norm2d
// The gradient of layer norm by its images, DX [images, channels, pixels], from X and the gradient DY of the normalised value:
// (dy - mean(dy) - x^ mean(dy x^)) / deviation, with means over the channels of a pixel and x^ = (x - mean) / deviation.
@group(0) @binding(2) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

fn each(pixel: u32) {
    let first = first_channel(pixel);
    let mean = mean_of_channels(first);
    var squares = 0.0;
    var sum = 0.0;
    var products = 0.0;
    for (var channel = 0u; channel < dims.channels; channel++) {
        let index = first + channel * dims.pixels;
        let centred = x[index] - mean;
        squares += centred * centred;
        sum += d_y[index];
        products += d_y[index] * centred;
    }
    let inverse = inverse_deviation(squares);
    let shift = sum / f32(dims.channels);
    let slope = products / f32(dims.channels) * inverse * inverse;
    for (var channel = 0u; channel < dims.channels; channel++) {
        let index = first + channel * dims.pixels;
        d_x[index] = epilogue((d_y[index] - shift - (x[index] - mean) * slope) * inverse, index);
    }
}
