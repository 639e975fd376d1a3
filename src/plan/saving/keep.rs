//! Which files go by the rules of `keep`.

use std::collections::HashSet;

use jiff::Zoned;

use super::{Saved, whole};
use crate::model::{Guid, Keep};
use crate::plan::{Dated, choose};

/// Which files go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Going {
    /// Their places in what was given.
    pub files: Vec<usize>,
    /// How many stay only because others need them.
    pub needed: usize,
}

/// Those that no rule keeps, and that nothing needs which one keeps. What cannot be received, since something is missing
/// that it needs, is nobody's to judge: it stays, and so does the newest that can be.
pub fn going(keep: &Keep, saved: &[Saved], now: &Zoned) -> Going {
    let whole = whole(saved);
    let mut dated: Vec<(Dated, bool)> = whole
        .iter()
        .map(|saved| (Dated { guid: saved.to, made: Some(saved.made) }, saved.from.is_some()))
        .collect();
    dated.sort_by_key(|(dated, later)| (dated.made, *later));
    dated.dedup_by_key(|(dated, _)| dated.guid);
    let dated: Vec<Dated> = dated.into_iter().map(|(dated, _)| dated).collect();
    let mut kept: HashSet<Guid> = choose(keep, &dated, now).into_keys().collect();
    kept.extend(dated.last().map(|newest| newest.guid));
    let is_whole = |one: &Saved| whole.iter().any(|other| std::ptr::eq(*other, one));
    let mut stays: HashSet<usize> = HashSet::new();
    let mut needed: HashSet<Guid> = HashSet::new();
    for (index, one) in saved.iter().enumerate() {
        if kept.contains(&one.to) || !is_whole(one) {
            stays.insert(index);
            needed.extend(one.from);
        }
    }
    let wanted = stays.len();
    loop {
        let more: Vec<usize> = (0..saved.len())
            .filter(|index| !stays.contains(index) && needed.contains(&saved[*index].to))
            .collect();
        if more.is_empty() {
            break;
        }
        for index in more {
            stays.insert(index);
            needed.extend(saved[index].from);
        }
    }
    let files = (0..saved.len()).filter(|index| !stays.contains(index)).collect();
    Going { files, needed: stays.len() - wanted }
}
