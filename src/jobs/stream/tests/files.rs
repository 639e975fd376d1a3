//! Files and their manifests, without ZFS.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use jiff::Timestamp;

use super::Host;
use crate::jobs::stream::archive::{Archive, aside, beside, clean, directory_of, free_name, put};
use crate::jobs::stream::write::{NotWritten, write};
use crate::jobs::stream::{Closely, State, adopt, prune_all, shelves, verify};
use crate::model::Keep;
use crate::stream::Manifest;
use crate::stream::imitation::one;

fn now() -> Timestamp {
    Timestamp::from_second(100 * 86_400).unwrap()
}

/// A stream that was saved as a run would: on the day with the number of its snapshot.
fn saved(host: &Host, from: u64, to: u64) -> std::path::PathBuf {
    let directory = host.at("");
    let bytes = one(&format!("pool/diary@s{to}"), from, to, to * 86_400);
    let file = aside(&directory, true).unwrap();
    let written = write(&mut bytes.as_slice(), file.as_file(), &mut |_| ()).unwrap();
    let streams = (&written.found.first, &written.found.last);
    let manifest = Manifest::new(String::new(), streams, &written.found.whole, written.blake3, now());
    let path = free_name(&directory, &manifest);
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    put(file, &path, &Manifest { file: name, ..manifest }).unwrap();
    path
}

fn found(file: &Path, closely: Closely) -> Result<(), String> {
    let mut all = Vec::new();
    verify(&[file.to_owned()], closely, now(), &mut |one| all.push(one.found));
    all.remove(0).map(drop).map_err(|error| crate::execute::chain(&error))
}

#[test]
fn what_is_written_is_whole_and_hashed_or_it_is_said_why_not() {
    let bytes = one("pool/diary@a", 0, 1, 86_400);
    let directory = tempfile::tempdir().unwrap();
    let file = aside(directory.path(), true).unwrap();
    let written = write(&mut bytes.as_slice(), file.as_file(), &mut |_| ()).unwrap();
    assert_eq!(written.blake3, blake3::hash(&bytes).to_hex().to_string());
    let mut there = Vec::new();
    File::open(file.path()).unwrap().read_to_end(&mut there).unwrap();
    assert_eq!(there, bytes);
    let cut = write(&mut &bytes[..bytes.len() - 1], file.as_file(), &mut |_| ()).unwrap_err();
    assert!(matches!(cut, NotWritten::NotSound(_)), "{cut:?}");
    let read_only = File::open(file.path()).unwrap();
    let unwritable = write(&mut bytes.as_slice(), &read_only, &mut |_| ()).unwrap_err();
    assert!(matches!(unwritable, NotWritten::Disk(_)), "{unwritable:?}");
    // What did not become a file is gone with it.
    drop(file);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn names_are_those_of_the_day_and_nothing_is_replaced() {
    let host = Host::new();
    let (first, second) = (saved(&host, 0, 1), saved(&host, 1, 2));
    assert!(
        first.ends_with("1970-01-02T000000Z-full.zfs") && second.ends_with("1970-01-03T000000Z-incr.zfs")
    );
    assert!(saved(&host, 0, 1).ends_with("1970-01-02T000000Z-full-2.zfs"));
    assert_eq!(directory_of(Path::new("b.zfs")), Path::new("."));
    assert!(
        beside(Path::new("/a/b.zfs")).ends_with("b.json") && beside(Path::new("/a/b")).ends_with("b.json")
    );
    fs::write(host.at(".zferry-left"), "x").unwrap();
    fs::write(host.at(".other"), "x").unwrap();
    clean(&host.at("")).unwrap();
    assert!(!host.at(".zferry-left").exists() && host.at(".other").exists());
    assert!(Archive::read(&host.at("none")).unwrap().entries.is_empty());
}

#[test]
fn a_file_is_compared_with_its_manifest() {
    let host = Host::new();
    let (first, second) = (saved(&host, 0, 1), saved(&host, 1, 2));
    for closely in [Closely::Whole, Closely::Quick] {
        assert_eq!(found(&first, closely), Ok(()));
    }
    fs::copy(&first, &second).unwrap();
    for closely in [Closely::Whole, Closely::Quick] {
        let error = found(&second, closely).unwrap_err();
        assert!(error.contains("is another one"), "{error}");
    }
    let text = fs::read_to_string(beside(&first)).unwrap();
    let hash = text.split("\"blake3\": \"").nth(1).unwrap()[..64].to_owned();
    fs::write(beside(&first), text.replace(&hash, &"0".repeat(64))).unwrap();
    assert!(found(&first, Closely::Whole).unwrap_err().contains("its BLAKE3 is another one"));
    assert_eq!(found(&first, Closely::Quick), Ok(()), "nobody has read it");
    fs::write(beside(&first), "{").unwrap();
    assert!(found(&first, Closely::Quick).unwrap_err().starts_with("its manifest cannot be used"));
}

#[test]
fn what_is_missing_is_told_without_reading_anything() {
    let host = Host::new();
    saved(&host, 0, 1);
    let (second, third) = (saved(&host, 1, 2), saved(&host, 2, 3));
    let states = |host: &Host| {
        let shelves = shelves(&host.at("")).unwrap();
        shelves[0].listed().iter().map(|one| one.state).collect::<Vec<_>>()
    };
    assert_eq!(states(&host), [State::Complete; 3]);
    fs::remove_file(&second).unwrap();
    assert_eq!(states(&host), [State::Complete, State::Gone, State::Incomplete]);
    fs::write(&third, "short").unwrap();
    assert_eq!(states(&host), [State::Complete, State::Gone, State::OtherLength]);
    let lacks = shelves(&host.at("")).unwrap()[0].lacks();
    assert!(
        lacks.len() == 2 && lacks[0].contains("is gone") && lacks[1].contains("not as long"),
        "{lacks:?}"
    );
}

#[test]
fn files_of_others_get_manifests_by_what_is_in_them() {
    let host = Host::new();
    host.file("diary@2022", "a", 0, 1);
    let mut damaged = host.file("b", "b", 1, 2);
    host.file("c.zfs", "c", 1, 3);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(host.at("b"), &damaged).unwrap();
    fs::write(host.at("notes"), "no stream").unwrap();
    let adopted = host.with(|env| adopt(&[host.at("")], env)).unwrap();
    assert_eq!((adopted.adopted, adopted.known, adopted.failed), (2, 0, 1));
    assert!(host.at("diary@2022.json").exists() && host.at("c.json").exists() && !host.at("b.json").exists());
    assert!(!host.at("notes.json").exists());
    let again = host.with(|env| adopt(&[host.at("")], env)).unwrap();
    assert_eq!((again.adopted, again.known), (0, 2));
    // What is named is meant.
    assert_eq!(host.with(|env| adopt(&[host.at("notes")], env)).unwrap().failed, 1);
    assert!(host.with(|env| adopt(&[host.at("none")], env)).is_err());
}

#[test]
fn a_lost_state_is_not_restored_from_an_earlier_one() {
    let host = Host::new();
    let (_, second) = (saved(&host, 0, 1), saved(&host, 1, 2));
    let kept = fs::read(&second).unwrap();
    fs::remove_file(&second).unwrap();
    let error = host.restore(&[""], None).unwrap_err();
    assert!(error.contains("pool/diary@s2 cannot be restored") && error.contains("is gone"), "{error}");
    assert!(host.received().is_empty());
    // Asked for by name, the earlier one is.
    assert!(host.restore(&[""], Some("s1")).unwrap_err().contains("is not what it should be"));
    // Under another name, it is there.
    fs::remove_file(host.directory.path().join("there")).unwrap();
    fs::write(host.at("found"), kept).unwrap();
    assert!(host.restore(&[""], None).unwrap_err().contains("newest snapshot is not pool/diary@s2"));
}

#[test]
fn pruning_says_what_it_would_do_and_does_that() {
    let host = Host::new();
    let files: Vec<_> = [(0, 1), (1, 2), (0, 3), (3, 4)].map(|(from, to)| saved(&host, from, to)).into();
    let stream = host.stream(Keep { last: 1, ..Keep::default() });
    let would = host.with(|env| prune_all(&stream, false, env)).unwrap();
    assert_eq!(would.files, [files[1].clone(), files[0].clone()]);
    assert!(files.iter().all(|file| file.exists()));
    let did = host.with(|env| prune_all(&stream, true, env)).unwrap();
    assert_eq!((did.files, did.bytes, did.failed), (would.files, would.bytes, 0));
    assert!(!files[0].exists() && !beside(&files[1]).exists() && files[2].exists() && files[3].exists());
    assert!(host.with(|env| prune_all(&stream, true, env)).unwrap().files.is_empty());
}
