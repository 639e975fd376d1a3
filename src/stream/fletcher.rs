//! Fletcher-4 over 32-bit words, as `module/zcommon/zfs_fletcher.c` defines it: four running sums of 64 bits, each the sum
//! of the one before it.
//!
//! Words in this processor's order, which is that of nearly all streams, go through [`side_by_side`]. Of the others, and of
//! what is short, four words at a time go into four sets of sums that do not depend on each other; what they come to
//! together is put together at the end of a chunk.

use super::record::Order;
use super::side_by_side;

/// So many words at a time, so that the factors below stay exact.
const CHUNK: usize = 1 << 18;
const WORD: usize = 4;
const LANES: usize = 4;

/// The four sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fletcher4([u64; 4]);

impl Fletcher4 {
    /// The sums as a stream has them.
    pub fn from_sums(sums: [u64; 4]) -> Self {
        Self(sums)
    }

    /// The sums themselves, from the first to the fourth.
    pub fn sums(&self) -> [u64; 4] {
        self.0
    }

    /// What a record has that was written before checksums were: nothing.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 4]
    }

    /// Goes on with these bytes, whose number is a multiple of four; what is more is left out.
    pub fn add(&mut self, bytes: &[u8], order: Order) {
        match order {
            Order::Little => {
                let mut rest = bytes;
                loop {
                    let (taken, behind) = side_by_side::sums(rest);
                    if taken == 0 {
                        break;
                    }
                    self.join(behind, (taken / WORD) as u64);
                    rest = &rest[taken..];
                }
                self.add_words(rest, u32::from_le_bytes);
            }
            Order::Big => self.add_words(bytes, u32::from_be_bytes),
        }
    }

    fn add_words(&mut self, bytes: &[u8], word: impl Fn([u8; WORD]) -> u32 + Copy) {
        for chunk in bytes.chunks(CHUNK * WORD) {
            let (blocks, rest) = chunk.as_chunks::<{ LANES * WORD }>();
            self.join(of_lanes(blocks, word), (blocks.len() * LANES) as u64);
            for bytes in rest.as_chunks::<WORD>().0 {
                self.step(word(*bytes));
            }
        }
    }

    fn step(&mut self, word: u32) {
        let mut carry = u64::from(word);
        for sum in &mut self.0 {
            *sum = sum.wrapping_add(carry);
            carry = *sum;
        }
    }

    /// Puts what so many words come to from zero behind what was there.
    fn join(&mut self, behind: [u64; 4], words: u64) {
        let n = u128::from(words);
        let [linear, triangle, pyramid] =
            [n, n * (n + 1) / 2, n * (n + 1) * (n + 2) / 6].map(|factor| factor as u64);
        let [a, b, c, d] = self.0;
        let of = |factors: [(u64, u64); 4]| {
            factors.iter().fold(0_u64, |sum, (factor, value)| sum.wrapping_add(factor.wrapping_mul(*value)))
        };
        self.0 = [
            a.wrapping_add(behind[0]),
            of([(1, b), (linear, a), (1, behind[1]), (0, 0)]),
            of([(1, c), (linear, b), (triangle, a), (1, behind[2])]),
            of([(1, d), (linear, c), (triangle, b), (pyramid, a)]).wrapping_add(behind[3]),
        ];
    }
}

/// What the blocks come to from zero. Lane `i` has every fourth word, from word `i` on.
fn of_lanes(blocks: &[[u8; LANES * WORD]], word: impl Fn([u8; WORD]) -> u32 + Copy) -> [u64; 4] {
    let [mut a, mut b, mut c, mut d] = [[0_u64; LANES]; 4];
    for block in blocks {
        for (lane, bytes) in block.as_chunks::<WORD>().0.iter().enumerate() {
            a[lane] = a[lane].wrapping_add(u64::from(word(*bytes)));
        }
        for lane in 0..LANES {
            b[lane] = b[lane].wrapping_add(a[lane]);
            c[lane] = c[lane].wrapping_add(b[lane]);
            d[lane] = d[lane].wrapping_add(c[lane]);
        }
    }
    // How often a word of a lane is in each of the whole's sums, by how often it is in the lane's own.
    let of = |lanes: &[u64; LANES], factors: [i64; LANES]| {
        lanes
            .iter()
            .zip(factors)
            .fold(0_u64, |sum, (value, factor)| sum.wrapping_add(value.wrapping_mul(factor.cast_unsigned())))
    };
    let sum = |parts: &[u64]| parts.iter().fold(0_u64, |sum, part| sum.wrapping_add(*part));
    [
        of(&a, [1; 4]),
        sum(&[of(&a, [0, -1, -2, -3]), of(&b, [4; 4])]),
        sum(&[of(&a, [0, 0, 1, 3]), of(&b, [-6, -10, -14, -18]), of(&c, [16; 4])]),
        sum(&[of(&a, [0, 0, 0, -1]), of(&b, [4, 10, 20, 34]), of(&c, [-48, -64, -80, -96]), of(&d, [64; 4])]),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one_by_one(bytes: &[u8], order: Order) -> Fletcher4 {
        let mut sums = Fletcher4::default();
        for word in bytes.as_chunks::<WORD>().0 {
            sums.step(match order {
                Order::Little => u32::from_le_bytes(*word),
                Order::Big => u32::from_be_bytes(*word),
            });
        }
        sums
    }

    #[test]
    fn the_sums_are_those_of_the_definition() {
        let mut sums = Fletcher4::default();
        sums.add(&[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0], Order::Little);
        assert_eq!(sums, Fletcher4([6, 10, 15, 21]));
        let mut high = Fletcher4::default();
        high.add(&[0xff; 64], Order::Big);
        assert_eq!(high, one_by_one(&[0xff; 64], Order::Big));
    }

    proptest! {
        #[test]
        fn lanes_come_to_the_same_as_words_one_by_one(
            words in proptest::collection::vec(any::<u32>(), 0..600),
            cut in 0_usize..600,
            is_big: bool,
        ) {
            let order = if is_big { Order::Big } else { Order::Little };
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let (before, behind) = bytes.split_at(cut.min(words.len()) * WORD);
            let mut sums = Fletcher4::default();
            sums.add(before, order);
            sums.add(behind, order);
            prop_assert_eq!(sums, one_by_one(&bytes, order));
        }
    }

    #[test]
    fn long_inputs_come_to_the_same() {
        let bytes: Vec<u8> = (0..3 * CHUNK * WORD + 20).map(|at| (at * 31 % 251) as u8).collect();
        let mut sums = Fletcher4::default();
        sums.add(&bytes, Order::Little);
        assert_eq!(sums, one_by_one(&bytes, Order::Little));
    }
}
