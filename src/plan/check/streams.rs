//! Streams: what they carry and whether they fit. S2, S5, S9, S11, S12, S15.

use std::collections::{HashMap, HashSet};

use crate::model::{Bytes, DatasetName, Guid, ResumeState, SendMode, SnapName};
use crate::plan::{Drop, SendKind, SendStep, Step};
use crate::zfs::argv;
use crate::zfs::token::Token;

use super::{Found, Review};

impl Review<'_> {
    pub(super) fn streams(&self) -> Found {
        let mut found = self.arguments();
        found.extend(self.plaintext());
        found.extend(self.continuity());
        found.extend(self.names());
        found.extend(self.verified());
        found.extend(self.dropped());
        found
    }

    /// Raw in ZFS's sense: `-w` of an unencrypted dataset is not.
    fn is_raw(&self) -> bool {
        self.source.encryption.is_some() && self.policy.send == SendMode::Raw
    }

    /// S2: looked for in the very arguments that would be used.
    fn arguments(&self) -> Found {
        let forbidden = ["-F", "-d", "-e"];
        let mut found = Vec::new();
        for send in self.plan.sends() {
            let receive = argv::receive(&send.into, send.rename_to.as_ref(), send.creation.as_ref());
            if receive.args.iter().any(|argument| forbidden.contains(&argument.as_str())) {
                found.push(("S2", format!("`{receive}`")));
            }
            if receive.args.iter().any(|argument| argument == "canmount=on" || argument == "readonly=off") {
                found.push(("S9", format!("`{receive}`")));
            }
        }
        found
    }

    /// S5.
    fn plaintext(&self) -> Found {
        let readable = |send: &SendStep| self.source.encryption.is_none() || send.mode == SendMode::Plain;
        let bad = self.plan.sends().any(readable) && !self.policy.allow_plaintext;
        if bad { vec![("S5", "unencrypted blocks would reach the drive".into())] } else { Vec::new() }
    }

    /// Each stream starts from what the target has newest at that moment, and delivers what it says.
    fn continuity(&self) -> Found {
        let mut found = Vec::new();
        let mut newest: HashMap<&DatasetName, Guid> = HashMap::new();
        for send in self.plan.sends() {
            let there = self.inventory.target.get(&send.into);
            let seen = there.and_then(|there| there.history.newest()).map(|snapshot| snapshot.guid);
            let at = newest.get(&send.into).copied().or(seen);
            let from = match &send.kind {
                SendKind::Full => None,
                SendKind::Increment(base) => Some(base.guid()),
                SendKind::Range(_, guid) => Some(*guid),
                SendKind::Resume(text) => {
                    found.extend(self.resumable(send, text, at));
                    at
                }
            };
            if from != at {
                found.push(("S12", format!("{send} does not continue from the target's newest snapshot")));
            }
            if let Some(problem) = self.delivery_problem(send, from) {
                found.push(("S15", problem));
            }
            if !newest.contains_key(&send.into) {
                found.extend(self.receivable(send, from));
            }
            if send.source != self.source.name
                || Some(&send.into) != self.copy.map(|c| &c.name) && there.is_some()
            {
                found.push(("S14", format!("{send} is of or for another dataset")));
            }
            if let Some(last) = send.delivers.last() {
                newest.insert(&send.into, last.guid);
            }
        }
        found
    }

    /// S11, judged again from the token itself.
    fn resumable(&self, send: &SendStep, text: &str, at: Option<Guid>) -> Found {
        let token = self.copy.is_some_and(|copy| copy.resume == ResumeState::Token(text.to_owned()));
        let token = text.parse::<Token>().ok().filter(|_| token);
        let fits = token.is_some_and(|token| {
            let to = send.delivers.first().map(|delivery| delivery.guid);
            Some(token.to) == to && token.from == at && token.raw == self.is_raw()
        });
        if fits { Vec::new() } else { vec![("S11", format!("{send} is not what the drive's token says"))] }
    }

    /// What the kernel would refuse of a first stream: facts, zfs.md 2.2.
    fn receivable(&self, send: &SendStep, from: Option<Guid>) -> Found {
        let Some(copy) = self.inventory.target.get(&send.into) else {
            let known = send.creation.is_some() && from.is_none();
            return if known { Vec::new() } else { vec![("S12", format!("{send}: nothing to build on"))] };
        };
        let Some(from) = from else {
            return if copy.resume == ResumeState::Clean {
                vec![("S12", format!("{send}: the target exists"))]
            } else {
                Vec::new()
            };
        };
        let keyguid = |d: &crate::model::Dataset| d.encryption.as_ref().and_then(|e| e.keyguid);
        let ivset = |d: &crate::model::Dataset| d.details.get(&from).and_then(|detail| detail.ivset);
        let same = |a: Option<u64>, b: Option<u64>| a.is_some() && a == b;
        let mut found = Vec::new();
        if copy.written != Bytes(0) {
            found.push(("S12", format!("{send}: the target was modified")));
        }
        if copy.encryption.is_some() != self.is_raw() {
            found.push(("S12", format!("{send}: raw onto plain, or the other way round")));
        }
        let keys = same(keyguid(self.source).map(|g| g.0), keyguid(copy).map(|g| g.0));
        let ivsets = same(ivset(self.source).map(|g| g.0), ivset(copy).map(|g| g.0));
        if self.is_raw() && !(keys && ivsets) {
            found.push(("S12", format!("{send}: another key or IV set")));
        }
        found
    }

    /// Whether the source has what the stream says that it delivers, in that order and with nothing in between.
    fn delivery_problem(&self, send: &SendStep, from: Option<Guid>) -> Option<String> {
        let history = &self.source.history;
        let places: Option<Vec<usize>> = send.delivers.iter().map(|d| history.position(d.guid)).collect();
        let Some(places) = places.filter(|places| !places.is_empty()) else {
            return Some(format!("{send} delivers what the source does not have"));
        };
        let contiguous = places.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let start = from.and_then(|guid| history.base(guid)).map(|base| base.txg());
        let first = &history.snapshots()[places[0]];
        let named = |(d, &place): (&crate::plan::Delivery, &usize)| history.snapshots()[place].name == d.name;
        let follows = match &send.kind {
            SendKind::Range(_, guid) => history.position(*guid).is_some_and(|at| places[0] == at + 1),
            _ => places.len() == 1 && start.is_none_or(|start| first.txg > start),
        };
        if contiguous && follows && send.delivers.iter().zip(&places).all(named) {
            None
        } else {
            Some(format!("{send} would carry other snapshots than planned"))
        }
    }

    /// S12: a name that another snapshot has there, or gets in this run, would end a receive after its data.
    fn names(&self) -> Found {
        let mut found = Vec::new();
        let there = self.copy.map(|copy| copy.history.snapshots()).unwrap_or_default();
        let mut taken: HashSet<&SnapName> = there.iter().map(|snapshot| &snapshot.name).collect();
        for send in self.plan.sends() {
            let own = send.delivers.iter().map(|delivery| &delivery.name);
            let names: Vec<_> = send.rename_to.as_ref().map_or_else(|| own.collect(), |name| vec![name]);
            let double = names.into_iter().filter(|name| !taken.insert(name));
            found.extend(double.map(|name| ("S12", format!("{send}: @{name} is there already"))));
        }
        found
    }

    /// S15: what is sent last is what is looked for.
    fn verified(&self) -> Found {
        let Some(last) = self.plan.sends().last() else { return Vec::new() };
        let looked_for = self.plan.steps.iter().any(|step| match step {
            Step::Verify(expected) => {
                Some(expected.guid) == self.newest_after
                    && expected.into == last.into
                    && expected.compare_ivset == self.is_raw()
            }
            _ => false,
        });
        if looked_for { Vec::new() } else { vec![("S15", format!("{last} is not verified"))] }
    }

    /// S11: partial state that can be resumed is not thrown away.
    fn dropped(&self) -> Found {
        let mut found = Vec::new();
        for step in &self.plan.steps {
            let Step::DropPartial(dataset, why) = step else { continue };
            let there = self.inventory.target.get(dataset);
            let Some(ResumeState::Token(text)) = there.map(|there| &there.resume) else {
                found.push(("S11", format!("{dataset} has no partial state to drop")));
                continue;
            };
            let newest = there.and_then(|there| there.history.newest()).map(|newest| newest.guid);
            let base = newest.and_then(|guid| self.source.history.base(guid));
            let no_room = matches!(why, Drop::NoRoom { .. });
            let fits = text.parse::<Token>().is_ok_and(|token| {
                if no_room && self.cannot_complete(dataset, &token) {
                    return false;
                }
                let to = self.source.history.snapshot(token.to);
                let forward = to.is_some_and(|to| base.as_ref().is_none_or(|base| base.txg() < to.txg));
                token.from == newest && forward && token.raw == self.is_raw()
            });
            if fits {
                found.push(("S11", format!("the partial state of {dataset} can be resumed")));
            }
        }
        found
    }
}
