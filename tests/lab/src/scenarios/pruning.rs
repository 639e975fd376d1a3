//! The drive goes while ZFS destroys many snapshots on it, in one change that reads much.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Scenario;
use super::session::arrived;
use super::unplugged::{finished, give_way, plug_again, start};
use crate::command::Command;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![Scenario::full("a drive may be pulled out while many snapshots are pruned", many)]
}

/// So many, each with a little of its own.
const SNAPSHOTS: u32 = 120;

/// A change that has to read what the drive no longer answers keeps its pool locked, and with it the list of all pools.
fn many(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    lab.run("sed -i '/^prune = /a prune-limit = \"100%\"' /etc/zferry/config.toml")?.exits(0)?;
    let line = format!(
        "set -e; for i in $(seq {SNAPSHOTS}); do echo $i > /home/anna/$i; zfs snapshot rpool/nixos/home/anna@old$i; done"
    );
    lab.execute(Command::shell(&line).within(Duration::from_secs(240)))?.exits(0)?;
    lab.execute(Command::shell("zferry run t7").within(Duration::from_secs(400)))?.exits(0)?;
    lab.gone(&t7)?;
    lab.run(&format!("zfs destroy rpool/nixos/home/anna@old1%old{SNAPSHOTS}"))?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "after")?;
    lab.plug_slow(&t7)?;
    let mut run = start(lab)?;
    lab.until_says(&mut run, "Imported")?;
    give_way(lab, &run)?;
    lab.until_says(&mut run, "zfs program -j backup")?;
    lab.reads_slowly(&t7, 5)?;
    std::thread::sleep(Duration::from_secs(2));
    ensure!(lab.goes_on(&mut run)?, "the run was over before the drive was pulled out");
    lab.pull(&t7)?;
    lab.until_says(&mut run, "t7 is gone")?;
    for command in ["zpool list", "zfs list rpool", "zpool list rpool"] {
        let answer = lab.run(&format!(
            "{command} > /dev/null 2>&1 & sleep 5; if kill -0 $!; then echo hangs; else echo answers; fi 2> /dev/null"
        ))?;
        lab.remark(&format!("`{command}` {}", answer.stdout().trim()));
    }
    plug_again(lab, &t7)?;
    let run = lab.finish(run)?;
    finished(lab, &t7, &run)?;
    lab.remark("Pull at prune");
    arrived(lab, &t7)
}
