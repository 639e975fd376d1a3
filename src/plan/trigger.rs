//! Whether a drive that has appeared is backed up to although nobody typed anything. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::recurring::{When, age, when};

/// What is known when a drive has appeared.
#[derive(Debug, Clone, Copy)]
pub struct Appearance<'a> {
    /// The kernel's numbers of the attachments of its disks; None where it does not number them (before Linux 5.15).
    pub attachments: Option<&'a [u64]>,
    /// Those that a run was started for already.
    pub handled: &'a [u64],
    /// When the last complete run ended.
    pub last_success: Option<Timestamp>,
    /// How soon after that it is backed up to again.
    pub min_interval: Option<Duration>,
    /// Its pool lies in a LUKS container that is closed, and that only a person's passphrase opens.
    pub needs_passphrase: bool,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A run.
    Run,
    /// Nothing: it was not unplugged since a run was started for it. `udevadm trigger`, a partition table that is read
    /// again and a package's installation announce what is there already.
    Handled,
    /// Nothing: the last complete run ended so long ago, and it is due only so much later.
    TooSoon {
        /// How long ago.
        ago: Duration,
        /// How much later.
        left: Duration,
    },
    /// Nothing: its LUKS container is closed, and nobody is there to be asked for a passphrase.
    NeedsPassphrase,
}

/// Decides it.
pub fn decide(drive: &Appearance<'_>, now: Timestamp) -> Trigger {
    let is_known = |number: &u64| drive.handled.contains(number);
    if drive.attachments.is_some_and(|numbers| !numbers.is_empty() && numbers.iter().all(is_known)) {
        return Trigger::Handled;
    }
    let ago = drive.last_success.and_then(|at| age(at, now));
    match (when(drive.min_interval, drive.last_success, now), ago) {
        (Some(When::In(left)), Some(ago)) => Trigger::TooSoon { ago, left },
        _ if drive.needs_passphrase => Trigger::NeedsPassphrase,
        _ => Trigger::Run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn each_attachment_has_one_run_and_a_recent_success_none() {
        let hour = Duration::from_secs(3600);
        let soon = |ago: u64| Trigger::TooSoon {
            ago: Duration::from_secs(ago),
            left: hour - Duration::from_secs(ago),
        };
        type Case = (Option<&'static [u64]>, &'static [u64], Option<i64>, Option<Duration>, Trigger);
        let cases: [Case; 12] = [
            (Some(&[7]), &[], None, None, Trigger::Run),
            (Some(&[7]), &[], None, Some(hour), Trigger::Run),
            (Some(&[7]), &[7], None, None, Trigger::Handled),
            (Some(&[7]), &[6], Some(-60), None, Trigger::Run),
            (Some(&[7]), &[6], Some(-60), Some(hour), soon(60)),
            (Some(&[7]), &[7], Some(-60), Some(hour), Trigger::Handled),
            (Some(&[7]), &[6], Some(-3600), Some(hour), Trigger::Run),
            // A clock that was set back.
            (Some(&[7]), &[6], Some(60), Some(hour), Trigger::Run),
            // Of a mirror, one disk was plugged in anew.
            (Some(&[7, 9]), &[7, 8], None, None, Trigger::Run),
            (Some(&[7, 8]), &[8, 7], None, None, Trigger::Handled),
            // Nothing tells attachments apart.
            (None, &[], None, None, Trigger::Run),
            (None, &[], Some(-60), Some(hour), soon(60)),
        ];
        for (attachments, handled, last, min_interval, expected) in cases {
            let open = Appearance {
                attachments,
                handled,
                last_success: last.map(at),
                min_interval,
                needs_passphrase: false,
            };
            assert_eq!(decide(&open, at(0)), expected, "{open:?}");
            let closed = Appearance { needs_passphrase: true, ..open };
            let expected = if expected == Trigger::Run { Trigger::NeedsPassphrase } else { expected };
            assert_eq!(decide(&closed, at(0)), expected, "{closed:?}");
        }
    }
}
