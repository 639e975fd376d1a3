//! Everything that reads text of others, given anything. `cargo test` replays what was found before (`__fuzz__`) and tries
//! a second of new input for each; `cargo lab fuzz` looks for more.

#![expect(clippy::expect_used, reason = "tests say what they expect")]

use std::path::Path;

use zferry::model::{DatasetName, Guid, Nvlist, PoolName};
use zferry::state::Store;
use zferry::zfs::parse;
use zferry::zfs::token::Token;

fn pool() -> PoolName {
    "backup".parse().expect("a pool's name")
}

/// `zfs list` of datasets, with user properties that somebody else wrote: whatever is in them, no dataset of another pool
/// comes out.
#[test]
fn dataset_listings() {
    bolero::check!().for_each(|input: &[u8]| {
        let pool = pool();
        if let Ok(datasets) = parse::datasets(input, &[&pool]) {
            assert!(datasets.iter().all(|dataset| dataset.name.pool() == pool));
        }
    });
}

/// `zfs list` of snapshots and bookmarks, in all its forms, `zfs holds` and `zfs diff`.
#[test]
fn snapshot_listings() {
    bolero::check!().for_each(|input: &[u8]| {
        let _ = (parse::snapshots(input), parse::details(input), parse::heads(input));
        let _ = (parse::named_snapshots(input), parse::holds(input), parse::changes(input));
        let _ = (parse::counts(input), parse::dated(input));
    });
}

/// What `zpool list`, `get`, `status` and `version` print, which is all that an import is judged by.
#[test]
fn pool_listings() {
    bolero::check!().for_each(|input: &[u8]| {
        let _ = (parse::pools(input), parse::pool_properties(input), parse::devices(input));
        let _ = (parse::status(input), parse::damage(input, &pool()), parse::version(input));
    });
}

/// Estimates: what is available, what is freed, what a stream will take.
#[test]
fn amounts() {
    bolero::check!().for_each(|input: &[u8]| {
        let _ = (parse::amount(input), parse::available(input));
    });
}

/// Resume tokens come from the drive.
#[test]
fn tokens() {
    bolero::check!().for_each(|input: &[u8]| {
        let _ = std::str::from_utf8(input).map(str::parse::<Token>);
    });
}

/// Streams in files: whatever is found, it is found without a panic, and nothing follows what is whole.
#[test]
fn streams() {
    bolero::check!().for_each(|input: &[u8]| {
        let mut seen = 0_u64;
        if let Ok(whole) = zferry::stream::check(&mut &*input, &mut |_| seen += 1) {
            assert_eq!(whole.bytes, input.len() as u64);
        }
    });
}

/// Labels and tokens are nvlists.
#[test]
fn nvlists() {
    bolero::check!().for_each(|input: &[u8]| {
        let _ = Nvlist::parse(input);
    });
}

/// The configuration: everything that is wrong is told, with a place in the text.
#[test]
fn configurations() {
    bolero::check!().for_each(|input: &[u8]| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        if let Err(error) = zferry::config::parse(text, Path::new("/etc/zferry/config.toml"), "host") {
            assert!(!error.to_string().is_empty());
        }
    });
}

/// What the host remembers: a cache that may be damaged in any way.
#[test]
fn state_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::new(directory.path());
    let path = directory.path().join("t7.json");
    bolero::check!().for_each(|input: &[u8]| {
        std::fs::write(&path, input).expect("written");
        let loaded = store.load("t7", Guid(7));
        assert_eq!(loaded.state.pool_guid, Guid(7));
    });
}

/// Names: what is accepted is printed as it was read.
#[test]
fn names() {
    bolero::check!().for_each(|input: &[u8]| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        if let Ok(name) = text.parse::<DatasetName>() {
            assert_eq!(name.as_str(), text);
        }
    });
}
