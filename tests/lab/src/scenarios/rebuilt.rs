//! The way back: what was lost is made again of what the drive has.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Scenario;
use crate::command::{Background, Command};
use crate::drive::Drive;
use crate::lab::{Lab, PASSPHRASE};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core(
            "what was lost is restored from the drive, and the next run goes on from there",
            restored,
        ),
        Scenario::full(
            "one snapshot comes back beside what is in use, and what is decrypted takes the key of its new place",
            one_and_decrypted,
        ),
        Scenario::full(
            "runs go on from what was restored of a copy with large blocks, or it is told why not",
            large_blocks,
        )
        .also_on_the_oldest(),
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
pub(super) fn use_it(lab: &mut Lab, said: &str) -> Result<()> {
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
    arrives(lab, "rpool/nixos/home/anna")?;
    Ok(run)
}

/// Waits for a part of this dataset.
fn arrives(lab: &mut Lab, dataset: &str) -> Result<()> {
    let test = format!("test $(zfs list -Hp -o used {dataset} || echo 0) -gt 8000000");
    lab.wait_until("a part of it arrived", Duration::from_secs(120), &test)
}

const FIRST: &str = "autosnap_2026-01-01_00:00:00_daily";

/// What is in the files of this snapshot of a dataset whose key is loaded.
fn files_of(lab: &mut Lab, snapshot: &str) -> Result<String> {
    let line = format!(
        "set -e; mkdir -p /run/lab/look; mount -t zfs {snapshot} /run/lab/look; cd /run/lab/look; \
         find . -type f -exec sha256sum {{}} + | sort; cd /; umount /run/lab/look"
    );
    let seen = lab.run(&line)?.exits(0)?.stdout();
    ensure!(seen.contains("letter"), "{snapshot} has no files\n{seen}");
    Ok(seen)
}

/// Names and guids of snapshots, without the dataset.
fn guids_below(lab: &mut Lab, top: &str) -> Result<String> {
    let line = format!("zfs list -Hp -r -t snapshot -o name,guid {top} | sed 's,^{top},,'");
    Ok(lab.run(&line)?.exits(0)?.stdout())
}

fn one_and_decrypted(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    super::session::much(lab)?;
    lab.run("zferry run t7")?.exits(0)?.last_word(SAFE)?;
    lab.plug(&t7)?;
    let disk = t7.sha256()?;
    let in_use = "zfs list -Hp -r -t all -o name,guid,written,mounted rpool/nixos/home";
    let before = lab.run(in_use)?.exits(0)?.stdout();
    one(lab)?;
    decrypted(lab, &t7)?;
    lab.not_imported("backup")?;
    ensure!(t7.sha256()? == disk, "the drive was written to");
    ensure!(lab.run(in_use)?.exits(0)?.stdout() == before, "what is in use was changed");
    lab.run("zferry run t7")?.exits(0)?.says("Nothing to send")?.last_word(SAFE)?;
    Ok(())
}

fn one(lab: &mut Lab) -> Result<()> {
    let restore = format!("zferry restore t7 home --into rpool/old --from {FIRST}");
    lab.run("zferry restore t7 home --into rpool/old --from never")?
        .exits(1)?
        .says("“never” is no snapshot of backup/eds")?
        .says("Safe to unplug t7")?;
    lab.run(&restore)?
        .exits(0)?
        .says("Restored backup/eds into rpool/old: 2 datasets, 2 snapshots")?
        .says("It has no history before and after that")?
        .last_word("Safe to unplug t7")?;
    let line = format!(
        "zfs list -Hp -r -t snapshot -o guid rpool/old; echo; zfs get -Hp -o value guid rpool/nixos/home@{FIRST} rpool/nixos/home/anna@{FIRST}"
    );
    let guids = lab.run(&line)?.exits(0)?.stdout();
    let (old, new) = guids.split_once("\n\n").unwrap_or_default();
    ensure!(!old.is_empty() && old.trim() == new.trim(), "not that snapshot alone\n{guids}");
    lab.run(
        "for d in rpool/old rpool/old/anna; do zfs load-key -L file:///etc/zfs/lab.key $d || exit; done",
    )?
    .exits(0)?;
    let expected = files_of(lab, &format!("rpool/nixos/home/anna@{FIRST}"))?;
    ensure!(files_of(lab, &format!("rpool/old/anna@{FIRST}"))? == expected, "its files are others");
    // The same again has nothing to do, and the whole history has no place there.
    lab.run(&restore)?.exits(0)?.says("2 datasets, 0 snapshots")?;
    lab.run("zferry restore t7 home --into rpool/old")?.exits(1)?.says("rpool/old exists already")?;
    Ok(())
}

fn decrypted(lab: &mut Lab, t7: &Drive) -> Result<()> {
    lab.run(
        "set -e; echo a passphrase of its own > /run/lab/vault; zfs create -o encryption=off -o mountpoint=none rpool/open; \
         zfs create -o encryption=on -o keyformat=passphrase -o pbkdf2iters=100000 -o mountpoint=none -o keylocation=file:///run/lab/vault rpool/vault; \
         zfs unload-key rpool/vault",
    )?
    .exits(0)?;
    let restore =
        |into: &str, more: &str| format!("zferry -v restore t7 home --decrypted --into {into} {more}");
    super::files::typed(lab, &restore("rpool/vault/home", ""))?
        .exits(1)?
        .says("encrypted with its key, which is not loaded")?
        .says("zfs load-key rpool/vault")?;
    super::files::typed(lab, &restore("rpool/open/home", ""))?
        .exits(1)?
        .says("rpool/open/home would not be encrypted")?
        .says("--allow-plaintext")?;
    let wrong = Command::shell(&restore("rpool/plain", "")).stdin("wrong one\nwrong two\nwrong three\n");
    lab.execute(wrong)?.exits(1)?.says("the passphrase was wrong 3 times")?.says("Safe to unplug t7")?;
    lab.run("! zfs list rpool/plain rpool/open/home rpool/vault/home 2>/dev/null")?.exits(0)?;
    // Killed in the middle; the same command goes on.
    lab.plug_slow(t7)?;
    let slow = Command::shell(&restore("rpool/plain", "")).stdin(format!("{PASSPHRASE}\n"));
    let mut run = lab.start_command(slow.within(Duration::from_secs(300)))?;
    lab.until_says(&mut run, "zfs receive -s -u -o readonly=on -o canmount=noauto -o org.zferry:source")?;
    arrives(lab, "rpool/plain/anna")?;
    lab.signal(&run, rustix::process::Signal::KILL)?;
    lab.finish(run)?;
    let last = super::files::typed(lab, &restore("rpool/plain", ""))?;
    last.exits(0)?.says("zfs send -t")?.says("It is encrypted with the key of rpool now.")?;
    ensure!(!last.stderr().contains(PASSPHRASE), "the passphrase is shown");
    let one_line = format!("--from {FIRST} --allow-plaintext");
    super::files::typed(lab, &restore("rpool/open/home", &one_line))?
        .exits(0)?
        .says("It is not encrypted.")?;
    lab.run("zfs get -Hp -o value encryptionroot rpool/open/home rpool/open/home/anna rpool/plain rpool/plain/anna")?
        .prints("-\n-\nrpool\nrpool")?;
    ensure!(guids_below(lab, "rpool/plain")? == guids_below(lab, "rpool/nixos/home")?, "other snapshots");
    for snapshot in [FIRST, "much"] {
        let expected = files_of(lab, &format!("rpool/nixos/home/anna@{snapshot}"))?;
        ensure!(files_of(lab, &format!("rpool/plain/anna@{snapshot}"))? == expected, "{snapshot} differs");
    }
    let expected = files_of(lab, &format!("rpool/nixos/home/anna@{FIRST}"))?;
    ensure!(files_of(lab, &format!("rpool/open/home/anna@{FIRST}"))? == expected, "its files are others");
    Ok(())
}

/// The drive's copy had large blocks once, and what comes back has none.
fn large_blocks(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.run("set -e; zfs set recordsize=1M rpool/nixos/home/anna; head -c 4M /dev/urandom > /home/anna/film; zpool sync rpool")?
        .exits(0)?;
    lab.snapshot("rpool/nixos/home", "large")?;
    lab.run("zferry run t7")?.exits(0)?.last_word(SAFE)?;
    lab.run(
        "set -e; rm /home/anna/film; zfs set recordsize=128K rpool/nixos/home/anna; zpool sync rpool; zfs snapshot -r rpool/nixos/home@small; \
         for s in $(zfs list -H -o name -t snapshot -r rpool/nixos/home | grep -v @small); do zfs destroy $s; done",
    )?
    .exits(0)?;
    for _ in 0..2 {
        lab.plug(&t7)?;
        lab.run("zferry run t7")?.exits(0)?.last_word(SAFE)?;
    }
    lose_everything(lab, &t7)?;
    lab.look_into(guid)?;
    let there = lab.run("zpool get -Hp -o value feature@large_blocks backup; zpool export backup")?;
    let there = there.exits(0)?.stdout();
    lab.run("zpool sync rpool; zpool wait -t free rpool; zpool get -Hp -o value feature@large_blocks rpool")?
        .prints("enabled")?;
    let restore = lab.run(RESTORE)?;
    restore.exits(0)?.says("2 datasets, 2 snapshots")?;
    use_it(lab, &restore.stderr())?;
    let state = lab.run("zpool get -Hp -o value feature@large_blocks rpool")?.exits(0)?.stdout();
    let warned = restore.says("backup has large_blocks active and rpool has it enabled").is_ok();
    lab.remark(&format!("large_blocks is {} on the drive and {} here", there.trim(), state.trim()));
    let in_danger = there.trim() == "active" && state.trim() == "enabled";
    ensure!(warned == in_danger, "{there} {state}\n{}", restore.stderr());
    lab.run("touch $(zfs get -H -o value mountpoint rpool/nixos/home/anna)/new && zpool sync rpool")?
        .exits(0)?;
    lab.snapshot("rpool/nixos/home", "after")?;
    let run = lab.run("zferry run t7")?;
    if run.exits(0).is_ok() {
        run.last_word(SAFE)?;
        lab.remark("ZFS goes on");
    } else {
        ensure!(warned, "it was not foreseen\n{}", run.stderr());
        run.exits(1)?.says("blocks above 128 KiB and the source never had")?.last_word(SAFE)?;
        lab.remark("ZFS refuses, as was foretold");
    }
    Ok(())
}
