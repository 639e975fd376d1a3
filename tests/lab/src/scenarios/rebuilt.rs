//! The way back: what was lost is made again of what the drive has.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Scenario;
use crate::command::{Background, Command};
use crate::drive::Drive;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core(
            "what was lost is restored from the drive, and the next run goes on from there",
            restored,
        ),
        Scenario::full("a restore that is killed or pulled out is finished by the same command", interrupted),
    ]
}

const RESTORE: &str = "zferry -v restore t7 home --into rpool/nixos/home";
const SAFE: &str = "Safe to unplug t7 (exported and powered off)";

/// Guid and IV set of each snapshot, and what is in the files of each.
fn seen(lab: &mut Lab) -> Result<String> {
    let seen = lab.run(
        "set -e; zfs list -Hp -r -t snapshot -o name,guid,ivsetguid rpool/nixos/home; mkdir -p /run/lab/sums; \
         for s in $(zfs list -H -o name -t snapshot -r rpool/nixos/home); do echo \"= $s\"; \
         mount -t zfs $s /run/lab/sums; (cd /run/lab/sums; find . -type f -exec sha256sum {} + | sort); umount /run/lab/sums; done",
    )?;
    let text = seen.exits(0)?.stdout();
    ensure!(text.contains("film"), "there are no files to compare\n{text}");
    Ok(text)
}

/// The laptop's datasets are gone, the drive is plugged in.
fn lose_everything(lab: &mut Lab, t7: &Drive) -> Result<()> {
    lab.run("zfs destroy -r rpool/nixos/home && ! zfs list rpool/nixos/home 2>/dev/null")?.exits(0)?;
    lab.plug(t7)
}

/// The commands that were printed, and the key that a person would type.
fn use_it(lab: &mut Lab, said: &str) -> Result<()> {
    let printed: Vec<&str> = said.lines().map(str::trim).filter(|line| line.starts_with("zfs ")).collect();
    ensure!(printed.len() == 4, "the commands to use it are not printed\n{said}");
    for command in printed {
        // A person types the passphrase for each of them.
        let typed = match command.strip_prefix("zfs load-key -r ") {
            Some(top) => format!(
                "for d in $(zfs list -H -o name -r {top}); do zfs load-key -L file:///etc/zfs/lab.key $d || exit; done"
            ),
            None => command.to_owned(),
        };
        lab.run(&typed)?.exits(0)?;
    }
    Ok(())
}

fn restored(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    lab.run("zfs set compression=gzip quota=1G com.sun:auto-snapshot=true rpool/nixos/home/anna")?
        .exits(0)?;
    lab.run("head -c 5M /dev/urandom > /home/anna/film && zpool sync rpool")?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "last")?;
    let before = seen(lab)?;
    lab.run("zferry run t7")?.exits(0)?.last_word(SAFE)?;
    lab.plug(&t7)?;
    // There is nothing that it may be restored over.
    lab.run(RESTORE)?.exits(1)?.says("rpool/nixos/home exists already")?.says("zfs rename")?;
    lab.run("zferry restore t7 home --into tank/home")?.exits(1)?.says("no pool called tank is imported")?;
    lab.run("zferry restore t7 home --into backup/again")?.exits(2)?.says("is on the drive itself")?;
    lab.run("zferry restore t7 hime --into rpool/again")?.exits(2)?.says("home")?;
    lab.not_imported("backup")?;
    lose_everything(lab, &t7)?;
    let disk = t7.sha256()?;

    let restore = lab.run(RESTORE)?;
    restore.exits(0)?.says("Restored backup/eds into rpool/nixos/home")?.last_word("Safe to unplug t7")?;
    ensure!(t7.sha256()? == disk, "the drive was written to");
    use_it(lab, &restore.stderr())?;
    ensure!(seen(lab)? == before, "what was restored is not what was lost\n{before}\n{}", seen(lab)?);
    lab.run("zfs get -Hp -o value readonly,mounted,mountpoint,com.sun:auto-snapshot rpool/nixos/home/anna")?
        .prints("off\nyes\n/home/anna\ntrue")?;
    lab.run("zfs get -Hp -o value,source compression,quota rpool/nixos/home/anna")?
        .prints("gzip\tlocal\n1073741824\tlocal")?;

    lab.run("zferry run t7")?.exits(0)?.says("Nothing to send")?.last_word(SAFE)?;
    lab.run("touch $(zfs get -H -o value mountpoint rpool/nixos/home/anna)/new && zpool sync rpool")?
        .exits(0)?;
    lab.snapshot("rpool/nixos/home", "after")?;
    lab.run("zfs destroy rpool/nixos/home/anna@last")?.exits(0)?;
    lab.plug(&t7)?;
    let next = lab.run("zferry -v run t7")?;
    next.exits(0)?
        .says("zfs send -w -i")?
        .says("Pruned 1 snapshot of “backup/eds/anna”: last")?
        .last_word(SAFE)?;
    ensure!(!next.stderr().contains(" in full"), "it was sent anew\n{}", next.stderr());
    Ok(())
}

fn interrupted(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    super::session::much(lab)?;
    let before = seen(lab)?;
    lab.run("zferry run t7")?.exits(0)?;
    lose_everything(lab, &t7)?;
    lab.plug_slow(&t7)?;
    let run = restore_to_the_middle(lab)?;
    lab.signal(&run, rustix::process::Signal::KILL)?;
    lab.finish(run)?;
    lab.remark("Kill at send");
    let run = restore_to_the_middle(lab)?;
    super::unplugged::pull_in_mid_run(lab, &t7, &run)?;
    lab.finish(run)?.exits(1)?.last_word("t7 was unplugged while it was read")?;
    lab.remark("Pull at send");
    lab.plug(&t7)?;
    lab.run(RESTORE)?.exits(1)?.says("restart this computer, then type the same again")?;
    lab.cut()?;
    lab.unlock_source("rpool")?;
    lab.plug(&t7)?;
    let last = lab.run(RESTORE)?;
    last.exits(0)?.says("zfs send -t")?.says("Restored backup/eds into rpool/nixos/home")?;
    use_it(lab, &last.stderr())?;
    ensure!(seen(lab)? == before, "what was restored is not what was lost");
    lab.run("zferry run t7")?.exits(0)?.says("Nothing to send")?.last_word(SAFE)?;
    Ok(())
}

fn restore_to_the_middle(lab: &mut Lab) -> Result<Background> {
    let mut run = lab.start_command(Command::shell(RESTORE).within(Duration::from_secs(300)))?;
    lab.until_says(&mut run, "zfs receive -s -u rpool/nixos/home/anna")?;
    lab.wait_until(
        "a part of it arrived",
        Duration::from_secs(120),
        "test $(zfs list -Hp -o used rpool/nixos/home/anna || echo 0) -gt 8000000",
    )?;
    Ok(run)
}
