//! A drive whose pool lies in a LUKS container: the second strategy, which relies on no raw send.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::session::much;
use super::unplugged::{others_answer, pull_in_mid_run};
use super::{Scenario, plugged, rescue};
use crate::command::{Command, Output};
use crate::drive::Drive;
use crate::lab::{Lab, PASSPHRASE};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("a drive in a LUKS container is made, backed up to, opened, and goes on", whole_life),
        Scenario::full(
            "a LUKS container that is closed, wrong, open before or pulled out is told truly",
            troubles,
        ),
        Scenario::full("a drive in a LUKS container needs no more than to be plugged in", plugged_in)
            .packaged(),
    ]
}

pub(super) const CONFIG: &str = "/etc/zferry/config.toml";
pub(super) const SAFE: &str = "Safe to unplug t7 (exported and powered off)";
/// Of the container. That of the source is another one.
pub(super) const OWN: &str = "hunter2 hunter2";
pub(super) const KEY_FILE: &str = "/etc/zferry/t7.key";
/// Lies in a file of the source, where nothing compresses it away.
const MARK: &str = "zferry-lab-is-readable-on-the-drive";

/// A line with this on its standard input, which may take as long as an emulated guest needs to derive a key.
pub(super) fn with_input(lab: &mut Lab, line: &str, typed: &str) -> Result<Output> {
    lab.execute(Command::shell(line).stdin(typed).within(Duration::from_secs(400)))
}

/// A drive as `init` makes it, and the configuration that it tells to write.
fn made(lab: &mut Lab, size: &str) -> Result<Drive> {
    lab.encrypted_source("rpool")?;
    lab.run(&format!("echo {MARK} > /home/anna/mark; zpool sync rpool"))?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "mark")?;
    let t7 = lab.drive("t7", size)?;
    lab.plug(&t7)?;
    let init = format!("zferry -v init t7 {} --luks --serial {}", t7.device(), t7.serial());
    with_input(lab, &init, &format!("{OWN}\n{OWN} \n"))?
        .exits(1)?
        .says("the two passphrases are not the same")?;
    with_input(lab, &init, &format!("{OWN}\n{OWN}\n"))?
        .exits(0)?
        .says("send = \"plain\"")?
        .says_nothing_of(OWN)?
        .last_word("zferry plan t7")?;
    nothing_is_open(lab)?;
    let text = String::from_utf8(lab.read(CONFIG)?)?;
    ensure!(text.contains("\nluks = \""), "the configuration lacks the container\n{text}");
    lab.write(
        CONFIG,
        format!(
            "{text}\n[drives.t7.override.home]\nsend = \"plain\"\nallow-plaintext = true\n\
             [backups.home]\nsource = \"rpool/nixos/home\"\ntarget = \"eds\"\nprune = \"mirror\"\n"
        ),
    )?;
    lab.run("zferry config check")?.exits(0)?;
    Ok(t7)
}

/// No pool of a drive is imported, and no container is open.
pub(super) fn nothing_is_open(lab: &mut Lab) -> Result<()> {
    lab.not_imported("t7")?;
    lab.run("ls /dev/mapper")?.prints("control").context("a container is open")?;
    Ok(())
}

/// Has the container opened by a key file as well.
pub(super) fn add_key_file(lab: &mut Lab, drive: &Drive) -> Result<()> {
    let line = format!(
        "set -e; (umask 077; head -c 64 /dev/urandom > {KEY_FILE}); \
         cryptsetup luksAddKey --key-file - --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {} {KEY_FILE}; \
         sed -i '/^luks = /a luks-key-file = \"{KEY_FILE}\"' {CONFIG}",
        drive.partition()
    );
    with_input(lab, &line, OWN)?.exits(0)?;
    Ok(())
}

fn whole_life(lab: &mut Lab) -> Result<()> {
    let t7 = made(lab, "512M")?;
    // A person types the passphrase.
    let run = Command::shell("zferry -v run t7").terminal(120, 40).within(Duration::from_secs(400));
    let mut run = lab.start_command(run)?;
    lab.until_says(&mut run, "Passphrase of the LUKS container of t7: ")?;
    lab.type_into(&run, &format!("{OWN}\n"))?;
    lab.finish(run)?.exits(0)?.says_nothing_of(OWN)?.last_word(SAFE)?;
    lab.gone(&t7)?;
    nothing_is_open(lab)?;
    ensure!(!t7.holds(MARK)?, "the drive can be read without its passphrase");

    // Without a person, by a file; and what is new goes on from what was there.
    lab.plug(&t7)?;
    add_key_file(lab, &t7)?;
    lab.run("echo new >> /home/anna/letter; zpool sync rpool")?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "new")?;
    let plan = lab.run("zferry plan t7 </dev/null")?;
    plan.exits(0)?.says("@new, the difference to @mark")?;
    nothing_is_open(lab)?;
    lab.run("zferry run t7 </dev/null")?.exits(0)?.last_word(SAFE)?;
    lab.gone(&t7)?;

    // Looked into: no passphrase but the container's is needed.
    lab.plug(&t7)?;
    lab.run("zferry open t7 </dev/null")?.exits(0)?.says("/run/zferry/open/t7")?;
    same_guids(lab)?;
    lab.run(
        "cmp $(find /run/zferry/open/t7 -name letter -not -path '*/.zfs/*' | head -1) /home/anna/letter",
    )?
    .exits(0)?;
    lab.run("zferry close t7 </dev/null")?.exits(0)?.says(SAFE)?;
    lab.gone(&t7)?;
    nothing_is_open(lab)
}

/// All snapshots are there. What was sent plain has no IV sets.
fn same_guids(lab: &mut Lab) -> Result<()> {
    let guids = |lab: &mut Lab, dataset: &str| -> Result<Vec<String>> {
        Ok(lab.guids(dataset)?.into_iter().map(|snapshot| snapshot.guid).collect())
    };
    let (ours, theirs) = (guids(lab, "rpool/nixos/home/anna")?, guids(lab, "t7/eds/anna")?);
    ensure!(!ours.is_empty() && ours == theirs, "the source has {ours:?}, the drive {theirs:?}");
    Ok(())
}

fn troubles(lab: &mut Lab) -> Result<()> {
    let t7 = made(lab, "1G")?;
    with_input(lab, "zferry run t7", "")?
        .exits(75)?
        .says("nothing says what opens it")?
        .says("luks-key-file")?;
    with_input(lab, "zferry run t7", &format!("{PASSPHRASE}\n1\n2\n{OWN}\n"))?
        .exits(1)?
        .says("the passphrase of its LUKS container was wrong 3 times")?;
    nothing_is_open(lab)?;
    lab.run("zferry status")?.exits(0)?.says("yes, sd")?;
    // It is closed: nothing of it can be in use, and nobody is asked for anything.
    lab.run("zferry eject t7 </dev/null")?.exits(0)?.last_word(SAFE)?;
    lab.gone(&t7)?;

    // Open before: left open, and closed by `eject`.
    lab.plug(&t7)?;
    add_key_file(lab, &t7)?;
    lab.run(&format!("cryptsetup open --key-file {KEY_FILE} {} mine; udevadm settle", t7.partition()))?
        .exits(0)?;
    lab.run("zferry run t7")?.exits(0)?.last_word(
        "Do NOT unplug t7 yet: its pool is exported, but its LUKS container is open as /dev/mapper/mine",
    )?;
    lab.run("zferry eject t7")?.exits(0)?.last_word(SAFE)?;
    lab.gone(&t7)?;
    nothing_is_open(lab)?;

    // Pulled out while nobody reads: what is left of it can be closed, and the next run needs no restart.
    lab.plug(&t7)?;
    lab.run("zferry open t7 </dev/null")?.exits(0)?;
    lab.pull(&t7)?;
    lab.run("zferry close t7")?.exits(0)?.says("nothing of it is mounted or imported")?;
    nothing_is_open(lab)?;
    lab.plug(&t7)?;
    lab.run("zferry run t7 </dev/null")?.exits(0)?.last_word(SAFE)?;
    lab.gone(&t7)?;
    by_the_page(lab, &t7)?;
    pulled_out(lab, &t7)
}

/// Udev announces the container; what is in it is announced again whenever it is opened and exported.
fn plugged_in(lab: &mut Lab) -> Result<()> {
    let t7 = made(lab, "512M")?;
    let uuid =
        lab.run(&format!("sed -n 's/^luks = \"\\(.*\\)\"$/\\1/p' {CONFIG}"))?.stdout().trim().to_owned();
    lab.run(&format!("sed -i '/^luks = /a min-interval = \"0s\"\\npower-off = false' {CONFIG}"))?.exits(0)?;
    lab.pull(&t7)?;
    plugged::install(lab)?;

    // Only a person can open it: said once, and nothing is begun.
    lab.plug(&t7)?;
    let closed =
        "The LUKS container of t7 is closed, and only a passphrase opens it: `zferry run t7` asks for it.";
    plugged::until_told(lab, &uuid, 1, closed)?;
    lab.run("cat /run/zferry/status.json")?.says("\"state\":\"not-now\"")?.says("luks-key-file")?;
    lab.run("udevadm trigger --action=add; udevadm settle")?.exits(0)?;
    plugged::until_told(lab, &uuid, 1, "t7 was not unplugged since a run was started for it")?;
    plugged::until_told(lab, &uuid, 1, closed)?;
    nothing_is_open(lab)?;
    add_key_file(lab, &t7)?;
    lab.pull(&t7)?;

    // A file can: each plugging in starts one run, whatever is announced besides.
    let safe = "Safe to unplug t7 (exported; still powered)";
    for round in 1..=3 {
        lab.plug(&t7)?;
        plugged::until_told(lab, &uuid, round, safe)?;
        nothing_is_open(lab)?;
        lab.run("for action in add change; do udevadm trigger --action=$action; udevadm settle; done")?
            .exits(0)?;
        plugged::until_told(lab, &uuid, round, safe)?;
    }
    lab.run("zferry open t7 </dev/null")?.exits(0)?;
    same_guids(lab)?;
    lab.run("zferry close t7 </dev/null")?.exits(0)?;
    strangers(lab)
}

/// A container that is nobody's drive is left as it is, and nothing is said of it.
fn strangers(lab: &mut Lab) -> Result<()> {
    let other = lab.drive("other", "64M")?;
    lab.plug(&other)?;
    let uuid = "00000000-1111-4222-8333-444444444444";
    lab.run(&format!(
        "set -e; cryptsetup luksFormat -q --uuid {uuid} --key-file {KEY_FILE} --pbkdf pbkdf2 \
         --pbkdf-force-iterations 1000 {}; udevadm settle",
        other.device()
    ))?
    .exits(0)?;
    lab.pull(&other)?;
    lab.plug(&other)?;
    lab.wait_until(
        "the unit of a container that is nobody's has ended",
        plugged::RUN,
        // Systemd forgets the unit with the next "change" of the disk.
        &format!("journalctl -q -o cat -u zferry@{uuid} | grep -q ^Finished"),
    )?;
    lab.run(&format!(
        "systemctl show -P Result zferry@{uuid}; journalctl -q -o cat -u zferry@{uuid} _COMM=zferry"
    ))?
    .prints("success")?;
    nothing_is_open(lab)?;
    lab.pull(&other)
}

/// What a stranger does who has the drive and its passphrase: the page's own commands, without zferry.
fn by_the_page(lab: &mut Lab, t7: &Drive) -> Result<()> {
    lab.plug(t7)?;
    let page = lab.run(
        "set -e; mkdir -p /media/t7; mount -o ro /dev/disk/by-label/RESCUE-t7 /media/t7; \
         cat /media/t7/README.txt; umount /media/t7",
    )?;
    let page = page.exits(0)?.stdout();
    to_the_files(lab, &page)?;
    lab.pull(t7)
}

/// The page's way to the files and out again.
pub(super) fn to_the_files(lab: &mut Lab, page: &str) -> Result<()> {
    for section in [2, 4, 7] {
        for command in rescue::commands(page, section)? {
            with_input(lab, &command, &format!("{OWN}\n"))?
                .exits(0)
                .with_context(|| format!("section {section}"))?;
        }
        if section == 4 {
            lab.run("cmp /mnt/t7/eds+anna/letter /home/anna/letter")?.exits(0)?;
        }
    }
    nothing_is_open(lab)
}

/// In mid-send. The kernel keeps what is left of the container, so that only a restart helps; the next run completes.
fn pulled_out(lab: &mut Lab, t7: &Drive) -> Result<()> {
    much(lab)?;
    lab.plug_slow(t7)?;
    let mut run = lab.run_in_background("zferry -v run t7")?;
    lab.until_written("t7", 9)?;
    pull_in_mid_run(lab, t7, &run)?;
    lab.until_says(&mut run, "t7 is gone")?;
    let run = lab.finish(run)?;
    run.exits(1)?.last_word("Restart this computer, then run again. What had arrived on t7 is kept")?;
    lab.nothing_is_held("rpool")?;
    others_answer(lab)?;
    lab.plug(t7)?;
    lab.run("zferry run t7")?.exits(1)?.says("restart this computer")?;
    lab.cut()?;
    lab.unlock_source("rpool")?;
    lab.plug(t7)?;
    let run = lab.execute(Command::shell("zferry -v run t7").within(Duration::from_secs(400)))?;
    run.exits(0)?.last_word(SAFE)?;
    lab.gone(t7)?;
    nothing_is_open(lab)
}
