use super::*;
use crate::model::{Appeared, Consents, Keep};

const MINIMAL: &str = r#"
[drives.t7]
pool = "backup"
pool-guid = "1"
[backups.home]
source = "rpool/home"
target = "eds"
prune = "mirror"
"#;

fn parsed(text: &str) -> Settings {
    parse(text, Path::new("config.toml"), "laptop").unwrap()
}

/// All problems as `line:column key: what`.
fn problems(text: &str) -> Vec<String> {
    match parse(text, Path::new("config.toml"), "laptop") {
        Err(ConfigError::Invalid { problems, .. }) => {
            let line = |p: Problem| format!("{}:{} {}: {}", p.line, p.column, p.key, p.what);
            problems.into_iter().map(line).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_documented_defaults_are_those_that_hold() {
    let mut explicit = MINIMAL.to_owned();
    for key in keys::BACKUP {
        if let keys::Absent::Means(toml) = key.absent {
            explicit.push_str(&format!("{} = {toml}\n", key.name));
        }
    }
    let drive = keys::DRIVE.iter().filter_map(|key| match key.absent {
        keys::Absent::Means(toml) => Some(format!("[drives.t7]\n{} = {toml}", key.name)),
        _ => None,
    });
    for line in drive {
        explicit = explicit.replace("[drives.t7]", &line);
    }
    assert_ne!(explicit, MINIMAL);
    assert_eq!(format!("{:?}", parsed(&explicit)), format!("{:?}", parsed(MINIMAL)));
}

#[test]
fn the_examples_in_the_table_of_keys_are_valid() {
    for key in keys::BACKUP.iter().filter(|key| !key.example.is_empty()) {
        let text = format!("{MINIMAL}\n[drives.t7.override.home]\n{} = {}\n", key.name, key.example);
        assert_eq!(parsed(&text).drives.len(), 1, "{}", key.name);
    }
}

#[test]
fn the_example_configuration_is_valid_and_has_no_warnings() {
    assert_eq!(parsed(EXAMPLE).warnings, Vec::<String>::new());
}

#[test]
fn what_is_shown_is_a_configuration_with_the_same_meaning() {
    for text in [MINIMAL, EXAMPLE] {
        let (file, settings) = checked(text, Path::new("config.toml"), "laptop").unwrap();
        let shown = show::show(&file, text).to_string();
        assert_eq!(format!("{:?}", parsed(&shown)), format!("{settings:?}"), "{shown}");
    }
}

#[test]
fn what_differs_on_a_drive_wins_over_the_backup_on_that_drive_only() {
    let text = format!(
        "{MINIMAL}\n[drives.nas]\npool = \"nas\"\npool-guid = \"2\"\npower-off = false\n\
         [drives.nas.override.home]\nprune = \"never\"\ntarget = \"{{host}}/eds\"\n"
    );
    let policies = |drive: &Drive| {
        let policy = drive.policies(&Consents::default()).remove(0);
        (policy.drive.0, policy.target.to_string(), policy.prune)
    };
    let settings = parsed(&text);
    assert_eq!(policies(&settings.drives[0]), (1, "backup/eds".to_owned(), crate::model::Prune::Mirror));
    assert_eq!(policies(&settings.drives[1]), (2, "nas/laptop/eds".to_owned(), crate::model::Prune::Never));
    assert_eq!(settings.drives[1].power_off, PowerOff::No);
}

#[test]
fn what_is_kept_may_differ_on_a_drive() {
    let text = format!(
        "{MINIMAL}snapshot = \"before-run\"\nsnapshot-keep = {{ hourly = 24 }}\n\
         [drives.nas]\npool = \"nas\"\npool-guid = \"2\"\n\
         [drives.nas.override.home]\nprune = \"keep\"\nkeep = {{ last = 5, yearly = 0x10 }}\nsnapshot = \"never\"\n"
    );
    let settings = parsed(&text);
    let policy = |drive: &Drive| drive.policies(&Consents::default()).remove(0);
    let (first, second) = (policy(&settings.drives[0]), policy(&settings.drives[1]));
    let (own, keep) =
        (Keep { hourly: 24, ..Keep::default() }, Keep { last: 5, yearly: 16, ..Keep::default() });
    assert_eq!((first.prune, first.own), (crate::model::Prune::Mirror, Some(own)));
    assert_eq!((second.prune, second.own), (crate::model::Prune::Keep(keep), None));
    assert_eq!(settings.drives[1].backups[0].own_keep, own, "for a run that is told to");
}

#[test]
fn a_drive_carries_the_backups_that_it_names_and_the_others_are_told_of() {
    let text = MINIMAL.replace("pool-guid", "backups = [\"home\"]\npool-guid")
        + "[backups.mail]\nsource = \"rpool/mail\"\ntarget = \"mail\"\nprune = \"never\"\n";
    let settings = parsed(&text);
    assert_eq!(settings.drives[0].backups.len(), 1);
    assert_eq!(settings.warnings, ["No drive carries backups.mail."]);
}

#[test]
fn all_problems_are_told_at_once_with_their_places() {
    let text = "[drives.t7]\npoool = \"backup\"\npool-guid = 1\n[backups.home]\nsource = \"rpool/home@x\"\n";
    assert_eq!(
        problems(text),
        [
            "1:9 drives.t7.pool: is missing",
            "2:1 drives.t7.poool: there is no such key",
            "3:13 drives.t7.pool-guid: expected a text in quotes, found integer",
            "4:10 backups.home.target: is missing",
            "4:10 backups.home.prune: is missing",
            "5:10 backups.home.source: dataset name \"rpool/home@x\": the character '@' is not allowed",
        ]
    );
}

#[test]
fn the_address_of_a_monitor_is_shown_nowhere_and_found_where_the_rest_is_wrong() {
    let with = |ping: &str| {
        format!("{MINIMAL}[drives.t7.alerts]\nping = \"{ping}\"\non-failure = [\"tell-me\", \"x y\"]\n")
    };
    let text = with("https://hc-ping.com/5c7b-secret");
    let (file, settings) = checked(&text, Path::new("config.toml"), "laptop").unwrap();
    let shown = show::show(&file, &text);
    let all = format!("{file:?} {settings:?} {shown} {}", serde_json::to_string(&shown).unwrap());
    assert!(!all.contains("5c7b"), "{all}");
    assert!(shown.to_string().contains("# ping: written here, and not shown"), "{shown}");
    assert_eq!(settings.drives[0].alerts.on_failure, ["tell-me", "x y"]);
    let text = with("file:/etc/zferry/ping");
    let shown = show::show(&checked(&text, Path::new("config.toml"), "laptop").unwrap().0, &text).to_string();
    assert!(shown.contains("[drives.t7.alerts]\nping = \"file:/etc/zferry/ping\""), "{shown}");

    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("config.toml");
    for (text, found) in [
        (text.replace("mirror", "sometimes"), true),
        (text.replace("source", "sauce"), true),
        (text.replace("pool-guid = \"1\"", "pool-guid = \"2\""), false),
        (text.replace("[backups", "[[backups"), false),
    ] {
        std::fs::write(&path, &text).unwrap();
        assert!(load(&path, "laptop").is_err() || !found);
        match despite_problems(&path, &Appeared::Pool(Guid(1))) {
            Despite::Drive { name, alerts, .. } => {
                assert!(found && name.as_str() == "t7" && alerts.unwrap().ping.is_some(), "{text}");
            }
            _ => assert!(!found, "{text}"),
        }
    }
    assert_eq!(despite_problems(&path, &Appeared::Pool(Guid(1))), Despite::Unknown, "it is not TOML");
    for (text, known) in [
        (text.replace("mirror", "sometimes"), Despite::Nobodys),
        // Whichever pool that one meant.
        (text.replace("pool-guid = \"1\"", "pool-guid = \"one\""), Despite::Unknown),
        (text.replace("pool-guid = \"1\"", ""), Despite::Unknown),
    ] {
        std::fs::write(&path, &text).unwrap();
        assert_eq!(despite_problems(&path, &Appeared::Pool(Guid(9))), known, "{text}");
    }
    let uuid = "2f3b5a3e-0000-4c1d-9abc-0123456789ab";
    let container = Appeared::Container(uuid.parse().unwrap());
    let wrong = text.replace("mirror", "sometimes");
    for (luks, name) in [("", None), (uuid, Some("t7")), ("2f3b", None)] {
        let written = wrong.replace("pool-guid", &format!("luks = \"{luks}\"\npool-guid"));
        std::fs::write(&path, if luks.is_empty() { &wrong } else { &written }).unwrap();
        match despite_problems(&path, &container) {
            Despite::Drive { name: told, guid, .. } => {
                assert!(name == Some(told.as_str()) && guid == Guid(1))
            }
            // A container whose identity cannot be read may be this one.
            told => {
                assert!(name.is_none() && (told == Despite::Unknown) != luks.is_empty(), "{luks} {told:?}")
            }
        }
    }
}

#[test]
fn every_key_of_a_later_version_is_refused() {
    for (section, keys) in [("[backups.home]", keys::BACKUP), ("[drives.t7]", keys::DRIVE)] {
        for key in keys.iter().filter(|key| key.absent == keys::Absent::NotYet) {
            let text = MINIMAL.replace(section, &format!("{section}\n{} = \"1d\"", key.name));
            let told = problems(&text);
            assert!(told.len() == 1 && told[0].contains("is not available yet"), "{}: {told:?}", key.name);
        }
    }
}

#[test]
fn a_key_file_needs_a_container_that_it_opens_and_an_absolute_path() {
    let with = |lines: &str| MINIMAL.replace("pool-guid", &format!("{lines}\npool-guid"));
    let uuid = "luks = \"2f3b5a3e-0000-4c1d-9abc-0123456789ab\"";
    let drive = parsed(&with(&format!("{uuid}\nluks-key-file = \"/etc/k\""))).drives.remove(0);
    let luks = drive.luks.unwrap();
    assert_eq!((luks.uuid.as_str().len(), luks.key_file), (36, Some("/etc/k".into())));
    for (lines, told) in [
        ("luks-key-file = \"/etc/k\"", "has no effect without `luks`"),
        (&format!("{uuid}\nluks-key-file = \"k\""), "is no absolute path"),
        ("luks = \"sda1\"", "is not the UUID of a LUKS container"),
    ] {
        let found = problems(&with(lines));
        assert!(found.len() == 1 && found[0].contains(told), "{lines}: {found:?}");
    }
}
