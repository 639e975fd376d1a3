//! What the simulation says, ZFS says too: each rule that zferry relies on, tried on two pools of a guest.

use anyhow::{Result, ensure};

use super::Scenario;
use crate::command::Output;
use crate::lab::Lab;

#[path = "../../../contract/cases.rs"]
mod cases;

use cases::{Case, Doing, Line, cases};

const RULES: &str = include_str!("../../../contract/rules.txt");

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full("the rules that the simulation keeps are those of ZFS", the_rules_are_those_of_zfs)
            .also_on_the_oldest(),
    ]
}

/// All of them; each that is another one here is told.
fn the_rules_are_those_of_zfs(lab: &mut Lab) -> Result<()> {
    lab.run(
        "set -e; echo long-enough > /var/tmp/key; truncate -s 256M /var/tmp/src.img /var/tmp/dst.img; \
         zpool create -O compression=off src /var/tmp/src.img; zpool create dst /var/tmp/dst.img",
    )?
    .exits(0)?;
    let mut broken = Vec::new();
    for (place, case) in cases(RULES).iter().enumerate() {
        if let Some(why) = broken_rule(lab, place + 1, case)? {
            lab.note(&why);
            broken.push(why);
        }
    }
    ensure!(broken.is_empty(), "ZFS does it in another way:\n{}", broken.join("\n"));
    Ok(())
}

fn broken_rule(lab: &mut Lab, number: usize, case: &Case) -> Result<Option<String>> {
    lab.note(&format!("[{} {}]", case.section, case.rule));
    lab.run(&format!(
        "set -e; zfs create -o encryption=on -o keyformat=passphrase -o keylocation=file:///var/tmp/key src/s{number}; \
         zfs create src/p{number}; \
         for n in one two three; do \
             head -c 64K /dev/urandom > /src/s{number}/$n; zfs snapshot src/s{number}@$n; \
         done; \
         for n in one two; do head -c 64K /dev/urandom > /src/p{number}/$n; zfs snapshot src/p{number}@$n; done"
    ))?
    .exits(0)?;
    for line in &case.lines {
        if let Some(why) = problem(lab, line)? {
            return Ok(Some(format!("[{} {}] {line:?}: {why}", case.section, case.rule)));
        }
    }
    Ok(None)
}

fn command(doing: &Doing) -> String {
    let both = |send: &[String], between: &str, receive: &[String]| {
        format!("set -o pipefail; zfs send {} {between} | zfs receive {}", quoted(send), quoted(receive))
    };
    match doing {
        Doing::Write(dataset, kib) => format!("head -c {kib}K /dev/urandom > /{dataset}/more && zpool sync"),
        Doing::Zfs(args) => format!("zfs {}", quoted(args)),
        Doing::Pipe(send, receive) => both(send, "", receive),
        // It has begun by then, and the last record is missing.
        Doing::Cut(send, receive) => format!("! ({})", both(send, "| head -c 48K", receive)),
        Doing::Program(script, _) => format!("echo no program is called {script}; false"),
    }
}

fn quoted(args: &[String]) -> String {
    args.iter().map(|arg| format!("'{arg}'")).collect::<Vec<_>>().join(" ")
}

fn perform(lab: &mut Lab, doing: &Doing) -> Result<Output> {
    lab.run(&command(doing))
}

/// What is wrong with a line, if anything.
fn problem(lab: &mut Lab, line: &Line) -> Result<Option<String>> {
    let folded = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(match line {
        Line::Does(doing) => {
            let output = perform(lab, doing)?;
            output.exits(0).is_err().then(|| output.stderr().to_string())
        }
        Line::Fails(words, doing) => {
            let output = perform(lab, doing)?;
            let as_said = output.exits(0).is_err() && folded(&output.stderr()).contains(words);
            (!as_said).then(|| format!("it complained: {}", folded(&output.stderr())))
        }
        Line::Prints(text, doing) => {
            let output = perform(lab, doing)?;
            let as_said = output.exits(0).is_ok() && output.stdout().trim_end() == text.as_str();
            (!as_said).then(|| format!("it printed {:?} {}", output.stdout(), output.stderr()))
        }
        Line::Same(one, other) | Line::Differ(one, other) => {
            let (one, other) = (perform(lab, one)?, perform(lab, other)?);
            let both = one.exits(0).is_ok() && other.exits(0).is_ok();
            let holds = both && (one.stdout() == other.stdout()) == matches!(line, Line::Same(..));
            (!holds).then(|| format!("{:?} and {:?}", one.stdout(), other.stdout()))
        }
    })
}
