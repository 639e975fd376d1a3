//! What the tools print, and what they never should.

use super::*;

#[test]
fn tools_that_do_not_tell_their_version_are_not_used() {
    for good in ["zfs-2.3.2-2\nzfs-kmod-2.3.2-2\n", "zfs-2.4.1-1~bpo13+1\nzfs-kmod-2.4.0-1\n"] {
        let versions = version(good.as_bytes()).unwrap();
        let told = |version: &Option<String>| version.clone().unwrap();
        assert_eq!(format!("zfs-{}\nzfs-kmod-{}\n", told(&versions.tools), told(&versions.module)), good);
    }
    for bad in ["", "zfs-2.3.2\n", "zfs-2.3.2\nzfs-kmod-2.3.2", "zfs-2.3.2\nzfs-kmod\n", "lp0 on fire\n"] {
        assert!(version(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(version(b"\xff\xfe\n\n").is_err());
}

#[test]
fn a_listing_is_read_whole_or_not_at_all() {
    let good = b"rpool/my home@a\t7\t10\nrpool/my home#b\t8\t11\n";
    assert_eq!(
        snapshots(good).unwrap(),
        [
            Listed::Snapshot("rpool/my home@a".parse().unwrap(), Guid(7), Txg(10)),
            Listed::Bookmark("rpool/my home#b".parse().unwrap(), Guid(8), Txg(11)),
        ]
    );
    assert_eq!(snapshots(b"").unwrap(), []);
    let table: [(&[u8], usize, &str); 7] = [
        (b"rpool@a\t7\t10", 0, "it ends in the middle of a line"),
        (b"rpool@a\t7\n", 1, "2 columns instead of 3"),
        (b"rpool@a\t7\t10\t\n", 1, "4 columns instead of 3"),
        (b"rpool@a\tx\t10\n", 1, "“x” is not a guid"),
        (b"rpool@a\t7\t10\nrpool@b\t8\t1x\n", 2, "“1x” is not a number"),
        (b"rpool\t7\t10\n", 1, "there is no “#” in it"),
        (b"\xff\xfe", 0, "it is not UTF-8"),
    ];
    for (bad, line, what) in table {
        let error = snapshots(bad).unwrap_err();
        assert!(error.line == line && error.what.contains(what), "{error:?}");
    }
}

#[test]
fn datasets_are_read_with_keys_and_partial_state() {
    // The columns of DATASET_COLUMNS on ZFS 2.4.4, Debian 13.
    let line = b"backup/eds\tfilesystem\t17\tbackup/eds\t99\tunavailable\t0\t100\t900\t0\t-\t0\tno\tnoauto\tzstd-3\t1048576\tauto\t1-ab-c8-78\tprompt\tpassphrase\t17429911\t0\t300\t40\t12\tno guid\t-\t-\t13\n";
    let read = &datasets(line, &[&pool()]).unwrap()[0];
    let encryption = read.encryption.as_ref().unwrap();
    assert_eq!((encryption.keyguid, encryption.key), (Some(Guid(99)), KeyStatus::Unavailable));
    assert_eq!((&encryption.wanted, encryption.salt), (&WantedKey::Passphrase, Some(17_429_911)));
    assert_eq!(read.resume, ResumeState::Token("1-ab-c8-78".into()));
    assert_eq!(read.needs, ["zstd_compress", "large_blocks", "large_dnode"]);
    assert_eq!((read.source, read.mirror, read.placeholder), (Some(Guid(12)), None, false));
    assert_eq!((read.quota, read.refquota, read.used_by_children), (Bytes(0), Bytes(300), Bytes(40)));
    assert_eq!(read.rewritten, Some(Guid(13)));
}

fn pool() -> PoolName {
    "backup".parse().unwrap()
}

/// A listing of one dataset with these user properties, as a hostile drive may have them.
fn listing(name: &str, source: &[u8], mirror: &[u8]) -> Vec<u8> {
    let facts =
        "filesystem\t17\t-\t-\t-\t0\t1\t9\t0\t-\t0\tno\tnoauto\tlz4\t131072\tlegacy\t-\t-\t-\t-\t0\t0\t0";
    let mut line = format!("{name}\t{facts}\t").into_bytes();
    line.extend(source);
    line.push(b'\t');
    line.extend(mirror);
    line.extend(b"\t-\t-\t-\n");
    line
}

#[test]
fn what_stands_in_user_properties_is_a_guid_or_as_good_as_absent() {
    let long = vec![b'9'; 8191];
    let table: [(&[u8], Option<Guid>); 9] = [
        (b"12", Some(Guid(12))),
        (b"-", None),
        (b"", None),
        (b"18446744073709551616", None),
        (b"-12", None),
        (b"\x1b[2J\x1b]0;owned\x07", None),
        (b"\xff\xfe\x80", None),
        ("\u{202e}21".as_bytes(), None),
        (&long, None),
    ];
    for (value, expected) in table {
        let read = datasets(&listing("backup/eds", value, b"7"), &[&pool()]).unwrap();
        assert_eq!((read[0].source, read[0].mirror), (expected, Some(Guid(7))), "{value:?}");
    }
}

#[test]
fn no_user_property_makes_other_datasets_of_one() {
    // Up to where the rest of the real line goes on.
    let forged = |name: &str| {
        let line = String::from_utf8(listing(name, b"-", b"-")).unwrap();
        line.strip_suffix("\t-\t-\t-\t-\n").unwrap().to_owned()
    };
    let (other, twice) = (forged("rpool/home"), forged("backup/eds"));
    for (value, what) in [
        ("1\t2".to_owned(), "30 columns instead of 29"),
        ("1\n2".to_owned(), "25 columns instead of 29"),
        (format!("1\t-\t-\t-\t-\n{}", other), "rpool/home was not asked for"),
        (format!("1\t-\t-\t-\t-\n{}", twice), "backup/eds occurs twice"),
        ("1\t-\t-\t-\t-\n\u{1b}[2J".to_owned(), "columns instead of 29"),
    ] {
        let listing = listing("backup/eds", value.as_bytes(), b"-");
        let error = datasets(&listing, &[&pool()]).unwrap_err();
        assert!(error.what.contains(what) && error.what.contains("user properties"), "{value:?}: {error:?}");
        assert!(!error.what.contains('\u{1b}'), "{error:?}");
    }
}

#[test]
fn what_a_snapshot_says_of_being_missing_counts_only_when_it_was_said_of_itself() {
    let since = |seconds| Some(Missing::Since(Timestamp::from_second(seconds).unwrap()));
    for (value, source, expected) in [
        ("1763769600", "local", since(1_763_769_600)),
        ("1763769600", "inherited from backup", None),
        ("1763769600", "received", None),
        ("-", "-", None),
        ("none", "local", None),
        ("", "local", Some(Missing::Unreadable)),
        ("-5", "local", Some(Missing::Unreadable)),
        ("99999999999999999999999", "local", Some(Missing::Unreadable)),
        ("\u{1b}[31m soon", "local", Some(Missing::Unreadable)),
    ] {
        let line = format!("backup/eds@a\t{PROPERTY_MISSING}\t{value}\t{source}\n");
        let read = details(line.as_bytes()).unwrap();
        assert_eq!(read["backup/eds@a"].missing, expected, "{value:?} {source}");
    }
}

#[test]
fn amounts_are_single_numbers() {
    assert_eq!(amount(b"4096\n"), Ok(Bytes(4096)));
    assert_eq!(amount(b"-\n"), Ok(Bytes(0)));
    for bad in ["", "x\n", "1\n2\n", "1\t2\n", "1"] {
        assert!(amount(bad.as_bytes()).is_err(), "{bad:?}");
    }
    let read = available(b"backup\t9\nbackup/my eds\t7\n").unwrap();
    assert_eq!(read[&"backup/my eds".parse().unwrap()], Bytes(7));
}

#[test]
fn what_is_damaged_is_told_but_not_what_goes_by_itself() {
    let text = "  pool: backup\n state: ONLINE\n\nerrors: Permanent errors have been detected in the following files:\n\n        backup/eds@b:<0x2>\n        backup/my eds:/a file\n        backup/eds/%recv:<0x2>\n        <0x5a>:<0x2>\n        backup2/eds:<0x2>\n\n";
    let found = damage(text.as_bytes(), &"backup".parse().unwrap()).unwrap();
    assert_eq!(found, ["backup/eds@b:<0x2>", "backup/my eds:/a file"]);
    assert!(damage(b"garbage", &"backup".parse().unwrap()).unwrap().is_empty());
}

#[test]
fn error_counters_are_summed_over_the_pool_and_its_devices() {
    // zpool status -p, ZFS 2.4.4, Debian 13.
    let text = b"  pool: backup\n state: ONLINE\n  scan: none requested\nconfig:\n\n\tNAME        STATE     READ WRITE CKSUM\n\tbackup      ONLINE       0     0     2\n\t  sda1      ONLINE       1     0     2\n\nerrors: No known data errors\n";
    assert_eq!(
        status(text).unwrap(),
        Status { state: "ONLINE".into(), errors: 5, damage: None, scrub: Scrub::Never }
    );
    let damaged =
        String::from_utf8_lossy(text).replace("No known data errors", "2 data errors, use '-v' for a list");
    assert_eq!(status(damaged.as_bytes()).unwrap().damage.as_deref(), Some("2 data errors"));
    assert!(status(b"garbage").is_err());
}

#[test]
fn no_bytes_make_a_parser_panic() {
    use proptest::prelude::*;
    proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\ta-z0-9@#/\\n-]{0,200}")| {
        for input in [bytes.as_slice(), text.as_bytes()] {
            let _ = (snapshots(input), datasets(input, &[&pool()]), details(input), heads(input), holds(input));
            let _ = (named_snapshots(input), pools(input), pool_properties(input), devices(input), status(input));
            let _ = (amount(input), available(input));
        }
    });
}
