//! What people follow an article with forty commands for, with zferry's alone.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Scenario;
use crate::command::{Command, Output};
use crate::lab::{Lab, PASSPHRASE};

pub fn scenarios() -> Vec<Scenario> {
    vec![Scenario::full("from a blank disk to a restored file and back, with nothing but zferry", whole)]
}

const SAFE: &str = "Safe to unplug t7 (exported and powered off)";
const STILL_POWERED: &str = "Safe to unplug t7 (exported; still powered)";
const CONFIG: &str = "/etc/zferry/config.toml";
const BACKUP: &str =
    "\n[backups.home]\nsource = \"rpool/nixos/home\"\ntarget = \"eds\"\nprune = \"mirror\"\n";

/// What a person types, with the passphrase where it is asked for.
fn typed(lab: &mut Lab, line: &str) -> Result<Output> {
    let command = Command::shell(line).stdin(format!("{PASSPHRASE}\n"));
    let output = lab.execute(command.within(Duration::from_secs(400)))?;
    output.exits(0)?;
    Ok(output)
}

fn whole(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    let t7 = lab.drive("t7", "1G")?;
    lab.plug(&t7)?;
    typed(lab, &format!("zferry init t7 {} --serial {}", t7.device(), t7.serial()))?
        .last_word("zferry plan t7")?;
    let text = String::from_utf8(lab.read(CONFIG)?)?;
    lab.write(CONFIG, format!("{text}{BACKUP}"))?;
    typed(lab, "zferry plan t7")?;
    typed(lab, "zferry run t7")?.last_word(SAFE)?;
    lab.gone(&t7)?;
    t7.is_exported()?;

    lab.plug(&t7)?;
    typed(lab, "zferry open t7")?.says("/run/zferry/open/t7/home/anna/.zfs/snapshot")?;
    lab.run("find /run/zferry/open/t7 -xdev -name letter; cmp /run/zferry/open/t7/home/anna/letter /home/anna/letter")?
        .exits(0)?;
    typed(lab, "zferry close t7")?.last_word(SAFE)?;
    lab.gone(&t7)?;

    lab.run("cp /home/anna/letter /tmp/kept && rm /home/anna/letter && zpool sync rpool")?.exits(0)?;
    lab.plug(&t7)?;
    typed(lab, "zferry restore t7 home anna/letter --to /home/anna")?.last_word(STILL_POWERED)?;
    lab.run("cmp /tmp/kept /home/anna/letter")?.exits(0)?;

    lab.run("zfs destroy -r rpool/nixos/home")?.exits(0)?;
    let restored = typed(lab, "zferry restore t7 home --into rpool/nixos/home")?;
    restored.says("Restored t7/eds into rpool/nixos/home")?;
    super::rebuilt::use_it(lab, &restored.stderr())?;
    lab.run("cmp /tmp/kept $(zfs get -H -o value mountpoint rpool/nixos/home/anna)/letter")?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "after")?;
    lab.plug_if_away(&t7)?;
    let next = typed(lab, "zferry -v run t7")?;
    next.says("zfs send -w -i")?.last_word(SAFE)?;
    ensure!(!next.stderr().contains(" in full"), "it was sent anew\n{}", next.stderr());
    lab.gone(&t7)?;
    t7.is_exported()
}
