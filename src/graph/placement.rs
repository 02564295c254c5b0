//! Assigns tensors to ranges of a few shared buffers. It uses the best fitting free range, in a buffer that the node
//! does not read.

/// A range of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub offset: usize,
    pub bytes: usize,
}

/// A buffer that several tensors share.
#[derive(Clone, Debug)]
struct Pool<K> {
    kind: K,
    bytes: usize,
    free: Vec<Range>,
    dedicated: bool,
}

/// All pools. A pool's kind (the element type) equals that of its tensors.
#[derive(Clone, Debug)]
pub(crate) struct Pools<K> {
    pools: Vec<Pool<K>>,
    alignment: usize,
    guard: usize,
    reuse: bool,
    most: usize,
}

impl<K: Copy + PartialEq> Pools<K> {
    /// Ranges start at multiples of `alignment`. Each has `guard` unused bytes before and after it. A pool grows to at most `most`
    /// bytes; one with a single range may be larger.
    pub fn new(alignment: usize, (guard, reuse): (usize, bool), most: usize) -> Self {
        Self { pools: Vec::new(), alignment, guard: guard.next_multiple_of(alignment), reuse, most }
    }

    /// The pools' kinds and sizes.
    pub fn sizes(&self) -> impl Iterator<Item = (K, usize)> {
        self.pools.iter().map(|pool| (pool.kind, pool.bytes))
    }

    fn whole(&self, bytes: usize) -> usize {
        bytes.next_multiple_of(self.alignment) + 2 * self.guard
    }

    /// A range in a pool that is not in `avoid`. It uses the free range with the least waste. If none fits, it
    /// extends the pool that grows least, or makes a new pool.
    pub fn allocate(&mut self, kind: K, bytes: usize, avoid: &[usize]) -> (usize, Range) {
        let whole = self.whole(bytes);
        let allowed = |index: usize, pool: &Pool<K>| pool.kind == kind && !pool.dedicated && !avoid.contains(&index);
        let mut best: Option<(usize, usize, usize)> = None; // waste, pool, index of the free range
        for (index, pool) in self.pools.iter().enumerate().filter(|(index, pool)| allowed(*index, pool)) {
            for (slot, range) in pool.free.iter().enumerate().filter(|(_, range)| range.bytes >= whole) {
                let waste = range.bytes - whole;
                if best.is_none_or(|(least, ..)| waste < least) {
                    best = Some((waste, index, slot));
                }
            }
        }
        let (index, offset) = match best {
            Some((_, index, slot)) => {
                let range = &mut self.pools[index].free[slot];
                let offset = range.offset;
                range.offset += whole;
                range.bytes -= whole;
                if range.bytes == 0 {
                    self.pools[index].free.remove(slot);
                }
                (index, offset)
            }
            None => self.grow(kind, whole, allowed),
        };
        (index, Range { offset: offset + self.guard, bytes })
    }

    /// Extends the allowed pool with the largest free range at its end.
    fn grow(&mut self, kind: K, whole: usize, allowed: impl Fn(usize, &Pool<K>) -> bool) -> (usize, usize) {
        let tail = |pool: &Pool<K>| {
            pool.free.last().filter(|range| range.offset + range.bytes == pool.bytes).map_or(0, |range| range.bytes)
        };
        let fits = |pool: &Pool<K>| pool.bytes - tail(pool) + whole <= self.most;
        let candidates = self.pools.iter().enumerate().filter(|(index, pool)| allowed(*index, pool) && fits(pool));
        let chosen = candidates.max_by_key(|(index, pool)| (tail(pool), std::cmp::Reverse(*index))).map(|(i, _)| i);
        let index = chosen.unwrap_or_else(|| {
            self.pools.push(Pool { kind, bytes: 0, free: Vec::new(), dedicated: false });
            self.pools.len() - 1
        });
        let pool = &mut self.pools[index];
        let free = tail(pool);
        if free > 0 {
            pool.free.pop();
        }
        let offset = pool.bytes - free;
        pool.bytes = offset + whole;
        (index, offset)
    }

    /// A pool for one tensor only.
    pub fn dedicate(&mut self, kind: K, bytes: usize) -> (usize, Range) {
        let whole = self.whole(bytes);
        self.pools.push(Pool { kind, bytes: whole, free: Vec::new(), dedicated: true });
        (self.pools.len() - 1, Range { offset: self.guard, bytes })
    }

    /// Frees a range.
    pub fn release(&mut self, index: usize, range: Range) {
        if !self.reuse || self.pools[index].dedicated {
            return;
        }
        let whole = Range { offset: range.offset - self.guard, bytes: self.whole(range.bytes) };
        let free = &mut self.pools[index].free;
        let at = free.partition_point(|other| other.offset < whole.offset);
        free.insert(at, whole);
        if at + 1 < free.len() && free[at].offset + free[at].bytes == free[at + 1].offset {
            free[at].bytes += free.remove(at + 1).bytes;
        }
        if at > 0 && free[at - 1].offset + free[at - 1].bytes == free[at].offset {
            free[at - 1].bytes += free.remove(at).bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_ranges_join_and_are_used_again() {
        let mut pools = Pools::new(16, (0, true), usize::MAX);
        let places: Vec<_> = (0..4).map(|_| pools.allocate((), 32, &[])).collect();
        assert_eq!(pools.sizes().map(|(_, bytes)| bytes).collect::<Vec<_>>(), [128]);
        for index in [1, 3, 2] {
            pools.release(places[index].0, places[index].1);
        }
        let (pool, range) = pools.allocate((), 96, &[]);
        assert_eq!((pool, range), (0, Range { offset: 32, bytes: 96 }));
        assert_eq!(pools.sizes().next(), Some(((), 128)));
    }

    #[test]
    fn a_pool_to_avoid_is_avoided() {
        let mut pools = Pools::new(16, (0, true), usize::MAX);
        assert_eq!(pools.allocate((), 16, &[]).0, 0);
        assert_eq!(pools.allocate((), 16, &[0]).0, 1);
        assert_eq!(pools.allocate((), 16, &[0, 1]).0, 2);
    }

    #[test]
    fn a_pool_that_would_grow_too_large_is_followed_by_another() {
        let mut pools = Pools::new(16, (0, true), 96);
        let places: Vec<_> = (0..4).map(|_| pools.allocate((), 32, &[])).collect();
        assert_eq!(places.iter().map(|place| place.0).collect::<Vec<_>>(), [0, 0, 0, 1]);
        // The free end of the first pool is used before it grows.
        pools.release(places[2].0, places[2].1);
        assert_eq!(pools.allocate((), 32, &[]).0, 0);
        // The second pool has room for 64 more bytes, and not for 80.
        assert_eq!(pools.allocate((), 80, &[]).0, 2);
        assert_eq!(pools.allocate((), 64, &[]).0, 1);
        assert_eq!(pools.sizes().map(|(_, bytes)| bytes).collect::<Vec<_>>(), [96, 96, 80]);
        // A range that is too large for every pool gets one of its own, which the plan then refuses.
        assert_eq!(pools.allocate((), 112, &[]).0, 3);
    }

    #[test]
    fn guards_stand_around_every_place() {
        let mut pools = Pools::new(16, (8, false), usize::MAX);
        let (_, first) = pools.allocate((), 20, &[]);
        let (_, second) = pools.allocate((), 20, &[]);
        assert_eq!(first.offset, 16);
        assert!(second.offset >= first.offset + 32 + 16 + 16);
    }
}
