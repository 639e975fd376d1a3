//! What is saved to files by itself, and what of a drive becomes a file.

use anyhow::{Result, ensure};

use super::Scenario;
use super::alerted::{asked, listen, monitor};
use super::archived::{diary, write};
use super::files::typed;
use super::plugged::install;
use crate::command::Command;
use crate::lab::{Lab, PASSPHRASE};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full(
            "a timer saves to files and a monitor is told, and a snapshot of a drive becomes a file",
            by_timer,
        )
        .packaged(),
    ]
}

/// The units of the package, for the name in the configuration.
fn by_timer(lab: &mut Lab) -> Result<()> {
    diary(lab, "ping = \"file:/etc/zferry/ping\"\non-success = [\"tell-me\"]\non-failure = [\"tell-me\"]\n")?;
    install(lab)?;
    listen(lab)?;
    monitor(lab, "healthchecks:", "well")?;
    lab.run("zferry config check")?.exits(0)?.says_nothing_of("Warning")?;
    lab.run(
        "systemd-analyze verify --man=no /usr/lib/systemd/system/zferry-save@.service /usr/lib/systemd/system/zferry-save@.timer; \
         systemctl enable --now zferry-save@diary.timer && systemctl list-timers --no-pager",
    )?
    .exits(0)?
    .says("zferry-save@diary.timer")?;
    write(lab, "one")?;
    let start = "systemctl start zferry-save@diary.service";
    lab.run(&format!("{start}; systemctl show -P Result zferry-save@diary.service"))?.prints("success")?;
    let told = asked(lab)?;
    ensure!(
        told.len() == 2 && told[0].contains("/start?rid=") && told[1].contains("diary: saved 1 dataset"),
        "{told:#?}"
    );
    lab.run("cat /run/lab/programs")?
        .says("ZFERRY_STREAM=diary")?
        .says("ZFERRY_SOURCE=rpool/diary-entries")?
        .says("ZFERRY_DIRECTORY=/srv/files")?
        .says("ZFERRY_EVENT=success")?;
    // What does not work is told, too.
    lab.run(&format!("mv /srv/files /srv/away; {start}"))?.exits(1)?;
    let told = asked(lab)?;
    ensure!(
        told.len() == 1 && told[0].contains("/fail?rid=") && told[0].contains("there is no directory"),
        "{told:#?}"
    );
    lab.run("journalctl -q -o cat -p err -u zferry-save@diary.service")?
        .says("there is no directory /srv/files")?;
    lab.run("mv /srv/away /srv/files; systemctl disable --now zferry-save@diary.timer")?.exits(0)?;
    exported(lab)
}

/// Of a drive that is open, and back onto another pool.
fn exported(lab: &mut Lab) -> Result<()> {
    let t7 = lab.drive("t7", "512M")?;
    let guid = lab.prepare_drive(&t7, "backup")?;
    lab.configure_drive("t7", guid, "")?;
    lab.snapshot("rpool/nixos/home", "today")?;
    lab.run("zferry run t7")?.exits(0)?;
    lab.gone(&t7)?;
    lab.plug(&t7)?;
    typed(lab, "zferry open t7")?.exits(0)?;
    let snapshot = "backup/eds/anna@today";
    lab.run(&format!("cd /srv && zferry stream export {snapshot} anna.zfs"))?
        .exits(0)?
        .says("Saved backup/eds/anna@today as anna.zfs")?;
    lab.run(&format!("zferry stream export {snapshot} /srv/anna.zfs"))?
        .exits(1)?
        .says("/srv/anna.zfs is there already")?;
    lab.run(&format!("zferry stream export {snapshot} /srv/other.zfs --from eds@x"))?
        .exits(2)?
        .says("it begins with")?;
    lab.run("zferry stream verify /srv/anna.zfs")?.exits(0)?.says("full, raw")?;
    lab.run("zferry close t7")?.exits(0)?;
    lab.gone(&t7)?;
    lab.run("cd /home/anna && sha256sum $(find . -type f | sort) > /run/lab/sums; zferry stream restore rpool/anna /srv/anna.zfs")?
        .exits(0)?;
    let load = "zfs load-key -L prompt rpool/anna && zfs set mountpoint=/mnt rpool/anna";
    lab.execute(Command::shell(load).stdin(format!("{PASSPHRASE}\n")))?.exits(0)?;
    lab.run("cd /mnt && sha256sum -c --quiet /run/lab/sums")?.exits(0)?;
    Ok(())
}
