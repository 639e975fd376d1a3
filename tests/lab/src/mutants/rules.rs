//! The rules of the contract (tests/contract/rules.txt), each switched off in the simulation: its case must notice.

use super::Mutant;

/// One for each rule, by its name.
pub const ALL: &[Mutant] = &[
    Mutant {
        name: "a raw receive keeps guid, IV set, creation and the key's guid",
        file: "src/sim/stream.rs",
        is: "            txg,
            ivset,
",
        becomes: "            txg,
            guid: fresh + 1,
            ivset,
",
    },
    Mutant {
        name: "renaming a snapshot changes nothing but its name",
        file: "src/sim/change.rs",
        is: "        new.clone_into(&mut there.snapshots[at].name);",
        becomes: "        new.clone_into(&mut there.snapshots[at].name);
        there.snapshots[at].guid += 500_000;",
    },
    Mutant {
        name: "a bookmark has the guid, the transaction group and the IV set of its snapshot",
        file: "src/sim/change.rs",
        is: "            ivset: s.ivset,
            content: s.content,",
        becomes: "            ivset: None,
            content: s.content,",
    },
    Mutant {
        name: "a copy of a bookmark is as good as the bookmark",
        file: "src/sim/change.rs",
        is: "Some(short) if short.starts_with('#') => there.bookmarks.get(&short[1..]).cloned(),",
        becomes: "Some(short) if short.starts_with('#') => None,",
    },
    Mutant {
        name: "a listing has snapshots below their dataset, oldest first",
        file: "src/sim/list.rs",
        is: "things.extend(dataset.snapshots.iter().map(",
        becomes: "things.extend(dataset.snapshots.iter().rev().map(",
    },
    Mutant {
        name: "prevsnap is the newest snapshot",
        file: "src/sim/list.rs",
        is: r#"format!("{name}@{}", dataset.snapshots.last()?.name)"#,
        becomes: r#"format!("{name}@{}", dataset.snapshots.first()?.name)"#,
    },
    Mutant {
        name: "what is not there is an error",
        file: "src/sim/list.rs",
        is: "        let things = if named { vec![find(state, operand)?] } else { below(state, operand, depth, &types)? };",
        becomes: "        let things = if named { find(state, operand).into_iter().collect() } else { below(state, operand, depth, &types)? };",
    },
    Mutant {
        name: "user properties are inherited, and say so",
        file: "src/sim/list.rs",
        is: "        found.filter(|_| is_inherited)",
        becomes: "        found.filter(|_| is_inherited && false)",
    },
    Mutant {
        name: "what was received raw is a root of its own, without its key",
        file: "src/sim/stream.rs",
        is: "Some(Key { root: self.into.to_owned(), loaded: false, ..key.clone() })",
        becomes: "Some(Key { root: self.into.to_owned(), loaded: true, ..key.clone() })",
    },
    Mutant {
        name: "a full stream is not received over what exists",
        file: "src/sim/stream.rs",
        is: "        match (item.from, existing) {",
        becomes: "        match (item.from, existing.filter(|_| item.from.is_some())) {",
    },
    Mutant {
        name: "a raw increment fits the newest snapshot",
        file: "src/sim/stream.rs",
        is: "        if newest.guid != base.guid || there.written != 0 {",
        becomes: "        if newest.guid == base.guid || there.written != 0 {",
    },
    Mutant {
        name: "a range brings everything in between",
        file: "src/sim/stream.rs",
        is: "map_or(to.txg, |base| base.txg + 1)",
        becomes: "map_or(to.txg, |_| to.txg)",
    },
    Mutant {
        name: "a raw increment does not fit when the copy has a newer snapshot, even an empty one",
        file: "src/sim/stream.rs",
        is: "        if newest.guid != base.guid || there.written != 0 {",
        becomes: "        if there.written != 0 {",
    },
    Mutant {
        name: "an increment does not fit when its base is not there",
        file: "src/sim/stream.rs",
        is: "        if newest.guid != base.guid && there.snapshot(base.guid).is_none() {",
        becomes: "        if newest.guid != base.guid && there.snapshot(base.guid).is_none() && there.volume {",
    },
    Mutant {
        name: "an increment needs a dataset",
        file: "src/sim/stream.rs",
        is: r#"                return Err(format!(
                    "cannot receive incremental stream: destination '{into}' does not exist"
                ));"#,
        becomes: "                self.create(state)?;",
    },
    Mutant {
        name: "an increment goes forward",
        file: "src/sim/stream.rs",
        is: r#"    if base.is_some_and(|base| base.txg >= to.txg) {
        return Err(format!("cannot send '{name}'"#,
        becomes: r#"    if base.is_some_and(|base| base.txg == to.txg) {
        return Err(format!("cannot send '{name}'"#,
    },
    Mutant {
        name: "a raw stream does not fit onto an unencrypted copy",
        file: "src/sim/stream.rs",
        is: "            (None, true, _) => {
                return fails",
        becomes: "            (None, true, None) => {
                return fails",
    },
    Mutant {
        name: "an unencrypted stream goes below what was received raw only as unencrypted",
        file: "src/sim/stream.rs",
        is: "        if !self.stream.raw && key.as_ref().is_some_and(|key| !key.loaded) {",
        becomes: "        if !self.stream.raw && key.as_ref().is_some_and(|key| !key.loaded && key.guid == 0) {",
    },
    Mutant {
        name: "properties are set at the first receive",
        file: "src/sim/stream.rs",
        is: "let new = Dataset { guid, volume: self.stream.volume, key, properties, ..Dataset::default() };",
        becomes: "drop(properties);
        let new = Dataset { guid, volume: self.stream.volume, key, ..Dataset::default() };",
    },
    Mutant {
        name: "an interrupted first receive leaves a dataset with a token",
        file: "src/sim/state.rs",
        is: "        self.partial.is_some() && self.snapshots.is_empty()",
        becomes: "        self.partial.is_some() && !self.snapshots.is_empty()",
    },
    Mutant {
        name: "an interrupted increment leaves the copy as it was, with a token",
        file: "src/sim/list.rs",
        is: r#""receive_resume_token" => dataset.partial.as_ref().map("#,
        becomes: r#""receive_resume_token" => dataset.partial.as_ref().filter(|_| dataset.snapshots.is_empty()).map("#,
    },
    Mutant {
        name: "while partial state is there, nothing else is received and its base stays",
        file: "src/sim/state.rs",
        is: "usize::from(partial == Some(snapshot.guid))",
        becomes: "usize::from(partial == Some(snapshot.guid) && snapshot.guid == 0)",
    },
    Mutant {
        name: "there must be something to drop",
        file: "src/sim/stream.rs",
        is: "    if there.partial.take().is_none() {",
        becomes: "    if there.partial.take().is_none() && there.volume {",
    },
    Mutant {
        name: "destroying the newest snapshot leaves the head modified",
        file: "src/sim/program.rs",
        is: "        there.written += 1;",
        becomes: "        there.written += 0;",
    },
    Mutant {
        name: "only the newest can be rolled back to",
        file: "src/sim/change.rs",
        is: "    if there.snapshots.last().is_some_and(|newest| newest.name != snapshot) {",
        becomes: "    if there.snapshots.first().is_some_and(|newest| newest.name == snapshot) {",
    },
    Mutant {
        name: "a bookmark is a base, also when its snapshot is gone",
        file: "src/sim/stream.rs",
        is: r##"Some(("#", called)) => {
            source.bookmarks"##,
        becomes: r##"Some(("#", called)) if source.named(called).is_some() => {
            source.bookmarks"##,
    },
    Mutant {
        name: "a range cannot begin with a bookmark",
        file: "src/sim/stream.rs",
        is: "    if flags.value('I').is_some_and(|base| base.contains('#')) {",
        becomes: "    if flags.value('I').is_some_and(|base| base.contains('%')) {",
    },
    Mutant {
        name: "a bookmark's name can be taken once",
        file: "src/sim/change.rs",
        is: "    if there.bookmarks.contains_key(called) {",
        becomes: "    if there.bookmarks.contains_key(called) && there.volume {",
    },
    Mutant {
        name: "a held snapshot stays, and is held once by one tag",
        file: "src/sim/change.rs",
        is: "    if !snapshot.holds.is_empty() {
        return Err",
        becomes: "    if snapshot.holds.len() > 1 {
        return Err",
    },
    Mutant {
        name: "several snapshots are held and released one by one: one that is not there keeps no other",
        file: "src/sim/change.rs",
        is: "names.iter().filter_map(|name| work(name).err()).collect();",
        becomes: "names.iter().map(|name| work(name)).collect::<Result<Vec<()>, String>>().err().into_iter().collect();",
    },
    Mutant {
        name: "a dataset with snapshots is not destroyed by itself",
        file: "src/sim/change.rs",
        is: "    if !there.snapshots.is_empty() || state.tree(name).len() > 1 {",
        becomes: "    if state.tree(name).len() > 1 {",
    },
    Mutant {
        name: "a name that is taken is refused before anything is received, and another one can be given",
        file: "src/sim/stream.rs",
        is: "        if there.named(self.name.unwrap_or(name)).is_some() {",
        becomes: "        if there.named(self.name.unwrap_or(name)).is_some() && there.volume {",
    },
    Mutant {
        name: "a dataset is renamed with what is below it, and stays a root",
        file: "src/sim/change.rs",
        is: r#"            key.root = format!("{to}{rest}");"#,
        becomes: r#"            key.root = format!("{from}{rest}");"#,
    },
    Mutant {
        name: "snapshots of several datasets are taken at one moment, each with the property that is given",
        file: "src/sim/change.rs",
        is: "            (new.txg, new.properties) = (txg, properties.clone());",
        becomes: "            new.txg = txg;",
    },
    Mutant {
        name: "when one of several snapshots cannot be taken, none is",
        file: "src/sim/change.rs",
        is: r#"            return Err(format!("cannot create snapshot '{name}': dataset already exists"));"#,
        becomes: "            continue;",
    },
    Mutant {
        name: "what is set on a dataset itself can be listed, without what is inherited",
        file: "src/sim/list.rs",
        is: "                dataset.properties.keys().map(String::as_str).collect()",
        becomes: "                Vec::new()",
    },
];
