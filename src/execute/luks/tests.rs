use std::sync::Mutex;

use super::*;
use crate::drive::Disk;
use crate::drive::imitation::Imitation;
use crate::event::Silence;
use crate::process::testing::Commands;
use crate::process::{Cancel, Output};

const UUID: &str = "2f3b5a3e-0000-4c1d-9abc-0123456789ab";

fn luks(key_file: Option<&str>) -> Luks {
    Luks { uuid: UUID.parse().unwrap(), key_file: key_file.map(Into::into) }
}

/// What is run on a host whose container opens with "right" or the file /good, and how it ends. A person types these.
fn with<T>(
    there: &Imitation,
    types: &[&str],
    act: impl FnOnce(&Host<'_>, &LuksDevice) -> T,
) -> (Vec<String>, T) {
    let (commands, typed) = (Mutex::new(Vec::new()), Mutex::new(types.iter()));
    let runner = Commands(|command: &Invocation| {
        let line = command.to_string();
        assert!(!line.contains("right"), "{line}");
        let right = command.stdin == b"right" || line.contains("/good");
        let exit = Exit::Code(if line.contains(" open ") && !right { 2 } else { 0 });
        commands.lock().unwrap().push(line);
        Ok(Output { exit, stdout: Vec::new(), stderr: String::new() })
    });
    let ask = |_: &str, _: bool| match typed.lock().unwrap().next() {
        Some(text) => Ok(Secret::new(text.as_bytes().to_vec())),
        None => Err(NotTyped::Ended),
    };
    let cancel = Cancel::new();
    let root = there.root();
    let host = Host { client: Client::new(&runner, &cancel), root: &root, sink: &Silence, ask: &ask };
    let disk: Disk = there.disk("sdb", 3, "usb1/1-4");
    let ended = act(&host, &LuksDevice { node: "/dev/sdb1".into(), disk });
    let commands = commands.lock().unwrap().clone();
    (commands, ended)
}

/// A mapping of the container; alive: on top of the drive that is there.
fn mapped(there: &Imitation, number: u8, name: &str, is_alive: bool) {
    let hex = UUID.replace('-', "");
    there.write(&format!("/sys/block/dm-{number}/dm/uuid"), &format!("CRYPT-LUKS2-{hex}-{name}\n"));
    there.write(&format!("/sys/block/dm-{number}/dm/name"), &format!("{name}\n"));
    if is_alive {
        there.write(&format!("/sys/class/block/sdb1/holders/dm-{number}"), "");
    }
}

#[test]
fn it_is_opened_with_what_is_typed_and_three_wrong_ones_end_it() {
    let open = |types: &[&str]| {
        with(&Imitation::new(), types, |host, device| super::open(host, "t7", &luks(None), device))
    };
    let (commands, opened) = open(&["wrong", "right"]);
    let line = format!("cryptsetup open --type luks --key-file - /dev/sdb1 zferry-{UUID}");
    assert!(opened.is_ok());
    assert_eq!(commands, [line.clone(), line]);
    let (commands, opened) = open(&["a", "b", "c", "right"]);
    assert_eq!(commands.len(), TRIES);
    assert!(matches!(opened, Err(LuksError::Wrong { .. })));
    let (_, opened) = open(&[]);
    assert!(matches!(opened, Err(LuksError::NotTyped { .. })));
}

#[test]
fn what_is_tried_opens_nothing() {
    let tried = |types: &[&str]| {
        with(&Imitation::new(), types, |host, device| try_passphrase(host, "t7", &luks(None), device))
    };
    let (commands, opens) = tried(&["wrong", "right"]);
    assert!(opens.unwrap());
    assert_eq!(commands[1], "cryptsetup open --test-passphrase --type luks --key-file - /dev/sdb1");
    let (commands, opens) = tried(&["a", "b", "c", "right"]);
    assert!(!opens.unwrap() && commands.len() == TRIES);
    assert!(matches!(tried(&[]).1, Err(LuksError::NotTyped { .. })));
}

#[test]
fn a_key_file_is_handed_on_by_name_and_nobody_is_asked() {
    for (file, opens) in [("/good", true), ("/bad", false)] {
        let (commands, opened) = with(&Imitation::new(), &["right"], |host, device| {
            super::open(host, "t7", &luks(Some(file)), device)
        });
        assert_eq!((commands.len(), opened.is_ok()), (1, opens), "{file}");
        assert!(commands[0].contains(&format!("--key-file {file} ")));
    }
}

#[test]
fn one_that_is_open_is_not_opened_again_and_what_a_pull_left_is_closed_before() {
    let there = Imitation::new();
    mapped(&there, 0, "luks-home", true);
    let (commands, opened) = with(&there, &[], |host, device| super::open(host, "t7", &luks(None), device));
    assert!(opened.is_ok() && commands.is_empty());
    let there = Imitation::new();
    mapped(&there, 0, &luks(None).uuid.mapping(), false);
    let (commands, opened) =
        with(&there, &["right"], |host, device| super::open(host, "t7", &luks(None), device));
    assert!(opened.is_ok());
    assert_eq!(commands[0], format!("cryptsetup close zferry-{UUID}"));
}

#[test]
fn a_new_passphrase_is_typed_twice_and_has_eight_characters() {
    let typed = |types: [&'static str; 2]| {
        let types = Mutex::new(types.into_iter());
        new_passphrase(&|_, _| Ok(Secret::new(types.lock().unwrap().next().unwrap().into())), "t7")
    };
    assert!(typed(["long enough", "long enough"]).is_ok());
    assert!(matches!(typed(["long enough", "long enouhg"]), Err(LuksError::Unfit(_))));
    assert!(matches!(typed(["short", "short"]), Err(LuksError::Unfit(_))));
}
