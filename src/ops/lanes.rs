//! Vectors of floats as wide as the CPU has them. A [`Work`] is compiled for each kind of CPU; [`dispatch`] runs the widest that this
//! one can run (crate `pulp`).

use pulp::{Arch, Simd, WithSimd};

/// Operations on vectors of [`Lanes::LANES`] floats.
pub(crate) trait Lanes: Copy {
    /// A vector.
    type Vector: Copy;
    /// The number of floats in a vector.
    const LANES: usize;
    /// The number of vectors that fit the CPU's registers.
    const REGISTERS: usize;
    /// A vector with this number in each lane.
    fn splat(self, value: f32) -> Self::Vector;
    /// The first floats of a slice.
    fn load(self, from: &[f32]) -> Self::Vector;
    /// Writes a vector to the start of a slice.
    fn store(self, vector: Self::Vector, to: &mut [f32]);
    /// Writes the first lanes to a slice that is shorter than a vector.
    fn store_part(self, vector: Self::Vector, to: &mut [f32]);
    /// a + b.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a b + c, rounded once where the CPU can.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The sum of all lanes.
    fn sum(self, vector: Self::Vector) -> f32;
}

/// The vectors of a kind of CPU that `pulp` knows.
#[derive(Clone, Copy)]
struct Native<S>(S);

impl<S: Simd> Lanes for Native<S> {
    type Vector = S::f32s;
    const LANES: usize = S::F32_LANES;
    const REGISTERS: usize = S::REGISTER_COUNT;

    #[inline(always)]
    fn splat(self, value: f32) -> S::f32s {
        self.0.splat_f32s(value)
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> S::f32s {
        S::as_simd_f32s(&from[..Self::LANES]).0[0]
    }
    #[inline(always)]
    fn store(self, vector: S::f32s, to: &mut [f32]) {
        S::as_mut_simd_f32s(&mut to[..Self::LANES]).0[0] = vector;
    }
    #[inline(always)]
    fn store_part(self, vector: S::f32s, to: &mut [f32]) {
        self.0.partial_store_f32s(to, vector);
    }
    #[inline(always)]
    fn add(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.add_f32s(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        // WebAssembly has no such instruction, and a function that computes it takes many times as long.
        if cfg!(target_arch = "wasm32") {
            return self.0.add_f32s(self.0.mul_f32s(a, b), c);
        }
        self.0.mul_add_f32s(a, b, c)
    }
    #[inline(always)]
    fn sum(self, vector: S::f32s) -> f32 {
        self.0.reduce_sum_f32s(vector)
    }
}

/// Four floats, for CPUs whose vectors `pulp` does not know: those of x86 without AVX2, and WebAssembly without vectors. The compiler
/// makes SSE2's vectors of them where they exist. A multiplication and an addition are rounded apart.
#[derive(Clone, Copy)]
struct Four;

impl Lanes for Four {
    type Vector = [f32; 4];
    const LANES: usize = 4;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 4] {
        [value; 4]
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> [f32; 4] {
        [from[0], from[1], from[2], from[3]]
    }
    #[inline(always)]
    fn store(self, vector: [f32; 4], to: &mut [f32]) {
        to[..4].copy_from_slice(&vector);
    }
    #[inline(always)]
    fn store_part(self, vector: [f32; 4], to: &mut [f32]) {
        to.iter_mut().zip(vector).for_each(|(to, value)| *to = value);
    }
    #[inline(always)]
    fn add(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }
    #[inline(always)]
    fn mul_add(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }
    #[inline(always)]
    fn sum(self, [a, b, c, d]: [f32; 4]) -> f32 {
        (a + c) + (b + d)
    }
}

/// Work on vectors.
pub(crate) trait Work {
    /// What it returns.
    type Output;
    /// Does the work. An implementation is `#[inline(always)]`, as all that it calls, so that it is compiled for each kind of CPU.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

struct Dispatched<W>(W);

impl<W: Work> WithSimd for Dispatched<W> {
    type Output = W::Output;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> W::Output {
        if S::F32_LANES == 1 { self.0.run(Four) } else { self.0.run(Native(simd)) }
    }
}

/// Does the work with the widest vectors of this CPU.
pub(crate) fn dispatch<W: Work>(work: W) -> W::Output {
    Arch::new().dispatch(Dispatched(work))
}

/// Runs loops that the compiler turns into vectors, compiled for each kind of CPU, with the widest vectors of this one. All that they
/// call is `#[inline(always)]`: what is not part of the closure's own code keeps the vectors that every CPU has. Sums keep their order
/// and no multiplication is joined with an addition, so the bits are the same on each kind.
#[inline(always)]
pub(crate) fn widest<R>(loops: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(loops)
}

/// Does the work with four lanes, for tests.
#[cfg(test)]
pub(crate) fn with_four<W: Work>(work: W) -> W::Output {
    work.run(Four)
}

/// The number of lanes of [`dispatch`].
pub(crate) fn lanes() -> usize {
    struct Count;
    impl Work for Count {
        type Output = usize;
        #[inline(always)]
        fn run<L: Lanes>(self, _: L) -> usize {
            L::LANES
        }
    }
    dispatch(Count)
}
