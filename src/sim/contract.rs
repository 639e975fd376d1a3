//! The rules of tests/contract/rules.txt, on the simulation. The lab tries the same on ZFS, which is right where they
//! differ.

use std::time::Duration;

use crate::process::{Invocation, Tool};

use super::state::State;
use super::{Cut, Host};

#[path = "../../tests/contract/cases.rs"]
mod cases;

use cases::{Case, Doing, Line, cases};

const RULES: &str = include_str!("../../tests/contract/rules.txt");

fn zfs(verb: Option<&str>, args: &[String]) -> Invocation {
    let args = verb.map(str::to_owned).into_iter().chain(args.iter().cloned());
    Invocation::new(Tool::Zfs, args, Duration::from_secs(60))
}

/// Two pools, and the datasets of the case with this number.
fn host(number: usize) -> Host {
    let mut state = State::default();
    state.add_pool("src", 1, None);
    state.add_pool("dst", 2, Some("/run/zferry/2"));
    let (encrypted, plain) = (format!("src/s{number}"), format!("src/p{number}"));
    state.add_dataset(&encrypted, Some(77));
    state.add_dataset(&plain, None);
    for name in ["one", "two", "three"] {
        state.take_snapshot(&encrypted, name, 64 << 10);
    }
    for name in ["one", "two"] {
        state.take_snapshot(&plain, name, 64 << 10);
    }
    Host::new(state)
}

/// What it prints, or what it complains of.
fn perform(host: &Host, doing: &Doing) -> Result<String, String> {
    let transfer = |send: &[String], receive: &[String], cut| {
        let output = host.transfer(&zfs(Some("send"), send), &zfs(Some("receive"), receive), cut);
        let failed = !output.send.is_success() || !output.receive.is_success();
        let complaint = format!("{} {}", output.send_stderr, output.receive_stderr);
        if failed { Err(complaint) } else { Ok(String::new()) }
    };
    match doing {
        Doing::Write(dataset, kib) => {
            host.change(|state| state.datasets.get_mut(dataset).unwrap().written += kib << 10);
            Ok(String::new())
        }
        Doing::Pipe(send, receive) => transfer(send, receive, Cut::Nowhere),
        Doing::Cut(send, receive) => {
            let outcome = transfer(send, receive, Cut::After { snapshots: 0, begun: true });
            assert!(outcome.is_err(), "it was to be cut off: {doing:?}");
            Ok(String::new())
        }
        Doing::Program(..) => Err("programs are not in the table yet".to_owned()),
        Doing::Zfs(args) => {
            let output = host.perform(&zfs(None, args));
            let text = String::from_utf8(output.stdout).unwrap().trim_end().to_owned();
            if output.exit.is_success() { Ok(text) } else { Err(output.stderr) }
        }
    }
}

/// What is wrong with a line, if anything.
fn problem(host: &Host, line: &Line) -> Option<String> {
    let folded = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line {
        Line::Does(doing) => perform(host, doing).err(),
        Line::Fails(words, doing) => match perform(host, doing) {
            Ok(_) => Some("it succeeded".to_owned()),
            Err(complaint) => (!folded(&complaint).contains(words)).then_some(complaint),
        },
        Line::Prints(text, doing) => match perform(host, doing) {
            Ok(printed) if printed == *text => None,
            other => Some(format!("{other:?}")),
        },
        Line::Same(one, other) | Line::Differ(one, other) => {
            let (one, other) = (perform(host, one), perform(host, other));
            let holds = one.is_ok() && other.is_ok() && (one == other) == matches!(line, Line::Same(..));
            (!holds).then(|| format!("{one:?} and {other:?}"))
        }
    }
}

fn broken(number: usize, case: &Case) -> Option<String> {
    let host = host(number);
    let wrong = case.lines.iter().find_map(|line| Some((line, problem(&host, line)?)));
    wrong.map(|(line, why)| format!("[{} {}] {line:?}: {why}", case.section, case.rule))
}

#[test]
fn the_simulation_keeps_every_rule_that_zferry_relies_on() {
    let all = cases(RULES);
    assert!(all.len() > 30, "{}", all.len());
    let broken: Vec<_> = all.iter().enumerate().filter_map(|(place, case)| broken(place + 1, case)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
