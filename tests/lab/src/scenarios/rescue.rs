//! The drive is enough: its rescue file system tells a stranger how to get the files back, is kept current, and is never
//! in the way of a backup.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use crate::command::{Command, Output};
use crate::drive::Drive;
use crate::lab::{Lab, PASSPHRASE};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core(
            "a stranger gets the files back with nothing but the drive and the passphrase",
            stranger,
        )
        .portable(),
        Scenario::full("the rescue file system is kept current, and never in the way", in_the_way),
    ]
}

const SAFE: &str = "Safe to unplug t7 (exported and powered off)";
const CONFIG: &str = "/etc/zferry/config.toml";
const BACKUP: &str =
    "\n[backups.home]\nsource = \"rpool/nixos/home\"\ntarget = \"eds\"\nprune = \"mirror\"\n";
/// The files of a directory.
const SUMS: &str = "find . -type f -exec sha256sum {} + | sort";

fn patiently(lab: &mut Lab, line: &str) -> Result<Output> {
    lab.execute(Command::shell(line).within(Duration::from_secs(400)))
}

/// A drive of the smallest size that gets a rescue file system, beside a source.
pub(super) fn prepared(lab: &mut Lab) -> Result<Drive> {
    lab.encrypted_source("rpool")?;
    let t7 = lab.drive("t7", "1G")?;
    lab.plug(&t7)?;
    patiently(lab, &init(&t7))?
        .exits(0)?
        .says("making two partitions")?
        .says("Making the rescue file system RESCUE-t7")?
        .says_nothing_of("not up to date")?;
    let text = String::from_utf8(lab.read(CONFIG)?)?;
    ensure!(text.contains("rescue = true"), "{text}");
    lab.run("! grep /dev/sd /proc/self/mountinfo")?.exits(0)?;
    lab.write(CONFIG, format!("{text}{BACKUP}"))?;
    Ok(t7)
}

fn init(drive: &Drive) -> String {
    format!("zferry -v init t7 {} --serial {}", drive.device(), drive.serial())
}

fn small(drive: &Drive) -> String {
    format!("{}-part2", drive.device())
}

/// The commands of a section of the page: the lines that are indented by four blanks.
pub(super) fn commands(page: &str, section: u32) -> Result<Vec<String>> {
    let start = format!("{section}. ");
    let lines = page.lines().skip_while(|line| !line.starts_with(&start)).skip(1);
    let of_it = lines.take_while(|line| !line.starts_with(&format!("{}. ", section + 1)));
    let commands: Vec<_> = of_it.filter_map(|line| line.strip_prefix("    ")).map(str::to_owned).collect();
    ensure!(!commands.is_empty(), "section {section} has no commands\n{page}");
    Ok(commands)
}

/// Types the commands of a section word for word, and the passphrase where it is asked for. What is given a name in one
/// line has it in those behind.
fn follow(lab: &mut Lab, page: &str, section: u32) -> Result<()> {
    let mut names = String::new();
    for command in commands(page, section)? {
        if command.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase())) {
            names.push_str(&format!("{command}\n"));
            continue;
        }
        let typed = Command::shell(&format!("{names}{command}")).within(Duration::from_secs(400));
        let typed = if command.contains("load-key") { typed.stdin(format!("{PASSPHRASE}\n")) } else { typed };
        lab.execute(typed)?.exits(0).with_context(|| format!("section {section} of the page"))?;
    }
    Ok(())
}

fn stranger(lab: &mut Lab) -> Result<()> {
    lab.install_portable()?;
    let t7 = prepared(lab)?;
    patiently(lab, "zferry -v run t7")?.exits(0)?.says_nothing_of("not up to date")?.last_word(SAFE)?;
    lab.gone(&t7)?;
    t7.is_exported()?;
    lab.pull(&t7)?;
    let files = lab.run(&format!("cd /home/anna && {SUMS}"))?.exits(0)?.stdout();
    ensure!(files.lines().count() == 2, "{files}");
    lab.elsewhere("nas", |nas| {
        nas.run("rm -r /usr/local/bin/zferry /etc/zferry; ! command -v zferry; ls /etc/zferry")?.exits(2)?;
        nas.plug(&t7)?;
        nas.run("mkdir /media/t7; mount -o ro /dev/disk/by-label/RESCUE-t7 /media/t7")?.exits(0)?;
        let page = nas.run("cat /media/t7/README.txt")?.exits(0)?.says("needs\n  no library")?.stdout();
        read_files(nas, &page, &files)?;
        sent_back(nas, &page, &files)?;
        follow(nas, &page, 7)?;
        with_the_program(nas, &files)?;
        goes_on(nas, &t7)
    })?;
    ensure!(!t7.holds(PASSPHRASE)?, "the passphrase is on the drive");
    Ok(())
}

fn read_files(nas: &mut Lab, page: &str, files: &str) -> Result<()> {
    for section in 2..=5 {
        follow(nas, page, section)?;
    }
    nas.run(&format!("cd /root/restored/eds+anna && {SUMS}"))?.prints(files.trim())?;
    nas.run("cat /mnt/t7/eds+anna/.zfs/snapshot/autosnap_2026-01-01_00:00:00_daily/letter")?
        .prints("hello")?;
    nas.run("cd /mnt/t7 && ! touch eds+anna/x && ! touch eds/x")?.exits(0)?;
    Ok(())
}

/// Into a pool of that computer.
fn sent_back(nas: &mut Lab, page: &str, files: &str) -> Result<()> {
    patiently(
        nas,
        "set -e; D=/dev/disk/by-id/virtio-source; sgdisk --new=1:0:0 --typecode=1:bf01 $D; \
         udevadm wait --settle --timeout=60 $D-part1; zpool create -o ashift=12 -O mountpoint=/rpool -O canmount=off rpool $D-part1",
    )?
    .exits(0)?;
    follow(nas, page, 6)?;
    nas.run("for d in rpool/eds rpool/eds/anna; do zfs list -H -o keystatus $d; done")?
        .prints("unavailable\nunavailable")?;
    for dataset in ["rpool/eds", "rpool/eds/anna"] {
        let load = Command::shell(&format!("zfs load-key -L prompt {dataset} && zfs mount {dataset}"));
        nas.execute(load.stdin(format!("{PASSPHRASE}\n")))?.exits(0)?;
    }
    nas.run(&format!("cd /rpool/eds/anna && {SUMS}"))?.prints(files.trim())?;
    Ok(())
}

/// With the program and the configuration that are on the drive; none of this computer's libraries is in it.
fn with_the_program(nas: &mut Lab, files: &str) -> Result<()> {
    nas.run(
        "set -e; install /media/t7/zferry /usr/local/bin/; install -D -m 644 /media/t7/config.toml /etc/zferry/config.toml; \
         umount /media/t7; ldd /usr/local/bin/zferry",
    )?
    .exits(0)?
    .says("statically linked")?;
    let open = Command::shell("zferry open t7").stdin(format!("{PASSPHRASE}\n"));
    nas.execute(open.within(Duration::from_secs(400)))?.exits(0)?;
    let at = nas.run("findmnt -n -o TARGET t7/eds/anna")?.exits(0)?.stdout();
    nas.run(&format!("cd {} && {SUMS}", at.trim()))?.prints(files.trim())?;
    patiently(nas, "zferry close t7 --no-power-off")?.exits(0)?;
    nas.not_imported("t7")
}

/// The backup goes on from what was sent back.
fn goes_on(nas: &mut Lab, t7: &Drive) -> Result<()> {
    nas.run(
        "set -e; sed -i 's|rpool/nixos/home|rpool/eds|' /etc/zferry/config.toml; zferry config check; \
         echo new > /rpool/eds/anna/new; zfs snapshot -r rpool/eds@after",
    )?
    .exits(0)?;
    let run = patiently(nas, "zferry -v run t7")?;
    run.exits(0)?.says("zfs send -w -i")?.says_nothing_of(" in full")?.last_word(SAFE)?;
    nas.gone(t7)?;
    nas.plug(t7)?;
    nas.run("mount -o ro /dev/disk/by-label/RESCUE-t7 /media/t7 && cat /media/t7/README.txt")?
        .exits(0)?
        .says("t7/eds/anna, the copy of rpool/eds/anna: 3 snapshots")?
        .says("(after)")?;
    Ok(())
}

/// A new snapshot, and a run that must back it up, whatever is the matter with the rescue file system.
fn runs(lab: &mut Lab, name: &str) -> Result<Output> {
    lab.snapshot("rpool/nixos/home", name)?;
    let run = patiently(lab, "zferry -v run t7")?;
    run.exits(0)?.says("2 datasets backed up")?;
    Ok(run)
}

fn is_safe(lab: &mut Lab, t7: &Drive, run: &Output) -> Result<()> {
    run.last_word(SAFE)?;
    lab.gone(t7)?;
    t7.is_exported()?;
    lab.run("! grep /dev/sd /proc/self/mountinfo; ls /run/zferry/rescue/*")?.prints("")?;
    lab.plug(t7)
}

/// Mounts it, as somebody would who looks into it; does something, and leaves it unmounted.
pub(super) fn within(lab: &mut Lab, t7: &Drive, what: &str) -> Result<Output> {
    let part = small(t7);
    let line = format!("set -e; mount {part} /mnt; cd /mnt; {what}; cd /; umount /mnt; udevadm settle");
    let output = patiently(lab, &line)?;
    output.exits(0)?;
    Ok(output)
}

fn in_the_way(lab: &mut Lab) -> Result<()> {
    without_tool(lab)?;
    let t7 = prepared(lab)?;
    let run = runs(lab, "first")?;
    is_safe(lab, &t7, &run)?;
    within(lab, &t7, "cmp zferry /usr/local/bin/zferry; ls")?
        .says("README.txt")?
        .says("config.toml")?
        .says("datasets.txt")?;
    mounted_by_a_desktop(lab, &t7)?;
    full(lab, &t7)?;
    full_of_links(lab, &t7)?;
    damaged(lab, &t7)
}

/// Nothing is erased where the tool is missing that makes it.
fn without_tool(lab: &mut Lab) -> Result<()> {
    let other = lab.drive("other", "1G")?;
    lab.plug(&other)?;
    let before = other.sha256()?;
    let tools = "$(readlink -f $(command -v mkfs.ext4))";
    lab.run(&format!("t={tools}; cp -a $t /root/tool; rm $t"))?.exits(0)?;
    let line = format!("zferry init other {} --serial {}", other.device(), other.serial());
    lab.run(&line)?.exits(1)?.says("a rescue file system cannot be made here")?.says("--no-rescue")?;
    ensure!(other.sha256()? == before, "something was written");
    let made = patiently(lab, &format!("{line} --no-rescue"))?;
    made.exits(0)?.says("making one partition")?;
    lab.run(
        "t=$(readlink -m /usr/sbin/mkfs.ext4); cp -a /root/tool $t; mkfs.ext4 -V; rm /etc/zferry/config.toml",
    )?
    .exits(0)?;
    lab.pull(&other)
}

fn mounted_by_a_desktop(lab: &mut Lab, t7: &Drive) -> Result<()> {
    let mount = format!("udisksctl mount --no-user-interaction -b $(readlink -f {})", small(t7));
    lab.run(&mount)?.exits(0)?.says("RESCUE-t7")?;
    let run = runs(lab, "desktop")?;
    run.says_nothing_of("not up to date")?;
    is_safe(lab, t7, &run)?;
    // A terminal that stands in it keeps it, and is named.
    lab.run(&mount)?.exits(0)?;
    let line = "cd $(findmnt -n -o TARGET /dev/disk/by-label/RESCUE-t7) && echo here && exec sleep 1000";
    let mut holder = lab.run_in_background(line)?;
    lab.until_says(&mut holder, "here")?;
    let run = runs(lab, "busy")?;
    run.last_word("Do NOT unplug t7")?.says("sleep (process")?;
    lab.not_imported("t7")?;
    lab.signal(&holder, rustix::process::Signal::KILL)?;
    lab.finish(holder)?;
    let eject = patiently(lab, "zferry -v eject t7")?;
    is_safe(lab, t7, &eject)
}

fn full(lab: &mut Lab, t7: &Drive) -> Result<()> {
    within(
        lab,
        t7,
        "rm README.txt; dd if=/dev/zero of=fill bs=1M || true; dd if=/dev/zero of=rest bs=1k || true",
    )?;
    let run = runs(lab, "full")?;
    run.says("The rescue file system of t7 is not up to date")?.says("No space left")?;
    is_safe(lab, t7, &run)?;
    within(lab, t7, "test ! -e .zferry-new; rm fill rest")?;
    let run = runs(lab, "room")?;
    is_safe(lab, t7, &run.says_nothing_of("not up to date")?.clone())?;
    within(lab, t7, "cat README.txt")?.says("(room)")?;
    Ok(())
}

fn full_of_links(lab: &mut Lab, t7: &Drive) -> Result<()> {
    let before = lab.run("sha256sum /etc/passwd /etc/shadow; ls -la /etc/passwd")?.stdout();
    within(
        lab,
        t7,
        "rm -r *; for f in README.txt config.toml .zferry-new; do ln -s /etc/passwd $f; done; \
         ln -s /etc/shadow datasets.txt; mkfifo zferry",
    )?;
    let run = runs(lab, "links")?;
    run.says_nothing_of("not up to date")?;
    is_safe(lab, t7, &run)?;
    let after = lab.run("sha256sum /etc/passwd /etc/shadow; ls -la /etc/passwd")?.stdout();
    ensure!(before == after, "the host's files changed\n{before}\n{after}");
    within(lab, t7, "test -f README.txt; test ! -L README.txt; cmp zferry /usr/local/bin/zferry")?;
    Ok(())
}

/// Whoever damages it may also have told the kernel to stop when that is found.
fn damaged(lab: &mut Lab, t7: &Drive) -> Result<()> {
    let part = small(t7);
    lab.run(&format!(
        "set -e; tune2fs -e panic {part}; \
         b=$(dumpe2fs {part} 2>/dev/null | sed -n 's/^  Block bitmap at \\([0-9]*\\).*/\\1/p' | head -1); \
         i=$(dumpe2fs {part} 2>/dev/null | sed -n 's/.* Inode bitmap at \\([0-9]*\\).*/\\1/p' | head -1); \
         for n in $b $i; do dd if=/dev/urandom of={part} bs=4096 seek=$n count=1 conv=notrunc,fsync; done; udevadm settle"
    ))?
    .exits(0)?;
    let run = runs(lab, "bitmap")?;
    run.says("not up to date")?;
    is_safe(lab, t7, &run)?;
    lab.run(&format!(
        "dd if=/dev/urandom of={part} bs=4096 seek=1 count=1 conv=notrunc,fsync; udevadm settle"
    ))?
    .exits(0)?;
    let run = runs(lab, "descriptors")?;
    run.says("not up to date")?;
    is_safe(lab, t7, &run)?;
    // None at all any more.
    patiently(lab, &format!("dd if=/dev/zero of={part} bs=1M count=8 conv=notrunc,fsync; udevadm settle"))?
        .exits(0)?;
    let run = runs(lab, "none")?;
    run.says("not up to date: there is none on the drive")?;
    is_safe(lab, t7, &run)
}
