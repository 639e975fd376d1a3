//! The wiring against real processes: a shell under the name of a tool.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Cancel, Exit, Invocation, PipeOutput, RunError, Runner, System, Tool, Watch};

const MINUTE: Duration = Duration::from_secs(60);

/// A host whose `zfs` and `zpool` are the shell: `-c SCRIPT` does anything. Links, because a program file that was
/// just written cannot be run while another thread's child still has it open.
fn shells() -> (System, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    for name in ["zfs", "zpool"] {
        symlink("/bin/sh", directory.path().join(name)).unwrap();
    }
    (System::with_directories(vec![directory.path().to_owned()]), directory)
}

fn script(text: &str) -> Invocation {
    Invocation::new(Tool::Zfs, ["-c", text], MINUTE)
}

fn pipe(send: &str, receive: &str) -> Result<PipeOutput, RunError> {
    let (host, _directory) = shells();
    host.pipe(&script(send), &script(receive), &mut |_| Watch::Continue, &Cancel::new())
}

fn seconds(since: Instant) -> u64 {
    since.elapsed().as_secs()
}

#[test]
fn a_command_gives_its_output_its_exit_and_its_complaint() {
    let (host, _directory) = shells();
    for (text, exit, stdout, stderr) in [
        ("printf 'a\\tb\\n'", Exit::Code(0), &b"a\tb\n"[..], ""),
        ("echo no >&2; exit 2", Exit::Code(2), b"", "no"),
        ("printf '\\377\\000x'", Exit::Code(0), b"\xff\0x", ""),
        ("printf '\\033[2J' >&2", Exit::Code(0), b"", "\u{fffd}[2J"),
        ("kill -9 $$", Exit::Signal(9), b"", ""),
        ("cat", Exit::Code(0), b"", ""),
    ] {
        let output = host.run(&script(text), &Cancel::new()).unwrap();
        assert_eq!((output.exit, &output.stdout[..], &output.stderr[..]), (exit, stdout, stderr), "{text}");
    }
}

#[test]
fn a_command_has_a_clean_environment_its_own_group_and_the_root_directory() {
    let (host, _directory) = shells();
    let output = host.run(&script("env; pwd"), &Cancel::new()).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<_> =
        text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.retain(|name| !["_", "OLDPWD", "PWD", "SHLVL"].contains(name));
    assert_eq!(names, ["HOME", "LC_ALL", "PATH", "TZ"]);
    assert!(text.lines().any(|line| line == "/"), "{text}");
    let group = host.run(&script("read -r line < /proc/self/stat; set -- $line; echo $1 $5"), &Cancel::new());
    let group = String::from_utf8(group.unwrap().stdout).unwrap();
    let (own, group) = group.trim().split_once(' ').unwrap();
    assert_eq!(own, group);
}

#[test]
fn more_output_than_a_pipe_holds_arrives_complete_while_input_is_fed() {
    let (host, _directory) = shells();
    let mut command = script("cat; echo done >&2");
    command.stdin = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let output = host.run(&command, &Cancel::new()).unwrap();
    assert!(output.stdout == command.stdin, "{} bytes", output.stdout.len());
    assert_eq!(output.stderr, "done");
}

#[test]
fn a_command_that_does_not_read_its_input_is_no_error() {
    let (host, _directory) = shells();
    let mut command = script("exec <&-; echo deaf");
    command.stdin = vec![0; 1_000_000];
    assert_eq!(host.run(&command, &Cancel::new()).unwrap().stdout, b"deaf\n");
}

#[test]
fn a_command_that_takes_too_long_is_killed_even_if_it_ignores_being_asked() {
    let (host, _directory) = shells();
    for text in ["sleep 50", "trap '' TERM INT HUP; sleep 50; sleep 50", "while :; do echo flood; done"] {
        let start = Instant::now();
        let mut command = script(text);
        command.deadline = Duration::from_millis(300);
        let error = host.run(&command, &Cancel::new()).unwrap_err();
        assert!(matches!(error, RunError::Deadline { .. }), "{error:?}");
        assert!(error.to_string().starts_with("`zfs -c '"), "{error}");
        assert!(seconds(start) < 3, "{text}");
    }
}

#[test]
fn a_grandchild_that_keeps_the_output_open_does_not_keep_us() {
    let (host, _directory) = shells();
    let start = Instant::now();
    let output = host.run(&script("sleep 7 & echo first"), &Cancel::new()).unwrap();
    assert_eq!(output.stdout, b"first\n");
    assert!(seconds(start) < 4);
}

#[test]
fn a_command_goes_on_when_we_are_asked_to_finish() {
    let (host, _directory) = shells();
    let cancel = Cancel::new();
    cancel.request(2);
    assert_eq!(host.run(&script("sleep 0.3; echo exported"), &cancel).unwrap().stdout, b"exported\n");
    cancel.request(2);
    assert_eq!(host.run(&script("sleep 0.3; echo exported"), &cancel).unwrap().stdout, b"exported\n");
}

#[test]
fn a_tool_that_is_not_installed_is_named_with_the_places() {
    let (host, directory) = shells();
    let command = Invocation::new(Tool::Udevadm, ["settle"], MINUTE);
    let error = host.run(&command, &Cancel::new()).unwrap_err().to_string();
    assert_eq!(error, format!("`udevadm` was not found in {}", directory.path().display()));
}

#[test]
fn sixty_four_mebibytes_pass_unchanged_and_counted() {
    let (host, directory) = shells();
    let send = "head -c 67108864 /dev/urandom | tee \"$0\"";
    let (copy, received) = (directory.path().join("sent"), directory.path().join("received"));
    let send = Invocation::new(Tool::Zfs, ["-c", send, copy.to_str().unwrap()], MINUTE);
    let receive = Invocation::new(Tool::Zfs, ["-c", "cat > \"$0\"", received.to_str().unwrap()], MINUTE);
    let mut seen = Vec::new();
    let mut watch = |bytes| {
        seen.push(bytes);
        Watch::Continue
    };
    let output = host.pipe(&send, &receive, &mut watch, &Cancel::new()).unwrap();
    assert!(output.send.is_success() && output.receive.is_success(), "{output:?}");
    assert_eq!(output.bytes, 64 << 20);
    assert!(seen.is_sorted());
    let same = std::fs::read(copy).unwrap() == std::fs::read(received).unwrap();
    assert!(same);
}

#[test]
fn a_receiver_that_fails_early_ends_the_sender_by_its_broken_pipe() {
    for send in ["cat /dev/zero", "while sleep 0.1; do echo tick || exit 1; done"] {
        let start = Instant::now();
        let output = pipe(send, "echo full >&2; exit 1").unwrap();
        assert_eq!(output.receive, Exit::Code(1));
        assert_eq!(output.receive_stderr, "full");
        assert!(!output.send.is_success(), "{output:?}");
        assert!(seconds(start) < 5, "{send}");
    }
}

#[test]
fn a_sender_that_fails_is_told_and_the_receiver_ends_by_itself() {
    let output = pipe("printf part; echo broken >&2; exit 3", "cat >&2; sleep 0.3; exit 4").unwrap();
    assert_eq!((output.send, output.receive), (Exit::Code(3), Exit::Code(4)));
    assert_eq!((&output.send_stderr[..], &output.receive_stderr[..]), ("broken", "part"));
    assert_eq!(output.bytes, 4);
}

#[test]
fn the_watch_is_asked_while_nothing_moves_and_its_stop_kills_both() {
    let (host, _directory) = shells();
    for (send, receive) in [("sleep 50", "cat"), ("printf x", "trap '' TERM; cat; sleep 50; sleep 50")] {
        let start = Instant::now();
        let mut calls = 0;
        let mut watch = |_| {
            calls += 1;
            if start.elapsed() < Duration::from_secs(1) {
                Watch::Continue
            } else {
                Watch::Stop("gone".into())
            }
        };
        let error = host.pipe(&script(send), &script(receive), &mut watch, &Cancel::new()).unwrap_err();
        assert!(matches!(&error, RunError::Stalled { why, .. } if why == "gone"), "{error:?}");
        assert!(error.to_string().contains(" | zfs -c "), "{error}");
        assert!(calls >= 4, "{calls}");
        assert!(seconds(start) < 4);
    }
}

#[test]
fn cancelling_lets_the_receiver_keep_what_it_has() {
    let (host, directory) = shells();
    let kept = directory.path().join("kept");
    let receive = Invocation::new(
        Tool::Zfs,
        [
            "-c",
            "head -c 3 > /dev/null; cat > /dev/null; sleep 0.5; echo kept > \"$0\"",
            kept.to_str().unwrap(),
        ],
        MINUTE,
    );
    let cancel = Cancel::new();
    let start = Instant::now();
    let mut watch = |bytes| {
        if bytes > 3 && !cancel.is_requested() {
            cancel.request(2);
        }
        Watch::Continue
    };
    let send = script("trap '' TERM; cat /dev/zero");
    let error = host.pipe(&send, &receive, &mut watch, &cancel).unwrap_err();
    assert!(matches!(error, RunError::Cancelled), "{error:?}");
    assert!(kept.exists());
    assert!(seconds(start) < 8);
}

#[test]
fn cancelling_at_once_does_not_wait_for_the_receiver() {
    let (host, _directory) = shells();
    let cancel = Cancel::new();
    cancel.request(15);
    cancel.request(15);
    let start = Instant::now();
    let outcome = host.pipe(
        &script("cat /dev/zero"),
        &script("trap '' TERM; cat; sleep 50"),
        &mut |_| Watch::Continue,
        &cancel,
    );
    assert!(matches!(outcome, Err(RunError::Cancelled)), "{outcome:?}");
    assert!(seconds(start) < 3);
}

#[test]
fn a_stream_that_was_sent_before_the_interruption_may_still_succeed() {
    let (host, _directory) = shells();
    let cancel = Cancel::new();
    let start = Instant::now();
    let mut watch = |_| {
        if start.elapsed() > Duration::from_millis(400) && !cancel.is_requested() {
            cancel.request(2);
        }
        Watch::Continue
    };
    let outcome = host.pipe(&script("printf all"), &script("cat; sleep 1.5"), &mut watch, &cancel).unwrap();
    assert!(outcome.receive.is_success());
}

#[test]
fn nothing_is_waited_for_when_the_drive_is_gone() {
    let (host, _directory) = shells();
    let begin = Instant::now();
    let gone_after = move |time: Duration| {
        Cancel::new().watching(move || (begin.elapsed() > time).then(|| "the disk was removed".to_owned()))
    };
    let cancel = gone_after(Duration::from_millis(300));
    let lost =
        |error: &RunError| matches!(error, RunError::Lost { why, .. } if why == "the disk was removed");
    let command = host.run(&script("sleep 60"), &cancel).unwrap_err();
    assert!(lost(&command), "{command}");
    let streams = host.pipe(&script("yes"), &script("sleep 60"), &mut |_| Watch::Continue, &cancel);
    assert!(lost(streams.as_ref().unwrap_err()), "{streams:?}");
    assert!(seconds(begin) < 10);
    // What has to go on then is not watched.
    assert!(host.run(&script("true"), &cancel.unwatched()).is_ok());
}
