//! Whether a drive that left while its pool was imported came back as it went (S13).
//!
//! The kernel goes on with the pool that it remembers: `zpool clear` on a drive that another computer wrote to in the
//! meantime puts old labels over new ones and destroys files (measured: facts zfs.md 5.4). So the drive's labels are
//! read first, and compared with what this computer can have written.

use super::{Label, PoolState, Root};
use crate::model::{Guid, PoolName, Txg};

/// `hostid` has so many bits.
const HOSTID: u64 = 0xffff_ffff;

/// What this computer leaves in the labels of a pool that it has imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handwriting {
    /// 0: none is set, and none is written.
    hostid: u64,
    hostname: String,
    /// No transaction group above this one can be on the drive. Unknown where the kernel keeps no account of them.
    newest: Option<Txg>,
}

impl Handwriting {
    /// Of this computer, for a pool that is imported, suspended or not. Does not block.
    pub fn of(root: &Root, pool: &PoolName) -> Self {
        Self {
            hostid: hostid(root).unwrap_or_default(),
            hostname: root.text("/proc/sys/kernel/hostname").unwrap_or_default(),
            newest: txgs(root, pool).into_iter().map(|(txg, _)| txg).max(),
        }
    }

    /// What shows that somebody else wrote to the drive, or that this cannot be ruled out; nothing when it is as this
    /// computer left it.
    pub fn differs(&self, label: &Label, guid: Guid) -> Option<String> {
        if label.pool_guid != guid {
            return Some(format!("it has another pool now (guid {})", label.pool_guid));
        }
        if label.state != PoolState::Active {
            return Some(format!("its label says {:?}, and this computer never came to that", label.state));
        }
        let hostname = label.hostname.as_deref().unwrap_or_default();
        if label.hostid.unwrap_or_default() & HOSTID != self.hostid || hostname != self.hostname {
            let name = if hostname.is_empty() { "a host without a name" } else { hostname };
            return Some(format!("{} used it last", crate::process::printable(name)));
        }
        let Some(newest) = self.newest else {
            return Some("the kernel does not tell how far this computer had come with it".to_owned());
        };
        let Some(written) = label.newest_uberblock.map(|uberblock| uberblock.max(label.txg)) else {
            return Some("it has no uberblock that could be read".to_owned());
        };
        let (written, newest) = (written.0, newest.0);
        (written > newest).then(|| {
            format!("it is at transaction group {written}, and this computer had only come to {newest}")
        })
    }
}

/// The number by which ZFS knows this computer; nothing where none was given to it.
pub fn hostid(root: &Root) -> Option<u64> {
    let number = |path: &str| root.text(path).and_then(|text| text.parse::<u64>().ok());
    let set = number("/sys/module/spl/parameters/spl_hostid").filter(|&hostid| hostid != 0);
    let in_file = || {
        let bytes = std::fs::read(root.at("/etc/hostid")).ok()?;
        Some(u64::from(u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?)))
    };
    set.or_else(in_file).map(|hostid| hostid & HOSTID).filter(|&hostid| hostid != 0)
}

/// The newest transaction group that is on the disks, as the kernel accounts for it. Does not block.
pub fn newest_committed(root: &Root, pool: &PoolName) -> Option<Txg> {
    txgs(root, pool).into_iter().filter(|(_, state)| state == "C").map(|(txg, _)| txg).max()
}

/// The last transaction groups of an imported pool and their states: open, quiescing, waiting, syncing, committed.
fn txgs(root: &Root, pool: &PoolName) -> Vec<(Txg, String)> {
    let text = root.text(format!("/proc/spl/kstat/zfs/{pool}/txgs")).unwrap_or_default();
    let txg = |line: &str| {
        let mut words = line.split_whitespace();
        Some((Txg(words.next()?.parse().ok()?), words.nth(1)?.to_owned()))
    };
    // Below two lines of heading.
    text.lines().skip(2).filter_map(txg).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::imitation::Imitation;

    const TXGS: &str = "13 0 0x01 3 336 83 89\n\
        txg      birth            state ndirty       nread        nwritten     reads    writes\n\
        40       1234567          C     0            0            4096         0        2\n\
        41       1234569          S     512          0            0            0        0\n\
        42       1234570          O     0            0            0            0        0\n";

    fn here() -> Handwriting {
        Handwriting { hostid: 0x1234_abcd, hostname: "laptop".into(), newest: Some(Txg(42)) }
    }

    fn label() -> Label {
        Label {
            pool_name: "backup".into(),
            pool_guid: Guid(7),
            vdev_guid: Guid(8),
            state: PoolState::Active,
            txg: Txg(30),
            newest_uberblock: Some(Txg(41)),
            hostid: Some(0x1234_abcd),
            hostname: Some("laptop".into()),
            top_level_vdevs: 1,
            leaves: vec![Guid(8)],
            copies: 4,
        }
    }

    #[test]
    fn this_computers_hand_is_read_from_the_kernel() {
        let host = Imitation::new();
        let pool: PoolName = "backup".parse().unwrap();
        let nothing = Handwriting { hostid: 0, hostname: String::new(), newest: None };
        assert_eq!(Handwriting::of(&host.root(), &pool), nothing);
        host.write("/proc/sys/kernel/hostname", "laptop\n");
        host.write("/proc/spl/kstat/zfs/backup/txgs", TXGS);
        host.write("/sys/module/spl/parameters/spl_hostid", "0\n");
        host.write("/etc/hostid", "4\x12\x00\x00");
        assert_eq!(Handwriting::of(&host.root(), &pool), Handwriting { hostid: 0x1234, ..here() });
        assert_eq!(newest_committed(&host.root(), &pool), Some(Txg(40)));
        host.write("/sys/module/spl/parameters/spl_hostid", "305441741\n");
        assert_eq!(Handwriting::of(&host.root(), &pool), here());
    }

    #[test]
    fn only_a_drive_that_is_as_this_computer_left_it_is_gone_on_with() {
        assert_eq!(here().differs(&label(), Guid(7)), None);
        let without_id = Handwriting { hostid: 0, ..here() };
        assert_eq!(without_id.differs(&Label { hostid: None, ..label() }, Guid(7)), None);
        let table = [
            (Label { pool_guid: Guid(9), ..label() }, "another pool"),
            (Label { state: PoolState::Exported, ..label() }, "Exported"),
            (Label { hostid: Some(5), ..label() }, "laptop used it last"),
            (Label { hostid: None, ..label() }, "laptop used it last"),
            (Label { hostname: Some("nas\u{1b}[2J".into()), ..label() }, "used it last"),
            (Label { hostname: None, ..label() }, "a host without a name"),
            (Label { newest_uberblock: Some(Txg(43)), ..label() }, "transaction group 43"),
            (Label { txg: Txg(50), ..label() }, "transaction group 50"),
            (Label { newest_uberblock: None, ..label() }, "no uberblock"),
        ];
        for (label, words) in table {
            let found = here().differs(&label, Guid(7)).unwrap_or_default();
            assert!(found.contains(words) && !found.contains('\u{1b}'), "{found} should say {words}");
        }
        let blind = Handwriting { newest: None, ..here() };
        assert!(blind.differs(&label(), Guid(7)).is_some());
    }
}
