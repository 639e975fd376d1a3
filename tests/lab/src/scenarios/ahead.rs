//! What `status` tells of what lies ahead, while the drive is away and for a user who is not root.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::Scenario;
use super::files::{nothing_is_left, typed};
use super::verified::SAFE;
use crate::command::Command;
use crate::lab::{CTRL_C, Lab, PASSPHRASE};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full("status tells what lies ahead of a drive that is away", foresees),
        Scenario::full("a rehearsal tells what the passphrase opens, and is reminded of", rehearses),
    ]
}

const STATE: &str = "/var/lib/zferry/t7.json";
const DAY: i64 = 86_400;

fn configure(lab: &mut Lab, guid: u64) -> Result<()> {
    let text = format!(
        "[drives.t7]\npool = \"backup\"\npool-guid = \"{guid}\"\nscrub = \"30d\"\nrehearse = \"90d\"\n\n\
         [backups.home]\nsource = \"rpool/nixos/home\"\ntarget = \"eds\"\nprune = \"mirror\"\n"
    );
    lab.write("/etc/zferry/config.toml", text)
}

/// What a user who is not root is told of the drive.
fn status(lab: &mut Lab) -> Result<Value> {
    let told = lab.run("setpriv --reuid=65534 --regid=65534 --clear-groups zferry --json status t7")?;
    let all: Value = serde_json::from_str(&told.exits(0)?.stdout())?;
    all["drives"].get(0).cloned().context("no drive")
}

/// As if the drive had been filled from 100 to 300 MiB by five runs in 20 days.
fn have_filled(lab: &mut Lab) -> Result<()> {
    let now: i64 = lab.run("date +%s")?.exits(0)?.stdout().trim().parse()?;
    let remembered = lab.run(&format!("cat {STATE}"))?;
    let mut state: Value = serde_json::from_str(&remembered.exits(0)?.stdout())?;
    let size = state["fullness"][0]["size"].clone();
    let mut runs = Vec::new();
    for (number, used) in (0..5).zip([100, 150, 200, 250, 300]) {
        let at = lab.run(&format!("date -u +%Y-%m-%dT%H:%M:%SZ -d @{}", now - (20 - 5 * number) * DAY))?;
        runs.push(json!({"at": at.exits(0)?.stdout().trim(), "used": used << 20, "size": size}));
    }
    state["fullness"] = Value::Array(runs);
    lab.write(STATE, state.to_string())
}

fn foresees(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    let before = status(lab)?;
    ensure!(before["capacity"].is_null() && before["next_scrub"].is_null(), "{before}");
    ensure!(before["waiting"]["bytes"].as_u64().unwrap_or_default() > 10_000, "{before}");
    configure(lab, guid)?;
    lab.run("zferry run t7")?.exits(0)?.says("everything on it can be read")?.last_word(SAFE)?;
    lab.gone(&t7)?;
    let away = status(lab)?;
    ensure!(away["connected"]["state"] == "no" && away["base"]["state"] == "safe", "{away}");
    ensure!(away["waiting"] == json!({"snapshots": 0, "datasets": 0, "bytes": 0}), "{away}");
    let of = |what: &str| away["capacity"][what].as_u64();
    ensure!(of("size") > Some(300 << 20) && of("used") > Some(0) && of("used") < of("size"), "{away}");
    ensure!(away["capacity"]["full_in"].is_null(), "one run is no trend: {away}");
    ensure!(away["next_scrub"]["seconds"].as_i64().is_some_and(|left| left > 29 * DAY), "{away}");

    lab.run("head -c 20M /dev/urandom > /home/anna/film; zpool sync rpool")?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "film")?;
    let waits = status(lab)?["waiting"]["bytes"].as_u64().unwrap_or_default();
    ensure!((20 << 20..24 << 20).contains(&waits), "20 MiB are to be sent, not {waits}");

    have_filled(lab)?;
    let told = lab.run("zferry status t7")?;
    told.exits(0)?;
    for line in ["t7: if it goes on as in the last runs, it is full in about", "The next is due in 29 d."] {
        ensure!(told.stdout().contains(line), "{line}\n{}", told.stdout());
    }
    ensure!(!told.stdout().contains('\x1b'), "colours where there is no terminal");

    // While the pool is imported it is asked itself, also of a scrub that somebody else made.
    lab.plug(&t7)?;
    lab.run(&format!("zpool import -N -o cachefile=none -d /dev/disk/by-id {guid}; zpool scrub -w backup"))?
        .exits(0)?;
    let here = status(lab)?;
    ensure!(here["connected"]["imported"] == true && here["capacity"]["age"] == 0, "{here}");
    ensure!(here["last_scrub"]["age"].as_u64().is_some_and(|age| age < 600), "{here}");
    lab.run("zferry eject t7")?.exits(0)?;
    lab.gone(&t7)?;
    t7.is_exported()
}

/// A dataset whose passphrase is another one.
fn other_keys(lab: &mut Lab) -> Result<()> {
    lab.run(
        "set -e; echo another passphrase > /run/lab/other; \
         zfs create -o encryption=on -o keyformat=passphrase -o keylocation=file:///run/lab/other \
             -o pbkdf2iters=100000 rpool/nixos/home/other; \
         zfs snapshot rpool/nixos/home/other@one",
    )?
    .exits(0)?;
    Ok(())
}

fn rehearses(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    configure(lab, guid)?;
    ensure!(status(lab)?["next_rehearsal"]["state"] == "now", "nobody ever rehearsed");
    lab.run("sed -i /scrub/d /etc/zferry/config.toml")?.exits(0)?;
    other_keys(lab)?;
    let run = lab.on_terminal("zferry run t7 --no-power-off")?;
    let run = lab.finish(run)?;
    run.exits(0)?
        .says("nobody is known to have proved that the passphrase opens it. `zferry rehearse t7`")?;
    let disk = t7.sha256()?;

    // What does not open is named; a key in a file, and one that is loaded on the source, help nobody.
    let one = typed(lab, "zferry rehearse t7 --no-power-off")?;
    one.exits(1)?
        .says("“backup/eds” opens")?
        .says("“backup/eds/other” does NOT open")?
        .says("1 of 3 encryption roots on t7 did not open")?
        .last_word("Safe to unplug t7 (exported; still powered)")?;
    let none = Command::shell("zferry rehearse t7 --no-power-off").stdin("1\n2\n3\n4\n".to_owned());
    lab.execute(none)?.exits(1)?.says("3 of 3 encryption roots")?.says_nothing_of("opens.")?;
    let both = format!("{PASSPHRASE}\nanother passphrase\n");
    let piped = Command::shell("zferry rehearse t7 --no-power-off").stdin(both);
    lab.execute(piped)?.exits(0)?.says("opens all of t7: 3 encryption roots")?.says("not recorded")?;
    ensure!(status(lab)?["last_rehearsal"].is_null(), "what comes from a pipe is no person");

    let mut asked = lab.on_terminal("zferry rehearse t7 --no-power-off")?;
    lab.until_says(&mut asked, "Passphrase of")?;
    lab.type_into(&asked, CTRL_C)?;
    lab.finish(asked)?.exits(130)?.says("Safe to unplug t7")?;
    nothing_is_left(lab)?;
    ensure!(t7.sha256()? == disk, "the drive was written to");

    let mut asked = lab.on_terminal("zferry rehearse t7")?;
    lab.until_says(&mut asked, "Passphrase of")?;
    lab.type_into(&asked, &format!("{PASSPHRASE}\n"))?;
    lab.until_says(&mut asked, "Passphrase of backup/eds/other")?;
    lab.type_into(&asked, "another passphrase\n")?;
    lab.finish(asked)?.exits(0)?.says("opens all of t7")?.last_word(SAFE)?;
    lab.gone(&t7)?;
    nothing_is_left(lab)?;
    let told = status(lab)?;
    ensure!(told["next_rehearsal"]["seconds"].as_i64().is_some_and(|left| left > 89 * DAY), "{told}");
    ensure!(told["last_rehearsal"]["age"].as_u64().is_some_and(|age| age < 600), "{told}");

    lab.plug(&t7)?;
    let run = lab.on_terminal("zferry run t7")?;
    let run = lab.finish(run)?;
    run.exits(0)?.says_nothing_of("rehearse")?;
    ensure!(status(lab)?["last_rehearsal"]["age"].is_u64(), "a run forgot the rehearsal");
    lab.gone(&t7)?;
    t7.is_exported()
}
