//! Operators on values that are known when the graph is built: shapes, axes, positions.

use super::call::{Call, axis, size};
use super::value::{Fault, Known, MOST_KNOWN, Numbers, Value, coordinates};
use crate::graph::Shape;

/// The value of an operator whose inputs are all known. `None` if the operator is not one of those that compute shapes.
pub(super) fn evaluate(call: &Call) -> Option<Result<Vec<Value>, Fault>> {
    let mut given = call.inputs.as_slice();
    while let [before @ .., None] = given {
        given = before;
    }
    let known = given.iter().map(|value| match value {
        Some(Value::Known(known)) => Some(known),
        _ => None,
    });
    let inputs: Vec<&Known> = known.collect::<Option<_>>()?;
    let first = inputs.first().copied();
    let result = match (call.operator.op.as_str(), first) {
        ("ConstantOfShape", Some(shape)) => constant_of_shape(call, shape),
        ("Range", Some(_)) => range(&inputs),
        ("Cast", Some(x)) => cast(call, x),
        ("Gather", Some(x)) => {
            inputs.get(1).map_or_else(|| Fault::refuse("it has no input 1"), |at| gather(call, x, at))
        }
        ("Concat", Some(_)) => concat(call, &inputs),
        ("Where", Some(_)) => choose(&inputs),
        ("Expand", Some(x)) => inputs.get(1).map_or_else(|| Fault::refuse("it has no input 1"), |dims| expand(x, dims)),
        ("ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin", Some(x)) if is_ints(x) => reduce(call, x),
        ("Not" | "Neg" | "Abs" | "Floor" | "Ceil" | "Sqrt", Some(x)) => unary(&call.operator.op, x),
        (op, Some(first)) => {
            let function = binary(op)?;
            let several = matches!(op, "Max" | "Min");
            if !several && inputs.len() != 2 {
                return Some(Fault::refuse("it takes two inputs"));
            }
            inputs[1..].iter().try_fold(first.clone(), |a, b| {
                let parts = broadcast(&[&a, b])?;
                apply(function, &parts[0], &parts[1])
            })
        }
        _ => return None,
    };
    Some(result.map(|known| vec![Value::Known(known)]))
}

fn is_ints(known: &Known) -> bool {
    matches!(known.numbers, Numbers::Ints(_))
}

/// Checks a size before anything is allocated.
pub(super) fn bounded(dims: &[usize]) -> Result<usize, Fault> {
    match Shape::from(dims).elements() {
        elements if elements <= MOST_KNOWN => Ok(elements),
        elements => Fault::refuse(format!("a constant of {elements} elements is larger than {MOST_KNOWN}")),
    }
}

fn sizes(known: &Known) -> Result<Vec<usize>, Fault> {
    match &known.numbers {
        Numbers::Ints(values) => values.iter().map(|&value| size(value, "a size")).collect(),
        Numbers::Floats(_) => Fault::refuse("sizes must be integers"),
    }
}

fn constant_of_shape(call: &Call, shape: &Known) -> Result<Known, Fault> {
    let dims = sizes(shape)?;
    let elements = bounded(&dims)?;
    // The tensor of the attribute is a constant here: its single number.
    let numbers = match call.ints("value")? {
        Some(values) => Numbers::Ints(vec![values.first().copied().unwrap_or(0); elements]),
        None => Numbers::Floats(vec![call.float("value_float", 0.0)?; elements]),
    };
    Ok(Known { dims, numbers })
}

fn range(inputs: &[&Known]) -> Result<Known, Fault> {
    let [start, limit, delta] = inputs else { return Fault::refuse("it takes start, limit and delta") };
    let number = |known: &Known| match known.to_floats()[..] {
        [value] => Ok(f64::from(value)),
        _ => Fault::refuse("start, limit and delta must be single numbers"),
    };
    let (first, step) = (number(start)?, number(delta)?);
    if step == 0.0 {
        return Fault::refuse("its delta is 0");
    }
    let count = ((number(limit)? - first) / step).ceil().max(0.0);
    let count = bounded(&[if count < MOST_KNOWN as f64 { count as usize } else { usize::MAX }])?;
    let values = (0..count).map(|index| first + step * index as f64);
    let numbers = match is_ints(start) {
        true => Numbers::Ints(values.map(|value| value as i64).collect()),
        false => Numbers::Floats(values.map(|value| value as f32).collect()),
    };
    Ok(Known { dims: vec![count], numbers })
}

/// The types of elements that are floats: float, float16, double, bfloat16.
pub(super) const FLOATS: [i64; 4] = [1, 10, 11, 16];

fn cast(call: &Call, x: &Known) -> Result<Known, Fault> {
    let (to, _) = (call.int("to", 0)?, call.flag("saturate", true)?);
    let _ = call.text("round_mode", "up")?;
    let numbers = match &x.numbers {
        Numbers::Ints(values) if FLOATS.contains(&to) => {
            Numbers::Floats(values.iter().map(|&value| value as f32).collect())
        }
        Numbers::Ints(values) => match to {
            9 => Numbers::Ints(values.iter().map(|&value| (value != 0).into()).collect()),
            6 | 7 => Numbers::Ints(values.clone()),
            _ => return Fault::refuse(format!("the type {to} is not supported")),
        },
        Numbers::Floats(values) => match to {
            9 => Numbers::Ints(values.iter().map(|&value| (value != 0.0).into()).collect()),
            6 | 7 => Numbers::Ints(values.iter().map(|&value| value as i64).collect()),
            to if FLOATS.contains(&to) => Numbers::Floats(values.clone()),
            _ => return Fault::refuse(format!("the type {to} is not supported")),
        },
    };
    Ok(Known { dims: x.dims.clone(), numbers })
}

fn gather(call: &Call, x: &Known, at: &Known) -> Result<Known, Fault> {
    let along = axis(call.int("axis", 0)?, x.dims.len())?;
    let Numbers::Ints(indices) = &at.numbers else { return Fault::refuse("its indices must be integers") };
    let indices = indices.iter().map(|&index| axis(index, x.dims[along])).collect::<Result<Vec<_>, _>>()?;
    let (outer, inner): (usize, usize) = (x.dims[..along].iter().product(), x.dims[along + 1..].iter().product());
    let dims = [&x.dims[..along], &at.dims, &x.dims[along + 1..]].concat();
    bounded(&dims)?;
    let mut places = Vec::new();
    for block in 0..outer {
        for index in &indices {
            places.extend((0..inner).map(|place| (block * x.dims[along] + index) * inner + place));
        }
    }
    Ok(x.pick(dims, &places))
}

fn concat(call: &Call, inputs: &[&Known]) -> Result<Known, Fault> {
    let rank = inputs[0].dims.len();
    let along = axis(call.int("axis", 0)?, rank)?;
    let mut dims = inputs[0].dims.clone();
    if inputs.iter().any(|input| input.dims.len() != rank || is_ints(input) != is_ints(inputs[0])) {
        return Fault::refuse("its inputs have different types or numbers of axes");
    }
    dims[along] = inputs.iter().map(|input| input.dims[along]).sum();
    bounded(&dims)?;
    let outer: usize = dims[..along].iter().product();
    let runs: Vec<usize> = inputs.iter().map(|input| input.dims[along..].iter().product()).collect();
    if (inputs.iter().zip(&runs)).any(|(input, run)| input.elements() != outer * run) {
        return Fault::refuse("its inputs have different sizes");
    }
    let numbers = match &inputs[0].numbers {
        Numbers::Ints(_) => Numbers::Ints(interleaved(outer, &runs, |input| match &inputs[input].numbers {
            Numbers::Ints(values) => values,
            Numbers::Floats(_) => &[],
        })),
        Numbers::Floats(_) => Numbers::Floats(interleaved(outer, &runs, |input| match &inputs[input].numbers {
            Numbers::Floats(values) => values,
            Numbers::Ints(_) => &[],
        })),
    };
    Ok(Known { dims, numbers })
}

/// Blocks of lists in turn: of each list so many elements.
fn interleaved<'a, T: Copy + 'a>(blocks: usize, runs: &[usize], list: impl Fn(usize) -> &'a [T]) -> Vec<T> {
    let mut all = Vec::new();
    for block in 0..blocks {
        for (number, &run) in runs.iter().enumerate() {
            all.extend_from_slice(&list(number)[block * run..][..run]);
        }
    }
    all
}

/// The sizes to which all of these broadcast, as in NumPy.
pub(super) fn common(all: &[Vec<usize>]) -> Result<Vec<usize>, Fault> {
    let rank = all.iter().map(Vec::len).max().unwrap_or(0);
    let mut dims = vec![1; rank];
    for own in all {
        for (large, &size) in dims[rank - own.len()..].iter_mut().zip(own) {
            match (*large, size) {
                (1, size) => *large = size,
                (large, size) if size == 1 || size == large => {}
                _ => return Fault::refuse(format!("{all:?} do not broadcast to one shape")),
            }
        }
    }
    Ok(dims)
}

/// Repeats an array to these sizes.
fn to(known: &Known, dims: &[usize]) -> Known {
    let skip = dims.len() - known.dims.len();
    let strides = Shape::from(known.dims.as_slice()).strides();
    let place = |at: Vec<usize>| {
        let own = at[skip..].iter().zip(&known.dims).zip(&strides);
        own.map(|((&at, &size), &stride)| if size == 1 { 0 } else { at * stride }).sum()
    };
    let places: Vec<usize> = coordinates(dims).map(place).collect();
    known.pick(dims.to_vec(), &places)
}

fn broadcast(inputs: &[&Known]) -> Result<Vec<Known>, Fault> {
    let dims = common(&inputs.iter().map(|input| input.dims.clone()).collect::<Vec<_>>())?;
    bounded(&dims)?;
    Ok(inputs.iter().map(|input| to(input, &dims)).collect())
}

fn expand(x: &Known, dims: &Known) -> Result<Known, Fault> {
    let dims = common(&[x.dims.clone(), sizes(dims)?])?;
    bounded(&dims)?;
    Ok(to(x, &dims))
}

/// `Where`: the second input's elements where the first is true, else the third's.
fn choose(inputs: &[&Known]) -> Result<Known, Fault> {
    let parts = broadcast(inputs)?;
    let [Known { numbers: Numbers::Ints(condition), dims }, a, b] = parts.as_slice() else {
        return Fault::refuse("it takes a condition and two values");
    };
    let numbers = match (&a.numbers, &b.numbers) {
        (Numbers::Ints(a), Numbers::Ints(b)) => {
            let both = a.iter().zip(b);
            Numbers::Ints(condition.iter().zip(both).map(|(&c, (&a, &b))| if c != 0 { a } else { b }).collect())
        }
        _ => {
            let (a, b) = (a.to_floats(), b.to_floats());
            let both = a.iter().zip(&b);
            Numbers::Floats(condition.iter().zip(both).map(|(&c, (&a, &b))| if c != 0 { a } else { b }).collect())
        }
    };
    Ok(Known { dims: dims.clone(), numbers })
}

/// A reduction of all axes.
fn reduce(call: &Call, x: &Known) -> Result<Known, Fault> {
    let axes = call.ints_of(1, "axes")?;
    let keep = call.flag("keepdims", true)?;
    let _ = call.flag("noop_with_empty_axes", false)?;
    let all = axes.is_none_or(|axes| axes.len() == x.dims.len());
    let Numbers::Ints(values) = &x.numbers else { return Fault::refuse("it takes integers") };
    if !all {
        return Fault::refuse("a reduction of some axes of integers is not supported");
    }
    let values = values.iter().copied();
    let result = match call.operator.op.as_str() {
        "ReduceProd" => Some(values.fold(1_i64, i64::wrapping_mul)),
        "ReduceSum" => Some(values.fold(0_i64, i64::wrapping_add)),
        "ReduceMax" => values.max(),
        _ => values.min(),
    };
    let Some(result) = result else { return Fault::refuse("it has no elements") };
    let dims = if keep { vec![1; x.dims.len()] } else { Vec::new() };
    Ok(Known { dims, numbers: Numbers::Ints(vec![result]) })
}

fn unary(op: &str, x: &Known) -> Result<Known, Fault> {
    let numbers = match &x.numbers {
        Numbers::Ints(values) => {
            let function: fn(i64) -> i64 = match op {
                "Not" => |value| i64::from(value == 0),
                "Neg" => i64::wrapping_neg,
                "Abs" => i64::wrapping_abs,
                _ => return Fault::refuse("it takes only floats"),
            };
            Numbers::Ints(values.iter().copied().map(function).collect())
        }
        Numbers::Floats(values) => {
            let function: fn(f32) -> f32 = match op {
                "Neg" => |value| -value,
                "Abs" => f32::abs,
                "Floor" => f32::floor,
                "Ceil" => f32::ceil,
                "Sqrt" => f32::sqrt,
                _ => return Fault::refuse("it takes truth values"),
            };
            Numbers::Floats(values.iter().copied().map(function).collect())
        }
    };
    Ok(Known { dims: x.dims.clone(), numbers })
}

/// A function of two numbers: of integers, and of floats.
type Binary = (fn(i64, i64) -> i64, fn(f32, f32) -> Number);

/// A float or a truth value.
enum Number {
    Float(f32),
    Truth(bool),
}

fn binary(op: &str) -> Option<Binary> {
    use Number::{Float, Truth};
    Some(match op {
        "Add" => (i64::wrapping_add, |a, b| Float(a + b)),
        "Sub" => (i64::wrapping_sub, |a, b| Float(a - b)),
        "Mul" => (i64::wrapping_mul, |a, b| Float(a * b)),
        "Div" => (|a, b| a.checked_div(b).unwrap_or(0), |a, b| Float(a / b)),
        // The result has the sign of b.
        "Mod" => (
            |a, b| {
                a.checked_rem(b).and_then(|rest| rest.checked_add(b)).and_then(|rest| rest.checked_rem(b)).unwrap_or(0)
            },
            |a, b| Float(((a % b) + b) % b),
        ),
        "Max" => (i64::max, |a, b| Float(a.max(b))),
        "Min" => (i64::min, |a, b| Float(a.min(b))),
        "Equal" => (|a, b| (a == b).into(), |a, b| Truth(a == b)),
        "Less" => (|a, b| (a < b).into(), |a, b| Truth(a < b)),
        "Greater" => (|a, b| (a > b).into(), |a, b| Truth(a > b)),
        "LessOrEqual" => (|a, b| (a <= b).into(), |a, b| Truth(a <= b)),
        "GreaterOrEqual" => (|a, b| (a >= b).into(), |a, b| Truth(a >= b)),
        "And" => (|a, b| (a != 0 && b != 0).into(), |a, b| Truth(a != 0.0 && b != 0.0)),
        "Or" => (|a, b| (a != 0 || b != 0).into(), |a, b| Truth(a != 0.0 || b != 0.0)),
        _ => return None,
    })
}

fn apply((ints, floats): Binary, a: &Known, b: &Known) -> Result<Known, Fault> {
    let numbers = match (&a.numbers, &b.numbers) {
        (Numbers::Ints(a), Numbers::Ints(b)) => Numbers::Ints(a.iter().zip(b).map(|(&a, &b)| ints(a, b)).collect()),
        (Numbers::Floats(a), Numbers::Floats(b)) => {
            let results: Vec<Number> = a.iter().zip(b).map(|(&a, &b)| floats(a, b)).collect();
            let truths = results.iter().map(|number| match number {
                Number::Truth(value) => Some(i64::from(*value)),
                Number::Float(_) => None,
            });
            match truths.collect::<Option<Vec<_>>>() {
                Some(truths) if !truths.is_empty() => Numbers::Ints(truths),
                _ => Numbers::Floats(
                    results
                        .into_iter()
                        .map(|number| if let Number::Float(value) = number { value } else { 0.0 })
                        .collect(),
                ),
            }
        }
        _ => return Fault::refuse("its inputs have different types"),
    };
    Ok(Known { dims: a.dims.clone(), numbers })
}
