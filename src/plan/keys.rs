//! Whether what is on the drive can be opened later, and with what. Warnings for the whole plan: of many datasets the
//! first few are named.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Dataset, DatasetName, Inventory, Policy, SendMode, WantedKey};

use super::{DatasetPlan, Verdict, base};

/// Datasets that are named; of the others the number is enough.
const NAMED: usize = 3;

/// The first few of a list, and how many more.
pub fn some_of(names: &[&str]) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Puts what is to be known of keys to the first dataset that is not refused.
pub fn warn_of_keys(policies: &[Policy], inventory: &Inventory, datasets: &mut [DatasetPlan]) {
    let is_done = |plan: &&DatasetPlan| matches!(plan.verdict, Verdict::UpToDate | Verdict::Behind);
    let copies: Vec<Copy<'_>> = datasets
        .iter()
        .filter(is_done)
        .filter_map(|plan| {
            let policy = policies.iter().find(|policy| policy.name == plan.backup)?;
            let source = inventory.source.get(&plan.source)?;
            Some(Copy { plan, source, raw: base::is_raw(source, policy.send), mode: policy.send })
        })
        .collect();
    let warnings = [
        keys_that_would_be_lost(inventory, &copies),
        older_keys(inventory, &copies),
        laid_open(inventory, &copies),
    ];
    let warnings: Vec<_> = warnings.into_iter().flatten().collect();
    let first = datasets.iter_mut().find(|plan| is_done(&&**plan));
    if let Some(first) = first {
        first.warnings.extend(warnings);
    }
}

/// A dataset that has a copy on the drive, or will have.
struct Copy<'a> {
    plan: &'a DatasetPlan,
    source: &'a Dataset,
    /// Encrypted on the drive as it is here.
    raw: bool,
    mode: SendMode,
}

/// The copies need the keys that the source has. One that nobody remembers may be lost together with the source.
fn keys_that_would_be_lost(inventory: &Inventory, copies: &[Copy<'_>]) -> Option<String> {
    let mut roots: BTreeMap<&DatasetName, String> = BTreeMap::new();
    for copy in copies.iter().filter(|copy| copy.raw) {
        let Some(root) = copy.source.encryption.as_ref().map(|encryption| &encryption.root) else { continue };
        let wanted = inventory.source.get(root).and_then(|root| root.encryption.as_ref());
        match wanted.map(|encryption| &encryption.wanted) {
            Some(WantedKey::File(file)) => {
                roots.insert(root, format!("{root} ({})", crate::process::printable(file)));
            }
            Some(WantedKey::Bytes) => {
                roots.insert(root, format!("{root} (bytes that nobody remembers)"));
            }
            Some(WantedKey::Passphrase) | None => {}
        }
    }
    let roots: Vec<_> = roots.values().map(String::as_str).collect();
    (!roots.is_empty()).then(|| {
        format!(
            "The copies open with nothing but the key of {}. If it is lost together with this machine, they can never be opened: keep it in another place too.",
            some_of(&roots)
        )
    })
}

/// A new passphrase travels with the next stream. Where nothing travels, the copy keeps the old one. A stream carries what
/// the encryption root says of its key, which need not be what a dataset below says.
fn older_keys(inventory: &Inventory, copies: &[Copy<'_>]) -> Option<String> {
    let is_older = |copy: &&Copy<'_>| {
        let there = inventory.target.get(&copy.plan.target).and_then(|there| there.encryption.as_ref());
        let travels = copy.plan.sends().next().is_some();
        let (Some(here), Some(there)) = (&copy.source.encryption, there) else { return false };
        let root = inventory.source.get(&here.root).and_then(|root| root.encryption.as_ref());
        let salt = root.unwrap_or(here).salt;
        copy.raw && !travels && here.keyguid == there.keyguid && salt != there.salt
    };
    let older: Vec<_> = copies.iter().filter(is_older).collect();
    let names = |name: fn(&DatasetPlan) -> &DatasetName| -> Vec<&str> {
        older.iter().map(|copy| name(copy.plan).as_str()).collect()
    };
    (!older.is_empty()).then(|| {
        format!(
            "On the drive {} does not open with the key that its source has now, but with an older one (or one that was set there). Take a snapshot of {} and run again: the key travels with it.",
            some_of(&names(|plan| &plan.target)),
            some_of(&names(|plan| &plan.source))
        )
    })
}

/// Below an encrypted dataset of the drive's own one would expect everything to be encrypted. What is not sent raw is
/// not: zferry loads no key there.
fn laid_open(inventory: &Inventory, copies: &[Copy<'_>]) -> Option<String> {
    let begun = |copy: &&Copy<'_>| copy.plan.sends().any(|send| send.creation.is_some());
    let raw: BTreeSet<_> = copies.iter().filter(|copy| copy.raw).map(|copy| &copy.plan.target).collect();
    let mut open: BTreeMap<&DatasetName, Vec<&str>> = BTreeMap::new();
    for copy in copies.iter().filter(|copy| !copy.raw).filter(begun) {
        let mut above = std::iter::successors(copy.plan.target.parent(), DatasetName::parent);
        // What does not exist yet is either such a copy or a placeholder.
        let nearest = above.find(|name| raw.contains(name) || inventory.target.get(name).is_some());
        let there = nearest.filter(|name| !raw.contains(name)).and_then(|name| inventory.target.get(&name));
        let own = there.filter(|there| there.encryption.is_some() && there.source.is_none());
        if let Some(own) = own {
            open.entry(&own.name).or_default().push(copy.plan.target.as_str());
        }
    }
    let plain = copies.iter().any(|copy| copy.mode == SendMode::Plain);
    let why = if plain { "what is sent decrypted" } else { "what is not encrypted at the source" };
    open.first_key_value().map(|(own, targets)| {
        format!(
            "{} will not be encrypted on the drive, although {own} above is: zferry loads no key there, and {why} brings none.",
            some_of(targets)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Guid, KeyStatus};
    use crate::plan::testing::{World, encryption, name, policy};

    fn warnings(world: &World, policy: &Policy) -> Vec<String> {
        let plan = world.plan(std::slice::from_ref(policy));
        plan.datasets.into_iter().flat_map(|dataset| dataset.warnings).collect()
    }

    /// One root with children that inherit its key.
    fn tree(children: usize) -> World {
        let add = |world: World, number: usize| {
            let child = format!("tank/data/{number}");
            let world = world.source(&child, &format!("@a,{}", 10 * number + 10));
            world.edit_source(&child, |there| there.encryption = Some(encryption("tank/data")))
        };
        (0..children).fold(World::new().source("tank/data", "@a,1"), add)
    }

    fn wants(world: World, root: &str, key: WantedKey) -> World {
        world.edit_source(root, |there| there.encryption.as_mut().unwrap().wanted = key)
    }

    #[test]
    fn a_key_that_lies_on_the_machine_is_told_of_once_for_its_root() {
        let file = || WantedKey::File("file:///etc/zfs/\u{1b}key".to_owned());
        assert_eq!(warnings(&tree(5), &policy()), Vec::<String>::new());
        let told = warnings(&wants(tree(5), "tank/data", file()), &policy());
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("the key of tank/data (file:///etc/zfs/\u{fffd}key). If it"), "{told:?}");
        let told = warnings(&wants(tree(0), "tank/data", WantedKey::Bytes), &policy());
        assert!(told[0].contains("tank/data (bytes that nobody remembers)"), "{told:?}");
        // Roots of their own are named up to three.
        let own = (0..5).fold(tree(5), |world, number| {
            let child = format!("tank/data/{number}");
            let world = world.edit_source(&child, |there| there.encryption = Some(encryption(&child)));
            wants(world, &child, file())
        });
        let told = warnings(&own, &policy());
        assert!(
            told.len() == 1 && told[0].contains("tank/data/2 (file") && told[0].contains(" and 2 more"),
            "{told:?}"
        );
        assert!(!told[0].contains("tank/data/3"), "{told:?}");
    }

    #[test]
    fn a_file_that_no_copy_needs_is_not_told_of() {
        let file = WantedKey::File("file:///key".to_owned());
        let world = wants(tree(0), "tank/data", file).edit_source("tank/data", |there| {
            there.encryption.as_mut().unwrap().key = KeyStatus::Available;
        });
        let plain = Policy { send: SendMode::Plain, allow_plaintext: true, ..policy() };
        assert_eq!(warnings(&world, &plain), Vec::<String>::new(), "the copy has no key");
        assert_eq!(
            warnings(&world, &Policy { snapshots: crate::plan::testing::without(&["*"]), ..policy() }),
            Vec::<String>::new()
        );
    }

    fn changed(world: World, dataset: &str, salt: Option<u64>) -> World {
        world.edit_source(dataset, |there| there.encryption.as_mut().unwrap().salt = salt)
    }

    #[test]
    fn an_older_passphrase_is_told_of_until_a_snapshot_brings_the_new_one() {
        let world = World::new()
            .source("tank/data", "@a,1 #V,1")
            .source("tank/data/x", "@a,11 #V,11")
            .target("backup/eds", "@a,1")
            .target("backup/eds/x", "@a,11");
        assert_eq!(warnings(&world, &policy()), Vec::<String>::new());
        for salt in [Some(2), None] {
            let told = warnings(&changed(world.clone(), "tank/data/x", salt), &policy());
            assert_eq!(told.len(), 1);
            assert!(told[0].starts_with("On the drive backup/eds/x does not open"), "{told:?}");
            assert!(told[0].contains("Take a snapshot of tank/data/x and run again"), "{told:?}");
        }
        // Both, in one sentence; then a snapshot of one of them.
        let both = changed(changed(world, "tank/data", Some(2)), "tank/data/x", Some(2));
        assert!(warnings(&both, &policy())[0].contains("On the drive backup/eds, backup/eds/x does not"));
        let mut one = both.edit_source("tank/data", |there| {
            there.history = crate::plan::testing::history("@a,1 @b,2 #V,1", 100);
            there.details.insert(Guid(2), crate::plan::testing::detail(Guid(2)));
        });
        assert!(warnings(&one, &policy())[0].starts_with("On the drive backup/eds/x does not"));
        one.run(&[policy()]);
        let salt = |called: &str| one.target.get(&name(called)).unwrap().encryption.as_ref().unwrap().salt;
        assert_eq!((salt("backup/eds"), salt("backup/eds/x")), (Some(2), Some(1)));
        assert!(warnings(&one, &policy())[0].starts_with("On the drive backup/eds/x does not"));
    }

    #[test]
    fn what_a_dataset_below_says_of_its_roots_key_is_not_asked() {
        let inherits = encryption("tank/data");
        let world = World::new()
            .source("tank/data", "@a,1 #V,1")
            .source("tank/data/x", "@a,11 #V,11")
            .target("backup/eds", "@a,1")
            .target("backup/eds/x", "@a,11")
            .edit_source("tank/data/x", |there| there.encryption = Some(inherits));
        assert_eq!(
            warnings(&changed(world.clone(), "tank/data/x", Some(9)), &policy()),
            Vec::<String>::new()
        );
        let told = warnings(&changed(world, "tank/data", Some(2)), &policy());
        assert!(
            told.len() == 1 && told[0].contains("On the drive backup/eds, backup/eds/x does not"),
            "{told:?}"
        );
    }

    #[test]
    fn what_arrives_unencrypted_below_the_drives_own_encryption_is_told() {
        let encrypted_drive =
            |world: World| world.edit_target("backup", |there| there.encryption = Some(encryption("backup")));
        let plaintext = |world: World| world.edit_source("tank/data", |there| there.encryption = None);
        let consented = Policy { allow_plaintext: true, ..policy() };
        let mut world = encrypted_drive(plaintext(tree(0)));
        let told = warnings(&world, &consented);
        assert_eq!(told.len(), 1);
        assert!(
            told[0].starts_with("backup/eds will not be encrypted on the drive, although backup above is"),
            "{told:?}"
        );
        let deep = Policy { target: name("backup/laptop/eds"), ..consented.clone() };
        assert!(
            warnings(&world, &deep)[0].starts_with("backup/laptop/eds will not be"),
            "below a placeholder too"
        );
        world.run(std::slice::from_ref(&consented));
        assert_eq!(warnings(&world, &consented), Vec::<String>::new(), "once, when it is begun");
        assert_eq!(
            warnings(&encrypted_drive(tree(2)), &consented),
            Vec::<String>::new(),
            "raw brings its key"
        );
        assert_eq!(warnings(&plaintext(tree(0)), &consented), Vec::<String>::new());
        // Below a copy that is encrypted an unencrypted child is what the source has.
        let mixed = tree(1).edit_source("tank/data/0", |there| there.encryption = None);
        assert_eq!(warnings(&encrypted_drive(mixed), &consented), Vec::<String>::new());
    }
}
