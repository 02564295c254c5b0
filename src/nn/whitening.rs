//! The whitening first layer.

use crate::parallel::*;
use nalgebra::{DMatrix, SymmetricEigen};

use super::build::Build;
use super::conv2d::{Conv2d, add_bias};
use super::initialiser::Scheme;
use super::layer::{InitialValues, Layer, image};
use super::pair::Pair;
use super::parameters::{GROUP_FROZEN, GROUP_WHITENING_BIAS, Parameters};
use crate::Result;
use crate::graph::NodeId;

/// The largest number of values of a patch. The limit is low because one thread decomposes their covariance.
const MAX_VALUES: usize = 512;
/// Images per partial sum. The size is fixed so that the result does not depend on the number of threads.
const IMAGES_PER_SUM: usize = 64;

/// A convolution without padding that decorrelates neighbouring pixels (K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a
/// single GPU", 2024, after D. Page and T. Van Loy).
///
/// A patch has n = channels x kernel height x kernel width values. The first n outputs are its coordinates along
/// the eigenvectors of the covariance of the training images' patches, each divided by sqrt(eigenvalue + epsilon). The
/// other n outputs are their negatives.
///
/// Parameters: `NAME.weight` `[2 n, channels, height, width]` is frozen. It is initialised from the training images;
/// without images, as any other convolution's. `NAME.bias` `[2 n]` is learned. The images' mean is not subtracted; the
/// bias can learn it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Whitening {
    /// Height and width of the patches.
    pub kernel: Pair,
    /// Added to the eigenvalues, so that directions with little variance are not amplified too much.
    pub epsilon: f32,
    /// How its bias is initialised.
    #[serde(skip)]
    pub scheme: Scheme,
}

impl Default for Whitening {
    /// Patches of 2x2, and epsilon 5e-4 as in the paper.
    fn default() -> Self {
        Self { kernel: 2.into(), epsilon: 5e-4, scheme: Scheme::default() }
    }
}

impl Whitening {
    /// The same layer as a plain convolution, for images with this number of channels.
    fn convolution(&self, channels: usize) -> Conv2d {
        let values = channels * self.kernel.0[0] * self.kernel.0[1];
        Conv2d { kernel: self.kernel, ..Conv2d::new(2 * values, 1, self.scheme) }
    }
}

impl Layer for Whitening {
    fn label(&self) -> String {
        format!("whitening {}", self.kernel)
    }

    fn output(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, ..] = image(shape)?;
        self.kernel.check("kernel")?;
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(format!("its epsilon is {}, but has to be a finite number above 0", self.epsilon));
        }
        let values = self.kernel.0.iter().fold(channels, |values, &side| values.saturating_mul(side));
        if values > MAX_VALUES {
            return Err(format!("its patches have {values} values, but may have {MAX_VALUES} at most"));
        }
        self.convolution(channels).output(shape)
    }

    fn declare(&self, name: &str, shape: &[usize], parameters: &mut Parameters) {
        let ([height, width], outputs) = (self.kernel.0, self.convolution(shape[0]).outputs);
        let (weight, fan_in) = ([outputs, shape[0], height, width], outputs / 2);
        parameters.add(format!("{name}.weight"), weight, self.scheme.convolution(weight), GROUP_FROZEN);
        parameters.add(format!("{name}.bias"), [outputs], self.scheme.bias(fan_in), GROUP_WHITENING_BIAS);
    }

    fn forward(&self, build: &mut Build, name: &str, x: NodeId) -> Result<NodeId> {
        let convolution = self.convolution(build.dims(x).get(1).copied().unwrap_or(0));
        let weight = build.parameter(&format!("{name}.weight"))?;
        let y = build.conv2d(x, weight, convolution.geometry())?;
        add_bias(build, name, y, true)
    }

    fn is_initialised_from_images(&self) -> bool {
        true
    }

    fn initialise_from_images(&self, shape: &[usize], images: &[f32]) -> Result<Vec<InitialValues>, String> {
        let covariance = covariance(image(shape)?, self.kernel.0, images)?;
        Ok(vec![InitialValues { name: "weight", values: weight(covariance, f64::from(self.epsilon)) }])
    }
}

/// Sums over patches of n values.
struct Sums {
    /// The number of patches.
    count: usize,
    /// The sum of each value.
    values: Vec<f64>,
    /// The sum of each product of two values, row-major, n x n. Elements below the diagonal are not filled.
    products: Vec<f64>,
}

impl Sums {
    fn new(n: usize) -> Self {
        Self { count: 0, values: vec![0.0; n], products: vec![0.0; n * n] }
    }

    fn add_patch(&mut self, patch: &[f64]) {
        self.count += 1;
        for (row, (&value, sum)) in patch.iter().zip(&mut self.values).enumerate() {
            *sum += value;
            let products = &mut self.products[row * patch.len()..][row..patch.len()];
            products.iter_mut().zip(&patch[row..]).for_each(|(sum, &other)| *sum += value * other);
        }
    }

    fn add(mut self, other: &Self) -> Self {
        self.count += other.count;
        self.values.iter_mut().zip(&other.values).for_each(|(sum, value)| *sum += value);
        self.products.iter_mut().zip(&other.products).for_each(|(sum, value)| *sum += value);
        self
    }
}

/// The covariance of all patches with the kernel's size in images `[channels, height, width]`. The values of a patch are
/// in the order of a convolution's weight: channel, row, column.
fn covariance(shape: [usize; 3], kernel: [usize; 2], images: &[f32]) -> Result<DMatrix<f64>, String> {
    let [channels, height, width] = shape;
    let (n, size) = (channels * kernel[0] * kernel[1], channels * height * width);
    let of_images = |images: &[f32]| {
        let (mut sums, mut patch) = (Sums::new(n), vec![0.0; n]);
        for image in images.chunks_exact(size) {
            for (top, left) in places(height + 1 - kernel[0], width + 1 - kernel[1]) {
                for (number, row) in patch.chunks_exact_mut(kernel[1]).enumerate() {
                    let (channel, y) = (number / kernel[0], number % kernel[0]);
                    let from = &image[(channel * height + top + y) * width + left..][..kernel[1]];
                    row.iter_mut().zip(from).for_each(|(value, &from)| *value = f64::from(from));
                }
                sums.add_patch(&patch);
            }
        }
        sums
    };
    let parts: Vec<Sums> = images.par_chunks(size * IMAGES_PER_SUM).map(of_images).collect();
    let sums = parts.iter().fold(Sums::new(n), Sums::add);
    if sums.count == 0 || !sums.products.iter().all(|sum| sum.is_finite()) {
        return Err("it needs at least one image, and all values have to be finite".into());
    }
    let count = sums.count as f64;
    let mean = |i: usize| sums.values[i] / count;
    Ok(DMatrix::from_fn(n, n, |i, j| sums.products[i.min(j) * n + i.max(j)] / count - mean(i) * mean(j)))
}

/// All positions (row, column) in a grid of this height and width, row by row.
fn places(height: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..height).flat_map(move |row| (0..width).map(move |column| (row, column)))
}

/// The eigenvectors, each divided by sqrt(eigenvalue + epsilon), with the largest eigenvalue first; then their negatives.
/// The sign of an eigenvector is chosen so that its component of the largest absolute value is positive. Of several such
/// components the first one decides.
fn weight(covariance: DMatrix<f64>, epsilon: f64) -> Vec<f32> {
    let SymmetricEigen { eigenvectors, eigenvalues } = SymmetricEigen::new(covariance);
    let mut order: Vec<usize> = (0..eigenvalues.len()).collect();
    order.sort_by(|&a, &b| eigenvalues[b].total_cmp(&eigenvalues[a]));
    let mut rows = Vec::with_capacity(2 * eigenvectors.len());
    for index in order {
        let vector = eigenvectors.column(index);
        let largest = vector.iter().fold(0.0_f64, |most, &value| if value.abs() > most.abs() { value } else { most });
        // Rounding can make an eigenvalue of 0 slightly negative.
        let factor = largest.signum() / (eigenvalues[index].max(0.0) + epsilon).sqrt();
        rows.extend(vector.iter().map(|&value| (value * factor) as f32));
    }
    let negatives: Vec<f32> = rows.iter().map(|value| -value).collect();
    rows.into_iter().chain(negatives).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use crate::graph::{Graph, Plan, PlanOptions, TensorType};
    use crate::nn::{GlobalPool, Mode, Model, PARAMS, Pooling, Sequence};
    use crate::ops::Step;

    /// Images with correlated neighbouring pixels.
    fn images(elements: usize) -> Vec<f32> {
        let value = |i: usize| ((i * i * 11 + i * 37) % 101) as f32 / 128.0;
        (0..elements).map(|i| value(i) + 0.5 * value(i + 1)).collect()
    }

    fn whitening(epsilon: f32) -> Whitening {
        Whitening { epsilon, ..Whitening::default() }
    }

    fn weight_from(epsilon: f32, shape: [usize; 3], images: &[f32]) -> Vec<f32> {
        whitening(epsilon).initialise_from_images(&shape, images).expect("computed").swap_remove(0).values
    }

    #[test]
    fn the_weight_is_numpys_for_the_same_images() {
        // numpy 2: cov(patches, bias=True) and linalg.eigh of three images of 2x5x5, with the signs as here.
        let wanted: [f32; 64] = [
            1.24247, 1.04811, -0.90857, -1.00817, -0.249042, 0.279181, 0.830345,
            0.551488, // eigenvalue 0.17750795
            0.562429, -0.223595, 0.698105, 1.18838, 1.80368, 1.51023, 1.09412, 0.883023, // 0.10178292
            -0.776661, 1.49166, 2.34612, -0.688991, -0.274015, -0.746284, -0.0237475, 1.81033, // 0.07813414
            -1.0924, -2.26575, -0.132499, -0.515013, -1.20062, -0.742056, 2.99887, 0.925661, // 0.05369487
            -2.10508, 0.245686, 0.399997, -1.71359, -1.41614, 4.22197, -0.147957, -0.751942, // 0.03520677
            1.65384, -1.52243, -0.304972, 1.69536, -2.86945, 1.13122, -2.06789, 3.00929, // 0.0318985
            1.2657, 2.07816, 1.88777, 3.22255, -3.16547, 0.164529, 2.29658, -2.77052, // 0.02282819
            4.15118, -3.1261, 4.01629, -3.25835, 0.0598753, 0.192389, -0.54076, -2.00704, // 0.0167077
        ];
        let weight = weight_from(5e-4, [2, 5, 5], &images(150));
        for (number, (&value, &wanted)) in weight.iter().zip(&wanted).enumerate() {
            assert!((value - wanted).abs() < 2e-5, "{number}: {value} and {wanted}");
            assert_eq!(weight[64 + number], -value);
        }
    }

    /// The first half of the layer's outputs for these images: n values for each patch.
    fn outputs(shape: [usize; 3], images: &[f32]) -> Vec<Vec<f64>> {
        let model = Model::new("it", &shape, Sequence::new().with("white", whitening(1e-7))).expect("a model");
        let mut weights = model.parameters().initial_weights(1);
        model.initialise_from_images(&mut weights, images).expect("initialised");
        let bias = model.parameters().find("white.bias").expect("a bias").range();
        weights.learned[bias].fill(0.0);
        let mut build = Build::new(model.parameters(), Mode::Evaluation).expect("a build");
        let batch = images.len() / shape.iter().product::<usize>();
        let x = build.leaf("x", 0, TensorType::f32([batch, shape[0], shape[1], shape[2]])).expect("a leaf");
        let y = model.forward(&mut build, x).expect("built");
        build.output("y", y);
        let graph: Graph = build.graph;
        let mut engine = Engine::cpu();
        let plan = Plan::new(graph, &engine.target(), PlanOptions::default()).expect("a plan");
        let program = engine.load(plan).expect("loaded");
        engine.write("x", 0, images).expect("written");
        engine.write(PARAMS, 0, &weights.learned).expect("written");
        engine.schedule(program, &[Step::new(0, batch as u32, 1)]).expect("scheduled");
        engine.run(program, 0..1).expect("run");
        let y = crate::blocking::block_on(engine.read_output(program, "y")).expect("read");
        let (n, places) = (shape[0] * 4, (shape[1] - 1) * (shape[2] - 1));
        let of = |image: &[f32], place: usize| (0..n).map(|k| f64::from(image[k * places + place])).collect();
        y.chunks(2 * n * places).flat_map(|image| (0..places).map(move |place| of(image, place))).collect()
    }

    #[test]
    fn whitened_patches_have_the_identity_as_their_covariance() {
        let shape = [3, 9, 8];
        let outputs = outputs(shape, &images(40 * 3 * 9 * 8));
        let count = outputs.len() as f64;
        let mean = |i: usize| outputs.iter().map(|y| y[i]).sum::<f64>() / count;
        for (i, j) in places(12, 12) {
            let (mean_i, mean_j) = (mean(i), mean(j));
            let covariance = outputs.iter().map(|y| (y[i] - mean_i) * (y[j] - mean_j)).sum::<f64>() / count;
            let wanted = if i == j { 1.0 } else { 0.0 };
            assert!((covariance - wanted).abs() < 2e-4, "{i} {j} {covariance}");
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_the_number_of_threads() {
        let images = images(500 * 3 * 6 * 6);
        let of = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| weight_from(5e-4, [3, 6, 6], &images))
        };
        assert_eq!(of(1), of(3));
    }

    #[test]
    fn flat_images_are_whitened_by_epsilon_alone() {
        let weight = weight_from(0.25, [1, 4, 4], &[0.5; 32]);
        for row in weight.chunks(4) {
            let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            assert!((norm - 2.0).abs() < 1e-5, "{row:?}");
        }
        assert_eq!(weight.len(), 32);
    }

    #[test]
    fn wrong_whitening_layers_are_refused() {
        let refused = |layers: Sequence| Model::new("it", &[3, 8, 8], layers).expect_err("refused").to_string();
        let cases = [
            (Sequence::new().with("a", GlobalPool(Pooling::Max)).with("w", whitening(1e-3)), "'w'"),
            (Sequence::new().with("a", crate::nn::Flatten).with("w", whitening(1e-3)), "channels x height x width"),
            (Sequence::new().with("a", whitening(1e-3)).with("w", whitening(1e-3)), "first layer"),
            (Sequence::new().with("w", whitening(0.0)), "epsilon is 0"),
            (Sequence::new().with("w", Whitening { kernel: 9.into(), ..whitening(1e-3) }), "kernel"),
            (Sequence::new().with("w", Whitening { kernel: 14.into(), ..whitening(1e-3) }), "588 values"),
        ];
        for (layers, part) in cases {
            let sentence = refused(layers);
            assert!(sentence.contains(part), "{sentence}");
        }
        assert!(whitening(1e-3).initialise_from_images(&[3, 8, 8], &[]).expect_err("refused").contains("image"));
        assert!(whitening(1e-3).initialise_from_images(&[1, 2, 2], &[f32::NAN; 4]).is_err());
    }
}
