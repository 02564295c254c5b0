//! Counter-based random numbers. Each number is a function of (seed, purpose, stream, step, element). It does not
//! depend on how many numbers were drawn before. So any executor can compute any number, in any order.
//!
//! The generator is Philox4x32-10 of J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel Random Numbers:
//! As Easy as 1, 2, 3", SC 2011. It uses only 32-bit integer arithmetic, so WGSL computes the same bits.
//!
//! ```
//! use gpunn::random::{CounterRng, Purpose};
//!
//! let order = CounterRng::new(7, Purpose::Shuffle, 0, 3).permutation(100);
//! assert_eq!(order, CounterRng::new(7, Purpose::Shuffle, 0, 3).permutation(100));
//! assert_ne!(order, CounterRng::new(7, Purpose::Shuffle, 0, 4).permutation(100));
//! ```

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Philox4x32-10: four random words for a 128-bit counter and a 64-bit key (Salmon et al. 2011, section 3.3).
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    philox_of([counter], key)[0]
}

/// [`philox`] of several counters. The compiler can make vectors of it.
#[inline(always)]
fn philox_of<const N: usize>(mut counters: [[u32; 4]; N], key: [u32; 2]) -> [[u32; 4]; N] {
    let mut k = key;
    for _ in 0..ROUNDS {
        for c in &mut counters {
            let a = u64::from(MULTIPLIERS[0]) * u64::from(c[0]);
            let b = u64::from(MULTIPLIERS[1]) * u64::from(c[2]);
            *c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
        }
        k = [k[0].wrapping_add(KEY_STEPS[0]), k[1].wrapping_add(KEY_STEPS[1])];
    }
    counters
}

/// The purpose of random numbers. Different purposes get different numbers, even with the same seed, stream and step.
/// The shaders use the same values as constants `PURPOSE_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Initial weights. The stream is the parameter.
    Init = 0,
    /// The order of the training images. The step is the epoch.
    Shuffle = 1,
    /// Dropout masks. The stream is the layer, the step is the training step.
    Dropout = 2,
    /// Augmentation. The step is the training step.
    Augment = 3,
    /// The embedded dataset. The stream is the split, the step is the image.
    Glyphs = 4,
    /// The choice of part of a dataset, see [`data::limit`](crate::data::limit) and
    /// [`data::split_off`](crate::data::split_off). The step is the class.
    Split = 5,
    /// Generated pages of handwriting, on which reading is evaluated. The step is the page.
    Pages = 6,
    /// More of augmentation: perspective, colours, blur, erasing, and the mixing of images. The step is the training step.
    AugmentMore = 8,
    /// The settings of a sweep. The stream is the recipe's key, the step the number of the setting.
    Sweep = 7,
}

/// One sequence of random numbers, indexed by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterRng {
    /// The run's seed. Its lower and upper words are the key of Philox.
    pub seed: u64,
    /// The purpose of the numbers.
    pub purpose: Purpose,
    /// The number of the sequence within its purpose: a layer, a parameter or a split.
    pub stream: u32,
    /// The step of the sequence: a training step, an epoch or an image.
    pub step: u32,
}

impl CounterRng {
    /// The sequence for a seed, purpose, stream and step.
    pub fn new(seed: u64, purpose: Purpose, stream: u32, step: u32) -> Self {
        Self { seed, purpose, stream, step }
    }

    /// The four words of elements `4 * block` to `4 * block + 3`. The counter is `[block, stream, step, purpose]`.
    /// The key is `[lower word of the seed, upper word]`.
    pub fn block(&self, block: u32) -> [u32; 4] {
        self.blocks::<1>(block)[0]
    }

    /// The words of `N` adjacent blocks from `first` on. The compiler can make vectors of it.
    #[inline(always)]
    pub(crate) fn blocks<const N: usize>(&self, first: u32) -> [[u32; 4]; N] {
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        let counter = |i| [first.wrapping_add(i as u32), self.stream, self.step, self.purpose as u32];
        philox_of(std::array::from_fn(counter), key)
    }

    /// Element `element` as 32 random bits.
    pub fn word(&self, element: u32) -> u32 {
        self.block(element / 4)[(element % 4) as usize]
    }

    /// Element `element` as a number in [0, 1): the word's upper 24 bits times 2^-24. This is exact in `f32`.
    pub fn uniform(&self, element: u32) -> f32 {
        unit(self.word(element))
    }

    /// Element `element` of a standard normal sequence, by the method of Box and Muller (1958). It uses words `2 *
    /// element` and `2 * element + 1`. Use a sequence either for normal numbers or for other numbers, because they
    /// share words.
    ///
    /// The logarithm and the cosine are computed in `f64` and rounded once. So small differences between the
    /// mathematics libraries of platforms do not appear in the `f32` result.
    pub fn normal(&self, element: u32) -> f32 {
        let words = self.block(element / 2);
        let pair = (element % 2) as usize * 2;
        // (0, 1] rather than [0, 1), so that the logarithm is finite.
        let radius = (f64::from(words[pair] >> 8) + 1.0) / 16_777_216.0;
        let turn = f64::from(unit(words[pair + 1]));
        ((-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * turn).cos()) as f32
    }

    /// A permutation of `0..n`, by the Fisher-Yates shuffle. The swap at position `i` uses word `i`, reduced to its
    /// range by multiply-and-shift. No word is rejected, so positions and words correspond. The bias is below `n` /
    /// 2^32.
    pub fn permutation(&self, n: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n).collect();
        let mut words = [0; 4];
        for i in (1..n).rev() {
            if i % 4 == 3 || i == n - 1 {
                words = self.block(i / 4);
            }
            let bound = u64::from(i) + 1;
            let j = (u64::from(words[(i % 4) as usize]) * bound) >> 32;
            order.swap(i as usize, j as usize);
        }
        order
    }
}

/// A word's upper 24 bits as a number in [0, 1).
pub(crate) fn unit(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with Random123: `kat_vectors`, lines `philox4x32 10`.
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn words_are_addressed_as_the_shaders_address_them() {
        let rng = CounterRng::new(0x0123_4567_89ab_cdef, Purpose::Dropout, 7, 9);
        let block = philox([2, 7, 9, 2], [0x89ab_cdef, 0x0123_4567]);
        for element in 8..12 {
            assert_eq!(rng.word(element), block[element as usize - 8]);
        }
    }

    #[test]
    fn uniform_numbers_fill_the_unit_interval() {
        let rng = CounterRng::new(1, Purpose::Init, 0, 0);
        let numbers: Vec<f32> = (0..40_000).map(|i| rng.uniform(i)).collect();
        assert!(numbers.iter().all(|x| (0.0..1.0).contains(x)));
        let mean = numbers.iter().map(|&x| f64::from(x)).sum::<f64>() / 40_000.0;
        assert!((mean - 0.5).abs() < 0.006, "{mean}");
    }

    #[test]
    fn normal_numbers_have_the_normal_moments() {
        let rng = CounterRng::new(2, Purpose::Init, 3, 0);
        let numbers: Vec<f64> = (0..40_000).map(|i| f64::from(rng.normal(i))).collect();
        let moment = |p: i32| numbers.iter().map(|x| x.powi(p)).sum::<f64>() / 40_000.0;
        assert!(moment(1).abs() < 0.02, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.03, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.2, "{}", moment(4));
        assert!(numbers.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn a_permutation_holds_each_number_once_and_differs_by_step() {
        for n in [0, 1, 2, 3, 4, 5, 37, 1000] {
            let order = CounterRng::new(3, Purpose::Shuffle, 0, 1).permutation(n);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n).collect::<Vec<_>>());
            if n > 30 {
                assert_ne!(order, sorted);
                assert_ne!(order, CounterRng::new(3, Purpose::Shuffle, 0, 2).permutation(n));
            }
        }
    }

    #[test]
    fn a_permutation_uses_word_i_for_place_i() {
        let rng = CounterRng::new(4, Purpose::Shuffle, 0, 0);
        let mut order: Vec<u32> = (0..11).collect();
        for i in (1..11_u32).rev() {
            order.swap(i as usize, ((u64::from(rng.word(i)) * u64::from(i + 1)) >> 32) as usize);
        }
        assert_eq!(rng.permutation(11), order);
    }

    /// Every `const PURPOSE_NAME: u32 = Nu;` of a shader has the number of that name in [`Purpose`].
    #[test]
    fn the_shaders_number_the_purposes_as_the_enum_does() {
        let mut seen = std::collections::BTreeMap::new();
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders"))];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("the folder of shaders") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).expect("a shader");
                for line in text.lines().filter_map(|line| line.trim().strip_prefix("const PURPOSE_")) {
                    let (name, value) = line.split_once(": u32 = ").expect("a u32");
                    let value: u32 = value.trim_end_matches(';').trim_end_matches('u').parse().expect("a number");
                    let expected = match name {
                        "DROPOUT" => Purpose::Dropout,
                        "AUGMENT" => Purpose::Augment,
                        "AUGMENTMORE" => Purpose::AugmentMore,
                        _ => panic!("{}: add PURPOSE_{name} to this test", path.display()),
                    };
                    assert_eq!(value, expected as u32, "{}: PURPOSE_{name}", path.display());
                    *seen.entry(name.to_owned()).or_insert(0) += 1;
                }
            }
        }
        let names: Vec<&str> = seen.keys().map(String::as_str).collect();
        assert_eq!(names, ["AUGMENT", "AUGMENTMORE", "DROPOUT"], "the shaders declare the constants");
    }
}
