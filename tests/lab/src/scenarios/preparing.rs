//! How a disk becomes a drive, and which disk does not.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use crate::command::{Background, Command, Output};
use crate::drive::Drive;
use crate::lab::{CTRL_C, KEY, Lab};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("a blank disk becomes a drive", blank).also_on_the_oldest(),
        Scenario::full("init refuses what is in use", in_use),
        Scenario::full("init erases the disk that was meant and no other", meant),
        Scenario::full("a pool that was there before does not come back as a ghost", ghost),
        Scenario::full("an init that was cut off is finished", cut_off),
        Scenario::full("a pool made by hand is adopted", by_hand),
    ]
}

const SAFE: &str = "Safe to unplug t7 (exported and powered off)";
const CONFIG: &str = "/etc/zferry/config.toml";
/// What a person adds to the configuration that `init` made.
const BACKUP: &str = "[backups.home]\nsource = \"rpool/nixos/home\"\ntarget = \"eds\"\nprune = \"mirror\"\n";
/// What a person types.
const LAST_FOUR: &str = "abt7\n";

/// A blank drive that is plugged in, beside a source.
fn beside_a_source(lab: &mut Lab) -> Result<Drive> {
    lab.encrypted_source("rpool")?;
    let t7 = lab.drive("t7", "512M")?;
    lab.plug(&t7)?;
    Ok(t7)
}

fn init(drive: &Drive, options: &str) -> String {
    format!("zferry -v init {} {} {options}", drive.name(), drive.device())
}

fn without_asking(drive: &Drive) -> String {
    init(drive, &format!("--serial {}", drive.serial()))
}

/// What may take as long as an emulated guest needs for a pool.
fn patiently(lab: &mut Lab, line: &str) -> Result<Output> {
    lab.execute(Command::shell(line).within(Duration::from_secs(400)))
}

fn asked(lab: &mut Lab, line: &str) -> Result<Background> {
    let command = Command::shell(line).terminal(120, 40).within(Duration::from_secs(400));
    let mut asked = lab.start_command(command)?;
    lab.until_says(&mut asked, "type its serial")?;
    Ok(asked)
}

/// The entry that was written, and the pool as it is on the disk.
fn is_ready(lab: &mut Lab, drive: &Drive) -> Result<u64> {
    lab.not_imported(drive.name())?;
    drive.is_exported()?;
    let guid = drive.label()?.pool_guid()?;
    let text = String::from_utf8(lab.read(CONFIG)?)?;
    let entry = format!("[drives.{0}]\npool = \"{0}\"\npool-guid = \"{guid}\"\n", drive.name());
    ensure!(text.contains(&entry), "the configuration lacks\n{entry}\n{text}");
    Ok(guid)
}

/// The configuration is completed as its comment says, and everything arrives.
fn backs_up(lab: &mut Lab, t7: &Drive) -> Result<()> {
    let text = String::from_utf8(lab.read(CONFIG)?)?;
    lab.write(CONFIG, format!("{text}\n{BACKUP}"))?;
    lab.run("zferry config check")?.exits(0)?;
    patiently(lab, "zferry run t7")?.exits(0)?.last_word(SAFE)?;
    lab.gone(t7)?;
    t7.is_exported()?;
    let sent = lab.snapshots_below("rpool/nixos/home")?;
    lab.plug(t7)?;
    lab.drive_has(t7, "t7/eds", &sent)
}

fn blank(lab: &mut Lab) -> Result<()> {
    let t7 = beside_a_source(lab)?;
    let mut run = asked(lab, &init(&t7, ""))?;
    let so_far = run.so_far();
    so_far.says("serial LABT7, 512 MiB, usb")?.says("nothing is known to be on it")?;
    lab.type_into(&run, LAST_FOUR)?;
    lab.until_says(&mut run, "t7 is ready")?;
    let run = lab.finish(run)?;
    run.exits(0)?.says("Wrote /etc/zferry/config.toml")?.last_word("zferry plan t7")?;
    is_ready(lab, &t7)?;
    lab.run(&format!("stat -c %a:%U {CONFIG}"))?.prints("644:root")?;
    // What a user who is not root sees; and that nothing is backed up yet is told.
    lab.run("zferry config check")?.exits(78)?.says("add a [backups.NAME]")?;
    lab.run("sgdisk --verify $(readlink -f /dev/disk/by-id/usb-*LABT7-0:0)")?
        .exits(0)?
        .says("No problems found")?;
    backs_up(lab, &t7)?;
    read_back(lab)?;
    // By its name it cannot become a drive twice, and its backups are not erased by mistake.
    lab.run(&init(&t7, "--wipe --serial LABT7"))?
        .exits(1)?
        .says("there is a drive t7 in the configuration already")?;
    lab.run(&format!("zferry init t8 {} --wipe --serial LABT7", t7.device()))?
        .exits(1)?
        .says("is the drive t7 of the configuration")?;
    Ok(())
}

/// With ZFS's own commands, as the README has it.
fn read_back(lab: &mut Lab) -> Result<()> {
    let line = format!(
        "set -e; zpool import -N -o readonly=on -o cachefile=none -R /mnt/restore -d /dev/disk/by-id t7; \
         ! mount | grep /mnt/restore; \
         zfs load-key -L file://{KEY} t7/eds/anna; zfs mount t7/eds/anna; \
         d=$(zfs get -H -o value mountpoint t7/eds/anna); ls $d/.zfs/snapshot; \
         cmp $d/photo /home/anna/photo; cmp $d/letter /home/anna/letter; zpool export t7"
    );
    lab.run(&line)?.exits(0)?.says("autosnap_2026-01-02")?;
    Ok(())
}

fn in_use(lab: &mut Lab) -> Result<()> {
    let t7 = beside_a_source(lab)?;
    let refused = |lab: &mut Lab, line: &str, why: &str| -> Result<()> {
        lab.run(&format!("{line} --wipe --internal --serial LABT7"))?.exits(1)?.says(why)?;
        Ok(())
    };
    let root = "zferry init t7 /dev/vda";
    refused(lab, root, "is the disk that this system runs from")?;
    refused(
        lab,
        "zferry init t7 /dev/disk/by-id/virtio-source",
        "is part of the pool “rpool”, which is imported",
    )?;
    refused(lab, "zferry init t7 /dev/disk/by-id/virtio-source-part1", "is a partition of /dev/vdb")?;
    refused(lab, "zferry init t7 /etc/passwd", "is no block device")?;
    refused(lab, "zferry init t7 /dev/nothing", "there is no device /dev/nothing")?;
    lab.run("truncate -s 200M /run/lab/image && losetup /dev/loop0 /run/lab/image")?.exits(0)?;
    refused(lab, "zferry init t7 /dev/loop0", "is no disk, but made by the kernel")?;
    lab.run(&format!("{} --pool rpool", without_asking(&t7)))?
        .exits(1)?
        .says("a pool called rpool is imported")?;
    lab.run("zferry init t7 /dev/vdb --serial x")?.exits(1)?.says("zpool export rpool")?;

    let (device, part) = (t7.device(), t7.partition());
    lab.run(&format!(
        "set -e; sgdisk --new=1:0:0 {device}; udevadm wait --settle --timeout=60 {part}; \
         mkfs.ext4 -q -L photos {part}; mount {part} /mnt; udevadm settle"
    ))?
    .exits(0)?;
    refused(lab, &init(&t7, ""), "is mounted on /mnt")?;
    lab.run("umount /mnt; udevadm settle")?.exits(0)?;
    // Not in use any more, and told by its label.
    lab.run(&without_asking(&t7))?.exits(1)?.says("ext4 “photos”")?.says("--wipe")?;
    lab.run(&format!("set -e; mkswap {part}; swapon {part}; udevadm settle"))?.exits(0)?;
    refused(lab, &init(&t7, ""), "is in use as swap")?;
    lab.run(&format!("set -e; swapoff {part}; echo 0 409600 linear $(readlink -f {part}) 0 | dmsetup create upper; udevadm settle"))?
        .exits(0)?;
    refused(lab, &init(&t7, ""), "is in use by the device dm-0")?;
    lab.run("dmsetup remove upper; udevadm settle")?.exits(0)?;
    // Somebody whom nobody can see has it open for himself.
    let mut holder = lab.run_in_background(&format!(
        "python3 -c 'import os, time; os.open(\"{device}\", os.O_RDWR | os.O_EXCL); print(\"held\", flush=True); time.sleep(600)' || \
         perl -e 'sysopen(F, \"{device}\", 2 | 128) or die; $| = 1; print \"held\\n\"; sleep 600'"
    ))?;
    lab.until_says(&mut holder, "held")?;
    refused(lab, &init(&t7, ""), "nobody else may use it, and that was refused")?;
    lab.signal(&holder, rustix::process::Signal::KILL)?;
    lab.finish(holder)?;
    ensure!(lab.read(CONFIG).is_err(), "something was written down");
    Ok(())
}

fn meant(lab: &mut Lab) -> Result<()> {
    let t7 = beside_a_source(lab)?;
    let before = t7.sha256()?;
    lab.run(&init(&t7, ""))?.exits(1)?.says("nobody can be asked")?.says("--serial LABT7")?;
    for typed in ["sdb\n", "yes\n", "\n", "LABT8\n"] {
        let run = asked(lab, &init(&t7, ""))?;
        lab.type_into(&run, typed)?;
        lab.finish(run)?.exits(1)?.says("is not the serial of")?;
    }
    let run = asked(lab, &init(&t7, ""))?;
    lab.type_into(&run, CTRL_C)?;
    lab.finish(run)?.exits(130)?;
    // Another disk takes its place, by the same name, while the question waits.
    let node = lab.run(&format!("readlink -f {}", t7.device()))?.stdout().trim().to_owned();
    let run = asked(lab, &format!("zferry init t7 {node}"))?;
    lab.pull(&t7)?;
    lab.gone(&t7)?;
    let other = lab.drive("other", "256M")?;
    lab.plug(&other)?;
    let same = lab.run(&format!("readlink -f {}", other.device()))?.stdout().trim() == node;
    ensure!(same, "the other disk has another name: nothing is tried by this");
    let content = other.sha256()?;
    lab.type_into(&run, LAST_FOUR)?;
    lab.finish(run)?.exits(1)?.says("is not the disk any more that you were asked about")?;
    ensure!(t7.sha256()? == before && other.sha256()? == content, "something was written to one of them");
    ensure!(lab.read(CONFIG).is_err(), "something was written down");
    Ok(())
}

/// Disks that had pools: on the whole disk, in a partition that lay elsewhere, exported, destroyed, with the table gone.
fn ghost(lab: &mut Lab) -> Result<()> {
    let t7 = beside_a_source(lab)?;
    let device = t7.device();
    let layouts = [
        "zpool create -f -O mountpoint=none old $D; zpool export old",
        "sgdisk -Z $D; sgdisk -n 1:0:+100M -n 2:0:+150M -n 3:0:0 $D; udevadm settle; \
         for n in 1 2 3; do udevadm wait --timeout=60 $D-part$n; zpool create -f -O mountpoint=none old$n $D-part$n; zpool export old$n; done",
        "sgdisk -Z $D; sgdisk -n 1:0:0 $D; udevadm wait --settle --timeout=60 $D-part1; \
         zpool create -f -O mountpoint=none old $D-part1; zpool destroy old",
        "wipefs -a -f $D; zpool create -f -O mountpoint=none old $D; zpool export old; wipefs -a -f $D; sgdisk -Z $D; blockdev --rereadpt $D",
    ];
    for (number, layout) in layouts.iter().enumerate() {
        patiently(lab, &format!("set -e; D={device}; {layout}; udevadm settle"))?
            .exits(0)
            .context(*layout)?;
        let found = lab.run(&without_asking(&t7))?;
        found.exits(if number == 3 { 0 } else { 1 })?;
        if number < 3 {
            found.says("a ZFS pool “old")?.says("zferry adopt t7 old")?;
            patiently(lab, &format!("{} --wipe", without_asking(&t7)))?.exits(0)?;
        }
        let guid = is_ready(lab, &t7)?;
        // Neither ZFS nor blkid knows of any pool but the new one, also among the destroyed, also after the plug.
        lab.plug(&t7)?;
        let seen = lab.run(&format!(
            "zpool import -d {device} -d {device}-part1 2>&1; zpool import -D -d {device} -d {device}-part1 2>&1; \
             blkid -p {device} {device}-part1; lsblk -f {device}"
        ))?;
        seen.says(&guid.to_string())?.says_nothing_of("old")?;
        lab.run(&format!("rm {CONFIG}"))?.exits(0)?;
    }
    Ok(())
}

fn cut_off(lab: &mut Lab) -> Result<()> {
    let t7 = beside_a_source(lab)?;
    let wipe = format!("{} --wipe", without_asking(&t7));
    // Killed as soon as this is to be seen, or has been said.
    for (moment, seen) in [
        ("said", "Erasing what is known of"),
        ("said", "Making the pool t7"),
        ("seen", "zpool list -H t7"),
        ("said", "zpool export t7"),
    ] {
        let mut run = lab.start_command(Command::shell(&wipe).within(Duration::from_secs(400)))?;
        if moment == "said" {
            lab.until_says(&mut run, seen)?;
        } else {
            lab.wait_until("the pool is there", Duration::from_secs(200), seen)?;
        }
        lab.signal(&run, rustix::process::Signal::KILL)?;
        lab.finish(run)?;
        lab.remark(&format!("killed at {seen:?}"));
        ensure!(lab.read(CONFIG).is_err(), "it was written down before it was ready");
        // What it had started ends by itself.
        lab.wait_until("no command of it runs", Duration::from_secs(200), "! pgrep -x zpool")?;
    }
    patiently(lab, &wipe)?.exits(0)?;
    is_ready(lab, &t7)?;
    lab.run("zpool list -H -o name")?.prints("rpool")?;
    // On the disk too: the power is cut next.
    lab.run(&format!("rm {CONFIG} && sync"))?.exits(0)?;

    let mut run = lab.start_command(Command::shell(&wipe).within(Duration::from_secs(400)))?;
    lab.until_says(&mut run, "Making the pool t7")?;
    lab.cut()?;
    lab.unlock_source("rpool")?;
    lab.plug(&t7)?;
    patiently(lab, &wipe)?.exits(0)?;
    is_ready(lab, &t7)?;

    // The configuration is not ours: the entry is printed.
    lab.run(&format!("set -e; mkdir -p /run/lab/store; mv {CONFIG} /run/lab/store/c; ln -s /run/lab/store/c {CONFIG}; echo -n > /run/lab/store/c"))?
        .exits(0)?;
    let printed = patiently(lab, &wipe)?;
    printed.exits(0)?.says("it is a link to /run/lab/store/c")?.says("[drives.t7]\n")?;
    lab.run("cat /run/lab/store/c")?.prints("")?;
    lab.run(&format!("rm {CONFIG}"))?.exits(0)?;
    patiently(lab, &format!("{wipe} --pool t7"))?.exits(0)?;
    backs_up(lab, &t7)
}

fn by_hand(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    let t7 = lab.drive("t7", "512M")?;
    let guid = lab.prepare_drive(&t7, "backup")?;
    // As syncoid leaves it: nothing is read-only, everything mounts itself over what is here.
    let sent = "set -e; zpool import -N -o cachefile=none -R /run/lab/altroot -d /dev/disk/by-id backup; zfs set readonly=off backup; \
         for d in '' /anna; do zfs send -w rpool/nixos/home$d@autosnap_2026-01-01_00:00:00_daily | zfs receive -u backup/old_home$d; done; \
         zfs create -V 8M -s -o volmode=dev rpool/vol; zfs snapshot rpool/vol@v; zfs send -w rpool/vol@v | zfs receive -u backup/vol; \
         zfs create -u backup/strange; zfs snapshot backup/strange@s; zpool export backup; udevadm settle";
    patiently(lab, sent)?.exits(0)?;
    lab.plug(&t7)?;
    let image = t7.sha256()?;
    lab.run("zferry adopt t7 nothing")?.exits(75)?;
    lab.run("zferry adopt t7 rpool")?.exits(1)?.says("on a disk that is not removable")?.says("/dev/vdb")?;
    lab.run("zpool list -H -o name,altroot rpool")?.exits(0)?.says("rpool")?;
    ensure!(lab.read(CONFIG).is_err(), "the pool of this computer was written down");
    for (way, name) in [("backup".to_owned(), "a"), (guid.to_string(), "b"), (t7.device(), "t7")] {
        let adopted = lab.run(&format!("zferry -v adopt {name} {way}"))?;
        adopted
            .exits(0)?
            .says("backup/old_home is the copy of rpool/nixos/home: both have “autosnap_2026-01-01_00:00:00_daily”")?
            .says("backup/vol is the copy of rpool/vol")?
            .says("backup/strange has no snapshot in common")?
            .says("zfs set readonly=on")?
            .says("zfs set volmode=none backup/vol")?
            .last_word(&format!("Safe to unplug {name}"))?;
        lab.not_imported("backup")?;
        let text = String::from_utf8(lab.read(CONFIG)?)?;
        ensure!(
            text.contains(&format!("[drives.{name}]\npool = \"backup\"\npool-guid = \"{guid}\"")),
            "{text}"
        );
        ensure!(text.contains("# source = \"rpool/nixos/home\"\n# target = \"old_home\""), "{text}");
        lab.run("zferry adopt other backup")?
            .exits(1)?
            .says(&format!("is the drive {name} of the configuration"))?;
        if name != "t7" {
            lab.run(&format!("rm {CONFIG}"))?.exits(0)?;
        }
    }
    ensure!(t7.sha256()? == image, "adopting wrote to the drive");
    // The commands that were printed, as they are; then the copy is gone on with.
    let text = String::from_utf8(lab.read(CONFIG)?)?;
    lab.run(&format!("rm {CONFIG}"))?.exits(0)?;
    let told = lab.run("zferry adopt t7 backup")?;
    let commands: Vec<String> = told
        .stderr()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("try: zpool import"))
        .map(|rest| format!("zpool import{rest}"))
        .collect();
    ensure!(!commands.is_empty(), "no command is printed\n{}", told.stderr());
    for command in commands {
        patiently(lab, &command)?.exits(0)?;
    }
    lab.write(CONFIG, format!("{text}\n{}", BACKUP.replace("\"eds\"", "\"old_home\"")))?;
    let run = patiently(lab, "zferry -v run t7")?;
    run.exits(0)?.says("zfs send -w -i")?.says_nothing_of(" in full")?.last_word(SAFE)?;
    let sent = lab.snapshots_below("rpool/nixos/home")?;
    lab.plug(&t7)?;
    lab.drive_has(&t7, "backup/old_home", &sent)
}
