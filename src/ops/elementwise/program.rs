//! Runs programs of element-wise functions on the CPU, in chunks, with broadcast operands.

use std::ops::DerefMut;

use crate::graph::{Argument, Function, Program, TensorType};
use crate::ops::Real;
use crate::ops::product::Scratch;

/// The broadcast pattern of an operand. The operand consists of `len / row` rows of `row` elements. Output element
/// `index` reads the operand's element `((index / inner) % (len / row)) * row + index % row`. If the operand's axes
/// are adjacent in the output, `row` is 1, and the element is `(index / inner) % len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The number of output elements that read the same row of the operand before the next row.
    pub inner: usize,
    /// The operand's length in elements.
    pub len: usize,
    /// The number of adjacent elements that repeat together.
    pub row: usize,
}

impl Pattern {
    /// The pattern of an operand in an output.
    ///
    /// # Errors
    /// The end of a sentence that says why it cannot be broadcast.
    pub fn of(operand: &TensorType, output: &TensorType) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("{operand} cannot be broadcast to {output}: {why}"));
        let (small, large) = (operand.dims(), output.dims());
        if small.len() > large.len() {
            return refuse("it has more axes");
        }
        let skip = large.len() - small.len();
        let mut equal = Vec::new();
        for (axis, &size) in large.iter().enumerate() {
            let own = if axis < skip { 1 } else { small[axis - skip] };
            match own {
                _ if size == 1 && own == 1 => {}
                _ if own == size => equal.push(axis),
                1 => {}
                _ => return refuse("an axis is neither 1 nor as long"),
            }
        }
        let (Some(&first), Some(&last)) = (equal.first(), equal.last()) else {
            return Ok(Self { inner: 1, len: 1, row: 1 });
        };
        let len = operand.elements();
        let size = |axes: std::ops::Range<usize>| large[axes].iter().product::<usize>();
        let missing = |axis: &usize| large[*axis] != 1 && !equal.contains(axis);
        let Some(gap) = (first..last).find(missing) else {
            return Ok(Self { inner: size(last + 1..large.len()), len, row: 1 });
        };
        let after = (gap..=last).find(|axis| equal.contains(axis)).unwrap_or(last);
        if (after..large.len()).any(|axis| missing(&axis)) {
            return refuse("the axes that it has form more than two blocks, or the second does not end the shape");
        }
        Ok(Self { inner: size(gap..large.len()), len, row: size(after..large.len()) })
    }
    /// The operand's element for an output index.
    pub fn at(self, index: usize) -> usize {
        (index / self.inner) % (self.len / self.row) * self.row + index % self.row
    }
    /// Reads the operand's elements for the output indices from `first` on. It works in runs of one repeated element
    /// or of adjacent elements.
    pub(crate) fn read<T: Copy>(self, values: &[T], first: usize, out: &mut [T]) {
        if self.len == 1 {
            return out.fill(values[0]);
        }
        let alone = self.row == 1 && self.inner > 1;
        let neighbours = match (alone, self.inner) {
            (true, inner) => inner,
            (false, 1) => self.len,
            (false, _) => self.row,
        };
        let mut rest = out;
        let mut index = first;
        while !rest.is_empty() {
            let count = (neighbours - index % neighbours).min(rest.len());
            let (run, after) = rest.split_at_mut(count);
            match alone {
                true => run.fill(values[self.at(index)]),
                false => run.copy_from_slice(&values[self.at(index)..][..count]),
            }
            (rest, index) = (after, index + count);
        }
    }
    /// The operand's elements for a chunk of the output from `first` on, if they lie side by side, or if they are one and one is
    /// enough. Else reads them into `buffer`, which is as long as the chunk.
    fn chunk<'a, T: Copy>(
        self,
        values: &'a [T],
        first: usize,
        one_is_enough: bool,
        buffer: &mut [T],
    ) -> Option<&'a [T]> {
        let count = buffer.len();
        if self.inner == 1 && first + count <= self.len {
            return Some(&values[first..][..count]);
        }
        let is_one = self.len == 1 || self.row == 1 && first % self.inner + count <= self.inner;
        if is_one && one_is_enough {
            let at = self.at(first);
            return Some(&values[at..=at]);
        }
        self.read(values, first, buffer);
        None
    }
    /// Whether the operand has one element for each output element.
    pub fn is_full(self, count: usize) -> bool {
        self.inner == 1 && self.len == count && self.row == 1
    }
}

/// The number of elements that a chain processes at once on the CPU. The intermediate values stay in the first-level
/// cache.
const CHUNK: usize = 512;
/// From so many elements on, a chunk is worth its calls.
const LONG: usize = 128;
/// The most arguments of a function.
const MOST_ARGUMENTS: usize = 3;

impl Program {
    /// Computes `out`. Its first element is element `start` of the whole output. An operand that is `None` is the
    /// previous content of `out`.
    pub(crate) fn run<T: Chunked>(&self, operands: &[Option<(&[T], Pattern)>], start: usize, out: &mut [T]) {
        if out.is_empty() {
            return;
        }
        if self.calls.is_empty() {
            if let [Some((values, pattern)), ..] = operands {
                pattern.read(values, start, out);
            }
            return;
        }
        let (size, last) = (CHUNK.min(out.len()), self.calls.len() - 1);
        let mut buffers = T::buffer((operands.len() + last) * size);
        let (loaded, results) = buffers.split_at_mut(operands.len() * size);
        let is_previous = |argument: &Argument| matches!(*argument, Argument::Operand(i) if operands[i].is_none());
        // The last function writes over the previous content.
        let copied = self.calls[last].arguments.iter().any(is_previous);
        let singles: Vec<bool> = (0..operands.len()).map(|operand| self.can_be_single(operand)).collect();
        let parts = Parts::new(operands, &singles, size);
        // For each operand: the elements of a chunk, or the one, if they need not be loaded.
        let mut there: Vec<Option<&[T]>> = vec![None; operands.len()];
        let (mut rest, mut first) = (out, start);
        while !rest.is_empty() {
            let count = parts.from(first).min(rest.len());
            let (chunk, after) = rest.split_at_mut(count);
            for (index, buffer) in loaded.chunks_exact_mut(size).enumerate() {
                there[index] = match operands[index] {
                    Some((values, pattern)) => pattern.chunk(values, first, singles[index], &mut buffer[..count]),
                    None if copied => {
                        buffer[..count].copy_from_slice(chunk);
                        None
                    }
                    None => None,
                };
            }
            for (index, call) in self.calls.iter().enumerate() {
                let (done, results) = results.split_at_mut(index * size);
                let argument = |argument: &Argument, previous| match *argument {
                    Argument::Call(i) => &done[i * size..][..count],
                    Argument::Operand(i) if operands[i].is_none() && index < last => previous,
                    Argument::Operand(i) => there[i].unwrap_or(&loaded[i * size..][..count]),
                };
                let mut arguments: [&[T]; MOST_ARGUMENTS] = [&[]; MOST_ARGUMENTS];
                let arguments = &mut arguments[..call.arguments.len()];
                let both = arguments.iter_mut().zip(&call.arguments);
                if index < last {
                    both.for_each(|(to, from)| *to = argument(from, &*chunk));
                    T::call(call.function.as_ref(), arguments, &mut results[..count]);
                } else {
                    both.for_each(|(to, from)| *to = argument(from, &[]));
                    T::call(call.function.as_ref(), arguments, chunk);
                }
            }
            (rest, first) = (after, first + count);
        }
    }

    /// Whether an operand is only ever the second argument of two, which can be a single number.
    fn can_be_single(&self, operand: usize) -> bool {
        let is_it = |argument: &Argument| *argument == Argument::Operand(operand);
        self.calls.iter().all(|call| match call.arguments.as_slice() {
            [first, _] => !is_it(first),
            others => !others.iter().any(is_it),
        })
    }
}

/// How the output is cut into chunks. They end where an operand's one element changes, if that is rarely.
struct Parts {
    /// The elements after which it changes.
    inner: usize,
    /// The most elements of a chunk.
    part: usize,
}

impl Parts {
    fn new<T>(operands: &[Option<(&[T], Pattern)>], singles: &[bool], size: usize) -> Self {
        let of_singles = operands.iter().zip(singles).filter_map(|(operand, single)| operand.filter(|_| *single));
        let inner = of_singles.map(|(_, pattern)| pattern.inner).filter(|&inner| inner >= LONG).min();
        inner.map_or(Self { inner: usize::MAX, part: size }, |inner| {
            // Chunks of one length: a short last one is not worth its calls.
            Self { inner, part: inner.div_ceil(inner.div_ceil(size)) }
        })
    }
    /// The length of the chunk from an element on.
    fn from(&self, first: usize) -> usize {
        let place = first % self.inner;
        (self.part - place % self.part).min(self.inner - place)
    }
}

/// Selects a function's loop by precision.
pub(crate) trait Chunked: Real {
    /// Memory for intermediate values.
    type Buffer: DerefMut<Target = [Self]>;
    fn buffer(len: usize) -> Self::Buffer;
    fn call(function: &dyn Function, arguments: &[&[Self]], out: &mut [Self]);
}
impl Chunked for f32 {
    type Buffer = Scratch;
    fn buffer(len: usize) -> Scratch {
        Scratch::new(len)
    }
    fn call(function: &dyn Function, arguments: &[&[f32]], out: &mut [f32]) {
        function.map_f32(arguments, out);
    }
}
impl Chunked for f64 {
    type Buffer = Vec<f64>;
    fn buffer(len: usize) -> Vec<f64> {
        vec![0.0; len]
    }
    fn call(function: &dyn Function, arguments: &[&[f64]], out: &mut [f64]) {
        function.map_f64(arguments, out);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::graph::FunctionCall;

    /// The operand's element, found by coordinates axis by axis.
    fn by_coordinates(small: &[usize], large: &[usize], mut index: usize) -> usize {
        let (mut at, mut stride) = (0, 1);
        for (axis, &size) in large.iter().enumerate().rev() {
            let coordinate = index % size;
            index /= size;
            let Some(own) = (axis + small.len()).checked_sub(large.len()).map(|axis| small[axis]) else { continue };
            at += if own == 1 { 0 } else { coordinate * stride };
            stride *= own;
        }
        at
    }

    /// A result from the previous content, a number of the channel, one of the element, and one of all.
    type Definition = fn([f64; 4]) -> f64;

    /// Chunks begin and end anywhere; operands are full, one number a channel, or one in all, as the first or the second argument.
    #[test]
    fn a_piece_of_a_program_is_what_its_functions_say() {
        let call = |arguments: &[Argument], product: bool| FunctionCall {
            function: if product {
                Arc::new(crate::ops::multiply::Multiply)
            } else {
                Arc::new(crate::ops::subtract::Subtract)
            },
            arguments: arguments.to_vec(),
        };
        let [previous, channel, full, one] = [0, 1, 2, 3].map(Argument::Operand);
        for (inner, start) in [(49, 0), (129, 5), (513, 700), (784, 1)] {
            let (channels, len) = (3, 3 * inner);
            let number = |i: usize| ((i * 37) % 101) as f64 / 16.0 - 3.0;
            let values = [len, channels, len, 1].map(|count| (0..count).map(number).collect::<Vec<f64>>());
            let patterns = [
                Pattern { inner, len: channels, row: 1 },
                Pattern { inner: 1, len, row: 1 },
                Pattern { inner: 1, len: 1, row: 1 },
            ];
            let operands: Vec<_> = std::iter::once(None)
                .chain(patterns.iter().enumerate().map(|(i, &pattern)| Some((&values[i + 1][..], pattern))))
                .collect();
            let programs: [(Vec<FunctionCall>, Definition); 4] = [
                (
                    vec![
                        call(&[previous, channel], false),
                        call(&[Argument::Call(0), one], true),
                        call(&[Argument::Call(1), full], false),
                    ],
                    |[x, channel, full, one]| (x - channel) * one - full,
                ),
                (vec![call(&[channel, previous], false)], |[x, channel, ..]| channel - x),
                (
                    vec![
                        call(&[previous, channel], true),
                        call(&[channel, channel], true),
                        call(&[previous, previous], true),
                    ],
                    |[x, ..]| x * x,
                ),
                (
                    vec![call(&[one, channel], false), call(&[previous, Argument::Call(0)], true)],
                    |[x, channel, _, one]| x * (one - channel),
                ),
            ];
            for (calls, wanted) in programs {
                let program = Program { calls };
                let mut found = values[0][start.min(len)..].to_vec();
                program.run(&operands, start.min(len), &mut found);
                program.run(&operands, start, &mut []);
                let single =
                    values.clone().map(|values| values.iter().map(|&value| value as f32).collect::<Vec<f32>>());
                let operands: Vec<_> = std::iter::once(None)
                    .chain(patterns.iter().enumerate().map(|(i, &pattern)| Some((&single[i + 1][..], pattern))))
                    .collect();
                let mut found_single = single[0][start.min(len)..].to_vec();
                program.run(&operands, start.min(len), &mut found_single);
                for (at, (&found, &single)) in (start.min(len)..).zip(found.iter().zip(&found_single)) {
                    let wanted = wanted([values[0][at], values[1][at / inner], values[2][at], values[3][0]]);
                    assert!(
                        found == wanted && (f64::from(single) - wanted).abs() < 1e-4,
                        "{inner} {start}: element {at}"
                    );
                }
            }
        }
    }

    /// Tests every operand with up to four axes, where each axis has size 1 or the output's size. It must be read by
    /// coordinates or refused.
    #[test]
    fn patterns_are_what_coordinates_say() {
        let (mut read, mut refused) = (0, 0);
        for large in [[2, 3, 4, 5], [2, 1, 3, 2], [1, 4, 1, 3], [3, 2, 2, 1]] {
            let output = TensorType::f32(large);
            for (rank, kept) in (0..=4).flat_map(|rank| (0..1_usize << rank).map(move |kept| (rank, kept))) {
                let own = |axis: usize| if kept >> axis & 1 == 1 { large[4 - rank + axis] } else { 1 };
                let small: Vec<usize> = (0..rank).map(own).collect();
                let Ok(pattern) = Pattern::of(&TensorType::f32(small.clone()), &output) else {
                    refused += 1;
                    continue;
                };
                let elements = output.elements();
                assert!(
                    (0..elements).all(|i| pattern.at(i) == by_coordinates(&small, &large, i)),
                    "{small:?} {large:?}"
                );
                let values: Vec<usize> = (0..small.iter().product()).collect();
                let mut run = vec![usize::MAX; elements - 1];
                pattern.read(&values, 1, &mut run);
                assert!(run.iter().enumerate().all(|(i, &at)| at == pattern.at(i + 1)), "{small:?} {large:?}");
                assert_eq!(pattern.is_full(elements), small.iter().product::<usize>() == elements);
                read += 1;
            }
        }
        // Only operands whose axes form more than two separate groups are refused, such as 2x1x4x1 in 2x3x4x5.
        assert!(read > 100 && refused > 0 && refused < 12, "{read} read, {refused} refused");
    }

    #[test]
    fn what_does_not_broadcast_is_refused() {
        let output = TensorType::f32([2, 3]);
        for small in [&[3, 3][..], &[2], &[1, 2, 3]] {
            let refusal = Pattern::of(&TensorType::f32(small), &output).unwrap_err();
            assert!(refusal.starts_with(&format!("{} cannot be broadcast to 2x3: ", TensorType::f32(small))));
        }
    }
}
