//! What lies around a backup: what this computer imports by itself, what runs for forgotten drives left held, whether the
//! drive can be switched off, and its rescue file system.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Guid, LuksUuid, PoolName, SnapshotName};
use crate::process::{printable, quoted};

use super::{Finding, HERE, NAMED, some_of};
use crate::plan::{held_for, hold_tag};

/// What this computer imports by itself when it starts.
#[derive(Debug, Clone, Default)]
pub struct AtStart {
    /// Drives whose pools are in the list although they are not imported, with the names there.
    pub listed: Vec<(String, String)>,
    /// There is no list, and whatever is connected is imported.
    pub scans: bool,
    /// A pool that belongs into the list: one of a source.
    pub here: Option<PoolName>,
}

/// What would be imported, or be missed, when the computer starts.
pub fn of_start(start: &AtStart) -> Vec<Finding> {
    // ZFS writes the list anew, with what is imported and belongs into it.
    let rewrite = start.here.as_ref().map(|pool| format!("zpool set cachefile=/etc/zfs/zpool.cache {pool}"));
    let mut found = Vec::new();
    for (drive, pool) in &start.listed {
        let what = format!(
            "Its pool {} is in /etc/zfs/zpool.cache: this computer imports it by itself when it starts, and misses it when it is away.",
            printable(pool)
        );
        found.push(Finding { about: drive.clone(), what, remedies: rewrite.iter().cloned().collect() });
    }
    if start.scans {
        let what = "It has no list of its pools in /etc/zfs/zpool.cache, and `zfs-import-scan.service` is enabled: it imports every pool that is connected when it starts, those of drives too.";
        let otherwise = "unplug the drives before it starts".to_owned();
        let remedies = rewrite.into_iter().chain([otherwise]).collect();
        found.push(Finding { about: HERE.to_owned(), what: what.to_owned(), remedies });
    }
    found
}

/// Holds for drives that are in no configuration: what they hold is never destroyed, and no run releases them.
pub fn of_holds(held: &[(SnapshotName, String)], drives: &BTreeSet<Guid>) -> Vec<Finding> {
    let mut forgotten: BTreeMap<Guid, Vec<String>> = BTreeMap::new();
    for (snapshot, tag) in held {
        if let Some(drive) = held_for(tag).filter(|drive| !drives.contains(drive)) {
            forgotten.entry(drive).or_default().push(snapshot.to_string());
        }
    }
    let finding = |(drive, snapshots): (Guid, Vec<String>)| {
        let names: Vec<&str> = snapshots.iter().map(String::as_str).collect();
        let what = format!(
            "A run to a drive that is not in the configuration (pool {drive}) left snapshots held, which cannot be destroyed so: {}.",
            some_of(&names)
        );
        let release = |name: &String| format!("zfs release {} {}", hold_tag(drive), quoted(name));
        Finding {
            about: HERE.to_owned(),
            what,
            remedies: snapshots.iter().take(NAMED).map(release).collect(),
        }
    };
    forgotten.into_iter().map(finding).collect()
}

/// What an `init` that was cut off has left: pools that are still imported, and LUKS containers that are still open and
/// whose drives are in no configuration.
pub fn of_init(pools: &[PoolName], open: &[LuksUuid]) -> Option<Finding> {
    if pools.is_empty() && open.is_empty() {
        return None;
    }
    let pools = pools.iter().map(|pool| format!("zpool export {pool}"));
    let open = open.iter().map(|uuid| format!("cryptsetup close {}", uuid.mapping()));
    let what = "A `zferry init` was cut off, and left the pool or the LUKS container of its disk in use. The same `init` again, with --wipe, lets go of it too.";
    Some(Finding { about: HERE.to_owned(), what: what.to_owned(), remedies: pools.chain(open).collect() })
}

/// A drive that is to be switched off and cannot be: only USB can be told to.
pub fn of_power(drive: &str, disks: &[(String, bool)]) -> Option<Finding> {
    let (disk, _) = disks.iter().find(|(_, is_usb)| !is_usb)?;
    let what = format!(
        "{disk} is not behind USB, so that it cannot be powered off after the export. It may be unplugged then all the same, if what it is connected to allows that."
    );
    let remedy = format!("set power-off = false for the drive {drive} in the configuration");
    Some(Finding::new(drive, what, &[&remedy]))
}

/// The rescue file system of a drive that should have one: the files that are missing or not as they should be, or why it
/// was not found or cannot be read.
pub fn of_rescue(drive: &str, looked: &Result<Vec<&'static str>, String>) -> Option<Finding> {
    match looked {
        Ok(files) if files.is_empty() => None,
        Ok(files) => {
            let what = format!("Its rescue file system is not up to date: {}.", files.join(", "));
            Some(Finding::new(drive, what, &[&format!("zferry run {drive}")]))
        }
        Err(why) => {
            let what = format!(
                "It should have a rescue file system (rescue = true), which cannot be looked at: {why}."
            );
            let remedy = format!(
                "if it has none, set rescue = false for the drive {drive} in the configuration: only `zferry init` makes one"
            );
            let page = format!("zferry rescue-page {drive} > page.txt   (and keep that page elsewhere)");
            Some(Finding::new(drive, what, &[&remedy, &page]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::name;

    #[test]
    fn what_the_computer_imports_by_itself_is_told_with_what_writes_the_list_anew() {
        assert_eq!(of_start(&AtStart::default()), []);
        let listed = vec![("t7".to_owned(), "back\u{1b}up".to_owned())];
        let start = AtStart { listed, scans: true, here: Some(name("rpool")) };
        let found = of_start(&start);
        assert_eq!(found.len(), 2);
        assert!(found[0].what.starts_with("Its pool back\u{fffd}up is in"), "{found:?}");
        for finding in &found {
            assert_eq!(finding.remedies[0], "zpool set cachefile=/etc/zfs/zpool.cache rpool");
        }
        assert_eq!(of_start(&AtStart { here: None, ..start })[0].remedies, Vec::<String>::new());
    }

    #[test]
    fn only_holds_of_zferry_for_drives_that_nobody_knows_are_told_of() {
        let held = |tag: &str| (name("rpool/home@a"), tag.to_owned());
        let all = [held("zferry:8"), held("zferry:7"), held("zferry:x"), held("mine"), held(".send-1-2")];
        let found = of_holds(&all, &[Guid(7)].into());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].remedies, ["zfs release zferry:8 rpool/home@a"]);
        assert_eq!(of_holds(&all[1..], &[Guid(7)].into()), []);
    }

    #[test]
    fn what_an_init_left_is_let_go_from_the_top() {
        assert_eq!(of_init(&[], &[]), None);
        let uuid = || "2f3b5a3e-0000-4c1d-9abc-0123456789ab".parse().unwrap();
        let found = of_init(&[name("t7")], &[uuid()]).unwrap();
        let close = "cryptsetup close zferry-2f3b5a3e-0000-4c1d-9abc-0123456789ab";
        assert_eq!(found.remedies, ["zpool export t7", close]);
        assert_eq!(of_init(&[], &[uuid()]).unwrap().remedies, [close]);
    }

    #[test]
    fn power_and_rescue_are_told_of_where_they_are_not_as_they_should_be() {
        let disk = |is_usb| ("WD (serial 1, /dev/sdb)".to_owned(), is_usb);
        assert_eq!(of_power("t7", &[disk(true)]), None);
        assert!(
            of_power("t7", &[disk(true), disk(false)]).unwrap().remedies[0].contains("power-off = false")
        );
        assert_eq!(of_rescue("t7", &Ok(Vec::new())), None);
        let old = of_rescue("t7", &Ok(vec!["config.toml"])).unwrap();
        assert_eq!(old.remedies, ["zferry run t7"]);
        let none = of_rescue("t7", &Err("there is none on the drive".to_owned())).unwrap();
        assert!(none.what.contains("there is none on the drive"), "{none:?}");
    }
}
