//! `doctor`: what it finds is there, what it prints mends it, and it changes nothing.

use anyhow::{Context, Result, ensure};

use super::Scenario;
use crate::command::Output;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![Scenario::full(
        "doctor finds what would make the next run fail, and what it prints mends it",
        checkup,
    )]
}

const SOUND: &str = "Nothing was found that would make the next run fail.";

/// The command that is printed below a finding.
fn remedy(output: &Output, words: &str) -> Result<String> {
    let text = output.stdout();
    let mut commands = text.lines().filter_map(|line| line.trim().strip_prefix("try: "));
    let line = commands.find(|line| line.contains(words));
    let line = line.map(|line| line.split("   (").next().unwrap_or(line));
    line.map(str::to_owned).with_context(|| format!("no remedy with {words:?} was printed\n{text}"))
}

fn checkup(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.run("zgenhostid -f")?.exits(0)?;
    lab.run("zferry run t7")?.exits(0)?;
    let away = lab.run("zferry doctor")?;
    ensure!(away.stdout().contains("Not connected, and so not looked at: t7."), "{}", away.stdout());
    away.exits(0)?;
    lab.plug(&t7)?;
    let disk = t7.sha256()?;
    let sound = lab.run("zferry doctor")?;
    ensure!(sound.stdout().trim() == SOUND, "{}{}", sound.stdout(), sound.stderr());
    sound.exits(0)?;
    lab.not_imported("backup")?;
    ensure!(t7.sha256()? == disk, "doctor wrote to the drive");

    // On the drive, on the source, and on this computer.
    lab.run(&format!(
        "set -e; zpool import -N -d /dev/disk/by-id {guid}; zfs snapshot backup/eds/anna@mine; \
         zfs bookmark rpool/nixos/home@autosnap_2026-01-02_00:00:00_daily rpool/nixos/home#zferry_99_$(zfs get -Hp -o value guid rpool/nixos/home@autosnap_2026-01-02_00:00:00_daily); \
         rm /etc/hostid"
    ))?
    .exits(0)?;
    let found = lab.run("zferry doctor t7")?;
    found.exits(1)?;
    let text = found.stdout();
    for words in ["It has no host id", "imports it by itself", "(pool 99)", "mine"] {
        ensure!(text.contains(words), "{words:?} is not found\n{text}");
    }
    let json = lab.run("zferry doctor --json")?;
    json.exits(1)?;
    ensure!(json.stdout().contains("\"remedies\":[\"zgenhostid\"]"), "{}", json.stdout());
    for words in ["zgenhostid", "zfs destroy 'rpool/nixos/home#zferry_99_", "zpool export backup"] {
        let line = remedy(&found, words)?;
        lab.run(&line)?.exits(0)?;
    }
    // What only the drive has is looked at again, since its remedies are for a pool that is imported or not.
    let left = lab.run("zferry doctor t7")?;
    left.exits(1)?;
    ensure!(left.stdout().contains("1 finding."), "{}", left.stdout());
    let line = remedy(&left, "--rollback-target")?;
    lab.run(&line)?.exits(0)?;
    lab.plug(&t7)?;
    let again = lab.run("zferry doctor t7")?;
    ensure!(again.stdout().trim() == SOUND, "{}", again.stdout());
    again.exits(0)?;
    lab.run("zferry doctor t8")?.exits(2)?.says("t7")?;
    Ok(())
}
