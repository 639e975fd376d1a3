//! Which streams carry the wanted snapshots: one full, `-I` over runs of selected snapshots, `-i` around unselected
//! ones, from a bookmark, under another name, and the rest of an interrupted one.

use std::collections::HashSet;

use crate::model::{
    Base, Bytes, Dataset, DatasetName, HistoryMode, NameError, Policy, SnapName, Snapshot, Txg,
};
use crate::zfs::argv::Creation;
use crate::zfs::token::Token;

use super::{Delivery, SendKind, SendStep};

/// Everything that the streams of one dataset depend on.
pub struct Route<'a> {
    /// What is wanted.
    pub policy: &'a Policy,
    /// Where from.
    pub source: &'a Dataset,
    /// Where to.
    pub into: &'a DatasetName,
    /// What is there; none: nothing.
    pub target: Option<&'a Dataset>,
    /// For a first receive.
    pub creation: Option<Creation>,
}

/// The place in the source's history that the target has reached.
enum Position {
    Nothing,
    Bookmark(Base),
    At(usize),
}

/// The selected snapshots that come after `after`, as places in the source's history.
pub fn wanted(policy: &Policy, source: &Dataset, after: Option<Txg>) -> Vec<usize> {
    let snapshots = source.history.snapshots().iter().enumerate();
    let selected: Vec<_> =
        snapshots.filter(|(_, s)| policy.snapshots.wants(&s.name)).map(|(i, _)| i).collect();
    let newer = |&place: &usize| after.is_none_or(|after| source.history.snapshots()[place].txg > after);
    match policy.history {
        HistoryMode::All => selected.into_iter().filter(newer).collect(),
        HistoryMode::Newest => selected.last().copied().filter(newer).into_iter().collect(),
    }
}

/// The streams from `base` to the newest selected snapshot, after the rest of an interrupted one.
///
/// # Errors
/// When a name becomes too long.
pub fn streams(
    route: &Route<'_>,
    base: Option<&Base>,
    partial: Option<&(Token, String)>,
) -> Result<Vec<SendStep>, NameError> {
    let taken = taken_names(route);
    let mut streams = Vec::new();
    let mut base = base.cloned();
    if let Some((token, text)) = partial
        && let Some(to) = route.source.history.snapshot(token.to)
    {
        streams.push(resume(route, &taken, base.as_ref(), token, text, to)?);
        base = Some(Base::Snapshot(to.clone()));
    }
    let mut position = position(route.source, base.as_ref());
    let wanted = wanted(route.policy, route.source, base.as_ref().map(Base::txg));
    let mut rest = wanted.as_slice();
    while let [first, ..] = rest {
        let length = range_length(route.source, &taken, &position, rest);
        let (now, later) = rest.split_at(length);
        streams.push(stream(route, &taken, &position, now)?);
        position = Position::At(now.last().copied().unwrap_or(*first));
        rest = later;
    }
    if let Some(first) = streams.first_mut() {
        first.creation.clone_from(&route.creation);
    }
    Ok(streams)
}

/// Names that the target has: whatever is still to come has another guid.
fn taken_names<'a>(route: &Route<'a>) -> HashSet<&'a SnapName> {
    let there = route.target.map(|target| target.history.snapshots()).unwrap_or_default();
    there.iter().map(|snapshot| &snapshot.name).collect()
}

fn position(source: &Dataset, base: Option<&Base>) -> Position {
    match base {
        None => Position::Nothing,
        Some(base @ Base::Bookmark(_)) => Position::Bookmark(base.clone()),
        Some(base @ Base::Snapshot(snapshot)) => match source.history.position(snapshot.guid) {
            Some(place) => Position::At(place),
            None => Position::Bookmark(base.clone()),
        },
    }
}

/// How many of the next snapshots one stream can carry: with `-I` all that follow each other on the source, since it
/// takes everything in between along, and whose names are free on the target, since it cannot rename.
fn range_length(source: &Dataset, taken: &HashSet<&SnapName>, position: &Position, rest: &[usize]) -> usize {
    let Position::At(at) = *position else { return 1 };
    let fits = |(step, &place): (usize, &usize)| {
        place == at + 1 + step && !taken.contains(&source.history.snapshots()[place].name)
    };
    rest.iter().enumerate().take_while(|&pair| fits(pair)).count().max(1)
}

fn stream(
    route: &Route<'_>,
    taken: &HashSet<&SnapName>,
    position: &Position,
    places: &[usize],
) -> Result<SendStep, NameError> {
    let snapshots = route.source.history.snapshots();
    let (kind, after) = match position {
        Position::Nothing => (SendKind::Full, None),
        Position::Bookmark(base) => (SendKind::Increment(base.clone()), Some(base.txg())),
        Position::At(at) if places.len() == 1 => {
            (SendKind::Increment(Base::Snapshot(snapshots[*at].clone())), Some(snapshots[*at].txg))
        }
        Position::At(at) => {
            (SendKind::Range(snapshots[*at].name.clone(), snapshots[*at].guid), Some(snapshots[*at].txg))
        }
    };
    let delivered: Vec<&Snapshot> = places.iter().map(|&place| &snapshots[place]).collect();
    let estimate = match delivered[..] {
        [one] => estimate(route.source, after, one),
        _ => delivered.iter().map(|snapshot| route.source.detail(snapshot.guid).written).sum(),
    };
    step(route, taken, kind, &delivered, estimate)
}

fn resume(
    route: &Route<'_>,
    taken: &HashSet<&SnapName>,
    base: Option<&Base>,
    token: &Token,
    text: &str,
    to: &Snapshot,
) -> Result<SendStep, NameError> {
    let whole = estimate(route.source, base.map(Base::txg), to);
    step(route, taken, SendKind::Resume(text.to_owned()), &[to], whole.saturating_sub(Bytes(token.bytes)))
}

fn step(
    route: &Route<'_>,
    taken: &HashSet<&SnapName>,
    kind: SendKind,
    delivered: &[&Snapshot],
    estimate: Bytes,
) -> Result<SendStep, NameError> {
    let rename_to = match delivered {
        [one] if taken.contains(&one.name) => Some(aside(route, taken, one)?),
        _ => None,
    };
    for snapshot in delivered {
        route.into.snapshot(rename_to.as_ref().unwrap_or(&snapshot.name))?;
    }
    let delivers = delivered.iter().map(|s| Delivery { name: s.name.clone(), guid: s.guid }).collect();
    Ok(SendStep {
        source: route.source.name.clone(),
        into: route.into.clone(),
        kind,
        delivers,
        rename_to,
        creation: None,
        mode: route.policy.send,
        estimate,
    })
}

/// The name that a snapshot gets on the drive when its own is taken there: with its guid behind, in as long a form as
/// it takes to be free now and to stay free of what is still to come.
fn aside(route: &Route<'_>, taken: &HashSet<&SnapName>, snapshot: &Snapshot) -> Result<SnapName, NameError> {
    let guid = snapshot.guid;
    let more = (2..).map(|number| format!("{}_{number}", guid.long()));
    for form in [guid.short(), guid.long()].into_iter().chain(more) {
        let name: SnapName = format!("{}_{form}", snapshot.name).parse()?;
        if !taken.contains(&name) && route.source.history.named(&name).is_none() {
            return Ok(name);
        }
    }
    Ok(snapshot.name.clone()) // never reached: the numbers do not end
}

/// What one snapshot takes, in full or as an increment: from the space accounting of the source's snapshots, what each
/// wrote since the one before it. As near as `zfs send -nP` comes, without a process per stream. What was written and
/// went again in between does not travel: it is never more than the snapshot refers to.
pub fn estimate(source: &Dataset, after: Option<Txg>, to: &Snapshot) -> Bytes {
    let referenced = source.detail(to.guid).referenced;
    let Some(after) = after else { return referenced };
    let snapshots = source.history.snapshots();
    let up_to = |txg: Txg| snapshots.partition_point(|snapshot| snapshot.txg <= txg);
    let between = snapshots.get(up_to(after)..up_to(to.txg)).unwrap_or_default();
    let written: Bytes = between.iter().map(|snapshot| source.detail(snapshot.guid).written).sum();
    written.min(referenced)
}
