//! Plug in, walk away: real udev starts a real unit.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use super::session::{arrived, much};
use super::unplugged::{give_way_to, plug_again, wait_for_replug};
use crate::drive::Drive;
use crate::lab::{CTRL_C, Lab};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("plugging a drive in is all that a person does", plug_in),
        Scenario::full("each plugging in starts one run, whatever udev announces", announced).packaged(),
        Scenario::full("a drive that is connected when the computer starts has one run", at_boot).packaged(),
        Scenario::full(
            "what a pulled drive leaves in the kernel does not keep the next plugging in waiting",
            left,
        )
        .packaged(),
        Scenario::full("a run that goes on is shown on another terminal, and can be stopped there", shown)
            .packaged(),
        Scenario::full("who may become root types the alias with run0", with_run0).packaged(),
        Scenario::full("a drive that is paused or calls itself something hostile starts nothing", held_back)
            .packaged(),
    ]
}

/// A run in an emulated guest.
pub(super) const RUN: Duration = Duration::from_secs(180);

/// The package for Debian, where the lab has made it (`Scenario::packaged`); else the rule and the unit where it puts them.
pub(super) fn install(lab: &mut Lab) -> Result<()> {
    if lab.run("test -e /root/packages/zferry.deb")?.exits(0).is_ok() {
        // The lab's own copy would come first in the path.
        lab.run("rm /usr/local/bin/zferry; dpkg -i /root/packages/zferry.deb")?.exits(0)?;
        return Ok(());
    }
    lab.run(
        "set -e; cd /usr/local/share/zferry/udev-rules; \
         cp 90-zferry.rules /usr/lib/udev/rules.d/; cp zferry@.service /usr/lib/systemd/system/; \
         systemd-analyze verify --man=no /usr/lib/systemd/system/zferry@.service; udevadm control --reload; systemctl daemon-reload",
    )?
    .exits(0)?
    .prints("")?;
    Ok(())
}

/// So many runs have begun and ended, and the last one has said this.
pub(super) fn until_told(lab: &mut Lab, instance: impl Display, runs: usize, words: &str) -> Result<()> {
    let unit = format!("zferry@{instance}.service");
    let test = format!(
        "test $(journalctl -q -b -o cat -u {unit} | grep -cF '{words}') = {runs} && \
         test $(systemctl show -P ActiveState {unit}) = inactive"
    );
    lab.wait_until(&format!("{words:?} was said {runs} times"), RUN, &test)?;
    lab.run(&format!("systemctl show -P Result {unit}"))?.prints("success")?;
    Ok(())
}

fn plug_in(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.pull(&t7)?;
    install(lab)?;
    much(lab)?;
    lab.plug_slow(&t7)?;
    let unit = format!("zferry@{guid}.service");
    // Between two streams it says for a moment which one begins.
    lab.wait_until("it sends", RUN, &format!("systemctl status {unit} | grep -F 'Status: \"Sending: '"))?;
    lab.run("systemd-inhibit --list --no-pager")?
        .exits(0)?
        .says("zferry")?
        .says("shutdown:sleep:handle-lid-switch")?;
    // Udev was quicker than the person who types it.
    lab.run("zferry run t7")?.exits(75)?.says("another zferry is busy with this drive")?;
    let looks_on = lab.on_terminal("zferry run t7")?;
    lab.finish(looks_on)?
        .exits(0)?
        .says("A run of t7 goes on already")?
        .says("in total")?
        .says("Verified ")?
        .says("Safe to unplug t7 (exported and powered off)")?;
    lab.run("cat /run/zferry/status.json")?
        .says("\"drive\":\"t7\"")?
        .says("\"state\":\"succeeded\"")?
        .says("\"unplug\":{\"state\":\"safe\",\"powered_off\":true},\"exit\":0")?;
    until_told(lab, guid, 1, "Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    lab.run("systemd-inhibit --list --no-pager")?.exits(0)?.says_nothing_of("zferry")?;
    arrived(lab, &t7)?;
    // Plugged in again on the same day, to look at it: nothing, but by hand.
    until_told(lab, guid, 1, "ago, and is left as it is")?;
    lab.not_imported("backup")?;
    lab.run("zferry run t7")?.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    Ok(())
}

/// Plugs in a slow drive that has much to get, until its unit, whose name is returned, sends.
fn sends(lab: &mut Lab, t7: &Drive, guid: u64) -> Result<String> {
    lab.pull(t7)?;
    install(lab)?;
    much(lab)?;
    lab.plug_slow(t7)?;
    let unit = format!("zferry@{guid}.service");
    lab.wait_until("it sends", RUN, &format!("systemctl show -P StatusText {unit} | grep '^Sending: '"))?;
    Ok(unit)
}

/// By whoever may read the configuration; and what is typed there decides what becomes of it.
fn shown(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    let unit = sends(lab, &t7, guid)?;
    lab.run("cat /run/zferry/status.json")?.says("\"state\":\"running\"")?.says("\"message\":\"Sending: ")?;
    let anybody = "setpriv --reuid=1000 --clear-groups zferry run t7";
    lab.run(anybody)?.exits(77)?;
    let mut looks_on = lab.on_terminal(anybody)?;
    lab.until_says(&mut looks_on, "in total")?;
    lab.type_into(&looks_on, CTRL_C)?;
    lab.until_says(&mut looks_on, "or leave it going?")?;
    lab.type_into(&looks_on, "s\n")?;
    lab.finish(looks_on)?.exits(1)?.says("cannot be asked to end")?.says("as root")?;
    let mut looks_on = lab.on_terminal("zferry run t7")?;
    lab.until_says(&mut looks_on, "in total")?;
    lab.type_into(&looks_on, CTRL_C)?;
    lab.until_says(&mut looks_on, "or leave it going?")?;
    lab.type_into(&looks_on, "\n")?;
    lab.finish(looks_on)?.exits(75)?.says("the run of t7 goes on, and is not shown any more")?;
    lab.run(&format!("systemctl is-active {unit}"))?.prints("activating")?;
    let mut looks_on = lab.on_terminal("zferry run t7")?;
    lab.until_says(&mut looks_on, "in total")?;
    lab.type_into(&looks_on, CTRL_C)?;
    lab.until_says(&mut looks_on, "or leave it going?")?;
    lab.type_into(&looks_on, "s\n")?;
    lab.finish(looks_on)?.exits(143)?.says("Safe to unplug t7")?;
    lab.run("cat /run/zferry/status.json")?.says("\"state\":\"interrupted\"")?;
    lab.gone(&t7)?;
    lab.plug_slow(&t7)?;
    lab.wait_until("it sends", RUN, &format!("systemctl show -P StatusText {unit} | grep '^Sending: '"))?;
    let mut looks_on = lab.on_terminal("zferry run t7")?;
    lab.until_says(&mut looks_on, "A run of t7 goes on already")?;
    lab.run(&format!("systemctl kill -s KILL {unit}"))?.exits(0)?;
    lab.finish(looks_on)?.exits(1)?.says("the run of t7 is gone, and has not said how it ended")?;
    let run = lab.run("zferry run t7")?;
    run.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    arrived(lab, &t7)
}

/// What home-manager's `elevate = "systemd"` makes of the alias.
fn with_run0(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    install(lab)?;
    lab.run("useradd --create-home --shell /bin/bash --groups sudo ada && echo ada:lovelace | chpasswd && systemctl start polkit")?
        .exits(0)?;
    much(lab)?;
    as_ada(lab, "run0 zferry run t7", 0, "Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    arrived(lab, &t7)?;
    // A code that says more than yes or no is not lost on the way.
    lab.pull(&t7)?;
    as_ada(lab, "run0 zferry run --wait=1s t7", 75, "t7")
}

/// Logs in, with a terminal and a session of its own, types a command and the password that it asks for.
fn as_ada(lab: &mut Lab, command: &str, code: i32, words: &str) -> Result<()> {
    let mut session = lab.on_terminal(&format!("su --pty --login ada --command '{command}'"))?;
    lab.until_says(&mut session, "assword:")?;
    lab.type_into(&session, "lovelace\n")?;
    lab.finish(session)?.exits(code)?.says(words)?;
    Ok(())
}

/// Nobody said that it is to be backed up to now; nobody may say so by what stands in a label.
fn held_back(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.pull(&t7)?;
    install(lab)?;
    lab.run("zferry pause t7")?.exits(0)?;
    lab.plug(&t7)?;
    until_told(lab, guid, 1, "t7 is paused since")?;
    lab.not_imported("backup")?;
    lab.run("zferry status")?.exits(0)?.says("t7 is paused, since")?;
    lab.pull(&t7)?;
    lab.run("zferry resume t7")?.exits(0)?;

    // Udev and blkid read the label without its checksum; ZFS does not.
    let other = lab.drive("other", "128M")?;
    let stranger = lab.prepare_drive(&other, "stranger")?;
    rename_in_labels(lab, &other, "stranger", "`id>/x`;")?;
    lab.run(&format!("sgdisk -c '1:$(touch /owned);`reboot`' {} && udevadm settle", other.device()))?
        .exits(0)?;
    lab.pull(&other)?;
    lab.plug(&other)?;
    lab.run(&format!("udevadm info -q property {}", other.partition()))?.says("ID_FS_UUID=")?.says("id")?;
    let ended = format!("test \"$(systemctl show -P ExecMainExitTimestamp zferry@{stranger})\" != ''");
    lab.wait_until("the unit of a pool that is nobody's has ended", RUN, &ended)?;
    lab.run(&format!("systemctl show -P Result zferry@{stranger}"))?.prints("success")?;
    // The same of a drive that is ours, by its guid.
    lab.plug(&t7)?;
    until_told(lab, guid, 1, "Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    lab.run("sed -i '/^pool-guid/a min-interval = \"0s\"' /etc/zferry/config.toml; zferry pause t7")?
        .exits(0)?;
    lab.plug(&t7)?;
    rename_in_labels(lab, &t7, "backup", "`id`>x")?;
    lab.pull(&t7)?;
    lab.run("zferry resume t7")?.exits(0)?;
    lab.plug(&t7)?;
    let failed = format!("test $(systemctl show -P ActiveState zferry@{guid}) = failed");
    lab.wait_until("the run has failed", RUN, &failed)?;
    lab.run(&format!("journalctl -q -o cat -p err -u zferry@{guid}"))?.says("zferry: error: ")?;
    lab.run("ls /x /owned /root/x / | grep -x -e x -e owned")?.exits(1)?;
    lab.not_imported("backup")
}

/// In all labels of a drive's partition, which lie at its beginning and at its end.
fn rename_in_labels(lab: &mut Lab, drive: &Drive, from: &str, to: &str) -> Result<()> {
    ensure!(from.len() == to.len(), "the labels would not fit");
    let script = format!(
        "use strict; open my $d, '+<', $ARGV[0] or die $!; my $end = sysseek $d, 0, 2; \
         for my $at (0, $end - ($end % 262144) - 524288) {{ sysseek $d, $at, 0; sysread $d, my $b, 524288; \
         $b =~ s{{{from}}}{{{to}}}g or die 'no label'; sysseek $d, $at, 0; syswrite $d, $b }}"
    );
    lab.write("/run/lab/rename", script)?;
    let partition = drive.partition();
    lab.run(&format!("perl /run/lab/rename {partition} && sync && blockdev --flushbufs {partition}"))?
        .exits(0)?;
    Ok(())
}

/// Both a drive that stays where it is and one that is nobody's.
fn announced(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.pull(&t7)?;
    install(lab)?;
    lab.run("sed -i '/^pool-guid/a power-off = false\\nmin-interval = \"0s\"' /etc/zferry/config.toml")?
        .exits(0)?;
    let safe = "Safe to unplug t7 (exported; still powered)";
    for round in 1..=10 {
        lab.plug(&t7)?;
        until_told(lab, guid, round, safe)?;
        if round % 5 == 0 {
            storm(lab, &t7)?;
            until_told(lab, guid, round, safe)?;
        }
        lab.pull(&t7)?;
    }
    let other = lab.drive("other", "128M")?;
    let stranger = lab.prepare_drive(&other, "stranger")?;
    // When its disk appeared there was no pool on it yet.
    lab.pull(&other)?;
    lab.plug(&other)?;
    lab.wait_until(
        "the unit of a pool that is nobody's has ended",
        RUN,
        &format!("test \"$(systemctl show -P ExecMainExitTimestamp zferry@{stranger})\" != ''"),
    )?;
    let line = format!(
        "systemctl show -P Result zferry@{stranger}; journalctl -q -o cat -u zferry@{stranger} _COMM=zferry"
    );
    lab.run(&line)?.prints("success")?;
    lab.not_imported("stranger")
}

/// The source is imported by the boot as well, and the run comes after that.
fn at_boot(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.pull(&t7)?;
    install(lab)?;
    lab.run("sed -i '/^pool-guid/a power-off = false\\nmin-interval = \"0s\"' /etc/zferry/config.toml; sync -f /etc/zferry")?
        .exits(0)?;
    for boot in 1..=2 {
        lab.run("zpool sync; sync")?.exits(0)?;
        lab.cut_beside(&t7)?;
        lab.run("zpool list -H -o name")?.prints("rpool").context("the boot has not imported the source")?;
        until_told(lab, guid, 1, "Safe to unplug t7 (exported; still powered)")?;
        lab.run("for action in add change; do udevadm trigger --action=$action; udevadm settle; done")?
            .exits(0)?;
        until_told(lab, guid, 1, "Safe to unplug t7 (exported; still powered)")?;
        lab.run("systemctl --failed --plain --no-legend")?.says_nothing_of("zferry")?;
        lab.snapshot("rpool/nixos/home", &format!("boot{boot}"))?;
    }
    lab.unlock_source("rpool")?;
    // What is looked at by hand below starts no run.
    lab.run("sed -i '/^min-interval/d; /^power-off/d' /etc/zferry/config.toml; zferry run t7")?.exits(0)?;
    arrived(lab, &t7)
}

/// The run has given up, and its `zfs receive` may hang in the kernel for as long as the pool has no disk. Systemd does not
/// wait for it: the next plugging in begins a run, which says what has become of the pool.
fn left(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    wait_for_replug(lab, "5s")?;
    let unit = sends(lab, &t7, guid)?;
    lab.until_written("backup", 9)?;
    let run = lab.run(&format!("systemctl show -P MainPID {unit}"))?.number()?;
    give_way_to(lab, run)?;
    lab.pull(&t7)?;
    let has_ended = format!("test $(systemctl show -P ActiveState {unit}) = failed");
    lab.wait_until("the run has given up", RUN, &has_ended)?;
    let hanging = lab.run(&format!(
        "cat /sys/fs/cgroup/system.slice/system-zferry.slice/{unit}/cgroup.procs 2>/dev/null | wc -l"
    ))?;
    lab.remark(&format!("{} processes were left", hanging.stdout().trim()));
    plug_again(lab, &t7)?;
    let begun = format!("test $(journalctl -q -b -o cat -u {unit} | grep -c '^Starting ') = 2");
    lab.wait_until("the next run has begun", Duration::from_secs(60), &begun)?;
    lab.wait_until(
        "it has ended",
        RUN,
        &format!("test $(systemctl show -P ActiveState {unit}) != activating"),
    )?;
    let told = lab.run(&format!("journalctl -q -b -o cat -u {unit} _COMM=zferry"))?.stdout();
    // ZFS sometimes does not go on with a pool whose disk has come back.
    let ends = ["Safe to unplug t7 (exported and powered off)", "estart this computer"];
    let end = ends.iter().find(|end| told.contains(**end)).context("it has not said what to do")?;
    lab.remark(end);
    Ok(())
}

/// All that announces what is there already; and a run that is typed in between.
fn storm(lab: &mut Lab, t7: &Drive) -> Result<()> {
    let (disk, partition) = (t7.device(), t7.partition());
    lab.run(&format!(
        "set -e; for action in add change add; do udevadm trigger --action=$action; udevadm settle; done; \
         udevadm trigger --action=change $(readlink -f {partition}); udevadm settle; \
         timeout 20 sh -c 'until blockdev --rereadpt {disk}; do sleep 1; done'; udevadm settle; \
         systemctl daemon-reload; udevadm control --reload"
    ))?
    .exits(0)?;
    let typed = lab.run_in_background("zferry run t7")?;
    lab.run("udevadm trigger --action=add")?.exits(0)?;
    lab.finish(typed)?.exits(0)?.last_word("Safe to unplug t7 (exported; still powered)")?;
    Ok(())
}
