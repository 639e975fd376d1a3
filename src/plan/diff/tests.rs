use super::*;
use crate::model::{DatasetKind, FileKind};
use crate::plan::testing::{dataset, encryption, history};

fn source(text: &str) -> Dataset {
    Dataset { mount: Mount::Mounted, ..dataset("rpool/home", history(text, 1)) }
}

/// One snapshot a day, in their order.
fn dated(dataset: &Dataset) -> Vec<Dated> {
    let day = |(index, name): (i64, SnapName)| Dated {
        name,
        at: jiff::Timestamp::from_second(1_774_000_000 + index * 86_400).unwrap(),
    };
    let names = dataset.history.snapshots().iter().map(|snapshot| snapshot.name.clone());
    (0..).zip(names).map(day).collect()
}

fn chosen(dataset: &Dataset, base: Option<u64>, from: &str, to: &str) -> Result<String, NotCompared> {
    let now: Zoned = "2027-03-31T12:00:00[UTC]".parse().unwrap();
    let text = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let typed = Typed { from: text(from), to: text(to) };
    let ends = ends(dataset, ("t7", base.map(Txg)), typed, &dated(dataset), &now)?;
    Ok(format!(
        "{}{}..{}",
        ends.from,
        if ends.is_base { "!" } else { "" },
        ends.to.map_or(String::new(), |to| to.to_string())
    ))
}

#[test]
fn without_words_it_is_what_the_drive_has_newest_until_now() {
    // The first one has the transaction group 1, the second one 2.
    let dataset = source("@a,11 @b,12 @c,13");
    let txg = |index: usize| Some(dataset.history.snapshots()[index].txg.0);
    for (base, from, to, expected) in [
        (txg(1), "", "", "b!.."),
        (txg(0), "", "", "a!.."),
        (txg(1), "a", "", "a.."),
        (txg(1), "@a", "c", "a..c"),
        (None, "a", "b", "a..b"),
        (None, "2026-03-20", "2026-03-21", "a..b"),
    ] {
        assert_eq!(chosen(&dataset, base, from, to).unwrap(), expected, "{base:?} {from} {to}");
    }
}

#[test]
fn what_cannot_be_compared_is_refused_with_what_can_be_done() {
    let command = "zferry diff t7 home";
    let whole = source("@a,11 @b,12");
    // What the drive has was the first one, of which only the bookmark is left.
    let mut pruned = source("@a,11 @b,12");
    let gone = pruned.history.snapshots()[0].txg.0;
    pruned.history =
        crate::model::History::new(pruned.history.snapshots()[1..].to_vec(), Vec::new()).unwrap();
    let volume = Dataset { kind: DatasetKind::Volume, ..whole.clone() };
    let unmounted = Dataset { mount: Mount::Unmounted, encryption: None, ..whole.clone() };
    let mut key = encryption("rpool");
    key.key = KeyStatus::Unavailable;
    let locked = Dataset { encryption: Some(key), ..unmounted.clone() };
    for (dataset, base, from, to, finding, remedy) in [
        (&volume, None, "a", "", "it is a volume", ""),
        (&unmounted, None, "a", "", "it is not mounted", "zfs mount rpool/home, and run again"),
        (&locked, None, "a", "", "it is not mounted", "zfs load-key rpool, then zfs mount rpool/home"),
        (&whole, None, "", "", "what t7 has newest of it is not known here", "zferry diff t7 home SNAPSHOT"),
        (&pruned, Some(gone), "", "", "only a bookmark here", "zferry diff t7 home b "),
        (&whole, Some(99), "", "", "only a bookmark here", "zferry diff t7 home SNAPSHOT"),
        (&whole, None, "b", "a", "@a is not later than @b", "zferry diff t7 home a b"),
        (&whole, None, "b", "b", "@b is not later than @b", ""),
        (&whole, None, "nonsense", "", "is no snapshot of rpool/home", ""),
    ] {
        let why = chosen(dataset, base, from, to).unwrap_err();
        let remedies = why.remedies(&dataset.name, command).join("\n");
        assert!(why.to_string().contains(finding), "{why}");
        assert!(remedies.contains(remedy), "{remedies}");
    }
}

fn change(how: How, path: &str, to: Option<&str>) -> Change {
    Change { path: path.into(), how, kind: FileKind::File, to: to.map(Into::into), links: 0 }
}

fn shown(changes: &[Change]) -> Vec<String> {
    let to = |change: &Change| change.to.as_ref().map_or(String::new(), |to| format!(">{}", to.display()));
    changes.iter().map(|c| format!("{:?} {}{}", c.how, c.path.display(), to(c))).collect()
}

#[test]
fn paths_are_those_within_the_dataset_and_what_was_deleted_while_open_is_gone() {
    for point in ["/home", "/"] {
        let top = point.trim_end_matches('/');
        let at = |path: &str| format!("{top}{path}");
        let (deleted, b) = (at("(on_delete_queue)"), at("/b"));
        let found = vec![
            change(How::Renamed, &at("/z"), Some(&b)),
            change(How::Modified, &at("/"), None),
            change(How::Added, &deleted, None),
            change(How::Removed, &deleted, None),
            change(How::Renamed, &at("/open"), Some(&deleted)),
            change(How::Renamed, &deleted, Some(&at("/linked again"))),
        ];
        let found = within(found, Path::new(point)).unwrap();
        assert_eq!(
            shown(&found),
            ["Modified ", "Added linked again", "Removed open", "Renamed z>b"],
            "{point}"
        );
    }
    for elsewhere in ["/homes/a", "/home(on", "/"] {
        assert!(
            within(vec![change(How::Added, elsewhere, None)], Path::new("/home")).is_none(),
            "{elsewhere}"
        );
        let from = change(How::Renamed, "/home/a", Some(elsewhere));
        assert!(within(vec![from], Path::new("/home")).is_none(), "{elsewhere}");
    }
}

#[test]
fn a_path_that_is_named_has_what_is_below_it_and_what_came_or_went() {
    let paths = [PathBuf::from("anna/docs")];
    for (change, expected) in [
        (change(How::Added, "anna/docs", None), true),
        (change(How::Added, "anna/docs/a", None), true),
        (change(How::Added, "anna/docs2", None), false),
        (change(How::Added, "anna", None), false),
        (change(How::Renamed, "anna/a", Some("anna/docs/a")), true),
        (change(How::Renamed, "anna/docs/a", Some("anna/a")), true),
    ] {
        assert_eq!(concerns(&change, &paths), expected, "{change:?}");
        assert!(concerns(&change, &[]));
    }
}
