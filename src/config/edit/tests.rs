use std::os::unix::fs::symlink;

use super::*;

fn drive(name: &str) -> NewDrive {
    NewDrive {
        name: name.parse().unwrap(),
        pool: "t8".parse().unwrap(),
        guid: Guid(u64::MAX),
        luks: "2f3b5a3e-0000-4c1d-9abc-0123456789ab".parse().ok(),
        rescue: false,
    }
}

const BACKUP: &str = "[backups.home]\nsource = \"rpool/home\"\ntarget = \"eds\"\nprune = \"never\"\n";

#[test]
fn a_drive_is_added_and_every_other_character_stays() {
    let first = "# mine\n\n[drives.t7] # the black one\npool = \"backup\"   # old\npool-guid = \"5\"\n";
    for text in [
        format!("{first}\n{BACKUP}# the end\n"),
        format!("{BACKUP}\n{first}"),
        format!("{first}\n[drives.t7.override.home]\nprune = \"mirror\"\n\n{BACKUP}"),
        format!("drives = {{ t7 = {{ pool = \"backup\", pool-guid = \"5\" }} }}\n\n{BACKUP}"),
        format!("drives.t7.pool = \"backup\"\ndrives.t7.pool-guid = \"5\"\n\n{BACKUP}"),
        format!("# only what is backed up\n{BACKUP}"),
        super::super::EXAMPLE.replace("backups = [\"home\"]", ""),
    ] {
        for name in ["t8", "t8.old"] {
            let after = with_drive(&text, &drive(name)).unwrap();
            let settings = super::super::parse(&after, Path::new("x"), "host").expect(&after);
            let added = settings.drives.iter().find(|found| found.name.as_str() == name).expect(&after);
            assert_eq!((added.pool.as_str(), added.guid, added.backups.len()), ("t8", Guid(u64::MAX), 1));
            let mut rest = after.lines();
            for line in text.lines().filter(|line| !line.starts_with("drives = ")) {
                assert!(rest.any(|kept| kept == line), "{line:?} is gone or moved in\n{after}");
            }
        }
    }
}

#[test]
fn a_new_configuration_is_complete_when_its_comment_is_taken_in() {
    let proposal = Proposal { name: "eds".into(), source: "rpool/nixos/home".into(), target: "eds".into() };
    for (proposals, count) in [
        (vec![], 1),
        (vec![proposal.clone()], 1),
        (
            vec![
                proposal.clone(),
                Proposal { name: "b".into(), source: "rpool/b".into(), target: "b".into() },
            ],
            2,
        ),
    ] {
        let text = beginning(&drive("t8"), &proposals);
        assert!(text.ends_with('\n') && !text.ends_with("#\n"), "{text}");
        let kept = text
            .replace("# [", "[")
            .replace("# source", "source")
            .replace("# target", "target")
            .replace("# prune", "prune");
        let settings = super::super::parse(&kept, Path::new("x"), "host").expect(&kept);
        assert_eq!(settings.drives[0].backups.len(), count);
    }
}

#[test]
fn mode_and_owner_stay_and_a_new_file_can_be_read_by_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/config.toml");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    let first = place(&path, "host").unwrap();
    assert_eq!((first.text.as_ref(), first.locked.as_ref()), (None, None));
    assert_eq!(write(&first, &drive("t8"), &[]).unwrap(), Written::Created);
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o644, 0o755));
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let second = place(&path, "host").unwrap();
    assert_eq!(second.drives, [("t8".to_owned(), Some(Guid(u64::MAX)))]);
    assert!(second.backups.is_empty());
    assert_eq!(write(&second, &drive("t9"), &[]).unwrap(), Written::Edited);
    assert_eq!(mode(&path), 0o600);
    // What was looked at before is not what is there now.
    assert!(matches!(write(&second, &drive("t10"), &[]).unwrap(), Written::Print { .. }));
    assert!(write(&first, &drive("t10"), &[]).is_err(), "a file that appeared is not written over");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_link_is_not_edited() {
    let directory = tempfile::tempdir().unwrap();
    let (store, link) = (directory.path().join("store"), directory.path().join("config.toml"));
    fs::write(&store, BACKUP).unwrap();
    symlink(&store, &link).unwrap();
    let place = place(&link, "host").unwrap();
    assert_eq!((place.backups.len(), place.backups[0].source.as_str()), (1, "rpool/home"));
    let written = write(&place, &drive("t8"), &[]).unwrap();
    let Written::Print { snippet, why } = written else { panic!("{written:?}") };
    assert!(
        why.contains("a link to") && snippet.starts_with("[drives.t8]\npool = \"t8\"\n"),
        "{why} {snippet}"
    );
    assert_eq!(fs::read_to_string(&store).unwrap(), BACKUP);
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    fs::write(&path, "[drives.t7\n").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert!(
        matches!(place(&path, "host"), Err(ConfigError::Invalid { problems, .. }) if !problems.is_empty())
    );
    assert!(with_drive("drives = 7\n", &drive("t8")).is_err());
}

#[test]
fn what_is_printed_for_plain_sends_is_taken_in_as_it_is() {
    let backup = Proposal { name: "home".into(), source: "rpool/home".into(), target: "eds".into() };
    for backups in [&[][..], &[backup]] {
        let drive = drive("t8.old");
        let text = format!("{}{}{BACKUP}", snippet(&drive), plain_overrides(&drive, backups));
        let settings = super::super::parse(&text, Path::new("x"), "host").expect(&text);
        let [added] = &settings.drives[..] else { panic!("{text}") };
        let backup = &added.backups[0];
        assert_eq!((backup.send, backup.allow_plaintext), (crate::model::SendMode::Plain, true));
        assert_eq!(added.luks.as_ref().map(|luks| &luks.uuid), drive.luks.as_ref());
    }
}
