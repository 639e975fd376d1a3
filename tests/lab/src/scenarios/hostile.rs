//! What stands on a drive or in a file of the host need not be true, nor text.

use anyhow::{Result, ensure};

use super::Scenario;
use crate::command::Output;
use crate::drive::Drive;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::full("a hostile drive fools neither a run nor the terminal", hostile),
        Scenario::full("what the host remembers may be damaged, newer or gone", remembered),
        Scenario::full("a ZFS with known faults is told, and one that ruins backups is not used", versions),
    ]
}

/// Nothing in it moves a cursor, colours anything or is no text.
fn clean(output: &Output) -> Result<&Output> {
    let bytes = [output.stdout_bytes(), output.stderr().as_bytes()].concat();
    let harmful = bytes.iter().find(|&&byte| byte < 0x20 && byte != b'\n' && byte != b'\t' || byte == 0x7f);
    ensure!(harmful.is_none(), "the output has the control character {harmful:?}");
    Ok(output)
}

/// Runs a line of shell while the drive's pool is imported for writing, as its owner could anywhere.
fn meddle(lab: &mut Lab, drive: &Drive, line: &str) -> Result<()> {
    lab.run(&format!(
        "set -e; zpool import -N -o cachefile=none -R /run/lab/mine -d {} backup; ( {line} ); \
         for try in {{1..15}}; do zpool export backup && break; sleep 1; done; udevadm settle; ! zpool list -H backup",
        drive.partition()
    ))?
    .exits(0)?;
    Ok(())
}

/// All that may be known of the source, but for what a run of its own changes there.
const SOURCE: &str = "zfs get -Hp -r -t filesystem,volume -o name,property,value guid,mounted,mountpoint rpool; \
    zfs list -Hp -r -t snapshot -o name,guid rpool";

fn hostile(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.run("zferry run --no-power-off t7")?.exits(0)?;
    let source = lab.run(SOURCE)?.stdout();

    // Terminal escapes, bytes that are no text, values as long as ZFS takes them, everywhere.
    meddle(
        lab,
        &t7,
        "long=$(head -c 8000 /dev/zero | tr '\\0' 9); \
         zfs set org.zferry:last-run=$'\\e[2J\\e]0;owned\\a' org.zferry:mirror=$long backup; \
         zfs set org.zferry:source=$'\\e[31m12\\xff\\xfe' org.zferry:placeholder=$'\\x9b31m' backup/eds; \
         zfs set org.zferry:source=$'\\xe2\\x80\\xae21' org.zferry:retired=$long backup/eds/anna",
    )?;
    lab.run("echo new > /home/anna/letter")?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "third")?;
    for look in ["zferry plan t7", "zferry -v --json plan t7", "zferry status t7"] {
        clean(lab.run(look)?.exits(0)?)?;
    }
    let run = lab.run("zferry -vv run --no-power-off t7")?;
    clean(run.exits(0)?.last_word("Safe to unplug t7")?)?;
    let expected = lab.snapshots_below("rpool/nixos/home")?;
    lab.drive_has(&t7, "backup/eds", &expected)?;

    // A line break that continues as another dataset, of another pool even, up to where the real line goes on.
    lab.run("zfs create -o canmount=off rpool/nixos/innocent")?.exits(0)?;
    let row = "\\tfilesystem\\t17\\t-\\t-\\t-\\t0\\t1\\t9\\t0\\t-\\t0\\tno\\toff\\tlz4\\t131072\\tlegacy\\t-\\t-\\t-\\t-\\t0\\t0\\t0\\t12";
    for (value, what) in [
        ("1\\t2".to_owned(), "30 columns instead of 29"),
        ("1\\n2".to_owned(), "25 columns instead of 29"),
        (format!("1\\t-\\t-\\t-\\t-\\nrpool/nixos/innocent{row}"), "rpool/nixos/innocent was not asked for"),
    ] {
        meddle(lab, &t7, &format!("zfs set org.zferry:source=$'{value}' backup/eds/anna"))?;
        let run = lab.run("zferry run --no-power-off t7")?;
        clean(run.exits(69)?.says(what)?.says("user properties")?.last_word("Safe to unplug t7")?)?;
        lab.run("zfs list -H -o name rpool/nixos/innocent")?.prints("rpool/nixos/innocent")?;
    }
    meddle(lab, &t7, "zfs inherit org.zferry:source backup/eds/anna")?;
    let source_now = lab.run(&format!("zfs destroy rpool/nixos/innocent; {SOURCE}"))?.stdout();
    let lost: Vec<_> = source.lines().filter(|line| !source_now.contains(line)).collect();
    ensure!(lost.is_empty(), "the source changed: {lost:?}");
    lab.run("zferry run --no-power-off t7")?.exits(0)?;
    impostor(lab, &t7, guid)
}

/// Another drive that says it is this one: the same guid, nothing that was recorded.
fn impostor(lab: &mut Lab, t7: &Drive, guid: u64) -> Result<()> {
    lab.pull(t7)?;
    let other = lab.drive("other", "512M")?;
    lab.prepare_drive(&other, "backup")?;
    meddle(lab, &other, &format!("zpool reguid -g {guid} backup; zpool sync backup"))?;
    lab.pull(&other)?;
    lab.plug(&other)?;
    lab.snapshot("rpool/nixos/home", "fourth")?;
    for command in ["zferry plan t7", "zferry run --no-power-off t7"] {
        let refused = lab.run(command)?;
        refused.exits(1)?.says(&format!("has the pool guid {guid}, but none of the 2 snapshots"))?;
        clean(&refused)?.last_word("Safe to unplug t7")?;
    }
    let listed = lab.on_drive(&other, "backup", "zfs list -Hp -r -o name,org.zferry:last-run backup")?;
    listed.prints("backup\t-")?;
    lab.pull(&other)?;
    lab.plug(t7)?;
    lab.run("zferry run --no-power-off t7")?.exits(0)?;
    let expected = lab.snapshots_below("rpool/nixos/home")?;
    lab.drive_has(t7, "backup/eds", &expected)
}

const STATE: &str = "/var/lib/zferry/t7.json";

fn remembered(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.backup(&t7, "")?.counts(&[("warnings", 0)])?;
    let whole = lab.read(STATE)?;
    let cut = whole[..whole.len() / 2].to_vec();
    let other = String::from_utf8(whole)?.replace(&guid.to_string(), "7").into();
    let damaged: [(&str, Vec<u8>, &str); 4] = [
        ("cut", cut, "is damaged"),
        ("escapes", b"\x1b[2J\x1b]0;owned\x07{".to_vec(), "is damaged"),
        ("absurd", format!("{{\"version\":1,\"drive\":\"{}\"}}", "9".repeat(100_000)).into(), "is damaged"),
        ("another pool", other, "is about another pool (guid 7)"),
    ];
    for (what, content, words) in damaged {
        lab.note(what);
        lab.write(STATE, content)?;
        clean(lab.run("zferry status t7")?.exits(0)?)?.says(words)?;
        lab.backup(&t7, "")?.says(words)?.counts(&[
            ("done", 2),
            ("failed", 0),
            ("sent", 0),
            ("warnings", 1),
        ])?;
        lab.backup(&t7, "")?.counts(&[("warnings", 0)])?;
    }
    // A newer zferry was here, and will be again.
    let newer = "{\"version\":99,\"everything\":\"is different\"}";
    lab.write(STATE, newer)?;
    clean(lab.run("zferry status t7")?.exits(0)?)?.says("written by a newer zferry (version 99")?;
    lab.backup(&t7, "")?
        .says("written by a newer zferry (version 99")?
        .counts(&[("done", 2), ("failed", 0)])?;
    ensure!(lab.read(STATE)? == newer.as_bytes(), "a newer zferry's file was overwritten");
    Ok(())
}

/// Another answer to one question.
fn pretend(lab: &mut Lab, version: &str) -> Result<()> {
    let answer = format!("printf 'zfs-{version}\\nzfs-kmod-{version}\\n'");
    lab.in_place_of("zfs", &format!("test \"$1\" = version && {{ {answer}; exit 0; }}\nexec $real \"$@\""))
}

fn versions(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    let before = t7.sha256()?;
    pretend(lab, "2.2.1-1")?;
    for command in ["zferry run t7", "zferry plan t7", "zferry replicate rpool/nixos/home backup/eds"] {
        let refused = lab.run(command)?;
        refused.exits(69)?.says("with ZFS 2.2.1 files")?.says("upgrade ZFS to 2.2.2 or later")?;
    }
    ensure!(t7.sha256()? == before, "a refused run has touched the drive");
    lab.run("zferry status t7")?.exits(0)?;
    lab.run("zferry eject --no-power-off t7")?.exits(0)?;

    pretend(lab, "2.1.11-1")?;
    let plan = lab.run("zferry plan t7")?;
    plan.exits(0)?.says("ZFS 2.1.11-1 has known faults")?.says("Upgrade to 2.1.14 or later")?;
    let run = lab.run("zferry run t7")?;
    run.exits(0)?.says("Warning: ZFS 2.1.11-1 has known faults")?;
    let times = run.stderr().matches("known faults").count();
    ensure!(times == 1, "it was told {times} times");
    Ok(())
}
