//! The source does not stand still while it is backed up.

use anyhow::{Context, Result, ensure};

use super::Scenario;
use crate::lab::Lab;

const HOME: &str = "rpool/nixos/home";
const ANNA: &str = "rpool/nixos/home/anna";
const SAFE: &str = "Safe to unplug t7 (exported and powered off)";

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full(
            "a snapshot that is destroyed between plan and send is planned again",
            destroyed_between,
        ),
        Scenario::full("two drives are backed up to at the same time while the source prunes", two_at_once),
    ]
}

/// The real `zfs`, and something that happens just before its first channel program, which bookmarks what will be
/// sent.
const BEFORE_THE_FIRST_PROGRAM: &str = "if [ \"$1\" = program ] && mkdir /run/lab/once 2>/dev/null; then\n\
        $real destroy rpool/nixos/home/anna@between\n\
    fi\n\
    exec $real \"$@\"";

fn destroyed_between(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    lab.run(&format!("zfs snapshot {ANNA}@between; zfs snapshot {ANNA}@last"))?.exits(0)?;
    lab.in_place_of("zfs", BEFORE_THE_FIRST_PROGRAM)?;
    let run = lab.run("zferry run t7")?;
    lab.real_again("zfs")?;
    lab.run("test -d /run/lab/once")?.exits(0)?;
    run.exits(0)?.last_word(SAFE)?;
    lab.gone(&t7)?;
    lab.plug(&t7)?;
    let now = lab.snapshots_below(HOME)?;
    ensure!(!now.iter().any(|(name, ..)| name.ends_with("@between")), "it was not destroyed");
    lab.drive_has(&t7, "backup/eds", &now)?;
    lab.nothing_is_held("rpool")
}

fn two_at_once(lab: &mut Lab) -> Result<()> {
    lab.encrypted_source("rpool")?;
    let (a, b) = (lab.drive("a", "512M")?, lab.drive("b", "512M")?);
    let of_a = lab.prepare_drive(&a, "first")?;
    let of_b = lab.prepare_drive(&b, "second")?;
    lab.write(
        "/etc/zferry/config.toml",
        format!(
            "[drives.a]\npool = \"first\"\npool-guid = \"{of_a}\"\n\n[drives.b]\npool = \"second\"\n\
             pool-guid = \"{of_b}\"\n\n[backups.home]\nsource = \"{HOME}\"\ntarget = \"eds\"\n\
             prune = \"mirror\"\n"
        ),
    )?;
    lab.run(&format!(
        "for n in {{10..29}}; do head -c 1M /dev/urandom > /home/anna/film; zfs snapshot {ANNA}@minute$n; done"
    ))?
    .exits(0)?;
    let first = lab.run_in_background("zferry run a")?;
    let second = lab.run_in_background("zferry run b")?;
    // As sanoid does it: whatever is held is kept for the next time.
    let prune = format!("for n in {{10..19}}; do zfs destroy {ANNA}@minute$n; sleep 1; done; true");
    lab.run(&prune)?.exits(0)?;
    for (run, drive) in [(first, &a), (second, &b)] {
        let run = lab.finish(run)?;
        run.exits(0)?.last_word(&format!("Safe to unplug {} (exported and powered off)", drive.name()))?;
        lab.gone(drive)?;
    }
    lab.nothing_is_held("rpool")?;
    lab.run(&prune)?;
    for (drive, pool) in [(&a, "first"), (&b, "second")] {
        lab.plug(drive)?;
        lab.backup(drive, "").with_context(|| format!("the run after that, on {}", drive.name()))?;
        let now = lab.snapshots_below(HOME)?;
        lab.drive_has(drive, &format!("{pool}/eds"), &now)?;
        lab.pull(drive)?;
    }
    Ok(())
}
