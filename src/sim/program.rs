//! Channel programs: the four that zferry has, known by their text. What they say in Lua is said here again.

use std::collections::BTreeMap;

use crate::zfs::program::{BOOKMARK, DESTROY, DESTROY_ALL, EBUSY, EEXIST, MARK};

use super::state::{State, pool_of};
use super::{Answer, change};

/// `zfs program -j POOL - ARGUMENTS`, the script on standard input.
pub fn program(state: &mut State, args: &[&str], stdin: &[u8]) -> Answer {
    let ["-j", pool, "-", arguments @ ..] = args else { return Err("usage".to_owned()) };
    if !state.is_imported(pool) {
        return Err(format!("cannot open pool '{pool}': no such pool"));
    }
    let script = std::str::from_utf8(stdin).unwrap_or_default();
    let results = match script {
        DESTROY => each(arguments, |argument| destroy(state, argument)),
        DESTROY_ALL => destroy_all(state, arguments),
        MARK => each(arguments, |argument| mark(state, argument)),
        BOOKMARK => each(arguments, |argument| bookmark(state, argument)),
        _ => return Err("this channel program is unknown to the simulation".to_owned()),
    };
    serde_json::to_string(&serde_json::json!({ "return": results })).map_err(|error| error.to_string())
}

type Results = BTreeMap<String, String>;

fn each(arguments: &[&str], mut work: impl FnMut(&str) -> (String, String)) -> Results {
    arguments.iter().map(|argument| work(argument)).collect()
}

/// Dataset, snapshot and guid of `DATASET@SNAP=GUID`; why not, when another one has the name or none.
fn named(state: &State, name: &str, guid: &str) -> Result<(String, u64), &'static str> {
    let (dataset, called) = name.split_once('@').ok_or("missing")?;
    let there = state.dataset(dataset).and_then(|there| there.named(called)).ok_or("missing")?;
    let same = guid.parse::<i64>().is_ok_and(|guid| guid.cast_unsigned() == there.guid);
    if same { Ok((dataset.to_owned(), there.guid)) } else { Err("guid") }
}

/// What would keep it from being destroyed.
fn check_destroy(state: &State, dataset: &str, guid: u64) -> i64 {
    let Some(snapshot) = state.datasets[dataset].snapshot(guid) else { return 2 };
    match (snapshot.holds.len(), state.clones(dataset, snapshot)) {
        (0, 0) => 0,
        (0, _) => EEXIST,
        _ => EBUSY,
    }
}

/// Destroys a snapshot that nothing keeps. What it took is free at once, which on ZFS it is a little later.
pub fn remove(state: &mut State, dataset: &str, guid: u64) {
    let Some(there) = state.datasets.get_mut(dataset) else { return };
    if let (Some(snapshot), Some(pool)) = (there.snapshot(guid), state.pools.get_mut(pool_of(dataset))) {
        pool.available += snapshot.written;
    }
    // The head differs from what is the newest now (facts: zfs.md decision 6).
    if there.snapshots.last().is_some_and(|newest| newest.guid == guid) {
        there.written += 1;
    }
    there.snapshots.retain(|snapshot| snapshot.guid != guid);
}

fn destroy(state: &mut State, argument: &str) -> (String, String) {
    let (name, guid) = argument.rsplit_once('=').unwrap_or((argument, ""));
    let result = match named(state, name, guid) {
        Err(why) => why.to_owned(),
        Ok((dataset, guid)) => {
            let errno = check_destroy(state, &dataset, guid);
            if errno == 0 {
                remove(state, &dataset, guid);
            }
            errno.to_string()
        }
    };
    (name.to_owned(), result)
}

fn destroy_all(state: &mut State, arguments: &[&str]) -> Results {
    let split = |argument: &&str| argument.rsplit_once('=').map(|(n, g)| (n.to_owned(), g.to_owned()));
    let all: Vec<(String, String)> = arguments.iter().filter_map(split).collect();
    let (mut results, mut sound) = (Results::new(), true);
    for (name, guid) in &all {
        let result = match named(state, name, guid) {
            Err(why) => {
                sound &= why == "missing";
                why.to_owned()
            }
            // Those before it in the list will be gone, and so are their clones.
            Ok((dataset, guid)) => {
                let errno = check_destroy(state, &dataset, guid);
                sound &= errno == 0;
                errno.to_string()
            }
        };
        results.insert(name.clone(), result);
    }
    for (name, guid) in all {
        if results[&name] != "0" {
            continue;
        }
        match (sound, named(state, &name, &guid)) {
            (true, Ok((dataset, guid))) => remove(state, &dataset, guid),
            _ => drop(results.insert(name, "kept".to_owned())),
        }
    }
    results
}

fn mark(state: &mut State, argument: &str) -> (String, String) {
    let (rest, value) = argument.rsplit_once('=').unwrap_or((argument, ""));
    let (name, guid) = rest.rsplit_once('=').unwrap_or((rest, ""));
    let result = named(state, name, guid).map(|(dataset, guid)| {
        let there =
            state.datasets.get_mut(&dataset).and_then(|d| d.snapshots.iter_mut().find(|s| s.guid == guid));
        if let Some(snapshot) = there {
            snapshot.properties.insert("org.zferry:missing".to_owned(), value.to_owned());
        }
        "0"
    });
    (name.to_owned(), result.unwrap_or_else(|why| why).to_owned())
}

fn bookmark(state: &mut State, argument: &str) -> (String, String) {
    let (rest, called) = argument.rsplit_once('=').unwrap_or((argument, ""));
    let (name, guid) = rest.rsplit_once('=').unwrap_or((rest, ""));
    let result = match named(state, name, guid) {
        Err(why) => why.to_owned(),
        Ok((dataset, _)) => match change::bookmark(state, &[name, &format!("{dataset}#{called}")]) {
            Ok(_) => "0".to_owned(),
            Err(_) => EEXIST.to_string(),
        },
    };
    (name.to_owned(), result)
}
