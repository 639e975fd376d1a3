//! Who receives into a pool. A `zfs receive` outlives the run that started it: what had arrived is still being written,
//! on a slow drive for minutes, and until then its dataset can neither be resumed nor cleaned nor exported.

use std::path::Path;

use super::Root;
use super::busy::Holder;
use super::mounts::list_pids;
use crate::model::PoolName;
use crate::process::printable;

/// The processes that receive into a dataset of the pool.
pub fn list_receivers(root: &Root, pool: &PoolName) -> Vec<Holder> {
    list_pids(root).into_iter().filter_map(|pid| receiver(root, pool, pid)).collect()
}

/// Whether a process was killed and only the kernel keeps it: it ends as soon as its pool has its disk again.
pub fn is_dying(root: &Root, pid: u32) -> bool {
    const KILL: u64 = 1 << (9 - 1);
    let status = root.text(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = status.lines().filter_map(|line| {
        let signals = line.strip_prefix("SigPnd:").or_else(|| line.strip_prefix("ShdPnd:"))?;
        u64::from_str_radix(signals.trim(), 16).ok()
    });
    pending.fold(0, |all, signals| all | signals) & KILL != 0
}

fn receiver(root: &Root, pool: &PoolName, pid: u32) -> Option<Holder> {
    let line = root.text(format!("/proc/{pid}/cmdline"))?;
    let mut words = line.split('\0');
    let is_zfs = Path::new(words.next()?).file_name().is_some_and(|name| name == "zfs");
    if !is_zfs || !matches!(words.next(), Some("receive" | "recv")) {
        return None;
    }
    let is_ours = |word: &&str| word.split(['/', '@']).next() == Some(pool.as_str());
    let dataset = words.rfind(|word| !word.is_empty()).filter(is_ours)?;
    let what = format!("receives into {}", printable(dataset));
    Some(Holder { pid: Some(pid), command: "zfs".to_owned(), user: None, what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::imitation::Imitation;

    #[test]
    fn a_receive_into_the_pool_is_found_and_nothing_else() {
        let host = Imitation::new();
        let lines = [
            (10, "/usr/sbin/zfs\0receive\0-s\0-u\0-o\0readonly=on\0backup/eds\0"),
            (11, "zfs\0recv\0backup/x@y\0"),
            (20, "zfs\0receive\0backup2/eds\0"),
            (21, "zfs\0send\0backup/eds@a\0"),
            (22, "grep\0receive\0backup/eds\0"),
            (23, ""),
        ];
        for (pid, line) in lines {
            host.write(&format!("/proc/{pid}/cmdline"), line);
        }
        let found = list_receivers(&host.root(), &"backup".parse().unwrap());
        let found: Vec<_> = found.into_iter().map(|holder| (holder.pid, holder.what)).collect();
        let expected = [(Some(10), "receives into backup/eds"), (Some(11), "receives into backup/x@y")];
        assert_eq!(found, expected.map(|(pid, what)| (pid, what.to_owned())));
    }

    #[test]
    fn a_killed_process_that_the_kernel_keeps_is_dying() {
        let host = Imitation::new();
        host.write("/proc/10/status", "Name:\tzfs\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\n");
        host.write("/proc/11/status", "Name:\tzfs\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000100\n");
        host.write("/proc/12/status", "Name:\tzfs\nSigPnd:\t0000000000004100\nShdPnd:\t0000000000004000\n");
        let root = host.root();
        assert_eq!([10, 11, 12, 13].map(|pid| is_dying(&root, pid)), [false, true, true, false]);
    }
}
