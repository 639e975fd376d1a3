//! Every command line, as it is written, and what none of them may contain.

use std::path::PathBuf;

use super::*;

fn snapshot(text: &str) -> SnapshotName {
    text.parse().unwrap()
}

#[test]
fn sends_and_receives_are_written_as_the_design_says() {
    let to = snapshot("rpool/my home@b");
    let table = [
        (send(SendMode::Raw, &From::Nothing, &to), "zfs send -w 'rpool/my home@b'"),
        (
            send(SendMode::Raw, &From::Increment("#x".into()), &to),
            "zfs send -w -i 'rpool/my home#x' 'rpool/my home@b'",
        ),
        (
            send(SendMode::Plain, &From::Range("a".parse().unwrap()), &to),
            "zfs send -L -c -I 'rpool/my home@a' 'rpool/my home@b'",
        ),
        (
            receive(&"backup/eds".parse().unwrap(), Some(&"b_1".parse().unwrap()), None),
            "zfs receive -s -u backup/eds@b_1",
        ),
        (
            receive(
                &"backup/v".parse().unwrap(),
                None,
                Some(&Creation {
                    kind: DatasetKind::Volume,
                    unencrypted_below_encrypted: true,
                    source: Guid(7),
                    properties: vec![],
                }),
            ),
            "zfs receive -s -u -o readonly=on -o volmode=none -o encryption=off -o org.zferry:source=7 backup/v",
        ),
    ];
    for (command, expected) in table {
        assert_eq!(command.to_string(), expected);
    }
}

#[test]
fn an_import_looks_at_the_matched_devices_only_and_forces_only_with_consent() {
    let devices = [PathBuf::from("/dev/disk/by-id/usb-x-part1")];
    let command =
        import(Guid(9), &devices, "/run/zferry/9", Access::ReadOnly, ForeignHost::Refuse).to_string();
    assert_eq!(
        command,
        "zpool import -N -o cachefile=none -R /run/zferry/9 -o readonly=on -d /dev/disk/by-id/usb-x-part1 9"
    );
    let forced = import(Guid(9), &devices, "/run/zferry/9", Access::ReadWrite, ForeignHost::TakeOver);
    assert!(forced.args.contains(&"-f".to_owned()));
}

/// Every request, in every variant that says something else to ZFS.
fn everything() -> Vec<(&'static str, Invocation)> {
    let pool: PoolName = "backup".parse().unwrap();
    let dataset: DatasetName = "backup/my eds".parse().unwrap();
    let (a, b) = (snapshot("rpool/home@a"), snapshot("rpool/home@b"));
    let bookmark: BookmarkName = "rpool/home#zferry_1_2".parse().unwrap();
    let names = vec![a.to_string(), bookmark.to_string()];
    let mut all = vec![
        ("list_datasets", list_datasets([&pool])),
        ("list_snapshots", list_snapshots("snapshot,bookmark", Reach::Below, [&dataset])),
        ("list_snapshots", list_snapshots("snapshot", Reach::Itself, [&dataset])),
        ("list_details", list_details(&names)),
        ("get_written_since", get_written_since("#x", &b)),
        ("get_available", get_available([&dataset])),
        ("get_freeing", get_freeing(&pool)),
        ("sync", sync(&pool)),
        ("list_heads", list_heads([&dataset])),
        ("list_named_snapshots", list_named_snapshots([&a, &b])),
        ("list_taken", list_taken([&a, &b])),
        ("list_guids", list_guids([&pool])),
        ("list_counts", list_counts(&names)),
        ("list_delegations", list_delegations(&dataset)),
        ("list_received", list_received(&dataset)),
        ("estimate", estimate(SendMode::Raw, &From::Nothing, &a)),
        ("estimate", estimate(SendMode::Plain, &From::Increment("#x".to_owned()), &b)),
        ("receive_file", receive_file(&dataset, None)),
        ("receive_file", receive_file(&dataset, Some(&Making { until: Guid(7), with_properties: true }))),
        ("list_holds", list_holds(&names)),
        ("get_pools", get_pools([&pool])),
        ("list_pools", list_pools()),
        ("version", version(Tool::Zpool)),
        ("list_devices", list_devices(None)),
        ("list_devices", list_devices(Some(&pool))),
        ("status", status(&pool)),
        ("damage", damage(&pool)),
        ("export", export(&pool)),
        ("load_key", load_key(&dataset, b"secret")),
        ("unload_key", unload_key(&dataset)),
        ("try_key", try_key(&dataset, b"secret")),
        ("list_dated", list_dated(&dataset)),
        ("list_held", list_held([&dataset])),
        ("diff", diff(&a, Some(&b.snap))),
        ("diff", diff(&a, None)),
        ("get_mounting", get_mounting(&pool)),
        ("create_pool", create_pool(&new_pool(&pool))),
        ("clear", clear(&pool)),
        ("scrub", scrub(&pool)),
        ("pause_scrub", pause_scrub(&pool)),
        ("send_resume", send_resume("1-a-b-c")),
        ("drop_partial", drop_partial(&dataset)),
        ("rollback", rollback(&a)),
        ("destroy_empty", destroy_empty(&dataset)),
        ("inherit", inherit("readonly", [&dataset])),
        ("take_snapshot", take_snapshot(&"zferry_x".parse().unwrap(), [&dataset])),
        ("get_own", get_own(&names)),
        ("get_local", get_local([&dataset])),
        ("rename_snapshot", rename_snapshot(&a, &"c".parse().unwrap())),
        ("copy_bookmark", copy_bookmark("rpool/home#x", &bookmark)),
        ("destroy_bookmark", destroy_bookmark(&bookmark)),
        ("hold", hold("zferry:1", [&a, &b])),
        ("release", release("zferry:1", [&a, &b])),
        ("set", set(&dataset, &[(PROPERTY_SOURCE, "7".to_owned())])),
        ("program", program(&pool, super::super::program::DESTROY, ["rpool/home@a=7".to_owned()])),
        ("program", program(&pool, super::super::program::MARK, ["rpool/home@a=7=none".to_owned()])),
    ];
    for kind in [DatasetKind::Filesystem, DatasetKind::Volume] {
        all.push(("rename_dataset", rename_dataset(&dataset, &"backup/other".parse().unwrap(), kind)));
        all.push(("receive", receive(&dataset, None, None)));
        all.push(("receive", receive(&dataset, Some(&"b_1".parse().unwrap()), Some(&creation(kind)))));
    }
    for encrypted in [false, true] {
        all.push(("create_placeholder", create_placeholder(&dataset, encrypted)));
    }
    let starts = [
        From::Nothing,
        From::Increment("@a".into()),
        From::Increment("#x".into()),
        From::Range("a".parse().unwrap()),
    ];
    for mode in [SendMode::Raw, SendMode::Plain] {
        all.extend(starts.iter().map(|from| ("send", send(mode, from, &b))));
    }
    for access in [Access::ReadOnly, Access::ReadWrite] {
        all.push((
            "import",
            import(Guid(9), &["/dev/sda1".into()], "/run/zferry/9", access, ForeignHost::Refuse),
        ));
    }
    all
}

fn new_pool(name: &PoolName) -> NewPool<'_> {
    let device = std::path::Path::new("/dev/disk/by-partuuid/x");
    NewPool { name, device, altroot: "/run/zferry/init", compatibility: "openzfs-2.1-linux" }
}

#[test]
fn a_new_pool_is_not_forced_and_mounts_nothing() {
    assert_eq!(
        create_pool(&new_pool(&"t7".parse().unwrap())).to_string(),
        "zpool create -R /run/zferry/init -o ashift=12 -o autotrim=on -o cachefile=none \
         -o compatibility=openzfs-2.1-linux -O acltype=posixacl -O canmount=off -O compression=zstd \
         -O dnodesize=auto -O normalization=formD -O readonly=on -O relatime=on -O xattr=sa \
         -O mountpoint=/mnt/t7 t7 /dev/disk/by-partuuid/x"
    );
}

fn creation(kind: DatasetKind) -> Creation {
    let properties = vec![("mountpoint".to_owned(), "/mnt/eds".to_owned())];
    Creation { kind, unencrypted_below_encrypted: true, source: Guid(7), properties }
}

/// S2, as design and docs/safety.md list it: what may not stand behind which words.
const FORBIDDEN: [(&str, &str, &[&str]); 10] = [
    ("zfs", "receive", &["-F", "-d", "-e"]),
    ("zfs", "send", &["-R", "--replicate"]),
    ("zfs", "destroy", &["-r", "-R", "-f", "-d"]),
    ("zfs", "rename", &["-f", "-r", "-p"]),
    ("zfs", "rollback", &["-r", "-R", "-f"]),
    ("zpool", "import", &["-f", "-F", "-X", "-T", "-D", "-m", "-a", "--rewind-to-checkpoint"]),
    ("zpool", "export", &["-f", "-F", "-a"]),
    ("zpool", "create", &["-f"]),
    ("zpool", "upgrade", &[""]),
    ("zpool", "labelclear", &[""]),
];

/// Short options may be written together: `-rf` is `-r` and `-f`.
fn says(argument: &str, option: &str) -> bool {
    let letters = option.strip_prefix('-').filter(|letter| letter.len() == 1);
    let together = argument.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
    argument == option || letters.zip(together).is_some_and(|(letter, rest)| rest.contains(letter))
}

#[test]
fn nothing_that_is_forbidden_can_be_built() {
    for (_, command) in everything() {
        let (verb, arguments) = command.args.split_first().unwrap();
        for (tool, words, options) in FORBIDDEN {
            if (command.tool.name(), verb.as_str()) != (tool, words) {
                continue;
            }
            for option in options {
                let said = option.is_empty() || arguments.iter().any(|argument| says(argument, option));
                assert!(!said, "{command} has {words} {option}");
            }
        }
        assert!(!arguments.iter().any(|argument| argument.contains('%')), "{command} has a range");
    }
}

#[test]
fn a_passphrase_is_read_and_never_an_argument_or_shown() {
    let load = load_key(&"backup/eds".parse().unwrap(), b"correct horse");
    assert_eq!(load.to_string(), "zfs load-key -L prompt backup/eds");
    assert_eq!(load.stdin, b"correct horse\n");
    assert!(!format!("{load:?}").contains("horse"), "{load:?}");
    let attempt = try_key(&"backup/eds".parse().unwrap(), b"correct horse");
    assert_eq!(attempt.to_string(), "zfs load-key -n -L prompt backup/eds");
    assert_eq!(attempt.stdin, b"correct horse\n");
    assert!(!format!("{attempt:?}").contains("horse"), "{attempt:?}");
}

#[test]
fn every_function_that_builds_a_command_is_looked_through() {
    let texts = [
        include_str!("../argv.rs"),
        include_str!("opened.rs"),
        include_str!("pools.rs"),
        include_str!("streams.rs"),
    ];
    let functions =
        texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("pub fn "));
    let built: Vec<_> = everything().into_iter().map(|(name, _)| name).collect();
    let mut counted = 0;
    for function in functions {
        let name = function.split(['(', '<']).next().unwrap();
        assert!(built.contains(&name), "{name} is missing in `everything`");
        counted += 1;
    }
    assert!(counted > 20, "only {counted} functions were found");
}

#[test]
fn channel_programs_destroy_and_bookmark_and_mark_and_nothing_else() {
    use super::super::program::{BOOKMARK, DESTROY, DESTROY_ALL, MARK};
    for (script, verb) in
        [(DESTROY, "destroy"), (DESTROY_ALL, "destroy"), (BOOKMARK, "bookmark"), (MARK, "set_prop")]
    {
        let changes: Vec<_> = script.split("zfs.sync.").skip(1).map(|rest| rest.split('(').next()).collect();
        assert_eq!(changes, [Some(verb)]);
        let check = script.find("\"guid\")").unwrap();
        assert!(check < script.find("zfs.sync.").unwrap(), "the guid is compared first (S4)");
        assert!(!script.contains("defer"));
    }
}
