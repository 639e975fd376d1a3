//! Fletcher-4 with the widest additions that the processor has, found at run time.
//!
//! Of a vector of `n` numbers of 64 bits, the lower half of each is a word of even place. Turned by one word, it is the word
//! of odd place behind that. So there are `2 n` lanes, each with sums of its own.

use bytemuck::Zeroable as _;
use pulp::{Arch, Simd, WithSimd};

/// The widest vector that there may be, in bytes.
const WIDEST: usize = 64;
/// Less is not worth it, in bytes.
const LEAST: usize = 512;
/// So many bytes at a time, so that the factors stay exact.
const CHUNK: usize = 1 << 20;

/// The sums of the first bytes of these from zero, and how many bytes that is: a multiple of a word, and perhaps none.
pub(super) fn sums(bytes: &[u8]) -> (usize, [u64; 4]) {
    let taken = bytes.len().min(CHUNK) / WIDEST * WIDEST;
    if taken < LEAST || cfg!(target_endian = "big") {
        return (0, [0; 4]);
    }
    (taken, Arch::new().dispatch(Lanes(&bytes[..taken])))
}

/// Bytes of whole vectors.
struct Lanes<'a>(&'a [u8]);

impl WithSimd for Lanes<'_> {
    type Output = [u64; 4];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [u64; 4] {
        let size = size_of::<S::u64s>();
        let low = simd.splat_u64s(u64::from(u32::MAX));
        let add = |sums: &mut [S::u64s; 4], vector: S::u64s| {
            let mut more = simd.and_u64s(vector, low);
            for sum in sums {
                *sum = simd.add_u64s(*sum, more);
                more = *sum;
            }
        };
        let turned =
            |vector: S::u64s| -> S::u64s { bytemuck::cast(simd.rotate_left_u32s(bytemuck::cast(vector), 1)) };
        let (mut even, mut odd) = ([S::u64s::zeroed(); 4], [S::u64s::zeroed(); 4]);
        for bytes in self.0.chunks_exact(size) {
            let vector = bytemuck::pod_read_unaligned(bytes);
            add(&mut even, vector);
            add(&mut odd, turned(vector));
        }
        let mut whole = [0; 4];
        for (place, sums) in [even, odd].iter().enumerate() {
            let sums = sums.each_ref().map(|sum| bytemuck::cast_slice::<_, u64>(std::slice::from_ref(sum)));
            for number in 0..size / 8 {
                join(&mut whole, sums.map(|sum| sum[number]), 2 * number + place, size / 4);
            }
        }
        whole
    }
}

/// Adds what the sums of one of so many lanes come to among the whole's.
///
/// With `y` words of the lane from a word on, itself included, there are `x = lanes * y - lane` of the whole. The sums weigh
/// their words with 1, `y`, `y (y + 1) / 2` and `y (y + 1) (y + 2) / 6`; the same of `x` is a sum of these.
#[inline(always)]
fn join(whole: &mut [u64; 4], sums: [u64; 4], lane: usize, lanes: usize) {
    let (i, l) = (lane as i64, lanes as i64);
    let factors = [
        [1, 0, 0, 0],
        [-i, l, 0, 0],
        [i * (i - 1) / 2, (l * (1 - 2 * i) - l * l) / 2, l * l, 0],
        [
            -i * (i - 1) * (i - 2) / 6,
            (l * l * l - 3 * l * l * (1 - i) + 3 * l * i * i - 6 * l * i + 2 * l) / 6,
            l * l * (1 - i) - l * l * l,
            l * l * l,
        ],
    ];
    for (sum, factors) in whole.iter_mut().zip(factors) {
        for (factor, value) in factors.into_iter().zip(sums) {
            *sum = sum.wrapping_add(factor.cast_unsigned().wrapping_mul(value));
        }
    }
}
