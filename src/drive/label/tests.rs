use std::io::Write;

use tempfile::NamedTempFile;

use super::*;
use crate::model::packing::{body, pack, text};

/// The used part of the list in a label of a two-disk mirror, written by `ztest -m 2 -K raidz -r 1` of ZFS 2.1.11;
/// guids as `blkid -p` printed them.
const MIRROR: &[u8] = include_bytes!("ztest-2.1.11-mirror.nvlist");

fn number(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// The list of a single disk's label.
fn list(state: u64, txg: u64) -> Vec<u8> {
    pack(&[
        ("name", 9, text("backup")),
        ("state", 8, number(state)),
        ("txg", 8, number(txg)),
        ("pool_guid", 8, number(17)),
        ("guid", 8, number(18)),
        ("hostid", 8, number(0x00ba_d0da)),
        ("hostname", 9, text("laptop")),
        ("vdev_children", 8, number(1)),
        ("vdev_tree", 19, body(&[("type", 9, text("disk")), ("guid", 8, number(18))])),
    ])
}

/// A device of this size in bytes with these lists in its labels.
fn device(size: u64, lists: [Option<&[u8]>; 4]) -> NamedTempFile {
    let file =
        tempfile::Builder::new().tempfile_in(env!("CARGO_MANIFEST_DIR")).or_else(|_| NamedTempFile::new());
    let file = file.unwrap();
    file.as_file().set_len(size).unwrap();
    let end = size / LABEL as u64 * LABEL as u64;
    for (at, list) in [0, 1 << 18, end - (2 << 18), end - (1 << 18)].into_iter().zip(lists) {
        file.as_file().write_all_at(list.unwrap_or_default(), at + LIST.start as u64).unwrap();
    }
    file
}

fn read(device: &NamedTempFile) -> Result<Label, LabelError> {
    read_label(device.path(), Duration::from_secs(30))
}

/// An uberblock in the byte order of a little-endian host.
fn uberblock(txg: u64) -> Vec<u8> {
    [UBERBLOCK_MAGIC.to_le_bytes(), 5000_u64.to_le_bytes(), txg.to_le_bytes()].concat()
}

#[test]
fn a_real_label_of_a_mirror_is_read() {
    let label = read(&device(64 << 20, [Some(MIRROR); 4])).unwrap();
    let [this, other] = [14_326_363_662_826_539_458, 17_447_615_526_557_653_969].map(Guid);
    let expected = Label {
        pool_name: "ztest".to_owned(),
        pool_guid: Guid(9_676_790_319_635_327_949),
        vdev_guid: this,
        state: PoolState::Active,
        txg: Txg(4),
        newest_uberblock: None,
        hostid: None,
        hostname: Some("labhost".to_owned()),
        top_level_vdevs: 1,
        leaves: vec![this, other],
        copies: 4,
    };
    assert_eq!(label, expected);
}

#[test]
fn the_newest_label_wins_wherever_it_is_and_damaged_ones_are_passed_over() {
    let [old, new] = [list(0, 40), list(1, 63)];
    let odd_size = (64 << 20) + 4096 + 512;
    for (size, lists, copies) in [
        (64 << 20, [Some(&old[..]), Some(&old[..]), Some(&old[..]), Some(&new[..])], 4),
        (odd_size, [None, Some(&old), Some(&new), None], 2),
        (odd_size, [Some(&new[..100]), None, None, Some(&new)], 1),
        (1 << 20, [Some(&new), Some(&old), Some(b"garbage"), None], 2),
    ] {
        let label = read(&device(size, lists)).unwrap();
        assert_eq!((label.state, label.txg, label.copies), (PoolState::Exported, Txg(63), copies));
        assert_eq!((label.pool_name.as_str(), label.hostid), ("backup", Some(0x00ba_d0da)));
        assert_eq!((label.hostname.as_deref(), label.leaves), (Some("laptop"), vec![Guid(18)]));
    }
}

#[test]
fn the_newest_uberblock_of_all_labels_is_told() {
    let mut device = device(64 << 20, [Some(&list(0, 40)), None, None, None]);
    for (txg, at) in [(44, 0), (63, LABEL + 8192), (12, LABEL + 16384)] {
        device.as_file().write_all_at(&uberblock(txg), (UBERBLOCKS.start + at) as u64).unwrap();
    }
    device.flush().unwrap();
    assert_eq!(read(&device).unwrap().newest_uberblock, Some(Txg(63)));
}

#[test]
fn a_device_without_a_pool_is_told_apart_from_one_that_cannot_be_read() {
    assert!(matches!(read(&device(64 << 20, [None; 4])), Err(LabelError::None { .. })));
    let small = NamedTempFile::new().unwrap();
    small.as_file().set_len(1000).unwrap();
    assert!(matches!(read(&small), Err(LabelError::None { .. })));
    let spare = pack(&[("version", 8, number(5000)), ("state", 8, number(3)), ("guid", 8, number(5))]);
    let error = read(&device(64 << 20, [Some(&spare); 4])).unwrap_err();
    assert!(matches!(error, LabelError::NoPool { state: PoolState::Spare, .. }), "{error:?}");
    let nowhere = read_label(Path::new("/nonexistent/device"), Duration::from_secs(30));
    assert!(matches!(nowhere, Err(LabelError::Read { .. })));
}

#[test]
fn every_state_number_has_its_meaning() {
    for (number, state) in [
        (0, PoolState::Active),
        (1, PoolState::Exported),
        (2, PoolState::Destroyed),
        (3, PoolState::Spare),
        (4, PoolState::L2Cache),
        (7, PoolState::Other(7)),
    ] {
        assert_eq!(PoolState::from(number), state);
    }
}
