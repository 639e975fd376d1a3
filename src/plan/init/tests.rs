//! Every combination of what a disk can be, and what is asked for.

use std::path::Path;

use super::*;
use crate::model::Content;

fn disk() -> FoundDisk {
    FoundDisk {
        identity: DiskIdentity {
            node: "/dev/sdb".into(),
            number: "8:16".into(),
            diskseq: Some(7),
            serial: Some("S6XNNS0W123456".into()),
            size: Bytes(10 << 30),
        },
        model: Some("PSSD T7".into()),
        bus: Some("usb".into()),
        kind: DeviceKind::Disk,
        removable: true,
        read_only: false,
        sector: 512,
        uses: Vec::new(),
        contents: Vec::new(),
        partitions: Vec::new(),
    }
}

fn pool(name: &str, guid: u64) -> Content {
    let (name, guid) = (name.to_owned(), Some(Guid(guid)));
    Content { node: "/dev/sdb1".into(), holding: Holding::Pool { name, guid, last_used_by: None } }
}

fn uses() -> Vec<Vec<DiskUse>> {
    let node = || PathBuf::from("/dev/sdb1");
    let mounted = |point: &str| DiskUse::Mounted { node: node(), point: point.to_owned() };
    vec![
        vec![],
        vec![mounted("/mnt/stick")],
        vec![mounted("/")],
        vec![DiskUse::Swap { node: node() }],
        vec![DiskUse::Held { node: node(), by: "dm-0".into() }],
        vec![DiskUse::Pool { node: node(), pool: "rpool".into() }],
        vec![DiskUse::Swap { node: node() }, mounted("/boot")],
    ]
}

fn contents() -> Vec<(Vec<Content>, Vec<Extent>)> {
    let part = Extent { start: MIB, end: 5 << 30 };
    let other = Holding::Other { kind: "ext4".into(), label: Some("photos".into()) };
    vec![
        (vec![], vec![]),
        (vec![], vec![part]),
        (vec![pool("old", 5)], vec![part]),
        (vec![pool("backup", 9)], vec![part]),
        (vec![Content { node: "/dev/sdb".into(), holding: other }], vec![]),
        (vec![Content { node: "/dev/sdb1".into(), holding: Holding::Unknown }], vec![part]),
    ]
}

/// What the rules say, in other words than the code: nothing that is in use, and nothing with something on it unless
/// that was said.
fn may(disk: &FoundDisk, wishes: &Wishes<'_>, taken: &Taken) -> bool {
    let is_blank = disk.contents.is_empty() && disk.partitions.is_empty();
    let is_configured = disk.contents.iter().any(|content| {
        matches!(&content.holding, Holding::Pool { guid, .. } if taken.drives.iter().any(|(_, known)| known == guid))
    });
    disk.kind == DeviceKind::Disk
        && disk.uses.is_empty()
        && !disk.read_only
        && disk.identity.size >= Bytes(128 << 20)
        && (disk.removable || wishes.internal)
        && (is_blank || wishes.wipe)
        && !is_configured
        && !taken.drives.iter().any(|(name, _)| name == wishes.drive)
        && !taken.pools.iter().any(|name| name == wishes.pool)
}

#[test]
fn only_a_disk_that_nobody_uses_and_that_may_be_erased_is_erased() {
    let kinds = [DeviceKind::Disk, DeviceKind::Partition { of: "/dev/sdb".into() }, DeviceKind::Made];
    let (mut allowed, mut refused) = (0, 0);
    for kind in kinds {
        for uses in uses() {
            for (contents, partitions) in contents() {
                for bits in 0..128_u32 {
                    let on = |bit: u32| bits & (1 << bit) != 0;
                    let found = FoundDisk {
                        identity: DiskIdentity {
                            size: Bytes(if on(0) { 100 << 20 } else { 10 << 30 }),
                            ..disk().identity
                        },
                        kind: kind.clone(),
                        uses: uses.clone(),
                        contents: contents.clone(),
                        partitions: partitions.clone(),
                        removable: !on(1),
                        read_only: on(2),
                        ..disk()
                    };
                    let name = "backup".parse().unwrap();
                    let wishes =
                        Wishes { drive: "t7", pool: &name, wipe: on(3), internal: on(4), rescue: on(3) };
                    let mut taken = Taken::default();
                    taken.drives.push((if on(5) { "t7" } else { "t8" }.to_owned(), Some(Guid(9))));
                    taken.pools.push(if on(6) { "backup" } else { "rpool" }.parse().unwrap());
                    let judged = judge(&found, &wishes, &taken);
                    assert_eq!(
                        judged.is_ok(),
                        may(&found, &wishes, &taken),
                        "{found:?} {wishes:?} {judged:?}"
                    );
                    match judged {
                        Ok(layout) => {
                            allowed += 1;
                            nothing_is_left(&found, &layout);
                        }
                        Err(refusal) => {
                            refused += 1;
                            let is_told = !refusal.remedies().is_empty()
                                || uses.iter().any(|of| matches!(of, DiskUse::Held { .. }));
                            assert!(is_told, "{refusal} has no remedy");
                        }
                    }
                }
            }
        }
    }
    assert!(allowed > 10 && refused > 1000, "{allowed} {refused}");
}

/// All four labels of ZFS, of the disk, of each partition that there was, and of the new one.
fn nothing_is_left(disk: &FoundDisk, layout: &Layout) {
    let size = disk.identity.size.0;
    let all = Extent { start: 0, end: size };
    for extent in disk.partitions.iter().copied().chain([all, layout.partition]).chain(layout.rescue) {
        let label = 256 << 10;
        let aligned = extent.start + extent.len() / label * label;
        for start in [extent.start, extent.start + label, aligned - 2 * label, aligned - label] {
            let is_zeroed =
                layout.zeros.iter().any(|zeros| zeros.start <= start && start + label <= zeros.end);
            assert!(is_zeroed, "the label at {start} of {extent:?} stays: {layout:?}");
        }
    }
    assert!(layout.zeros.iter().all(|zeros| zeros.start < zeros.end && zeros.end <= size));
    assert!(layout.zeros.windows(2).all(|pair| pair[0].end < pair[1].start), "{layout:?}");
    let last = layout.rescue.unwrap_or(layout.partition);
    assert!(layout.partition.start >= 34 * disk.sector && last.end + 33 * 4096 <= size);
    assert!(layout.rescue.is_none_or(|rescue| rescue.start == layout.partition.end), "{layout:?}");
    let bounds = [layout.partition, last].map(|extent| (extent.start % MIB, extent.end % MIB));
    assert_eq!(bounds, [(0, 0); 2], "{layout:?}");
}

#[test]
fn the_ends_of_any_disk_and_of_any_former_partition_are_zeroed() {
    for size in [128 << 20, (128 << 20) + 512, 333_333_504, 1 << 30, 4_000_787_030_016] {
        for (start, end) in
            [(MIB, size), (MIB, size - 9 * MIB), (size / 2, size / 2 + MIB), (0, size), (size / 3, size * 2)]
        {
            let partitions = vec![Extent { start, end: end.min(size) }];
            let found = FoundDisk {
                identity: DiskIdentity { size: Bytes(size), ..disk().identity },
                partitions,
                ..disk()
            };
            for rescue in [false, true] {
                nothing_is_left(&found, &layout(&found, rescue));
            }
        }
    }
}

#[test]
fn a_disk_is_meant_by_its_serial_or_by_the_end_of_it() {
    for (typed, meant) in [
        ("S6XNNS0W123456", true),
        (" s6xnns0w123456\n", true),
        ("3456", true),
        ("0W123456", true),
        ("456", false),
        ("", false),
        ("\n", false),
        ("S6XNNS0W", false),
        ("S6XNNS0W123457", false),
        ("yes", false),
        ("sdb", false),
    ] {
        assert_eq!(check_answer(&disk(), typed).is_ok(), meant, "{typed:?}");
    }
    let nameless = FoundDisk { identity: DiskIdentity { serial: None, ..disk().identity }, ..disk() };
    assert!(check_answer(&nameless, "sdb").is_ok());
    assert!(check_answer(&nameless, "sdc").is_err() && check_answer(&nameless, "").is_err());
    let short =
        FoundDisk { identity: DiskIdentity { serial: Some("77".into()), ..disk().identity }, ..disk() };
    assert!(check_answer(&short, "77").is_ok() && check_answer(&short, "7").is_err());
}

#[test]
fn a_disk_that_differs_in_anything_is_another_one() {
    let asked = disk().identity;
    assert_eq!(check_same(&asked, &asked), Ok(()));
    let others: [fn(&mut DiskIdentity); 7] = [
        |id| id.serial = Some("S6XNNS0W123457".into()),
        |id| id.serial = None,
        |id| id.size = Bytes((10 << 30) - 512),
        |id| id.number = "8:32".into(),
        |id| id.diskseq = Some(8),
        |id| id.diskseq = None,
        |id| id.node = "/dev/sdc".into(),
    ];
    for change in others {
        let mut now = asked.clone();
        change(&mut now);
        assert!(matches!(check_same(&asked, &now), Err(NotPrepared::Swapped { .. })), "{now:?}");
    }
}

#[test]
fn what_is_on_a_disk_is_told_and_adopting_is_offered_before_erasing() {
    let found = FoundDisk { contents: vec![pool("backup", 5)], ..disk() };
    let name = "t7".parse().unwrap();
    let wishes = Wishes { drive: "t7", pool: &name, wipe: false, internal: false, rescue: true };
    let refusal = judge(&found, &wishes, &Taken::default()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "PSSD T7, serial S6XNNS0W123456, 10.0 GiB, usb, /dev/sdb is not blank:\n  /dev/sdb1: a ZFS pool “backup” (guid 5)"
    );
    assert_eq!(
        refusal.remedies(),
        [
            "to use the pool with what is in it: zferry adopt t7 backup",
            "to erase all of it, the same command with --wipe"
        ]
    );
}

#[test]
fn a_disk_cannot_write_on_the_terminal() {
    let hostile =
        FoundDisk { model: Some("T7\x1b[2J".into()), contents: vec![pool("a\x1b[31m", 5)], ..disk() };
    assert!(!hostile.title().contains('\x1b'));
    assert!(!hostile.contents[0].to_string().contains('\x1b'));
    assert_eq!(Path::new("/dev").join(hostile.name()), hostile.identity.node);
}
