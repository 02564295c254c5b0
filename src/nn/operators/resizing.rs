//! Resizing of images. Each axis is a matrix product with a table of weights, which the modes of ONNX differ in. What a kernel
//! of this program does is done by that kernel.

use super::call::{Call, size};
use super::movement::each_axis;
use super::scope::{Scope, one};
use super::value::{Fault, Known, Value};
use crate::graph::{NodeId, TensorType};
use crate::ops::resize2d::Resize;

/// The largest number of weights of a table.
const MOST_WEIGHTS: usize = 1 << 24;

/// How positions and weights are found.
#[derive(Clone, Debug)]
struct Rule<'a> {
    mode: &'a str,
    coordinates: &'a str,
    nearest: &'a str,
    cubic: f64,
    excludes_outside: bool,
    antialias: bool,
    extrapolation: f32,
}

/// An axis that is resized.
#[derive(Clone, Copy, Debug)]
struct Line {
    axis: usize,
    from: usize,
    to: usize,
    /// `to / from` as the file says it; a size is rounded, the factor is not.
    scale: f64,
    /// The part of the axis that is taken, by `tf_crop_and_resize`.
    region: [f64; 2],
}

impl Line {
    /// The position in the input of an output's place.
    fn position(&self, place: usize, rule: &Rule) -> Result<f64, Fault> {
        let (x, from, to) = (place as f64, self.from as f64, self.to as f64);
        // The length before it is rounded to a size.
        let exact = self.scale * from;
        let position = match rule.coordinates {
            "half_pixel" => (x + 0.5) / self.scale - 0.5,
            "half_pixel_symmetric" => {
                let adjustment = to / exact;
                from / 2.0 * (1.0 - adjustment) + (x + 0.5) / self.scale - 0.5
            }
            "pytorch_half_pixel" if self.to <= 1 => 0.0,
            "pytorch_half_pixel" => (x + 0.5) / self.scale - 0.5,
            "asymmetric" => x / self.scale,
            "align_corners" if to <= 1.0 => 0.0,
            "align_corners" => x * (from - 1.0) / (exact - 1.0),
            "tf_half_pixel_for_nn" => (x + 0.5) / self.scale,
            "tf_crop_and_resize" => {
                let [start, end] = self.region;
                match to > 1.0 {
                    true => start * (from - 1.0) + x * (end - start) * (from - 1.0) / (to - 1.0),
                    false => 0.5 * (start + end) * (from - 1.0),
                }
            }
            other => return Fault::refuse(format!("coordinate_transformation_mode = {other} is not supported")),
        };
        // A factor in single precision would put whole positions a little beside.
        Ok(f64::from(position as f32))
    }

    /// The weights of the input's elements for an output at this position, from an element on that may be outside.
    fn taps(&self, position: f64, rule: &Rule) -> Result<(i64, Vec<f64>), Fault> {
        if rule.mode == "nearest" {
            let place = match rule.nearest {
                "round_prefer_floor" => (position - 0.5).ceil(),
                "round_prefer_ceil" => (position + 0.5).floor(),
                "floor" => position.floor(),
                "ceil" => position.ceil(),
                other => return Fault::refuse(format!("nearest_mode = {other} is not supported")),
            };
            return Ok((place as i64, vec![1.0]));
        }
        // With antialiasing, a smaller image is made with a wider filter.
        let stretch = if rule.antialias { self.scale.min(1.0) } else { 1.0 };
        let (radius, weight): (f64, &dyn Fn(f64) -> f64) = match rule.mode {
            "linear" => (1.0, &|distance: f64| (1.0 - distance.abs()).max(0.0)),
            _ => (2.0, &|distance: f64| cubic(distance.abs(), rule.cubic)),
        };
        let first = (position - radius / stretch).floor() as i64 + 1;
        let last = (position + radius / stretch).ceil() as i64 - 1;
        let mut taps: Vec<f64> =
            (first..=last.max(first)).map(|place| weight((place as f64 - position) * stretch)).collect();
        if rule.excludes_outside {
            for (place, tap) in (first..).zip(&mut taps) {
                if !(0..self.from as i64).contains(&place) {
                    *tap = 0.0;
                }
            }
        }
        let total: f64 = taps.iter().sum();
        if (rule.antialias || rule.excludes_outside) && total != 0.0 {
            taps.iter_mut().for_each(|tap| *tap /= total);
        }
        Ok((first, taps))
    }

    /// The table `[to, from]`, and which outputs lie outside of the image.
    fn table(&self, rule: &Rule) -> Result<(Vec<f32>, Vec<bool>), Fault> {
        if self.from.saturating_mul(self.to) > MOST_WEIGHTS {
            return Fault::refuse(format!("resizing {} to {} elements is not supported", self.from, self.to));
        }
        let mut table = vec![0.0; self.from * self.to];
        let mut outside = vec![false; self.to];
        for place in 0..self.to {
            let position = self.position(place, rule)?;
            outside[place] =
                rule.coordinates == "tf_crop_and_resize" && (position < 0.0 || position > self.from as f64 - 1.0);
            let (first, taps) = self.taps(position, rule)?;
            for (source, tap) in (first..).zip(taps) {
                let source = source.clamp(0, self.from as i64 - 1) as usize;
                table[place * self.from + source] += tap;
            }
        }
        Ok((table.into_iter().map(|weight: f64| weight as f32).collect(), outside))
    }
}

/// The cubic filter of R. Keys, "Cubic convolution interpolation for digital image processing", 1981.
fn cubic(distance: f64, a: f64) -> f64 {
    match distance {
        d if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
        d if d < 2.0 => ((d - 5.0) * d + 8.0) * d * a - 4.0 * a,
        _ => 0.0,
    }
}

pub(super) fn resize(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let rule = Rule::of(call)?;
    let own = scope.build.dims(x).to_vec();
    let mut lines = Vec::new();
    for line in Sizes::of(call, &own)?.lines(&own)? {
        let is_same = line.from == line.to && (line.scale - 1.0).abs() < 1e-12;
        if !is_same || rule.coordinates == "tf_crop_and_resize" {
            lines.push(line);
        }
    }
    resized(scope, x, &rule, &lines).map(one)
}

impl<'a> Rule<'a> {
    fn of(call: &Call<'a>) -> Result<Self, Fault> {
        let is_old = call.opset < 11;
        Ok(Self {
            mode: call.text("mode", "nearest")?,
            coordinates: call
                .text("coordinate_transformation_mode", if is_old { "asymmetric" } else { "half_pixel" })?,
            nearest: call.text("nearest_mode", if is_old { "floor" } else { "round_prefer_floor" })?,
            cubic: call.float("cubic_coeff_a", -0.75)?.into(),
            excludes_outside: call.flag("exclude_outside", false)?,
            antialias: call.flag("antialias", false)?,
            extrapolation: call.float("extrapolation_value", 0.0)?,
        })
    }
}

/// What a `Resize` says of the sizes of its result.
struct Sizes {
    /// The axes that it names.
    axes: Vec<usize>,
    /// The factor of each.
    ratios: Vec<f64>,
    /// The size of each, if it says sizes and keeps no ratio between them.
    sizes: Option<Vec<f32>>,
    /// Whether sizes were rounded to keep the ratio between them.
    keeps_ratio: bool,
    /// The part of each axis that is taken: all starts, then all ends.
    region: Option<Vec<f32>>,
}

impl Sizes {
    fn of(call: &Call, own: &[usize]) -> Result<Self, Fault> {
        let axes = match call.ints("axes")? {
            Some(numbers) => each_axis(&numbers, own.len())?,
            None => (0..own.len()).collect(),
        };
        let given = |index: usize| -> Result<Option<Vec<f32>>, Fault> {
            Ok(call.known(index)?.map(Known::to_floats).filter(|values| !values.is_empty()))
        };
        // Before version 11, the second input has the factors.
        let (region, scales, sizes) =
            if call.opset < 11 { (None, given(1)?, None) } else { (given(1)?, given(2)?, given(3)?) };
        let policy = call.text("keep_aspect_ratio_policy", "stretch")?;
        let mut ratios: Vec<f64> = match (&scales, &sizes) {
            (Some(scales), _) => scales.iter().map(|&scale| scale.into()).collect(),
            (None, Some(sizes)) => {
                sizes.iter().zip(&axes).map(|(&size, &axis)| f64::from(size) / own[axis] as f64).collect()
            }
            (None, None) => return Fault::refuse("it has neither scales nor sizes"),
        };
        if ratios.len() != axes.len() || ratios.iter().any(|ratio| !(ratio.is_finite() && *ratio > 0.0)) {
            return Fault::refuse(format!("its factors {ratios:?} are not for {} axes", axes.len()));
        }
        let sizes = sizes.filter(|_| scales.is_none());
        let common = match policy {
            "stretch" => None,
            "not_larger" => ratios.iter().copied().reduce(f64::min),
            "not_smaller" => ratios.iter().copied().reduce(f64::max),
            other => return Fault::refuse(format!("its keep_aspect_ratio_policy is {other}")),
        };
        let common = common.filter(|_| sizes.is_some());
        if let Some(common) = common {
            ratios.fill(common);
        }
        // NaN is not within, either.
        if !region.iter().flatten().all(|place| place.abs() < 1e6) {
            return Fault::refuse("its region is not within finite numbers");
        }
        let region = region.filter(|region| region.len() == 2 * axes.len());
        Ok(Self { axes, ratios, sizes: sizes.filter(|_| common.is_none()), keeps_ratio: common.is_some(), region })
    }

    /// Each axis that it names, with its size after it.
    fn lines(&self, own: &[usize]) -> Result<Vec<Line>, Fault> {
        let line = |(number, &axis): (usize, &usize)| {
            let (from, scale) = (own[axis], self.ratios[number]);
            let to = match &self.sizes {
                Some(sizes) => size(sizes[number] as i64, "a size")?,
                None if self.keeps_ratio => (scale * from as f64 + 0.5).floor() as usize,
                // In single precision, as other programs do.
                None => (from as f32 * scale as f32).floor() as usize,
            };
            if to == 0 || to > 1 << 24 {
                return Fault::refuse(format!("axis {axis} would have {to} elements"));
            }
            let end = |place: usize, whole: f64| self.region.as_ref().map_or(whole, |region| region[place].into());
            let region = [end(number, 0.0), end(number + self.axes.len(), 1.0)];
            Ok(Line { axis, from, to, scale, region })
        };
        self.axes.iter().enumerate().map(line).collect()
    }
}

/// `Upsample`, which `Resize` replaced.
pub(super) fn upsample(scope: &mut Scope, call: &Call) -> Result<Vec<Value>, Fault> {
    let x = scope.input(call, 0)?;
    let attribute = call.floats("scales")?;
    let scales = call.known(1)?.map(Known::to_floats).or(attribute).unwrap_or_default();
    let mode = match call.text("mode", "nearest")? {
        "linear" | "bilinear" => "linear",
        "nearest" => "nearest",
        other => return Fault::refuse(format!("mode = {other} is not supported")),
    };
    let rule = Rule {
        mode,
        coordinates: "asymmetric",
        nearest: "floor",
        cubic: -0.75,
        excludes_outside: false,
        antialias: false,
        extrapolation: 0.0,
    };
    let own = scope.build.dims(x).to_vec();
    if scales.len() != own.len() {
        return Fault::refuse(format!("its factors {scales:?} are not for {} axes", own.len()));
    }
    let mut lines = Vec::new();
    for (axis, (&from, &scale)) in own.iter().zip(&scales).enumerate() {
        let to = (from as f32 * scale).floor();
        if !(1.0..16_777_216.0).contains(&to) {
            return Fault::refuse(format!("axis {axis} would have {to} elements"));
        }
        if scale != 1.0 {
            lines.push(Line { axis, from, to: to as usize, scale: scale.into(), region: [0.0, 1.0] });
        }
    }
    resized(scope, x, &rule, &lines).map(one)
}

/// The mode of this program's own kernel, if it does the same.
fn own_mode(rule: &Rule, lines: &[Line], rank: usize) -> Option<Resize> {
    let fits = rank == 4
        && !rule.antialias
        && !rule.excludes_outside
        && lines
            .iter()
            .all(|line| line.axis >= 2 && line.to > 1 && (line.scale - line.to as f64 / line.from as f64).abs() < 1e-9);
    match (rule.mode, rule.coordinates, rule.nearest) {
        _ if !fits => None,
        ("nearest", "asymmetric", "floor") => Some(Resize::Nearest),
        ("linear", "half_pixel" | "pytorch_half_pixel", _) => Some(Resize::Bilinear),
        _ => None,
    }
}

fn resized(scope: &mut Scope, x: NodeId, rule: &Rule, lines: &[Line]) -> Result<NodeId, Fault> {
    if !["nearest", "linear", "cubic"].contains(&rule.mode) {
        return Fault::refuse(format!("mode = {} is not supported", rule.mode));
    }
    if let Some(mode) = own_mode(rule, lines, scope.rank(x)) {
        let mut size = [scope.build.dims(x)[2], scope.build.dims(x)[3]];
        lines.iter().for_each(|line| size[line.axis - 2] = line.to);
        return Ok(scope.build.resize2d(x, size, mode)?);
    }
    let mut x = x;
    // Where a position is outside of the image along some axis, the output is the value for that.
    let mut outside: Vec<(usize, Vec<bool>)> = Vec::new();
    for line in lines {
        let (table, out) = line.table(rule)?;
        outside.push((line.axis, out));
        let rank = scope.rank(x);
        let moved = scope.move_axis(x, line.axis, rank - 1)?;
        let mut dims = scope.build.dims(moved).to_vec();
        let rows = dims[..rank - 1].iter().product();
        let matrix = scope.reshape(moved, &[rows, line.from])?;
        let table = scope.build.constant(TensorType::f32([line.to, line.from]), table);
        let product = scope.build.matmul_transposed(matrix, table, false, true)?;
        dims[rank - 1] = line.to;
        let back = scope.reshape(product, &dims)?;
        x = scope.move_axis(back, rank - 1, line.axis)?;
    }
    let rank = scope.rank(x);
    for (axis, out) in outside.into_iter().filter(|(_, out)| out.contains(&true)) {
        let dims = [vec![out.len()], vec![1; rank - 1 - axis]].concat();
        let inside = out.iter().map(|&out| if out { 0.0 } else { 1.0 }).collect::<Vec<f32>>();
        let beyond = out.iter().map(|&out| if out { rule.extrapolation } else { 0.0 }).collect::<Vec<f32>>();
        let [inside, beyond] =
            [inside, beyond].map(|values| scope.build.constant(TensorType::f32(dims.clone()), values));
        x = scope.build.mul(x, inside)?;
        x = scope.build.add(x, beyond)?;
    }
    Ok(x)
}
