//! `doctor`: what it finds is there, what it prints mends it, and it changes nothing.

use anyhow::{Context, Result, ensure};

use super::Scenario;
use crate::command::Output;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full(
            "doctor finds what would make the next run fail, and what it prints mends it",
            checkup,
        ),
        Scenario::full("doctor finds what lies around a backup, and what it prints mends it", around),
        Scenario::full(
            "doctor tells whether plugging a drive in starts a run, and what powers it off",
            started,
        ),
    ]
}

const SOUND: &str = "Nothing was found that would make the next run fail.";

/// There may be hints.
fn is_sound(output: &Output) -> Result<()> {
    output.exits(0)?.last_line(SOUND)?.says_nothing_of("finding")?;
    Ok(())
}

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
    is_sound(&sound)?;
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
    is_sound(&again)?;
    lab.run("zferry doctor t8")?.exits(2)?.says("t7")?;
    delegated(lab)?;
    Ok(())
}

/// What others may do to the source is told, and what was printed ends it.
fn delegated(lab: &mut Lab) -> Result<()> {
    lab.run(
        "set -e; useradd -M replicator; zfs allow -u replicator send,hold,destroy,rollback rpool/nixos/home; \
         zfs allow -e snapshot rpool; zfs allow -s @mine destroy rpool; zfs allow -c destroy rpool; \
         zfs allow -g daemon @mine rpool/nixos",
    )?
    .exits(0)?;
    let told = lab.run("zferry doctor t7")?;
    told.exits(0)?.says("The user replicator may do this to it (`zfs allow`): destroy, rollback.")?;
    ensure!(told.stdout().matches("may do this to it").count() == 2, "{}", told.stdout());
    for line in told.stdout().lines().filter_map(|line| line.split_once("if nothing needs it: ")) {
        lab.run(line.1)?.exits(0)?;
    }
    lab.run("zfs allow rpool/nixos/home")?.exits(0)?.says("user replicator hold,send")?;
    lab.run("zferry doctor t7")?.exits(0)?.says_nothing_of("may do this to it")?;
    Ok(())
}

/// What is imported at the start, what is held, a drive without power to take, and its rescue file system.
fn around(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    lab.run("zgenhostid -f")?.exits(0)?;
    let t7 = lab.drive("t7", "2G")?;
    lab.plug(&t7)?;
    lab.run(&format!("zferry init t7 {} --serial {}", t7.device(), t7.serial()))?.exits(0)?;
    lab.run(
        "printf '\\n[backups.home]\\nsource = \"rpool/nixos/home\"\\ntarget = \"eds\"\\nprune = \"never\"\\n' >> /etc/zferry/config.toml && zferry run t7 --no-power-off",
    )?
    .exits(0)?;
    let disk = t7.sha256()?;
    let sound = lab.run("zferry doctor t7")?;
    is_sound(&sound)?;
    ensure!(t7.sha256()? == disk, "doctor wrote to the drive");
    nothing_is_mounted(lab)?;

    // A hold of a run to a drive that nobody has any more.
    lab.run("zfs hold zferry:99 rpool/nixos/home/anna@autosnap_2026-01-01_00:00:00_daily")?.exits(0)?;
    mended(lab, "left snapshots held", "zfs release zferry:99")?;
    // Pulled out while it was imported as by hand, and restarted: the list still has it.
    lab.run("zpool set cachefile=/etc/zfs/zpool.cache rpool && zpool import -N -d /dev/disk/by-id t7 && cp /etc/zfs/zpool.cache /root/listed && zpool export t7 && cp /root/listed /etc/zfs/zpool.cache")?
        .exits(0)?;
    mended(lab, "is in /etc/zfs/zpool.cache", "zpool set cachefile=")?;
    lab.run("set -e; rm /etc/zfs/zpool.cache; d=/etc/systemd/system/zfs-import.target.wants; mkdir -p $d; ln -sf /lib/systemd/system/zfs-import-scan.service $d/")?
        .exits(0)?;
    mended(lab, "imports every pool that is connected", "zpool set cachefile=")?;

    // The configuration is another one now, which the next run writes there.
    lab.run("sed -i 's/\"never\"/\"mirror\"/' /etc/zferry/config.toml")?.exits(0)?;
    mended(lab, "rescue file system is not up to date: config.toml", "zferry run t7")?;
    lab.plug(&t7)?;
    let sound = lab.run("zferry doctor t7")?;
    is_sound(&sound)?;
    // Its partition is not there any more, or never was.
    lab.run(&format!(
        "sgdisk --change-name=2:other {0} && udevadm settle && partprobe {0}; udevadm settle",
        t7.device()
    ))?;
    let found = lab.run("zferry doctor t7")?;
    found.exits(1)?;
    let text = found.stdout();
    ensure!(text.contains("cannot be looked at: there is none on the drive"), "{text}");
    lab.run("sed -i 's/^rescue = true.*/rescue = false/' /etc/zferry/config.toml")?.exits(0)?;
    let sound = lab.run("zferry doctor t7")?;
    is_sound(&sound)?;
    nothing_is_mounted(lab)
}

/// The rule and the unit that start a run, and udisks.
fn started(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    lab.run("zgenhostid -f; zferry run t7")?.exits(0)?;
    let (unit, rule) = ("/etc/systemd/system/zferry@.service", "/etc/udev/rules.d/90-zferry.rules");
    let neither = lab.run("zferry doctor")?;
    is_sound(&neither)?;
    neither.says("Hint, this computer: Plugging a drive in starts no run")?.says_nothing_of("udisks")?;
    lab.run("zferry doctor --json")?.exits(0)?.says(r#""hints":[{"about":"this computer""#)?;

    let shipped = "/usr/local/share/zferry/udev-rules";
    lab.run(&format!("cp {shipped}/90-zferry.rules {rule}; udevadm control --reload"))?.exits(0)?;
    lab.run("zferry doctor")?.exits(1)?.says("and not the unit zferry@.service")?.last_line("1 finding.")?;
    // What is found is so: nothing starts.
    lab.plug(&t7)?;
    lab.run("zferry doctor")?.exits(1)?.last_line("1 finding.")?;
    lab.pull(&t7)?;
    lab.run(&format!("cp {shipped}/zferry@.service {unit}; systemctl daemon-reload"))?.exits(0)?;
    let both = lab.run("zferry doctor")?;
    is_sound(&both)?;
    both.says_nothing_of("Hint")?;
    lab.run(&format!("rm {rule}"))?.exits(0)?;
    let without_rule = lab.run("zferry doctor")?;
    is_sound(&without_rule)?;
    without_rule.says("and not udev's rule 90-zferry.rules")?;
    lab.run(&format!("cp {shipped}/90-zferry.rules {rule}; sed -i 's,^ExecStart=zferry,ExecStart=/opt/zferry,; /^KillMode/d' {unit}"))?
        .exits(0)?;
    lab.run("zferry doctor")?
        .exits(1)?
        .says("starts /opt/zferry, which is not there")?
        .says("KillMode is otherwise there")?
        .last_line("2 findings.")?;
    // What a person adds is their own business.
    let added = "[Service]\\nKillMode=process\\nExecStart=\\nExecStart=/usr/bin/env zferry run --triggered --pool-guid %%i\\n";
    lab.run(&format!("mkdir {unit}.d; printf '{added}' > {unit}.d/own.conf"))?.exits(0)?;
    lab.run("zferry doctor")?.exits(1)?.says("starts `/usr/bin/env zferry run")?.last_line("1 finding.")?;
    lab.run(&format!("rm -r {unit}.d; ln -sf /dev/null {unit}"))?.exits(0)?;
    let hidden = lab.run("zferry doctor")?;
    is_sound(&hidden)?;
    hidden.says_nothing_of("Hint")?;
    lab.run("mv $(command -v udisksctl) /root/udisksctl")?.exits(0)?;
    let without = lab.run("zferry doctor")?;
    is_sound(&without)?;
    without.says("by the kernel and not by udisks (udisksctl is not installed)")?;
    // It is told truly: the drive is powered off all the same.
    lab.plug(&t7)?;
    lab.run("zferry run t7")?.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)
}

fn nothing_is_mounted(lab: &mut Lab) -> Result<()> {
    lab.run("grep -E 'zferry|t7' /proc/self/mountinfo; zpool list -H -o name")?.prints("rpool")?;
    Ok(())
}

/// It is found, and what is printed mends it.
fn mended(lab: &mut Lab, finding: &str, words: &str) -> Result<()> {
    let found = lab.run("zferry doctor t7")?;
    found.exits(1)?;
    let text = found.stdout();
    ensure!(
        text.contains(finding) && text.contains("\n1 finding."),
        "{finding:?} is not what is found\n{text}"
    );
    let line = remedy(&found, words)?;
    lab.run(&line)?.exits(0)?;
    let again = lab.run("zferry doctor t7")?.stdout();
    ensure!(!again.contains(finding), "{line} did not mend it\n{again}");
    Ok(())
}
