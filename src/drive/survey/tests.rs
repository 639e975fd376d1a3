//! Disks in an imitation of the host, with what udev and the labels say of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::drive::imitation::Imitation;
use crate::drive::{Devices, Member};
use crate::model::{Guid, Txg};

/// What udev knows of each device, and which of them have a label of a pool.
#[derive(Debug, Default)]
struct Told {
    known: HashMap<&'static str, Known>,
    pools: HashMap<&'static str, (&'static str, PoolState)>,
}

impl Devices for Told {
    fn members(&self) -> io::Result<Vec<Member>> {
        Ok(Vec::new())
    }

    fn label(&self, device: &Path, _within: Duration) -> Result<Label, LabelError> {
        let node = device.to_str().unwrap();
        let none = || LabelError::None { device: device.to_owned() };
        let (pool, state) = self.pools.get(node).copied().ok_or_else(none)?;
        Ok(Label {
            pool_name: pool.to_owned(),
            pool_guid: Guid(5),
            vdev_guid: Guid(6),
            state,
            txg: Txg(1),
            newest_uberblock: None,
            hostid: Some(1),
            hostname: Some("there".to_owned()),
            top_level_vdevs: 1,
            leaves: Vec::new(),
            copies: 4,
        })
    }

    fn known(&self, name: &str) -> io::Result<Known> {
        Ok(self.known.get(name).cloned().unwrap_or_default())
    }
}

/// A USB disk sdb of 1 GiB with the partition sdb1, a volume zd0 and a built-in disk sda.
fn host() -> (Imitation, Told) {
    let host = Imitation::new();
    let mut told = Told::default();
    for (name, diskseq, port) in [("sdb", 7, "usb1/1-4"), ("sda", 8, "ata1/1-1")] {
        let mut disk = host.disk(name, diskseq, port);
        let sysfs = disk.sysfs.to_str().unwrap().to_owned();
        for (file, text) in
            [("size", "2097152"), ("ro", "0"), ("removable", "0"), ("queue/logical_block_size", "512")]
        {
            host.write(&format!("{sysfs}/{file}"), text);
        }
        host.write(&format!("{sysfs}/{name}1/start"), "2048");
        host.write(&format!("{sysfs}/{name}1/size"), "1000");
        host.link(
            &format!("/sys/class/block/{name}"),
            &format!("../../{}", sysfs.trim_start_matches("/sys/")),
        );
        host.link(
            &format!("/sys/class/block/{name}1"),
            &format!("../../{}/{name}1", sysfs.trim_start_matches("/sys/")),
        );
        if name == "sda" {
            disk.usb_device = None;
        }
        let known = Known { disk: Some(disk), ..Known::default() };
        let (whole, part) = if name == "sdb" { ("sdb", "sdb1") } else { ("sda", "sda1") };
        told.known.insert(whole, known.clone());
        told.known.insert(part, known);
    }
    let volume = Disk {
        node: "/dev/zd0".into(),
        sysfs: "/sys/devices/virtual/block/zd0".into(),
        ..told.known["sda"].disk.clone().unwrap()
    };
    host.write("/sys/devices/virtual/block/zd0/size", "2097152");
    host.write("/sys/devices/virtual/block/zd0/dev", "230:0");
    host.link("/sys/class/block/zd0", "../../devices/virtual/block/zd0");
    told.known.insert("zd0", Known { disk: Some(volume), ..Known::default() });
    (host, told)
}

fn look(host: &Imitation, told: Told, node: &str, pools: &[(String, Vec<PathBuf>)]) -> FoundDisk {
    let root = Root::with_devices(host.path(), Arc::new(told));
    survey(&root, Path::new(node), pools).unwrap().1
}

#[test]
fn a_disk_a_partition_and_what_only_looks_like_a_disk_are_told_apart() {
    for (node, kind, removable) in [
        ("/dev/sdb", DeviceKind::Disk, true),
        ("/dev/sda", DeviceKind::Disk, false),
        ("/dev/sdb1", DeviceKind::Partition { of: "/dev/sdb".into() }, true),
        ("/dev/zd0", DeviceKind::Made, false),
    ] {
        let (host, told) = host();
        let found = look(&host, told, node, &[]);
        assert_eq!((found.kind, found.removable), (kind, removable), "{node}");
    }
    let (host, told) = host();
    let found = look(&host, told, "/dev/sdb", &[]);
    let id = &found.identity;
    assert_eq!((id.size, id.number.as_str(), id.diskseq), (Bytes(1 << 30), "8:7", Some(7)));
    assert_eq!(found.partitions, [Extent { start: 1 << 20, end: (1 << 20) + 1000 * 512 }]);
    let unknown = Content { node: "/dev/sdb1".into(), holding: Holding::Unknown };
    assert_eq!(found.contents, [unknown]);
}

#[test]
fn what_is_on_it_comes_from_the_labels_and_from_udev_and_is_told_once() {
    let (host, mut told) = host();
    // The labels at the end of the last partition are those of the disk too.
    told.pools.insert("/dev/sdb1", ("backup", PoolState::Exported));
    told.pools.insert("/dev/sdb", ("backup", PoolState::Exported));
    told.known.get_mut("sdb1").unwrap().kind = Some("ext4".into());
    let found = look(&host, told, "/dev/sdb", &[]);
    let pool = |last_used_by| Holding::Pool { name: "backup".into(), guid: Some(Guid(5)), last_used_by };
    assert_eq!(found.contents, [Content { node: "/dev/sdb1".into(), holding: pool(None) }]);

    let (host, mut told) = self::host();
    told.pools.insert("/dev/sdb", ("backup", PoolState::Active));
    let part = told.known.get_mut("sdb1").unwrap();
    (part.kind, part.label) = (Some("ext4".into()), Some("photos".into()));
    let found = look(&host, told, "/dev/sdb", &[]);
    let photos = Holding::Other { kind: "ext4".into(), label: Some("photos".into()) };
    assert_eq!(
        found.contents,
        [
            Content { node: "/dev/sdb1".into(), holding: photos },
            Content { node: "/dev/sdb".into(), holding: pool(Some("there".into())) },
        ]
    );
}

#[test]
fn every_use_of_a_disk_and_of_its_partitions_is_seen() {
    let (host, told) = host();
    host.write("/proc/self/mountinfo", "36 35 8:71 / /mnt rw - ext4 /dev/sdb1 rw\n");
    let found = look(&host, told, "/dev/sdb", &[]);
    assert_eq!(found.uses, [DiskUse::Mounted { node: "/dev/sdb1".into(), point: "/mnt".into() }]);
    assert_eq!(found.contents, [], "a disk in use is not read");

    let (host, told) = self::host();
    host.write("/proc/swaps", "Filename Type Size Used Priority\n/dev/sdb1 partition 1 0 -2\n");
    assert_eq!(look(&host, told, "/dev/sdb", &[]).uses, [DiskUse::Swap { node: "/dev/sdb1".into() }]);

    let (host, told) = self::host();
    let pools = [("rpool".to_owned(), vec![PathBuf::from("/dev/sdb1")])];
    let found = look(&host, told, "/dev/sdb", &pools);
    assert_eq!(found.uses, [DiskUse::Pool { node: "/dev/sdb1".into(), pool: "rpool".into() }]);

    let (host, told) = self::host();
    host.write("/sys/devices/usb1/1-4/1:0/host6/block/sdb/holders/dm-0/dev", "253:0");
    let found = look(&host, told, "/dev/sdb", &[]);
    assert_eq!(found.uses, [DiskUse::Held { node: "/dev/sdb".into(), by: "dm-0".into() }]);

    // Without the table of mounts nobody knows that it is free.
    let (host, told) = self::host();
    std::fs::remove_file(host.path().join("proc/self/mountinfo")).unwrap();
    let root = Root::with_devices(host.path(), Arc::new(told));
    assert!(survey(&root, Path::new("/dev/sdb"), &[]).is_err());
}
