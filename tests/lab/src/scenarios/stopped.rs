//! Whoever only looks at a drive may change their mind: Ctrl-C in the middle of a command leaves nothing behind.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use super::files::nothing_is_left;
use crate::command::Command;
use crate::drive::Drive;
use crate::lab::{Lab, PASSPHRASE};

pub fn scenarios() -> Vec<Scenario> {
    vec![Scenario::full("each command that looks at a drive may be stopped in its middle", each)]
}

/// What is typed. All but the last one only read.
const LOOKS: [&str; 9] = [
    "list t7",
    "plan t7",
    "open t7",
    "rehearse t7",
    "rescue-page t7",
    "doctor t7",
    "restore t7 home anna/letter --versions",
    "restore t7 home anna/letter --to /tmp/back",
    "verify t7 --drill",
];

/// The first question to the imported drive comes together with a Ctrl-C.
const STOPPED_ONCE: &str = r#"
if [ -e /proc/spl/kstat/zfs/backup ] && mkdir /run/lab/once 2> /dev/null; then pkill -INT -x zferry; sleep 0.3; fi
exec $real "$@"
"#;

fn each(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    lab.run("zferry run t7")?.exits(0)?;
    lab.plug(&t7)?;
    lab.run("mkdir /tmp/back")?.exits(0)?;
    lab.in_place_of("zfs", STOPPED_ONCE)?;
    for typed in LOOKS {
        // A rehearsal powers it off.
        lab.plug_if_away(&t7)?;
        stopped(lab, typed).with_context(|| format!("zferry {typed}"))?;
    }
    adopted_and_closed(lab, &t7)?;
    lab.real_again("zfs")?;
    lab.plug_if_away(&t7)?;
    lab.run("zferry run t7")?.exits(0)?.says("Safe to unplug t7 (exported and powered off)")?;
    Ok(())
}

/// What is stopped in the middle of an `adopt` is not in the configuration; what is being closed is closed all the same.
fn adopted_and_closed(lab: &mut Lab, t7: &Drive) -> Result<()> {
    lab.plug_if_away(t7)?;
    lab.run("mv /etc/zferry/config.toml /root/")?.exits(0)?;
    stopped(lab, "adopt t7 backup")?;
    lab.run("ls -A /etc/zferry")?.prints("")?;
    lab.run("mv /root/config.toml /etc/zferry/; mkdir -p /run/lab/once")?.exits(0)?;
    let open = Command::shell("zferry open t7").stdin(format!("{PASSPHRASE}\n"));
    lab.execute(open.within(Duration::from_secs(200)))?.exits(0)?;
    // It asks nothing of `zfs`.
    lab.in_place_of("zpool", STOPPED_ONCE)?;
    stopped(lab, "close t7")?;
    lab.real_again("zpool")
}

fn stopped(lab: &mut Lab, typed: &str) -> Result<()> {
    lab.run("rmdir /run/lab/once 2> /dev/null; ls /run/lab/once")?.exits(2)?;
    let command = Command::shell(&format!("zferry {typed}")).stdin(format!("{PASSPHRASE}\n"));
    let output = lab.execute(command.within(Duration::from_secs(200)))?;
    lab.run("ls -d /run/lab/once")?.exits(0).context("it was not stopped")?;
    output.exits(130)?;
    // doctor says nothing of the drive but what it found.
    if typed != "doctor t7" {
        output.says("Safe to unplug t7 (exported")?;
    }
    nothing_is_left(lab)?;
    let back = lab.run("ls -A /tmp/back")?.stdout();
    ensure!(back.is_empty(), "{back} was left");
    lab.nothing_is_held("rpool")
}
