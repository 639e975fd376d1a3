//! `zfs send` and `zfs receive` (facts: zfs.md 2 and 3).

use std::collections::{BTreeMap, BTreeSet};

use crate::process::{Exit, PipeOutput};
use crate::zfs::token::Token;

use super::Answer;
use super::flags::Flags;
use super::state::{Dataset, Key, Partial, Snapshot, State, parent_of, pool_of};

/// Where a stream ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It does not.
    Nowhere,
    /// After so many of its snapshots; the next one has begun to arrive, or not.
    After { snapshots: usize, begun: bool },
}

/// What `zfs send` writes.
struct Stream {
    raw: bool,
    resumes: bool,
    volume: bool,
    key: Option<Key>,
    items: Vec<Item>,
}

/// One snapshot of it.
struct Item {
    from: Option<Base>,
    snapshot: Snapshot,
}

/// What an increment starts from, as the sender has it.
#[derive(Clone, Copy)]
struct Base {
    guid: u64,
    txg: u64,
    ivset: Option<u64>,
}

/// A stream from one side to the other.
pub fn transfer(state: &mut State, send: &[String], receive: &[String], cut: Cut) -> PipeOutput {
    let strings = |args: &[String]| args.to_vec();
    let (send, receive) = (strings(send), strings(receive));
    let args: Vec<&str> = send.iter().map(String::as_str).collect();
    let stream = match read(state, &args) {
        Ok(stream) => stream,
        Err(why) => return ended(1, &why, 1, "cannot receive: failed to read from stream", 0),
    };
    let args: Vec<&str> = receive.iter().map(String::as_str).collect();
    let bytes = stream.items.iter().map(|item| item.snapshot.written).sum();
    match write(state, &args, &stream, cut) {
        Ok(()) => ended(0, "", 0, "", bytes),
        Err(why) => ended(0, "", 1, &why, bytes / 2),
    }
}

fn ended(send: i32, send_stderr: &str, receive: i32, receive_stderr: &str, bytes: u64) -> PipeOutput {
    PipeOutput {
        send: Exit::Code(send),
        receive: Exit::Code(receive),
        send_stderr: send_stderr.to_owned(),
        receive_stderr: receive_stderr.to_owned(),
        bytes,
    }
}

/// What `zfs send` with these arguments puts into the pipe.
fn read(state: &State, args: &[&str]) -> Result<Stream, String> {
    let flags = Flags::read(args, "wLeci:I:t:")?;
    if let Some(text) = flags.value('t') {
        return rest(state, text);
    }
    let [name] = flags.operands[..] else { return Err("missing snapshot argument".to_owned()) };
    let (dataset, snapshot) = name.split_once('@').ok_or("not a snapshot")?;
    let missing = |name: &str| format!("cannot open '{name}': dataset does not exist");
    let source = state.dataset(dataset).ok_or_else(|| missing(name))?;
    let to = source.named(snapshot).ok_or_else(|| missing(name))?;
    let raw = source.key.is_some() && flags.has('w');
    if !raw && source.key.as_ref().is_some_and(|key| !key.loaded) {
        return Err(format!("warning: cannot send '{name}': source key must be loaded"));
    }
    let base = flags.value('i').or(flags.value('I'));
    let base = base.map(|base| named_base(dataset, source, base)).transpose()?;
    if base.is_some_and(|base| base.txg >= to.txg) {
        return Err(format!("cannot send '{name}': not an earlier snapshot from the same fs"));
    }
    let first = base.filter(|_| flags.value('I').is_some()).map_or(to.txg, |base| base.txg + 1);
    let items = chain(base, source.snapshots.iter().filter(|s| s.txg >= first && s.txg <= to.txg));
    if flags.value('I').is_some_and(|base| base.contains('#')) {
        return Err("Error: multiple snapshots cannot be sent from a bookmark.".to_owned());
    }
    Ok(Stream { raw, resumes: false, volume: source.volume, key: root_key(state, source), items })
}

/// Each of these snapshots on top of the one before.
fn chain<'a>(base: Option<Base>, snapshots: impl Iterator<Item = &'a Snapshot>) -> Vec<Item> {
    let mut from = base;
    let mut items = Vec::new();
    for snapshot in snapshots {
        items.push(Item { from, snapshot: snapshot.clone() });
        from = Some(Base { guid: snapshot.guid, txg: snapshot.txg, ivset: snapshot.ivset });
    }
    items
}

/// What travels of a key is what its root says.
fn root_key(state: &State, dataset: &Dataset) -> Option<Key> {
    let key = dataset.key.as_ref()?;
    let salt = state.datasets.get(&key.root).and_then(|root| root.key.as_ref()).map_or(key.salt, |k| k.salt);
    Some(Key { salt, ..key.clone() })
}

fn named_base(dataset: &str, source: &Dataset, name: &str) -> Result<Base, String> {
    let short = name.strip_prefix(dataset).unwrap_or(name);
    let found = match short.split_at_checked(1) {
        Some(("#", called)) => {
            source.bookmarks.get(called).map(|b| Base { guid: b.guid, txg: b.txg, ivset: b.ivset })
        }
        Some(("@", called)) => {
            source.named(called).map(|s| Base { guid: s.guid, txg: s.txg, ivset: s.ivset })
        }
        _ => None,
    };
    found.ok_or_else(|| format!("cannot send: incremental source ({name}) does not exist"))
}

/// The rest of what a token is about, by guid alone.
fn rest(state: &State, text: &str) -> Result<Stream, String> {
    let token: Token = text.parse().map_err(|_| "cannot resume send: 'resume token is corrupt'")?;
    // The kernel begins to look where the token says; ours say nothing. A copy on the drive is the source of a restore.
    let import = |name: &str| state.pools.get(pool_of(name)).and_then(|pool| pool.imported.as_ref());
    let all = state.datasets.iter().filter(|(_, dataset)| dataset.snapshot(token.to.0).is_some());
    let found = all
        .filter(|(name, _)| import(name).is_some())
        .min_by_key(|(name, _)| import(name).is_some_and(|import| import.altroot.is_some()));
    let (name, source) =
        found.ok_or("cannot resume send: the snapshot used in the initial send no longer exists")?;
    let to = source.snapshot(token.to.0).ok_or("cannot resume send: it no longer exists")?;
    let from = token.from.map(|from| {
        let snapshot = source.snapshot(from.0).map(|s| format!("@{}", s.name));
        let bookmark =
            || source.bookmarks.iter().find(|(_, b)| b.guid == from.0).map(|(n, _)| format!("#{n}"));
        let base = snapshot.or_else(bookmark);
        base.ok_or_else(|| "cannot resume send: incremental source no longer exists".to_owned())
    });
    let base = from.transpose()?.map(|base| named_base(name, source, &base)).transpose()?;
    if base.is_some_and(|base| base.txg >= to.txg) {
        return Err("cannot resume send: not an earlier snapshot".to_owned());
    }
    let items = vec![Item { from: base, snapshot: to.clone() }];
    let raw = token.raw && source.key.is_some();
    Ok(Stream { raw, resumes: true, volume: source.volume, key: root_key(state, source), items })
}

/// What `zfs receive` with these arguments makes of it.
fn write(state: &mut State, args: &[&str], stream: &Stream, cut: Cut) -> Result<(), String> {
    let flags = Flags::read(args, "suo:")?;
    let [operand] = flags.operands[..] else { return Err("missing snapshot argument".to_owned()) };
    let (into, name) = operand.split_once('@').map_or((operand, None), |(into, name)| (into, Some(name)));
    let split = |pair: &&str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let options: BTreeMap<_, _> = flags.all('o').iter().filter_map(split).collect();
    if stream.volume && options.contains_key("canmount") {
        return Err(format!(
            "cannot receive new filesystem stream: property canmount does not apply to '{into}'"
        ));
    }
    let receiver = Receiver { into, name, options, stream };
    for (place, item) in stream.items.iter().enumerate() {
        match cut {
            Cut::After { snapshots, begun } if snapshots == place => {
                if begun {
                    receiver.begin(state, item)?;
                }
                return Err("cannot receive stream: checksum mismatch or incomplete stream.".to_owned());
            }
            _ => {
                receiver.begin(state, item)?;
                receiver.end(state, item)?;
            }
        }
    }
    Ok(())
}

struct Receiver<'a> {
    into: &'a str,
    name: Option<&'a str>,
    options: BTreeMap<String, String>,
    stream: &'a Stream,
}

impl Receiver<'_> {
    /// Everything that is checked before data: afterwards there is partial state.
    fn begin(&self, state: &mut State, item: &Item) -> Result<(), String> {
        let into = self.into;
        let partial =
            Partial { from: item.from.map(|base| base.guid), to: item.snapshot.guid, raw: self.stream.raw };
        let existing = state.dataset(into).map(|there| there.partial.clone());
        match (item.from, existing) {
            (_, Some(left)) if self.stream.resumes => match left {
                Some(left) if left == partial => return Ok(()),
                _ => return Err(format!("cannot receive resume stream: '{into}' has nothing to resume")),
            },
            (None, Some(_)) => {
                return Err(format!(
                    "cannot receive new filesystem stream: destination '{into}' exists\nmust specify -F to overwrite it"
                ));
            }
            (_, Some(Some(_))) => {
                return Err(format!(
                    "cannot receive: destination {into} contains partially-complete state from \"zfs receive -s\"."
                ));
            }
            (Some(_), None) => {
                return Err(format!(
                    "cannot receive incremental stream: destination '{into}' does not exist"
                ));
            }
            (None, None) => self.create(state)?,
            (Some(base), Some(None)) => self.fits(state.writable(into)?, base, &item.snapshot.name)?,
        }
        state.writable(into)?.partial = Some(partial);
        let needed = if item.from.is_some() { item.snapshot.written } else { item.snapshot.referenced };
        let available = state.pools[pool_of(into)].available;
        if needed > available {
            return Err("cannot receive stream: out of space".to_owned());
        }
        Ok(())
    }

    fn create(&self, state: &mut State) -> Result<(), String> {
        let fails = |why: &str| format!("cannot receive new filesystem stream: {why}");
        let parent = parent_of(self.into).ok_or_else(|| fails("no parent"))?;
        let above = state.writable(parent).map_err(|_| fails("destination's parent does not exist"))?;
        let inherited = above.key.clone();
        let mut properties = self.options.clone();
        let off = properties.remove("encryption").is_some_and(|value| value == "off");
        let key = match (&self.stream.key, self.stream.raw) {
            (Some(_), true) if off => return Err(fails("encryption property cannot be set for raw streams")),
            (Some(key), true) => Some(Key { root: self.into.to_owned(), loaded: false, ..key.clone() }),
            _ if off => None,
            _ => inherited,
        };
        if !self.stream.raw && key.as_ref().is_some_and(|key| !key.loaded) {
            return Err(fails("inherited key must be loaded"));
        }
        let guid = state.new_number();
        let new = Dataset { guid, volume: self.stream.volume, key, properties, ..Dataset::default() };
        state.datasets.insert(self.into.to_owned(), new);
        Ok(())
    }

    fn fits(&self, there: &Dataset, base: Base, name: &str) -> Result<(), String> {
        let into = self.into;
        let fails = |why: &str| Err(format!("cannot receive incremental stream: {why}"));
        if there.named(self.name.unwrap_or(name)).is_some() {
            return Err(format!("cannot restore to {into}@{name}: destination already exists"));
        }
        match (&there.key, self.stream.raw, &self.stream.key) {
            (None, true, _) => {
                return fails("cannot perform raw receive on top of existing unencrypted dataset");
            }
            (Some(key), false, _) if !key.loaded => return fails("inherited key must be loaded"),
            (Some(here), true, Some(key)) if here.guid != key.guid => {
                return fails("encryption key does not match existing key");
            }
            _ => {}
        }
        let newest = there.snapshots.last().ok_or("cannot receive incremental stream: it has no snapshot")?;
        if newest.guid != base.guid && there.snapshot(base.guid).is_none() {
            return fails(&format!("most recent snapshot of {into} does not\nmatch incremental source"));
        }
        if newest.guid != base.guid || there.written != 0 {
            return fails(&format!("destination {into} has been modified\nsince most recent snapshot"));
        }
        match (self.stream.raw, newest.ivset, base.ivset) {
            (false, ..) => Ok(()),
            (true, Some(here), Some(there)) if here == there => Ok(()),
            (true, Some(_), Some(_)) => fails("IV set guid mismatch. See the 'zfs receive' man page"),
            _ => fails("IV set guid missing. See errata 4 at"),
        }
    }

    /// The data is complete.
    fn end(&self, state: &mut State, item: &Item) -> Result<(), String> {
        let sent = &item.snapshot;
        let name = self.name.unwrap_or(&sent.name);
        let fresh = state.new_number();
        let txg = state.next_txg(pool_of(self.into));
        let there = state.writable(self.into)?;
        there.partial = None;
        if let (Some(here), Some(key), true) = (&mut there.key, &self.stream.key, self.stream.raw) {
            here.salt = key.salt;
        }
        let ivset = if self.stream.raw { sent.ivset } else { there.key.as_ref().map(|_| fresh) };
        there.snapshots.push(Snapshot {
            name: name.to_owned(),
            txg,
            ivset,
            holds: BTreeSet::new(),
            properties: BTreeMap::new(),
            ..sent.clone()
        });
        let pool = state.pools.get_mut(pool_of(self.into)).ok_or("no such pool")?;
        pool.available = pool.available.saturating_sub(sent.written);
        Ok(())
    }
}

/// `zfs receive -A DATASET`.
pub fn drop_partial(state: &mut State, args: &[&str]) -> Answer {
    let flags = Flags::read(args, "A")?;
    let ([name], true) = (&flags.operands[..], flags.has('A')) else { return Err("usage".to_owned()) };
    let there = state.writable(name)?;
    if there.partial.take().is_none() {
        return Err(format!("'{name}' does not have any resumable receive state to abort"));
    }
    if there.snapshots.is_empty() {
        state.datasets.remove(*name);
    }
    Ok(String::new())
}
