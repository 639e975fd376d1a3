//! When a drive will be full, from how full it was after its last runs. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::Fullness;

/// So many runs, over so long a time, are enough to speak of a trend.
const RUNS: usize = 5;
const SPAN: i128 = 14 * 24;
/// Nothing is said of what lies further ahead than so many times what was seen.
const REACH: i128 = 6;

/// The time until a drive is full if it goes on as it did; nothing where the last runs do not show that: there are few of
/// them, they go up and down, or they cover too short a time for what would be told.
///
/// A straight line through them (least squares), in whole hours and MiB. What a run before a change of the pool's size
/// says, or one that this clock puts ahead, does not count.
pub fn full_in(seen: &[Fullness], now: Timestamp) -> Option<Duration> {
    let last = seen.iter().filter(|one| one.at <= now).max_by_key(|one| one.at)?;
    let hour = |at: Timestamp| i128::from(last.at.duration_since(at).as_secs()) / 3600;
    let points: Vec<(i128, i128)> = seen
        .iter()
        .filter(|one| one.at <= last.at && one.size == last.size)
        .map(|one| (-hour(one.at), i128::from(one.used.0 >> 20)))
        .collect();
    let span = -points.iter().map(|(hour, _)| *hour).min()?;
    if points.len() < RUNS || span < SPAN {
        return None;
    }
    let number = i128::try_from(points.len()).ok()?;
    let sum = |of: fn(&(i128, i128)) -> i128| points.iter().map(of).sum::<i128>();
    let (x, y) = (sum(|p| p.0), sum(|p| p.1));
    let across = number * sum(|p| p.0 * p.0) - x * x;
    let along = number * sum(|p| p.0 * p.1) - x * y;
    let up = number * sum(|p| p.1 * p.1) - y * y;
    // Less than half of the ups and downs explained is no line.
    let is_line = along.checked_mul(along)?.checked_mul(2)? >= across.checked_mul(up)?;
    if along <= 0 || !is_line {
        return None;
    }
    let left = i128::from(last.size.saturating_sub(last.used).0 >> 20);
    let hours = left.checked_mul(across)? / along - i128::from(now.duration_since(last.at).as_secs()) / 3600;
    (hours <= span * REACH)
        .then(|| Duration::from_secs(u64::try_from(hours.max(0)).unwrap_or_default().saturating_mul(3600)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Bytes;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 24 * 3600).unwrap()
    }

    fn gib(gib: u64) -> Bytes {
        Bytes(gib << 30)
    }

    /// Runs on these days, with so many GiB in use of 1000.
    fn seen(runs: &[(i64, u64)]) -> Vec<Fullness> {
        runs.iter().map(|(day, used)| Fullness { at: at(*day), used: gib(*used), size: gib(1000) }).collect()
    }

    fn days(runs: &[(i64, u64)]) -> Option<u64> {
        full_in(&seen(runs), at(0)).map(|time| time.as_secs() / 86_400)
    }

    #[test]
    fn a_drive_that_fills_steadily_is_full_in_so_much_time_and_of_any_other_nothing_is_said() {
        let steady = [(-40, 400), (-30, 450), (-20, 500), (-10, 550), (0, 600)];
        assert_eq!(days(&steady), Some(80));
        assert_eq!(days(&steady[..4]), None, "too few");
        for (what, runs) in [
            ("none", vec![]),
            ("too short a time", vec![(-4, 400), (-3, 450), (-2, 500), (-1, 550), (0, 600)]),
            ("too far ahead", vec![(-40, 400), (-30, 401), (-20, 402), (-10, 403), (0, 404)]),
            ("the same", vec![(-40, 400), (-30, 400), (-20, 400), (-10, 400), (0, 400)]),
            ("it shrinks", vec![(-40, 600), (-30, 550), (-20, 500), (-10, 450), (0, 400)]),
            ("up and down", vec![(-40, 500), (-30, 700), (-20, 450), (-10, 750), (0, 520)]),
        ] {
            assert_eq!(days(&runs), None, "{what}");
        }
        let ahead = [(-40, 400), (-30, 450), (-20, 500), (-10, 550), (0, 600), (300, 1)];
        assert_eq!(days(&ahead), Some(80), "a clock was wrong");
        let mut larger = seen(&steady);
        larger.iter_mut().take(2).for_each(|one| one.size = gib(500));
        assert_eq!(full_in(&larger, at(0)), None, "it was another size");
        assert_eq!(full_in(&seen(&steady), at(30)).map(|left| left.as_secs() / 86_400), Some(50));
        assert_eq!(full_in(&seen(&steady), at(300)), Some(Duration::ZERO));
        assert_eq!(days(&[(-40, 800), (-30, 850), (-20, 900), (-10, 950), (0, 1000)]), Some(0));
    }

    proptest! {
        #[test]
        fn whatever_was_remembered_is_no_reason_to_fail(
            all in prop::collection::vec((any::<i32>(), any::<u64>(), any::<u64>()), 0..60),
            now in any::<i32>(),
        ) {
            let at = |second: i32| Timestamp::from_second(i64::from(second)).unwrap();
            let one = |(second, used, size)| Fullness { at: at(second), used: Bytes(used), size: Bytes(size) };
            let all: Vec<_> = all.into_iter().map(one).collect();
            let _ = full_in(&all, at(now));
        }
    }
}
