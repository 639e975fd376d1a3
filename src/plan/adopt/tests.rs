use super::*;
use crate::model::{History, Mount, Txg};
use crate::plan::testing::dataset;

/// Name, kind and properties of a dataset.
type Described<'a> = (&'a str, DatasetKind, &'a [(&'a str, &'a str)]);

fn name(text: &str) -> DatasetName {
    text.parse().unwrap()
}

fn snapshot(text: &str, guid: u64, txg: u64) -> Listed {
    Listed::Snapshot(text.parse().unwrap(), Guid(guid), Txg(txg))
}

fn bookmark(text: &str, guid: u64) -> Listed {
    Listed::Bookmark(text.parse().unwrap(), Guid(guid), Txg(guid))
}

/// A pool `backup` with these datasets, their properties, and these listings.
fn found(
    datasets: &[Described<'_>],
    there: &[Listed],
    here: &[Listed],
    configured: &[(&str, &str)],
) -> Adoption {
    let (datasets, properties) = described(datasets);
    let configured: Vec<_> = configured.iter().map(|(source, target)| (name(source), name(target))).collect();
    let pool = "backup".parse().unwrap();
    let seen = Seen {
        pool: &pool,
        altroot: "/run/zferry/9",
        datasets: &datasets,
        properties: &properties,
        there,
        here,
        internal: &[],
        configured: &configured,
    };
    examine(&seen, &Afterwards { retry: "zferry adopt t7 backup", imported: false })
}

fn described(all: &[Described<'_>]) -> (Vec<Dataset>, Properties) {
    let datasets = all
        .iter()
        .map(|(text, kind, _)| Dataset { kind: *kind, ..dataset(text, History::default()) })
        .collect();
    let properties = all.iter().map(|(text, _, values)| {
        (name(text), values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    });
    (datasets, properties.collect())
}

const GOOD: &[(&str, &str)] = &[
    ("readonly", "on"),
    ("canmount", "noauto"),
    ("mountpoint", "/run/zferry/9/mnt/b"),
    ("volmode", "default"),
];

#[test]
fn a_copy_is_known_by_guid_whatever_it_is_called_and_children_belong_to_their_parent() {
    use DatasetKind::Filesystem as F;
    let there = [
        snapshot("backup/eds@x", 1, 10),
        snapshot("backup/eds@y", 2, 20),
        snapshot("backup/eds/anna@x", 11, 10),
        snapshot("backup/other@z", 99, 5),
        snapshot("backup/renamed@r", 21, 7),
    ];
    let here = [
        snapshot("rpool/home@called_otherwise", 1, 900),
        bookmark("rpool/home#b", 2),
        snapshot("rpool/home/anna@x", 11, 901),
        snapshot("rpool/home/bob@r", 21, 902),
        snapshot("rpool/clone@called_otherwise", 1, 903),
    ];
    let names = ["backup/eds", "backup/eds/anna", "backup/other", "backup/renamed"];
    let datasets: Vec<_> = names.iter().map(|name| (*name, F, GOOD)).collect();
    let found = found(
        &datasets,
        &there,
        &here,
        &[("rpool/home", "backup/home"), ("rpool/home/bob", "backup/renamed")],
    );
    let eds = found.copies.iter().find(|copied| copied.copy == name("backup/eds")).unwrap();
    assert_eq!((eds.source.as_ref(), eds.base.as_deref()), (Some(&name("rpool/home")), Some("y")));
    assert_eq!(
        found.tops,
        [(name("rpool/home"), name("backup/eds")), (name("rpool/home/bob"), name("backup/renamed"))]
    );
    let told: Vec<_> = found.findings.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("the copy of rpool/home is backup/eds, and the configuration says backup/home")
    );
    assert!(told[1].starts_with("backup/other has no snapshot in common"));
}

#[test]
fn each_property_that_would_get_in_the_way_is_told_with_its_command() {
    use DatasetKind::{Filesystem as F, Volume as V};
    let snapshots = ["backup/a", "backup/b c", "backup/v"]
        .map(|dataset| snapshot(&format!("{dataset}@x"), dataset.len() as u64, 1));
    let here = ["rpool/a", "rpool/bcd", "rpool/v"].map(|dataset| dataset.to_owned());
    let here: Vec<_> = here
        .iter()
        .zip(&snapshots)
        .map(|(dataset, there)| {
            let Listed::Snapshot(_, guid, _) = there else { panic!() };
            Listed::Snapshot(format!("{dataset}@x").parse().unwrap(), *guid, Txg(1))
        })
        .collect();
    let open: &[(&str, &str)] = &[
        ("readonly", "off"),
        ("canmount", "on"),
        ("mountpoint", "/run/zferry/9/home"),
        ("volmode", "default"),
    ];
    let nowhere: &[(&str, &str)] =
        &[("readonly", "on"), ("canmount", "on"), ("mountpoint", "none"), ("volmode", "default")];
    let volume: &[(&str, &str)] =
        &[("readonly", "on"), ("canmount", "-"), ("mountpoint", "-"), ("volmode", "default")];
    // The pool's top dataset has no snapshot: what it has is the user's affair.
    let all =
        [("backup", F, open), ("backup/a", F, open), ("backup/b c", F, nowhere), ("backup/v", V, volume)];
    let findings = found(&all, &snapshots, &here, &[]).findings;
    let commands: Vec<_> = findings.iter().map(|(_, command)| command.as_str()).collect();
    assert_eq!(
        commands,
        [
            "zpool import -N backup && zfs set readonly=on backup/a && zpool export backup",
            "zpool import -N backup && zfs set canmount=noauto backup/a && zpool export backup",
            "zpool import -N backup && zfs set volmode=none backup/v && zpool export backup",
        ]
    );
    assert!(findings[1].0.ends_with("at /home"), "the altroot is not part of it: {}", findings[1].0);
    let all = [
        ("backup", F, GOOD),
        ("backup/a", F, GOOD),
        ("backup/b c", F, nowhere),
        ("backup/v", V, &[("readonly", "on"), ("volmode", "none")][..]),
    ];
    assert_eq!(found(&all, &snapshots, &here, &[]).findings, []);
}

#[test]
fn what_is_backed_up_or_configured_is_not_adopted() {
    let pool = "backup".parse().unwrap();
    let (mut datasets, properties) =
        described(&[("backup/root", DatasetKind::Filesystem, &[("mountpoint", "/")])]);
    let judge = |datasets: &[Dataset],
                 configured: &[(DatasetName, DatasetName)],
                 taken: &[(String, Option<Guid>)]| {
        let seen = Seen {
            pool: &pool,
            altroot: "",
            datasets,
            properties: &properties,
            internal: &[],
            there: &[],
            here: &[],
            configured,
        };
        refuse("t7", Guid(9), taken, &seen)
    };
    let away = (name("rpool/home"), name("backup/eds"));
    assert_eq!(judge(&datasets, &[away], &[("t8".into(), Some(Guid(8))), ("t6".into(), None)]), Ok(()));
    let inside = (name("backup/home"), name("backup/eds"));
    for (configured, taken) in [
        (vec![inside], vec![]),
        (vec![], vec![("t7".to_owned(), None)]),
        (vec![], vec![("x".to_owned(), Some(Guid(9)))]),
    ] {
        let refused = judge(&datasets, &configured, &taken).unwrap_err();
        assert!(!refused.remedies().is_empty());
    }
    let (disks, taken) = (["/dev/sda".to_owned()], []);
    let seen = Seen {
        pool: &pool,
        altroot: "",
        datasets: &datasets,
        properties: &properties,
        internal: &disks,
        there: &[],
        here: &[],
        configured: &[],
    };
    let refused = refuse("t7", Guid(9), &taken, &seen).unwrap_err();
    assert!(refused.remedies()[0].contains("--internal"), "{refused}");
    datasets[0].mount = Mount::Mounted;
    assert!(matches!(judge(&datasets, &[], &[]), Err(NotAdopted::OfThisComputer { .. })));
}

#[test]
fn a_copy_that_takes_its_key_from_another_is_told() {
    let (mut datasets, properties) = described(&[("backup/a", DatasetKind::Filesystem, GOOD)]);
    let pool = "backup".parse().unwrap();
    let (there, here) = ([snapshot("backup/a@x", 1, 1)], [snapshot("rpool/a@x", 1, 1)]);
    let tell = |datasets: &[Dataset]| {
        let seen = Seen {
            pool: &pool,
            altroot: "",
            datasets,
            properties: &properties,
            internal: &[],
            there: &there,
            here: &here,
            configured: &[],
        };
        examine(&seen, &Afterwards { retry: "", imported: true }).findings
    };
    assert_eq!(tell(&datasets), []);
    datasets[0].encryption.as_mut().unwrap().root = name("backup");
    assert!(tell(&datasets)[0].0.starts_with("backup/a takes its key from backup,"));
}
