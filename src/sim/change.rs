//! Commands that change datasets, snapshots, bookmarks and holds (facts: zfs.md 4).

use std::collections::{BTreeMap, BTreeSet};

use super::Answer;
use super::flags::Flags;
use super::state::{Bookmark, Dataset, State, parent_of, pool_of};

fn no_dataset(name: &str) -> String {
    format!("cannot open '{name}': dataset does not exist")
}

fn at(name: &str, separator: char) -> Result<(&str, &str), String> {
    name.split_once(separator).ok_or_else(|| format!("cannot open '{name}': invalid name"))
}

/// `zfs holds -H`.
pub fn holds(state: &mut State, args: &[&str]) -> Answer {
    let flags = Flags::read(args, "H")?;
    let mut text = String::new();
    for name in &flags.operands {
        let (dataset, snapshot) = at(name, '@')?;
        let there = state.dataset(dataset).and_then(|there| there.named(snapshot));
        for tag in &there.ok_or_else(|| no_dataset(name))?.holds {
            text += &format!("{name}\t{tag}\tFri Nov 21 12:00 2026\n");
        }
    }
    Ok(text)
}

/// `zfs hold TAG SNAPSHOTS`: one by one, and on behind one that cannot be held.
pub fn hold(state: &mut State, args: &[&str]) -> Answer {
    let (&tag, names) = args.split_first().ok_or("missing tag")?;
    each(names, |name| {
        let added = held(state, name)?.insert(tag.to_owned());
        let taken = format!("cannot hold snapshot '{name}': tag already exists on this dataset");
        if added { Ok(()) } else { Err(taken) }
    })
}

/// `zfs release TAG SNAPSHOTS`: in the same way.
pub fn release(state: &mut State, args: &[&str]) -> Answer {
    let (&tag, names) = args.split_first().ok_or("missing tag")?;
    each(names, |name| {
        let removed = held(state, name)?.remove(tag);
        let missing = format!("cannot release hold from snapshot '{name}': no such tag on this dataset");
        if removed { Ok(()) } else { Err(missing) }
    })
}

/// The holds of a snapshot.
fn held<'a>(state: &'a mut State, name: &str) -> Result<&'a mut BTreeSet<String>, String> {
    let (dataset, called) = at(name, '@')?;
    let there = state.writable(dataset)?.snapshots.iter_mut().find(|snapshot| snapshot.name == called);
    there.map(|snapshot| &mut snapshot.holds).ok_or_else(|| no_dataset(name))
}

/// All of them, whatever becomes of single ones.
fn each(names: &[&str], mut work: impl FnMut(&str) -> Result<(), String>) -> Answer {
    let complaints: Vec<String> = names.iter().filter_map(|name| work(name).err()).collect();
    if complaints.is_empty() { Ok(String::new()) } else { Err(complaints.join("\n")) }
}

/// `zfs bookmark FROM NEW`.
pub fn bookmark(state: &mut State, args: &[&str]) -> Answer {
    let [from, new] = args else { return Err("wrong number of arguments".to_owned()) };
    let (dataset, called) = at(new, '#')?;
    let there = state.writable(dataset)?;
    let made = match from.strip_prefix(dataset) {
        Some(short) if short.starts_with('@') => there.named(&short[1..]).map(|s| Bookmark {
            guid: s.guid,
            txg: s.txg,
            creation: s.creation,
            ivset: s.ivset,
            content: s.content,
        }),
        Some(short) if short.starts_with('#') => there.bookmarks.get(&short[1..]).cloned(),
        _ => {
            return Err(format!(
                "cannot create bookmark '{new}': not an ancestor of the new bookmark's dataset"
            ));
        }
    };
    let made = made.ok_or_else(|| no_dataset(from))?;
    if there.bookmarks.contains_key(called) {
        return Err(format!("cannot create bookmark '{new}': bookmark exists"));
    }
    there.bookmarks.insert(called.to_owned(), made);
    Ok(String::new())
}

/// `zfs snapshot -o … SNAPSHOTS`: all of them at one moment, or none.
pub fn snapshot(state: &mut State, args: &[&str]) -> Answer {
    let flags = Flags::read(args, "o:")?;
    let properties = pairs(flags.all('o'))?;
    let mut all = Vec::new();
    for name in &flags.operands {
        let (dataset, called) = at(name, '@')?;
        let there = state.writable(dataset)?;
        if there.named(called).is_some() {
            return Err(format!("cannot create snapshot '{name}': dataset already exists"));
        }
        all.push((dataset, called, there.written));
    }
    let (first, ..) = all.first().ok_or("missing snapshot")?;
    let txg = state.next_txg(pool_of(first));
    for (dataset, called, written) in all {
        state.take_snapshot(dataset, called, written);
        let new = state.datasets.get_mut(dataset).and_then(|there| there.snapshots.last_mut());
        if let Some(new) = new {
            (new.txg, new.properties) = (txg, properties.clone());
        }
    }
    Ok(String::new())
}

fn destroy_snapshot(state: &mut State, name: &str) -> Answer {
    let (dataset, called) = at(name, '@')?;
    state.writable(dataset)?;
    let snapshot = state.datasets[dataset].named(called).ok_or_else(|| no_dataset(name))?;
    let (guid, clones) = (snapshot.guid, state.clones(dataset, snapshot));
    if !snapshot.holds.is_empty() {
        return Err(format!(
            "cannot destroy snapshot {name}: it's being held. Run 'zfs holds -r {name}' to see holders."
        ));
    }
    if clones > 0 {
        return Err(format!("cannot destroy '{name}': snapshot has dependent clones"));
    }
    super::program::remove(state, dataset, guid);
    Ok(String::new())
}

/// `zfs destroy` of a snapshot, a bookmark or an empty dataset.
pub fn destroy(state: &mut State, args: &[&str]) -> Answer {
    let [name] = args else { return Err("wrong number of arguments".to_owned()) };
    if name.contains('@') {
        return destroy_snapshot(state, name);
    }
    if let Some((dataset, called)) = name.split_once('#') {
        let there = state.writable(dataset)?.bookmarks.remove(called);
        return there.map(|_| String::new()).ok_or(format!("bookmark '{name}' does not exist."));
    }
    let there = state.writable(name)?;
    if !there.snapshots.is_empty() || state.tree(name).len() > 1 {
        return Err(format!(
            "cannot destroy '{name}': filesystem has children\nuse '-r' to destroy the following datasets:"
        ));
    }
    state.datasets.remove(*name);
    Ok(String::new())
}

fn pairs(all: &[&str]) -> Result<BTreeMap<String, String>, String> {
    let split = |pair: &&str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    all.iter().map(|pair| split(pair).ok_or_else(|| format!("missing '=' for property {pair}"))).collect()
}

/// `zfs create -o …`.
pub fn create(state: &mut State, args: &[&str]) -> Answer {
    let flags = Flags::read(args, "o:u")?;
    let [name] = flags.operands[..] else { return Err("wrong number of arguments".to_owned()) };
    let mut properties = pairs(flags.all('o'))?;
    let fails = |why: &str| format!("cannot create '{name}': {why}");
    let parent = parent_of(name).ok_or_else(|| fails("missing dataset name"))?;
    let above = state.writable(parent).map_err(|_| fails("parent does not exist"))?;
    let off = properties.remove("encryption").is_some_and(|value| value == "off");
    let key = above.key.clone().filter(|_| !off);
    if key.as_ref().is_some_and(|key| !key.loaded) {
        return Err(fails("encryption root's key is not loaded or provided"));
    }
    if state.datasets.contains_key(name) {
        return Err(fails("dataset already exists"));
    }
    let guid = state.new_number();
    let new = Dataset { guid, key, properties, ..Dataset::default() };
    state.datasets.insert(name.to_owned(), new);
    Ok(String::new())
}

/// `zfs set KEY=VALUE… DATASET`.
pub fn set(state: &mut State, args: &[&str]) -> Answer {
    let (name, properties) = args.split_last().ok_or("missing dataset")?;
    let properties = pairs(properties)?;
    state.writable(name)?.properties.extend(properties);
    Ok(String::new())
}

/// `zfs inherit PROPERTY DATASET…`.
pub fn inherit(state: &mut State, args: &[&str]) -> Answer {
    let (property, datasets) = args.split_first().ok_or("missing property")?;
    for name in datasets {
        state.writable(name)?.properties.remove(*property);
    }
    Ok(String::new())
}

/// `zfs rename` of a dataset (with everything below it) or of a snapshot.
pub fn rename(state: &mut State, args: &[&str]) -> Answer {
    let flags = Flags::read(args, "u")?;
    let [from, to] = flags.operands[..] else { return Err("wrong number of arguments".to_owned()) };
    let fails = |why: &str| format!("cannot rename '{from}': {why}");
    if from.contains('@') {
        let ((dataset, old), (other, new)) = (at(from, '@')?, at(to, '@')?);
        let there = state.writable(dataset)?;
        let at = there.snapshots.iter().position(|s| s.name == old).ok_or_else(|| no_dataset(from))?;
        if other != dataset || there.named(new).is_some() {
            return Err(format!("cannot rename to '{to}': dataset already exists"));
        }
        new.clone_into(&mut there.snapshots[at].name);
        return Ok(String::new());
    }
    state.writable(from)?;
    let parent = parent_of(to).filter(|parent| state.datasets.contains_key(*parent));
    let parent = parent.ok_or_else(|| fails("parent does not exist"))?.to_owned();
    if state.datasets.contains_key(to) {
        return Err(format!("cannot rename to '{to}': dataset already exists"));
    }
    // An encrypted child that is no root of its own must stay below its root (facts: zfs.md 2.4).
    let inherits = state.datasets[from].key.as_ref().is_some_and(|key| key.root != from);
    if inherits && state.datasets[&parent].key.is_none() || pool_of(from) != pool_of(to) {
        return Err(fails("cannot move it there"));
    }
    for name in state.tree(from) {
        let mut moved = state.datasets.remove(&name).ok_or_else(|| no_dataset(&name))?;
        if let Some(key) = &mut moved.key
            && let Some(rest) = key.root.strip_prefix(from)
        {
            key.root = format!("{to}{rest}");
        }
        state.datasets.insert(format!("{to}{}", &name[from.len()..]), moved);
    }
    Ok(String::new())
}

/// `zfs rollback SNAPSHOT`, which has to be the newest one.
pub fn rollback(state: &mut State, args: &[&str]) -> Answer {
    let [name] = args else { return Err("wrong number of arguments".to_owned()) };
    let (dataset, snapshot) = at(name, '@')?;
    let there = state.writable(dataset)?;
    there.named(snapshot).ok_or_else(|| no_dataset(name))?;
    if there.snapshots.last().is_some_and(|newest| newest.name != snapshot) {
        return Err(format!("cannot rollback to '{name}': more recent snapshots or bookmarks exist"));
    }
    if there.partial.is_some() {
        return Err(format!("cannot rollback to '{name}': dataset is busy"));
    }
    there.written = 0;
    Ok(String::new())
}
