//! What changed on the source since what the drive has.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Scenario;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full("diff tells which files changed since what the drive has newest", told)
            .also_on_the_oldest(),
    ]
}

const CHANGES: &str = "set -e; cd /home/anna; printf 12345 > 'a b'; mkdir new; \
    printf 1 > \"$(printf 'new/two\\nlines')\"; printf 1 > \"$(printf 'new/\\377\\\\')\"; \
    printf 1 > new/ü; printf 1 > '<xattrdir>'; rm tax; mv was is; printf more >> letter; ln -s letter link; \
    ln keep keep2; rmdir empty; zpool sync rpool";

fn told(lab: &mut Lab) -> Result<()> {
    let (_, _) = lab.setting("512M")?;
    lab.run("set -e; cd /home/anna; printf 123 > tax; printf 1234567 > was; printf 1 > keep; mkdir empty; zpool sync rpool")?
        .exits(0)?;
    lab.snapshot("rpool/nixos/home", "last")?;
    lab.run("zferry run t7")?.exits(0)?;

    // The drive is away. What it has newest is known by its guid.
    lab.run("zfs rename -r rpool/nixos/home@last known && zferry diff t7 home")?
        .exits(0)?
        .says("rpool/nixos/home/anna, from @known (what t7 has newest) until now:")?
        .last_line("Nothing changed.")?;
    lab.run(CHANGES)?.exits(0)?;
    let open =
        lab.run_in_background("exec 3> /home/anna/open; rm /home/anna/open; zpool sync rpool; sleep 1000")?;
    let diff = lab.run("zpool sync rpool; zferry diff t7 home")?;
    diff.exits(0)?;
    for line in [
        "  added            5 B  anna/a b\n",
        "  added                 anna/new/\n",
        "  added            1 B  anna/new/two\\nlines\n",
        "  added            1 B  anna/new/\\xff\\\n",
        "  added            1 B  anna/new/ü\n",
        "  added            1 B  anna/<xattrdir>\n",
        "  removed          3 B  anna/tax\n",
        "  removed               anna/empty/\n",
        "  renamed          7 B  anna/was -> anna/is\n",
        "  modified        15 B  anna/letter\n",
        "  (+1 name)\n",
    ] {
        ensure!(diff.stdout().contains(line), "{line:?} is not there\n{}", diff.stdout());
    }
    ensure!(!diff.stdout().contains("open"), "{}", diff.stdout());
    // A second name of a file is a change of that file.
    diff.last_line("7 added (9 B), 2 modified (16 B), 2 removed (3 B), 1 renamed (7 B).")?;
    lab.run("zfs list -H -t snapshot -o name -r rpool | grep zfs-diff")?.exits(1)?;
    lab.run(&format!("kill {}", open.pid))?;
    between(lab)?;
    refused(lab)
}

/// Two snapshots, one path, and all of it for a machine.
fn between(lab: &mut Lab) -> Result<()> {
    lab.snapshot("rpool/nixos/home", "later")?;
    lab.run("rm /home/anna/is; zpool sync rpool")?.exits(0)?;
    lab.run("zferry diff t7 home known later --path anna/tax --path anna/is")?
        .exits(0)?
        .says("rpool/nixos/home/anna, from @known until @later:")?
        .says("  renamed          7 B  anna/was -> anna/is")?
        .last_line("1 removed (3 B), 1 renamed (7 B).")?;
    let json = lab.run("zferry --json diff t7 home later")?.exits(0)?.stdout();
    let told: Value = serde_json::from_str(json.trim()).context("it is no JSON")?;
    let datasets = told["datasets"].as_array().context("no datasets")?;
    let anna = datasets.iter().find(|one| one["dataset"] == "rpool/nixos/home/anna").context("no anna")?;
    let gone = anna["changes"].as_array().context("no changes")?;
    let gone = gone.iter().find(|change| change["path"] == "anna/is").context("anna/is is not told")?;
    ensure!((&gone["change"], &gone["bytes"]) == (&"removed".into(), &7.into()), "{gone}");
    Ok(())
}

/// What cannot be compared says so, and what to do.
fn refused(lab: &mut Lab) -> Result<()> {
    lab.run("zferry diff t7 home later known")?.exits(1)?.says("zferry diff t7 home known later")?;
    lab.run("zferry diff t7 home nonsense")?.exits(1)?.says("is no snapshot of rpool/nixos/home/anna")?;
    lab.run("zferry diff t7 home '#x'")?.exits(2)?.says("is a bookmark")?;
    // The source prunes what the drive has: only the bookmark is left.
    lab.run("zfs destroy -r rpool/nixos/home@known && zferry diff t7 home")?
        .exits(1)?
        .says("a bookmark has no files to compare with")?
        .says("zferry diff t7 home later")?;
    lab.run("cd / && zfs unmount rpool/nixos/home/anna && zferry diff t7 home later")?
        .exits(1)?
        .says("rpool/nixos/home, from @later until now")?
        .says("rpool/nixos/home/anna was not compared")?
        .says("zfs mount rpool/nixos/home/anna")?;
    lab.run("zfs unmount rpool/nixos/home && zfs unload-key -r rpool && zferry diff t7 home later")?
        .exits(1)?
        .says("zfs load-key rpool, then zfs mount rpool/nixos/home")?;
    Ok(())
}
