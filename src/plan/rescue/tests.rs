use std::collections::HashMap;

use super::*;
use crate::model::{SnapName, WantedKey};
use crate::plan::testing::{World, detail, encryption, name, policy};

const MIB: u64 = 1 << 20;

/// What a drive has after a run: a tree with a placeholder, a volume, a name with a blank, and one that is not encrypted.
fn side() -> Side {
    let world = World::new()
        .target("backup", "")
        .target("backup/eds", "@a,1 @b,2 @c,3")
        .target("backup/eds/two words", "@b,12")
        .target("backup/eds/vm", "@a,21 @c,23")
        .target("backup/host", "")
        .target("backup/host/plain", "@c,33")
        .edit_target("backup", |pool| pool.encryption = None)
        .edit_target("backup/host", |parent| parent.encryption = None)
        .edit_target("backup/host/plain", |plain| plain.encryption = None)
        .edit_target("backup/eds", |top| top.encryption = Some(encryption("backup/eds")))
        .edit_target("backup/eds/two words", |below| below.encryption = Some(encryption("backup/eds")))
        .edit_target("backup/eds/vm", |vm| {
            vm.kind = DatasetKind::Volume;
            let mut own = encryption("backup/eds/vm");
            own.wanted = WantedKey::Bytes;
            vm.encryption = Some(own);
        });
    world.look(&[policy()]).target
}

fn page(side: &Side, program: &Program) -> BTreeMap<&'static str, String> {
    page_of(side, program, None)
}

fn page_of(side: &Side, program: &Program, luks: Option<&LuksUuid>) -> BTreeMap<&'static str, String> {
    with_facts(side, program, luks, texts)
}

fn with_facts<T>(
    side: &Side,
    program: &Program,
    luks: Option<&LuksUuid>,
    make: impl FnOnce(&Facts<'_>) -> T,
) -> T {
    let mut details = HashMap::new();
    for asked in questions(side) {
        let mut known = detail(Guid(1));
        known.creation = Some(Timestamp::from_second(1_800_000_000).unwrap());
        details.insert(asked, known);
    }
    make(&Facts {
        drive: "t7",
        pool: &name("backup"),
        guid: Guid(7),
        luks,
        host: "laptop",
        version: "0.1.0",
        now: Timestamp::from_second(1_800_003_600).unwrap(),
        side,
        details: &details,
        policies: &[policy()],
        config: "[drives.t7]\n",
        program,
        printed: false,
    })
}

#[test]
fn a_printed_page_has_the_same_commands_and_nothing_of_a_second_partition() {
    let printed =
        with_facts(&side(), &Program::Shared, None, |facts| super::page(&Facts { printed: true, ..*facts }));
    let there = page(&side(), &Program::Shared);
    assert_eq!(commands(&printed), commands(&there["README.txt"]));
    for word in ["partition", "config.toml", "other files here"] {
        assert!(!printed.contains(word), "{word}\n{printed}");
    }
    assert!(printed.lines().all(|line| line.starts_with("    ") || line.chars().count() <= 160), "{printed}");
}

/// The lines that are to be typed.
fn commands(page: &str) -> Vec<&str> {
    page.lines().filter_map(|line| line.strip_prefix("    ")).collect()
}

#[test]
fn a_disk_gives_an_eighth_and_never_more_than_half_a_gigabyte() {
    for (disk, expected) in [
        (0, None),
        (128 * MIB, None),
        (768 * MIB, None),
        (1024 * MIB - 1, None),
        (1024 * MIB, Some(128)),
        ((1 << 31) + 12345, Some(256)),
        (4 << 30, Some(512)),
        (u64::MAX, Some(512)),
    ] {
        assert_eq!(size(Bytes(disk)), expected.map(|mib| Bytes(mib * MIB)), "{disk}");
    }
    assert_eq!(label("t7"), "RESCUE-t7");
    assert_eq!(label("a-long-name-of-a-drive").len(), 16);
}

#[test]
fn the_program_is_left_out_where_it_is_of_no_use_or_does_not_fit() {
    let usual = Path::new("/usr/local/bin/zferry");
    let mib = |mib: u64| Bytes(mib * MIB);
    assert_eq!(program(usual, false, mib(50), mib(128)), Program::Shared);
    assert!(matches!(program(usual, false, mib(63), mib(128)), Program::LeftOut(_)));
    assert!(matches!(program(usual, false, Bytes(u64::MAX), mib(128)), Program::LeftOut(_)));
    let (nix, (small, room)) = (Path::new("/nix/store/x/bin/zferry"), (mib(5), mib(512)));
    assert!(matches!(program(nix, false, small, room), Program::LeftOut(_)));
    assert_eq!(program(nix, true, small, room), Program::Static);
    assert!(matches!(program(nix, true, mib(300), room), Program::LeftOut(_)));
}

#[test]
fn every_dataset_can_be_opened_looked_at_copied_and_sent_back_in_this_order() {
    let side = side();
    let texts = page(&side, &Program::Shared);
    let guid = |of: &str| side.get(&name(of)).unwrap().guid;
    let at = |of: &str, number: usize| {
        let snapshots = side.get(&name(of)).unwrap();
        let found: &SnapName = &snapshots.history.snapshots()[number].name;
        found.to_string()
    };
    let expected = [
        "modprobe zfs".to_owned(),
        "zpool import -N -o readonly=on -o cachefile=none -R /mnt/t7 -d /dev/disk/by-id 7".to_owned(),
        "zfs load-key -L prompt backup/eds".to_owned(),
        "zfs load-key -L prompt backup/eds/vm".to_owned(),
        "mkdir -p /mnt/t7/eds".to_owned(),
        "mount -t zfs -o ro,nosuid,nodev,zfsutil backup/eds /mnt/t7/eds".to_owned(),
        "mkdir -p '/mnt/t7/eds+two words'".to_owned(),
        "mount -t zfs -o ro,nosuid,nodev,zfsutil 'backup/eds/two words' '/mnt/t7/eds+two words'".to_owned(),
        "mkdir -p /mnt/t7/host+plain".to_owned(),
        "mount -t zfs -o ro,nosuid,nodev,zfsutil backup/host/plain /mnt/t7/host+plain".to_owned(),
        "ls /mnt/t7/eds/.zfs/snapshot".to_owned(),
        "ls '/mnt/t7/eds+two words/.zfs/snapshot'".to_owned(),
        "ls /mnt/t7/host+plain/.zfs/snapshot".to_owned(),
        "TO=/root/restored".to_owned(),
        "mkdir -p \"$TO\"".to_owned(),
        "cp -a -x /mnt/t7/eds \"$TO\"/".to_owned(),
        "cp -a -x '/mnt/t7/eds+two words' \"$TO\"/".to_owned(),
        "cp -a -x /mnt/t7/host+plain \"$TO\"/".to_owned(),
        "POOL=rpool".to_owned(),
        format!("zfs send -w backup/eds@{} | zfs receive -u \"$POOL\"/eds", at("backup/eds", 0)),
        format!(
            "zfs send -w -I @{} backup/eds@{} | zfs receive -u \"$POOL\"/eds",
            at("backup/eds", 0),
            at("backup/eds", 2)
        ),
        format!("zfs set org.zferry:source={} \"$POOL\"/eds", guid("backup/eds")),
        "zfs create -o canmount=off -o mountpoint=none \"$POOL\"/host".to_owned(),
    ];
    let found = commands(&texts["README.txt"]);
    assert_eq!(found[..expected.len()], expected);
    let rest = &found[expected.len()..];
    assert_eq!(rest.len(), 2 + 3 + 2 + 1, "{rest:#?}");
    assert!(rest[0].ends_with("| zfs receive -u \"$POOL\"/'eds/two words'"), "{rest:#?}");
    assert_eq!(rest.last(), Some(&"zpool export backup"));
}

#[test]
fn the_page_says_what_is_there_and_what_opens_it() {
    let texts = page(&side(), &Program::Shared);
    let readme = &texts["README.txt"];
    for part in [
        "the drive t7",
        "(guid 7)",
        "on laptop",
        "backup/eds/vm is opened by a key in a file",
        "backup/eds/vm, the copy of tank/data/vm, a volume",
        "backup/eds, the copy of tank/data: 3 snapshots, the newest of 2027-01-15 08:00 UTC",
        "does not start on every other one",
    ] {
        assert!(readme.contains(part), "{part:?} is not in\n{readme}");
    }
    let portable = &page(&side(), &Program::Static)["README.txt"];
    assert!(
        portable.contains("no library: every Linux")
            && !portable.contains("does not start on every other one")
    );
    let rows: Vec<Vec<&str>> = texts["datasets.txt"]
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(rows.len(), 6);
    assert!(rows.iter().all(|row| row.len() == 8), "{rows:?}");
    let of = |dataset: &str| rows.iter().find(|row| row[0] == dataset).unwrap();
    assert_eq!(of("backup/eds")[3..6], ["backup/eds", "passphrase", "tank/data"]);
    assert_eq!(of("backup/eds/two words")[3..5], ["backup/eds", "of the encryption root"]);
    assert_eq!(of("backup/host/plain")[3..6], ["-", "-", "-"]);
    assert!(texts["config.toml"].ends_with("[drives.t7]\n"));
}

#[test]
fn an_empty_drive_has_a_page_and_a_program_that_is_not_there_is_not_promised() {
    let texts = page(&Side::default(), &Program::LeftOut("it is too large".to_owned()));
    let readme = &texts["README.txt"];
    assert!(readme.contains("no backup on it yet") && readme.contains("not here: it is too large"));
    assert!(!readme.contains("zferry restore"), "{readme}");
    assert_eq!(commands(readme).len(), 3, "{readme}");
}

#[test]
fn a_container_is_opened_first_and_closed_last() {
    let uuid: LuksUuid = "2f3b5a3e-0000-4c1d-9abc-0123456789ab".parse().unwrap();
    for side in [side(), Side::default()] {
        let texts = page_of(&side, &Program::Shared, Some(&uuid));
        let readme = &texts["README.txt"];
        let typed = commands(readme);
        assert_eq!(typed[0], format!("cryptsetup open /dev/disk/by-uuid/{uuid} luks-t7"));
        assert_eq!(typed[1], "modprobe zfs");
        assert_eq!(typed[typed.len() - 2..], ["zpool export backup", "cryptsetup close luks-t7"]);
        assert!(readme.contains("the passphrase that was chosen for this drive"), "{readme}");
    }
}
