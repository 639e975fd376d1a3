//! What only looks changes nothing; and tools that answer nonsense are not believed.

use anyhow::{Result, ensure};

use super::Scenario;
use crate::drive::Drive;
use crate::drive::label::State;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("looking changes neither the drive nor the source", looking),
        Scenario::core("nothing is touched when the tools of ZFS answer nonsense", nonsense),
    ]
}

/// What is run, and what it says among other things.
const LOOKS: [(&str, &str); 8] = [
    ("zferry plan t7", "rpool/nixos/home/anna"),
    ("zferry status", "t7"),
    ("zferry replicate -n --recursive rpool/nixos/home backup/eds", "rpool/nixos/home/anna"),
    ("zferry run -n t7", "rpool/nixos/home/anna"),
    ("zferry --json plan t7", "\"plan\""),
    ("zferry config check", ""),
    ("zferry config show", "t7"),
    ("zferry --help", "run"),
];

/// Everything that may be known of the source.
const SOURCE: &str = "zpool sync; zfs get -Hp all -r -t all rpool; zpool get -Hp all rpool";

fn looking(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.run("zferry run t7")?.exits(0)?;
    lab.plug(&t7)?;
    lab.run("echo new >> /home/anna/letter; zpool sync rpool")?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "third")?;
    look_around(lab, &t7, &LOOKS)?;
    t7.is_exported()?;

    // The drive was pulled out while it was imported.
    lab.run(&format!(
        "set -e; zpool import -N -R /run/lab/mine -o cachefile=none -d /dev/disk/by-id {guid}; zpool sync backup"
    ))?
    .exits(0)?;
    let pulled = lab.copy_drive(&t7, "pulled")?;
    lab.run("zpool export backup")?.exits(0)?;
    lab.pull(&t7)?;
    lab.plug(&pulled)?;
    ensure!(pulled.label()?.state()? == State::Active, "the drive was exported");
    look_around(lab, &pulled, &LOOKS[..3])?;
    ensure!(pulled.label()?.state()? == State::Active, "looking has exported the drive");

    let run = lab.run("zferry run t7")?;
    run.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    pulled.is_exported()
}

fn look_around(lab: &mut Lab, drive: &Drive, looks: &[(&str, &str)]) -> Result<()> {
    let source = lab.run(SOURCE)?;
    source.exits(0)?;
    let before = drive.sha256()?;
    for (line, said) in looks {
        let looked = lab.run(line)?;
        looked.exits(0)?.says(said)?;
        if line.contains("t7") && !line.contains("json") {
            looked.says("Safe to unplug t7")?;
        }
        lab.not_imported("backup")?;
        ensure!(drive.sha256()? == before, "`{line}` has written to the drive");
    }
    let after = lab.run(SOURCE)?;
    ensure!(
        after.stdout() == source.stdout(),
        "the source changed:\n{}\n{}",
        source.stdout(),
        after.stdout()
    );
    Ok(())
}

/// What stands in for a tool.
const IMPOSTORS: [(&str, &str); 6] = [
    ("garbage", "echo 'lp0 on fire'"),
    ("bytes that are no text", "printf 'rpool\\t\\377\\376\\t1\\n'"),
    ("an empty answer", "true"),
    ("an answer that breaks off", "$real \"$@\" | head -c 20"),
    ("success with an error text", "$real \"$@\"; echo 'internal error: cannot open' >&2; exit 0"),
    ("a failure without words", "exit 3"),
];

fn nonsense(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    lab.run("zferry run t7")?.exits(0)?;
    lab.plug(&t7)?;
    lab.snapshot("rpool/nixos/home", "third")?;
    let source = lab.run(SOURCE)?;
    let before = t7.sha256()?;
    let touched = |lab: &mut Lab, what: &str| -> Result<()> {
        lab.not_imported("backup")?;
        ensure!(t7.sha256()? == before, "{what}: the drive was written to");
        Ok(())
    };
    for tool in ["zfs", "zpool"] {
        for (what, script) in IMPOSTORS {
            lab.in_place_of(tool, script)?;
            let run = lab.run("zferry run t7")?;
            lab.real_again(tool)?;
            let what = format!("{tool}: {what}");
            lab.note(&what);
            run.exits(69)?.says(&format!("`{tool} "))?.says_nothing_of("Safe to unplug")?;
            touched(lab, &what)?;
        }
        lab.run(&format!("path=$(command -v {tool}); echo $path > /run/lab/path; mv $path /run/lab/away"))?
            .exits(0)?;
        let missing = lab.run("zferry run t7")?;
        let status = lab.run("zferry status")?;
        lab.run("mv /run/lab/away $(cat /run/lab/path)")?.exits(0)?;
        missing.exits(69)?.says(&format!("`{tool}` was not found"))?;
        status.exits(69)?;
        touched(lab, &format!("{tool} is missing"))?;
    }
    let user = lab.run("setpriv --reuid=65534 --regid=65534 --clear-groups zferry run t7")?;
    user.exits(77)?.says("sudo zferry run t7")?;
    touched(lab, "a user who is not root")?;
    let after = lab.run(SOURCE)?;
    ensure!(
        after.stdout() == source.stdout(),
        "the source changed:\n{}\n{}",
        source.stdout(),
        after.stdout()
    );
    broken_off(lab, &t7)
}

/// A tool breaks while the drive is imported: nobody knows whether it was exported, and that is what is said.
fn broken_off(lab: &mut Lab, drive: &Drive) -> Result<()> {
    lab.in_place_of(
        "zpool",
        "test $1 = import && touch /run/lab/broken\n\
         test $1 = list && test -e /run/lab/broken && { echo nonsense; exit 0; }\nexec $real \"$@\"",
    )?;
    let run = lab.run("zferry run t7")?;
    lab.real_again("zpool")?;
    run.exits(69)?.says("`zpool list")?.says("Do NOT unplug t7")?.says_nothing_of("Safe to unplug")?;
    let eject = lab.run("zferry eject t7")?;
    eject.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(drive)?;
    drive.is_exported()
}
