//! A drive in a LUKS container with everything else that is done with drives: adopted, looked at, verified, rehearsed, restored
//! from; and an `init` of one that dies.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::Scenario;
use super::encased::{CONFIG, OWN, SAFE, add_key_file, nothing_is_open, to_the_files, with_input};
use crate::command::Command;
use crate::drive::Drive;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full(
            "a drive in a LUKS container is adopted, looked at, rehearsed, verified and restored from",
            everything,
        ),
        Scenario::full("an init of a LUKS drive that dies leaves nothing that keeps the disk", cut_off),
    ]
}

/// Deriving a key takes an emulated guest its time.
const LONG: Duration = Duration::from_secs(400);

/// A pool in a container, made as people make them; open as /dev/mapper/mine.
fn by_hand(lab: &mut Lab, t7: &Drive) -> Result<()> {
    lab.plug(t7)?;
    lab.run(&format!("sgdisk -n1:0:0 {0} >/dev/null && partprobe {0}; udevadm settle", t7.device()))?
        .exits(0)?;
    let (partition, quick) = (t7.partition(), "--pbkdf pbkdf2 --pbkdf-force-iterations 1000");
    with_input(
        lab,
        &format!("cryptsetup luksFormat -q {quick} --key-file - {partition}; udevadm settle"),
        OWN,
    )?
    .exits(0)?;
    lab.run(&format!("zferry adopt t7 {partition}"))?
        .exits(1)?
        .says("is a LUKS container that is closed")?
        .says("cryptsetup open")?;
    with_input(lab, &format!("cryptsetup open --key-file - {partition} mine"), OWN)?.exits(0)?;
    lab.run("zpool create -O mountpoint=none t7 /dev/mapper/mine && zpool export t7; udevadm settle")?
        .exits(0)?;
    Ok(())
}

fn everything(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    let t7 = lab.drive("t7", "1G")?;
    by_hand(lab, &t7)?;
    lab.run("zferry adopt t7 t7")?
        .exits(0)?
        .says("There are no snapshots on t7 yet")?
        .says(
            "Do NOT unplug t7 yet: its pool is exported, but its LUKS container is open as /dev/mapper/mine",
        )?
        .says_nothing_of("Safe to unplug")?;
    let text = String::from_utf8(lab.read(CONFIG)?)?;
    ensure!(text.contains("\nluks = \""), "the configuration lacks the container\n{text}");
    lab.write(
        CONFIG,
        format!(
            "{text}\n[drives.t7.override.home]\nsend = \"plain\"\nallow-plaintext = true\n\
             [backups.home]\nsource = \"rpool/nixos/home\"\ntarget = \"eds\"\nprune = \"mirror\"\n"
        ),
    )?;
    lab.run("zferry eject t7")?.exits(0)?.last_word(SAFE)?;
    lab.gone(&t7)?;
    nothing_is_open(lab)?;
    lab.plug(&t7)?;
    with_input(lab, "zferry run t7", &format!("{OWN}\n"))?.exits(0)?.last_word(SAFE)?;
    lab.gone(&t7)?;
    lab.plug(&t7)?;
    looked_at(lab, &t7)?;
    by_the_page(lab, &t7)?;
    rehearsed(lab, &t7)?;
    verified(lab, &t7)?;
    restored(lab, &t7)
}

/// `doctor` asks for the passphrase like everybody else, and lets go of what it opened and of nothing else.
fn looked_at(lab: &mut Lab, t7: &Drive) -> Result<()> {
    lab.run("zgenhostid -f")?.exits(0)?;
    let sound = "Nothing was found that would make the next run fail.";
    let disk = t7.sha256()?;
    with_input(lab, "zferry doctor", &format!("{OWN}\n"))?.exits(0)?.last_line(sound)?;
    nothing_is_open(lab)?;
    with_input(lab, "zferry doctor", "")?
        .exits(1)?
        .says("nothing says what opens it")?
        .says("luks-key-file")?;
    nothing_is_open(lab)?;
    let open = format!("cryptsetup open --key-file - {} mine; udevadm settle", t7.partition());
    with_input(lab, &open, OWN)?.exits(0)?;
    lab.run("zferry doctor </dev/null")?.exits(0)?.last_line(sound)?;
    lab.not_imported("t7")?;
    lab.run("test -e /dev/mapper/mine && cryptsetup close mine")?.exits(0)?;
    ensure!(t7.sha256()? == disk, "doctor wrote to the drive");
    Ok(())
}

/// It was adopted, and has no rescue file system: its page is printed, and leads to the files.
fn by_the_page(lab: &mut Lab, t7: &Drive) -> Result<()> {
    let disk = t7.sha256()?;
    let printed = with_input(lab, "zferry rescue-page t7", &format!("{OWN}\n"))?;
    let page = printed.exits(0)?.last_word("Safe to unplug t7")?.stdout();
    nothing_is_open(lab)?;
    ensure!(!page.contains("small partition"), "it has none\n{page}");
    to_the_files(lab, &page)?;
    ensure!(t7.sha256()? == disk, "the drive was written to");
    Ok(())
}

/// There is no encryption root on it: the container's passphrase is what somebody has to know.
fn rehearsed(lab: &mut Lab, t7: &Drive) -> Result<()> {
    with_input(lab, "zferry rehearse t7 --no-power-off", &format!("{OWN}\n"))?
        .exits(0)?
        .says("The LUKS container of t7 opens.")?
        .says("The passphrase opens all of t7: its LUKS container.")?;
    nothing_is_open(lab)?;
    // A key file opens it without anybody, and proves nothing about a person.
    add_key_file(lab, t7)?;
    with_input(lab, "zferry rehearse t7 --no-power-off", "1\n2\n3\n")?
        .exits(1)?
        .says("The LUKS container of t7 does NOT open with what was typed")?
        .says("cryptsetup luksAddKey")?;
    let right = Command::shell("zferry rehearse t7 --no-power-off").terminal(120, 40);
    let mut right = lab.start_command(right.within(LONG))?;
    lab.until_says(&mut right, "Passphrase of the LUKS container of t7: ")?;
    lab.type_into(&right, &format!("{OWN}\n"))?;
    lab.finish(right)?.exits(0)?.says("The passphrase opens all of t7")?.says_nothing_of(OWN)?;
    nothing_is_open(lab)
}

fn verified(lab: &mut Lab, t7: &Drive) -> Result<()> {
    lab.run("zferry verify t7 --no-power-off </dev/null")?.exits(0)?.says("can be continued")?;
    nothing_is_open(lab)?;
    let disk = t7.sha256()?;
    lab.run("zferry verify t7 --drill --all --no-power-off </dev/null")?
        .exits(0)?
        .says_nothing_of("differs")?;
    nothing_is_open(lab)?;
    ensure!(t7.sha256()? == disk, "the drill wrote to the drive");
    Ok(())
}

/// What lies on the drive decrypted does not lie so on the computer, and runs go on from it.
fn restored(lab: &mut Lab, t7: &Drive) -> Result<()> {
    lab.run("zfs create -o encryption=off -o mountpoint=none rpool/open")?.exits(0)?;
    let disk = t7.sha256()?;
    lab.run("zferry restore t7 home --into rpool/open/home </dev/null")?
        .exits(1)?
        .says("rpool/open/home would not be encrypted")?
        .says("--decrypted --allow-plaintext")?;
    lab.run("! zfs list rpool/open/home 2>/dev/null")?.exits(0)?;
    let sums = "cd $(zfs get -H -o value mountpoint rpool/nixos/home/anna) && find . -type f -exec sha256sum {} + | sort";
    let before = lab.run(sums)?.exits(0)?.stdout();
    let guids = "zfs list -Hp -r -t snapshot -o name,guid rpool/nixos/home";
    let snapshots = lab.run(guids)?.exits(0)?.stdout();
    lab.run("cd /; zfs destroy -r rpool/nixos/home")?.exits(0)?;
    let restored = lab.run("zferry restore t7 home --into rpool/nixos/home </dev/null")?;
    restored
        .exits(0)?
        .says("Restored t7/eds into rpool/nixos/home")?
        .says("It is encrypted with the key of rpool now.")?
        .says_nothing_of("Runs cannot go on")?;
    nothing_is_open(lab)?;
    ensure!(t7.sha256()? == disk, "the drive was written to");
    lab.run("zfs get -Hp -r -t filesystem -o value encryptionroot rpool/nixos/home")?
        .prints("rpool\nrpool")?;
    let said = restored.stderr();
    for command in said.lines().map(str::trim).filter(|line| line.starts_with("zfs ")) {
        lab.run(command)?.exits(0)?;
    }
    ensure!(lab.run(sums)?.exits(0)?.stdout() == before, "what was restored is not what was lost");
    ensure!(lab.run(guids)?.exits(0)?.stdout() == snapshots, "not the same snapshots");
    lab.run("zferry run t7 --no-power-off </dev/null")?.exits(0)?.says("Nothing to send")?;
    lab.run("touch $(zfs get -H -o value mountpoint rpool/nixos/home/anna)/new && zpool sync rpool")?
        .exits(0)?;
    lab.snapshot("rpool/nixos/home", "after")?;
    let next = lab.run("zferry -v run t7 </dev/null")?;
    next.exits(0)?.last_word(SAFE)?.says_nothing_of(" in full")?;
    lab.gone(t7)?;
    lab.run("zferry status")?.exits(0)?;
    nothing_is_open(lab)
}

const OTHERS: &str = "[drives.other]\npool = \"other\"\npool-guid = \"99\"\n\
                      [backups.home]\nsource = \"rpool/nixos/home\"\ntarget = \"eds\"\nprune = \"mirror\"\n";

/// `init` is killed with the container open, then with the pool in it imported. `doctor` says what lets go of it, and the
/// next `init` does so by itself.
fn cut_off(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    lab.run("zgenhostid -f")?.exits(0)?;
    lab.write(CONFIG, OTHERS)?;
    let t7 = lab.drive("t7", "512M")?;
    lab.plug(&t7)?;
    let init = format!("zferry init t7 {} --luks --wipe --serial {}", t7.device(), t7.serial());
    killed_when(lab, &init, "the container is open", "ls /dev/mapper | grep -q zferry-")?;
    let found = lab.run("zferry doctor")?;
    found.exits(1)?.says("A `zferry init` was cut off")?.last_line("1 finding.")?;
    let printed = found.stdout();
    let commands = printed.lines().filter_map(|line| line.trim().strip_prefix("try: "));
    for command in commands.filter(|line| line.starts_with("zpool ") || line.starts_with("cryptsetup ")) {
        lab.run(command)?.exits(0)?;
    }
    nothing_is_open(lab)?;
    killed_when(lab, &init, "the pool is made", "zpool list t7")?;
    lab.run("zferry doctor")?
        .exits(1)?
        .says("try: zpool export t7")?
        .says("try: cryptsetup close zferry-")?
        .last_line("1 finding.")?;
    with_input(lab, &init, &format!("{OWN}\n{OWN}\n"))?
        .exits(0)?
        .says("An earlier `init` was cut off: exporting the pool t7 that it left")?
        .says("An earlier `init` was cut off: closing the LUKS container")?;
    nothing_is_open(lab)?;
    lab.run("zferry config check")?.exits(0)?;
    Ok(())
}

/// What it had started comes to its end.
fn killed_when(lab: &mut Lab, init: &str, point: &str, test: &str) -> Result<()> {
    let run = Command::shell(init).stdin(format!("{OWN}\n{OWN}\n"));
    let run = lab.start_command(run.within(LONG))?;
    lab.wait_until(point, LONG, test)?;
    lab.signal(&run, Signal::KILL)?;
    lab.finish(run)?;
    lab.remark(&format!("Kill when {point}"));
    lab.run(
        "timeout 60 sh -c 'while pgrep -x zpool || pgrep -x cryptsetup; do sleep 1; done'; udevadm settle",
    )?
    .exits(0)?;
    Ok(())
}
