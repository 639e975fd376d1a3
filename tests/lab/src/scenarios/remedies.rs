//! What is refused because of what was done to the copies: both sides stay as they are, the other datasets are backed
//! up, and what is printed as a remedy works as it is printed.

use anyhow::{Context, Result, ensure};

use super::Scenario;
use crate::command::Output;
use crate::drive::Drive;
use crate::lab::{KEY, Lab};

const HOME: &str = "rpool/nixos/home";
const EDS: &str = "backup/eds";

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("a copy that was changed on the drive is refused, and each remedy works", changed),
        Scenario::full("what is held or cloned on the drive is not destroyed by any consent", kept),
        Scenario::full("an interrupted receive that somebody forged leads nowhere", forged),
        Scenario::full("a dataset that fails in mid-run leaves the others done", fails_in_mid_run),
    ]
}

/// A remedy as it was printed, without the remark behind it.
pub fn remedy(output: &Output, words: &str) -> Result<String> {
    let stderr = output.stderr();
    let line = stderr.lines().map(str::trim).find(|line| line.contains(words));
    let line = line.with_context(|| format!("no remedy with {words:?} was printed\n{stderr}"))?;
    Ok(line.split("   (").next().unwrap_or(line).to_owned())
}

/// Datasets below the source, each with a file, all with a snapshot, all on the drive.
pub fn backed_up(lab: &mut Lab, drive: &Drive, datasets: &str) -> Result<()> {
    lab.run(&format!(
        "set -e; for name in {datasets}; do zfs create {HOME}/$name; \
         head -c 3M /dev/urandom > /home/$name/file; done"
    ))?
    .exits(0)?;
    lab.snapshot(HOME, "second")?;
    lab.backup(drive, "")?;
    Ok(())
}

/// Somebody does something on the drive. What has just noticed the pool may keep it busy for a moment.
pub fn on_the_drive(lab: &mut Lab, guid: u64, lines: &str) -> Result<Output> {
    let output = lab.run(&format!(
        "set -e; zpool import -N -R /run/lab/look -o cachefile=none -d /dev/disk/by-id {guid}; {lines}; \
         for try in {{1..15}}; do zpool export backup && exit 0; sleep 1; done; exit 98"
    ))?;
    output.exits(0)?;
    Ok(output)
}

/// Everything that ZFS says of these datasets and their snapshots, on both sides, but for what they have from the pool:
/// the room there, and the time of the last run.
pub fn state(lab: &mut Lab, drive: &Drive, sources: &[&str], targets: &[&str]) -> Result<String> {
    let get = |top: &str, names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| format!("{top}/{name}")).collect();
        format!("zfs get -Hp -o name,property,value -r -t all all {}", names.join(" "))
    };
    let there = lab.on_drive(drive, "backup", &get(EDS, targets))?;
    let here = lab.run(&format!("zpool sync rpool; {}", get(HOME, sources)))?;
    here.exits(0)?;
    let both = there.stdout() + &here.stdout();
    let of_the_pool = ["\tavailable\t", "\torg.zferry:last-run\t"];
    let own = both.lines().filter(|line| !of_the_pool.iter().any(|property| line.contains(property)));
    Ok(own.collect::<Vec<_>>().join("\n"))
}

/// Nothing of what was refused has changed.
pub fn unchanged(before: &str, after: &str) -> Result<()> {
    let other = before.lines().zip(after.lines()).find(|(before, after)| before != after);
    ensure!(before == after, "a refused dataset was changed: {other:?}");
    Ok(())
}

/// The drive has all snapshots of these datasets, and nothing else below their names.
pub fn complete(lab: &mut Lab, guid: u64, datasets: &[&str]) -> Result<()> {
    lab.look_into(guid)?;
    for name in datasets {
        lab.same_snapshots(&format!("{HOME}/{name}"), &format!("{EDS}/{name}"))?;
    }
    lab.run("for try in {1..15}; do zpool export backup && exit 0; sleep 1; done; exit 98")?.exits(0)?;
    Ok(())
}

/// Six ways to spoil a copy, one dataset each.
fn changed(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    backed_up(lab, &t7, "ben carl dora emil")?;
    lab.run(&format!(
        "set -e; zfs create {HOME}/hugo; echo hello > /home/hugo/file; zfs snapshot {HOME}/dora@mine"
    ))?
    .exits(0)?;
    let unlock = |name: &str| format!("zfs load-key -L file://{KEY} {EDS}{name}");
    let mounted = |name: &str, then: &str| {
        format!(
            "{}; zfs set readonly=off {EDS}{name}; zfs mount {EDS}{name}; {then}; \
             zfs unmount {EDS}{name}; zfs set readonly=on {EDS}{name}; zfs unload-key {EDS}{name}",
            unlock(name)
        )
    };
    let lines = [
        mounted("/anna", "echo mine > /run/lab/look/mnt/backup_pool/eds/anna/mine"),
        mounted("/ben", "true"),
        format!("zfs snapshot {EDS}/carl@mine"),
        unlock("/dora"),
        format!("zfs send -i @second {HOME}/dora@mine | zfs receive -u {EDS}/dora"),
        unlock(""),
        unlock("/emil"),
        format!("zfs change-key -i {EDS}/emil"),
        format!("zfs create -o canmount=noauto {EDS}/hugo"),
        "zpool sync backup".to_owned(),
    ];
    on_the_drive(lab, guid, &lines.join("; "))?;
    lab.snapshot(HOME, "third")?;

    let all = ["anna", "ben", "carl", "dora", "emil", "hugo"];
    let before = state(lab, &t7, &all, &all)?;
    let refused = lab.run("zferry run --no-power-off t7")?;
    refused
        .exits(1)?
        .says("backup/eds/anna was written to on the drive")?
        .says("backup/eds/ben was written to on the drive")?
        .says("1 snapshot newer than the newest common one (backup/eds/carl@second): @mine")?
        .says("backup/eds/dora@mine was received decrypted once")?
        .says("backup/eds/emil takes its key from backup/eds")?
        .says("backup/eds/hugo exists on the drive")?
        .says("6 of 7 datasets were not backed up")?
        .last_word("Safe to unplug t7 (exported; still powered)")?;
    t7.is_exported()?;
    unchanged(&before, &state(lab, &t7, &all, &all)?)?;
    lab.look_into(guid)?;
    lab.same_snapshots(HOME, EDS)?;
    lab.run("sleep 1; zpool export backup")?.exits(0)?;
    remedies_of_changed(lab, &t7, guid, &refused)
}

/// Two copies are kept aside, two begun anew for good reason, two rolled back.
fn remedies_of_changed(lab: &mut Lab, t7: &Drive, guid: u64, refused: &Output) -> Result<()> {
    for words in [
        "zfs rename backup/eds/ben ",
        "rename backup/eds/dora ",
        "rename backup/eds/emil ",
        "destroy backup/eds/hugo",
    ] {
        let line = remedy(refused, words)?;
        lab.run(&line)?.exits(0).with_context(|| format!("the remedy {line:?}"))?;
    }
    let line = remedy(refused, "--rollback-target=backup/eds/anna")?;
    let run = lab.run(&line)?;
    run.exits(1)?
        .says("As --rollback-target says: roll backup/eds/anna back to @second, which discards")?
        .says("1 of 7 datasets was not backed up")?;
    lab.gone(t7)?;
    lab.plug(t7)?;
    let line = remedy(&run, "--rollback-target=backup/eds/carl")?;
    let run = lab.run(&line)?;
    run.exits(0)?.says("roll backup/eds/carl back to @second, which destroys @mine there")?;
    lab.gone(t7)?;
    lab.plug(t7)?;
    let last = lab.run("zferry run --no-power-off t7")?;
    last.exits(0)?.says("Nothing to send; 7 datasets are up to date")?;
    complete(lab, guid, &["anna", "ben", "carl", "dora", "emil", "hugo"])?;
    let old = lab.on_drive(
        t7,
        "backup",
        "zfs list -H -o name -t snapshot -r backup/eds/dora_old backup/eds/ben_old",
    )?;
    ensure!(old.stdout().lines().count() == 3, "what was to be kept is gone: {}", old.stdout());
    Ok(())
}

fn kept(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    backed_up(lab, &t7, "carl")?;
    on_the_drive(
        lab,
        guid,
        &format!(
            "zfs snapshot {EDS}/anna@mine; zfs snapshot {EDS}/anna@mine2; zfs hold lab {EDS}/anna@mine; \
             zfs snapshot {EDS}/carl@mine; zfs load-key -L file://{KEY} {EDS}; \
             zfs load-key -L file://{KEY} {EDS}/carl; \
             zfs clone -o canmount=noauto {EDS}/carl@mine {EDS}/mine; zpool sync backup"
        ),
    )?;
    lab.snapshot(HOME, "third")?;
    let both = ["anna", "carl"];
    let before = state(lab, &t7, &both, &both)?;
    let consents = "--rollback-target=backup/eds/anna --rollback-target=backup/eds/carl";
    let plan = lab.run(&format!("zferry plan t7 {consents}"))?;
    plan.exits(1)?.says("backup/eds/anna@mine is held")?;
    let run = lab.run(&format!("zferry run --no-power-off t7 {consents}"))?;
    run.exits(1)?
        .says("backup/eds/anna@mine is held, so that they cannot be destroyed")?
        .says("backup/eds/carl@mine has a clone, so that they cannot be destroyed")?
        .says("nothing is rolled back in backup/eds/anna, which is refused all the same")?
        .says_nothing_of("zferry run t7 --rollback-target")?
        .says("2 of 3 datasets were not backed up")?;
    unchanged(&before, &state(lab, &t7, &both, &both)?)?;

    // A person looks what holds it, lets go, and then agrees.
    let looked = lab.run(&remedy(&run, "zfs holds backup/eds/anna@mine")?)?;
    looked.exits(0)?.says("lab")?;
    on_the_drive(lab, guid, &format!("zfs release lab {EDS}/anna@mine"))?;
    lab.run(&remedy(&run, "zfs rename backup/eds/carl ")?)?.exits(0)?;
    let plan = lab.run("zferry plan t7 --rollback-target=backup/eds/anna")?;
    plan.exits(0)?.says("which destroys 2 snapshots there: @mine2, @mine")?;
    let run = lab.run("zferry run --no-power-off t7 --rollback-target=backup/eds/anna")?;
    run.exits(0)?.says("which destroys 2 snapshots there: @mine2, @mine")?;
    let again = lab.run("zferry run --no-power-off t7 --rollback-target=backup/eds/anna")?;
    again.exits(0)?.says("there is nothing to roll back in backup/eds/anna")?;
    complete(lab, guid, &both)
}

fn forged(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    backed_up(lab, &t7, "ben")?;
    lab.run(&format!(
        "set -e; for name in carl dora; do zfs create {HOME}/$name; \
         head -c 6M /dev/urandom > /home/$name/file; done; head -c 6M /dev/urandom > /home/anna/film"
    ))?
    .exits(0)?;
    lab.snapshot(HOME, "third")?;
    // Of another dataset; not raw; and of the right one, which goes on.
    on_the_drive(
        lab,
        guid,
        &format!(
            "cut() {{ head -c 3M | zfs receive -s -u \"$@\" || true; }}; \
             zfs send -w {HOME}/dora@third | cut {EDS}/carl; \
             zfs send {HOME}/dora@third | cut -o encryption=off {EDS}/dora; \
             zfs send -w -i @second {HOME}/anna@third | cut {EDS}/anna; \
             zfs get -H -o value receive_resume_token {EDS}/anna {EDS}/carl {EDS}/dora >&2; zpool sync backup"
        ),
    )?;
    let plan = lab.run("zferry plan t7")?;
    plan.exits(0)?
        .says("drop the interrupted receive of backup/eds/carl")?
        .says("drop the interrupted receive of backup/eds/dora: it is raw where plain is wanted, or the other way round")?
        .says("the rest of @third, which was interrupted")?;
    let run = lab.run("zferry -v run --no-power-off t7")?;
    run.exits(0)?.says("zfs send -t")?.says("zfs receive -A backup/eds/carl")?;
    complete(lab, guid, &["anna", "ben", "carl", "dora"])
}

/// Somebody sets a quota while the run goes on: what was planned does not fit any more.
fn fails_in_mid_run(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    backed_up(lab, &t7, "ben carl")?;
    lab.run(
        "set -e; head -c 40M /dev/urandom > /home/anna/film; head -c 8M /dev/urandom > /home/ben/film; \
         echo more > /home/carl/file",
    )?
    .exits(0)?;
    lab.snapshot(HOME, "third")?;
    lab.plug_slow(&t7)?;
    let run = lab.run_in_background("zferry run t7")?;
    lab.until_written("backup", 16)?;
    lab.run("zfs set quota=$(($(zfs get -Hp -o value used backup/eds/ben) + 1048576)) backup/eds/ben")?
        .exits(0)?;
    let run = lab.finish(run)?;
    run.exits(1)?
        .says("“rpool/nixos/home/ben” was not backed up to “backup/eds/ben”")?
        .says("1 of 4 datasets was not backed up")?
        .last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)?;
    t7.is_exported()?;
    lab.nothing_is_held("rpool")?;
    lab.plug(&t7)?;
    complete(lab, guid, &["anna", "carl"])?;
    on_the_drive(lab, guid, "zfs set quota=none backup/eds/ben")?;
    lab.run("zferry run --no-power-off t7")?.exits(0)?;
    complete(lab, guid, &["anna", "ben", "carl"])
}
