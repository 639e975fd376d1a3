//! Numbers that look like chance and are the same each time.

/// What happens in one round: the same for the same seed and round, wherever a soak was interrupted.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// Of this round.
    pub fn of(seed: u64, round: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ round.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    /// Below this (splitmix64, Steele, Lea and Flood 2014).
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound.max(1) as u64).unwrap_or(0)
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = self.below(from.len());
        from.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_the_same_each_time_and_no_two_are_alike() {
        let round = |seed, round| {
            let mut chance = Chance::of(seed, round);
            (0..20).map(|_| chance.below(10)).collect::<Vec<_>>()
        };
        assert_eq!(round(7, 3), round(7, 3));
        assert_ne!(round(7, 3), round(7, 4));
        assert_ne!(round(7, 3), round(8, 3));
        assert!(round(7, 3).iter().all(|number| *number < 10));
    }
}
