//! `zfs list` and `zfs get`: what there is, as text.

use std::fmt::Write;

use crate::plan::testing::tokens::token;

use super::Answer;
use super::flags::Flags;
use super::state::{Bookmark, Dataset, Snapshot, State, parent_of, pool_of};

/// Something that has properties.
enum Thing<'a> {
    Dataset(&'a str, &'a Dataset),
    Snapshot(&'a str, &'a Dataset, &'a Snapshot),
    Bookmark(&'a str, &'a str, &'a Bookmark),
}

/// `zfs list -Hp`.
pub fn list(state: &State, args: &[&str]) -> Answer {
    // Snapshots come oldest first in any case: no other order is asked for.
    let flags = Flags::read(args, "Hprd:t:o:s:")?;
    if flags.value('s').is_some_and(|by| by != "createtxg") {
        return Err("not simulated".to_owned());
    }
    let columns: Vec<&str> = flags.value('o').unwrap_or("name").split(',').collect();
    let types: Vec<&str> = flags.value('t').unwrap_or("filesystem").split(',').collect();
    let named = flags.operands.iter().any(|name| name.contains(['@', '#']));
    let depth = match flags.value('d') {
        Some(depth) => depth.parse().map_err(|_| "bad depth")?,
        None if flags.has('r') => usize::MAX,
        None => 0,
    };
    let mut text = String::new();
    for &operand in &flags.operands {
        let things = if named { vec![find(state, operand)?] } else { below(state, operand, depth, &types)? };
        for thing in things {
            let row: Vec<String> = columns.iter().map(|column| thing.value(state, column).0).collect();
            let _ = writeln!(text, "{}", row.join("\t"));
        }
    }
    Ok(text)
}

/// `zfs get -Hp`.
pub fn get(state: &State, args: &[&str]) -> Answer {
    let flags = Flags::read(args, "Hpo:s:")?;
    let (&properties, names) = flags.operands.split_first().ok_or("missing property")?;
    let columns: Vec<&str> = flags.value('o').unwrap_or("name,property,value,source").split(',').collect();
    let mut text = String::new();
    for &name in names {
        let thing = find(state, name)?;
        let all: Vec<&str> = match (&thing, flags.value('s')) {
            // Of all properties the simulation knows those that are set.
            (Thing::Dataset(_, dataset), Some("local,received")) if properties == "all" => {
                dataset.properties.keys().map(String::as_str).collect()
            }
            (_, None) => properties.split(',').collect(),
            _ => return Err("not simulated".to_owned()),
        };
        for property in all {
            let (value, source) = thing.value(state, property);
            let cell = |column: &&str| match *column {
                "name" => name,
                "property" => property,
                "value" => &value,
                _ => &source,
            };
            let _ = writeln!(text, "{}", columns.iter().map(cell).collect::<Vec<_>>().join("\t"));
        }
    }
    Ok(text)
}

fn missing(name: &str) -> String {
    format!("cannot open '{name}': dataset does not exist")
}

/// One thing by its full name.
fn find<'a>(state: &'a State, name: &'a str) -> Result<Thing<'a>, String> {
    let missing = || missing(name);
    if let Some((dataset, snapshot)) = name.split_once('@') {
        let there = state.dataset(dataset).ok_or_else(missing)?;
        return Ok(Thing::Snapshot(dataset, there, there.named(snapshot).ok_or_else(missing)?));
    }
    if let Some((dataset, bookmark)) = name.split_once('#') {
        let there = state.dataset(dataset).ok_or_else(missing)?;
        return Ok(Thing::Bookmark(dataset, bookmark, there.bookmarks.get(bookmark).ok_or_else(missing)?));
    }
    Ok(Thing::Dataset(name, state.dataset(name).ok_or_else(missing)?))
}

/// Everything of these types down to a depth, at which snapshots stand one below their dataset.
fn below<'a>(state: &'a State, top: &str, depth: usize, types: &[&str]) -> Result<Vec<Thing<'a>>, String> {
    state.dataset(top).ok_or_else(|| missing(top))?;
    let mut things = Vec::new();
    for name in state.tree(top) {
        let (name, dataset) = state.datasets.get_key_value(&name).ok_or_else(|| missing(&name))?;
        let level = name.matches('/').count() - top.matches('/').count();
        if level > depth {
            continue;
        }
        if types.contains(&if dataset.volume { "volume" } else { "filesystem" }) {
            things.push(Thing::Dataset(name, dataset));
        }
        if level < depth && types.contains(&"snapshot") {
            things.extend(dataset.snapshots.iter().map(|snapshot| Thing::Snapshot(name, dataset, snapshot)));
        }
        if level < depth && types.contains(&"bookmark") {
            things.extend(dataset.bookmarks.iter().map(|(called, b)| Thing::Bookmark(name, called, b)));
        }
    }
    Ok(things)
}

impl Thing<'_> {
    /// A property's value and source; `-` where there is none.
    fn value(&self, state: &State, property: &str) -> (String, String) {
        let own = || match self {
            Self::Dataset(name, dataset) => dataset_value(state, name, dataset, property),
            Self::Snapshot(name, dataset, snapshot) => {
                snapshot_value(state, name, dataset, snapshot, property)
            }
            Self::Bookmark(name, called, bookmark) => bookmark_value(name, called, bookmark, property),
        };
        let set = self.set_value(state, property);
        set.unwrap_or_else(|| (own().unwrap_or_else(|| "-".to_owned()), "-".to_owned()))
    }

    /// One that was set here or above.
    fn set_value(&self, state: &State, property: &str) -> Option<(String, String)> {
        let is_inherited = property.contains(':');
        let (name, own) = match self {
            Self::Dataset(name, dataset) => (*name, &dataset.properties),
            Self::Snapshot(name, _, snapshot) => (*name, &snapshot.properties),
            Self::Bookmark(..) => return None,
        };
        if let Some(value) = own.get(property) {
            return Some((value.clone(), "local".to_owned()));
        }
        let first = if matches!(self, Self::Snapshot(..)) { Some(name) } else { parent_of(name) };
        let mut above = std::iter::successors(first, |name| parent_of(name));
        let found = above.find_map(|name| Some((name, state.datasets.get(name)?.properties.get(property)?)));
        found.filter(|_| is_inherited).map(|(name, value)| (value.clone(), format!("inherited from {name}")))
    }
}

fn dataset_value(state: &State, name: &str, dataset: &Dataset, property: &str) -> Option<String> {
    let key = dataset.key.as_ref();
    let of_key = |text: fn(&super::state::Key) -> String| key.map(text);
    let used: u64 = dataset.snapshots.iter().map(|snapshot| snapshot.written).sum::<u64>() + dataset.written;
    let below = |name: &String| state.datasets[name].snapshots.iter().map(|s| s.written).sum::<u64>();
    Some(match property {
        "name" => name.to_owned(),
        "type" => (if dataset.volume { "volume" } else { "filesystem" }).to_owned(),
        "guid" => dataset.guid.to_string(),
        "encryptionroot" => of_key(|key| key.root.clone())?,
        "keyguid" => of_key(|key| key.guid.to_string())?,
        "keystatus" => of_key(|key| (if key.loaded { "available" } else { "unavailable" }).to_owned())?,
        "pbkdf2salt" => of_key(|key| key.salt.to_string())?,
        "keylocation" => of_key(|_| "prompt".to_owned()).unwrap_or("none".to_owned()),
        "keyformat" => of_key(|_| "passphrase".to_owned()).unwrap_or("none".to_owned()),
        "written" => dataset.written.to_string(),
        "used" => used.to_string(),
        "usedbychildren" => state.tree(name).iter().skip(1).map(below).sum::<u64>().to_string(),
        "available" => state.pools[pool_of(name)].available.to_string(),
        "inconsistent" => u64::from(dataset.is_inconsistent()).to_string(),
        "redacted" | "quota" | "refquota" => "0".to_owned(),
        "mounted" if !dataset.volume => {
            dataset.properties.get("mounted").map_or("no", String::as_str).to_owned()
        }
        "canmount" if !dataset.volume => {
            dataset.properties.get("canmount").map_or("on", String::as_str).to_owned()
        }
        "compression" => "lz4".to_owned(),
        "recordsize" if !dataset.volume => "131072".to_owned(),
        "dnodesize" if !dataset.volume => "legacy".to_owned(),
        "receive_resume_token" => dataset.partial.as_ref().map(|partial| {
            token(partial.from.map(crate::model::Guid), crate::model::Guid(partial.to), partial.raw)
        })?,
        "prevsnap" => format!("{name}@{}", dataset.snapshots.last()?.name),
        _ => return None,
    })
}

fn snapshot_value(
    state: &State,
    name: &str,
    dataset: &Dataset,
    snapshot: &Snapshot,
    property: &str,
) -> Option<String> {
    Some(match property {
        "name" => format!("{name}@{}", snapshot.name),
        "type" => "snapshot".to_owned(),
        "guid" => snapshot.guid.to_string(),
        "createtxg" => snapshot.txg.to_string(),
        "creation" => snapshot.creation.to_string(),
        "ivsetguid" => snapshot.ivset?.to_string(),
        "userrefs" => snapshot.holds.len().to_string(),
        "numclones" => state.clones(name, snapshot).to_string(),
        "used" | "written" => snapshot.written.to_string(),
        "referenced" => snapshot.referenced.to_string(),
        property => written_since(dataset, snapshot, property.strip_prefix("written")?)?.to_string(),
    })
}

/// `written@older` and `written#bookmark`.
fn written_since(dataset: &Dataset, snapshot: &Snapshot, base: &str) -> Option<u64> {
    let txg = match base.split_at_checked(1)? {
        ("@", name) => dataset.named(name)?.txg,
        ("#", name) => dataset.bookmarks.get(name)?.txg,
        _ => return None,
    };
    let between = dataset.snapshots.iter().filter(|other| other.txg > txg && other.txg <= snapshot.txg);
    Some(between.map(|other| other.written).sum())
}

fn bookmark_value(name: &str, called: &str, bookmark: &Bookmark, property: &str) -> Option<String> {
    Some(match property {
        "name" => format!("{name}#{called}"),
        "type" => "bookmark".to_owned(),
        "guid" => bookmark.guid.to_string(),
        "createtxg" => bookmark.txg.to_string(),
        "creation" => bookmark.creation.to_string(),
        "ivsetguid" => bookmark.ivset?.to_string(),
        _ => return None,
    })
}
