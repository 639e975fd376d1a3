//! Datasets that are saved to files, and come back.

use anyhow::{Result, ensure};

use super::Scenario;
use crate::command::{Command, Output};
use crate::lab::{Lab, PASSPHRASE};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("a locked dataset is saved to files, and comes back from them", saved)
            .also_on_the_oldest(),
        Scenario::full(
            "a save that is cut off, full or refused leaves nothing that looks finished",
            troubles,
        ),
    ]
}

const DIARY: &str = "rpool/diary-entries";
/// Where its files are.
const FILES: &str = "/srv/files/rpool_diary-entries";

/// A dataset with a key of its own, and nothing else that is configured.
pub(super) fn diary(lab: &mut Lab, more: &str) -> Result<()> {
    lab.encrypted_source("rpool")?;
    let create = format!(
        "zfs create -o encryption=on -o keyformat=passphrase -o pbkdf2iters=100000 -o mountpoint=/srv/diary {DIARY} && mkdir /srv/files"
    );
    lab.execute(Command::shell(&create).stdin(format!("{PASSPHRASE}\n{PASSPHRASE}\n")))?.exits(0)?;
    lab.write(
        "/etc/zferry/config.toml",
        format!("[streams.diary]\nsource = \"{DIARY}\"\ndirectory = \"/srv/files\"\n{more}"),
    )
}

/// Something is written, and then nobody can read it any more.
pub(super) fn write(lab: &mut Lab, name: &str) -> Result<()> {
    let line = format!(
        "set -e; zfs load-key -L prompt {DIARY} 2>/dev/null || true; zfs mount {DIARY} 2>/dev/null || true; cd /srv/diary; \
         echo {name} > entry-{name}; head -c 3000000 /dev/urandom > scan-{name}; sha256sum * > /run/lab/sums; cd /; \
         zfs unmount {DIARY}; zfs unload-key {DIARY}"
    );
    lab.execute(Command::shell(&line).stdin(format!("{PASSPHRASE}\n")))?.exits(0)?;
    Ok(())
}

/// What the key opens is what was written last.
fn same(lab: &mut Lab, dataset: &str) -> Result<()> {
    let load = format!("zfs load-key -L prompt {dataset} && zfs set mountpoint=/mnt {dataset}");
    lab.execute(Command::shell(&load).stdin(format!("{PASSPHRASE}\n")))?.exits(0)?;
    lab.run("cd /mnt && sha256sum * | diff - /run/lab/sums")?.exits(0)?;
    lab.run(&format!("zfs unmount {dataset}; zfs destroy -r {dataset}"))?.exits(0)?;
    Ok(())
}

fn files(lab: &mut Lab) -> Result<Vec<String>> {
    let listed = lab.run(&format!("ls -A {FILES}"))?.exits(0)?.stdout();
    Ok(listed.lines().map(str::to_owned).collect())
}

fn on_the_source(lab: &mut Lab) -> Result<Output> {
    lab.run(&format!(
        "zfs list -H -d 1 -o name -t snapshot,bookmark {DIARY} | sed 's,.*entries,,; s,[0-9]\\+,N,g'"
    ))
}

fn saved(lab: &mut Lab) -> Result<()> {
    diary(lab, "")?;
    write(lab, "one")?;
    lab.run("zferry stream save diary")?
        .exits(0)?
        .says("diary: saving rpool/diary-entries to files in /srv/files")?
        .says("a full stream (the first one), about ")?
        .says("diary: saved 1 dataset")?;
    let first = files(lab)?;
    ensure!(
        first.len() == 2 && first[0].ends_with("Z-full.json") && first[1].ends_with("Z-full.zfs"),
        "{first:?}"
    );
    on_the_source(lab)?.prints("@zferry-diary_N-N-NTNZ\n#zferry-diary_N")?;
    // Nobody has written anything.
    lab.run("zferry stream save")?.exits(0)?.says("diary: nothing new in 1 dataset")?;
    ensure!(files(lab)? == first, "a state was saved twice");
    write(lab, "two")?;
    lab.run("zferry stream save")?.exits(0)?.says("an increment from @zferry-diary_")?;
    let second = files(lab)?;
    ensure!(second.len() == 4 && second[3].ends_with("Z-incr.zfs"), "{second:?}");
    // What increments build on is bookmarked, and of what was taken only the last is left.
    on_the_source(lab)?.prints("@zferry-diary_N-N-NTNZ\n#zferry-diary_N\n#zferry-diary_N")?;
    lab.run("zfs list -H -o name -t snapshot -r rpool/diary-entries | xargs -n 1 zfs destroy")?.exits(0)?;
    write(lab, "three")?;
    lab.run("zferry stream save")?.exits(0)?.says("an increment from #zferry-diary_")?;
    lab.run("zferry stream list")?
        .exits(0)?
        .says("full")?
        .says("increment")?
        .says("complete")?
        .says(DIARY)?;
    lab.run("zferry stream verify diary")?.exits(0)?.says("whole    ")?;
    lab.run("zferry stream verify --quick")?.exits(0)?.says("there    ")?;
    // The manifest is one that others can read.
    for words in
        ["raw\": true", "blake3\": \"", "ivset\": \"[1-9]", "zfs\": \"", "from\": null", "dataset_guid\": \""]
    {
        lab.run(&format!("grep -q '\"{words}' {FILES}/*-full.json"))?.exits(0)?;
    }
    lab.run(&format!("zferry stream restore rpool/back {FILES}"))?
        .exits(0)?
        .says("from 2 files")?
        .says("zfs load-key rpool/back")?;
    same(lab, "rpool/back")?;
    carried_away(lab)?;
    by_hand(lab)
}

/// The directory is carried away by another program, and comes back.
fn carried_away(lab: &mut Lab) -> Result<()> {
    // Debian 12 would show nothing new.
    if lab.run("grep -q bookworm /etc/os-release")?.exits(0).is_ok() {
        return Ok(());
    }
    lab.run(
        "set -e; export RESTIC_PASSWORD=x RESTIC_REPOSITORY=/srv/repository; restic init -q; restic backup -q /srv/files; \
         rm -r /srv/files; restic restore -q latest --target /",
    )?
    .exits(0)?;
    lab.run("zferry stream verify diary")?.exits(0)?.says("whole    ")?;
    lab.run(&format!("zferry stream restore rpool/back {FILES}"))?.exits(0)?;
    same(lab, "rpool/back")?;
    // What is carried on is gone on with.
    write(lab, "four")?;
    lab.run("zferry stream save")?.exits(0)?.says("an increment from #zferry-diary_")?;
    Ok(())
}

/// Files that somebody wrote by hand, with names of the day, in two directories.
fn by_hand(lab: &mut Lab) -> Result<()> {
    let (first, second) = ("diary-entries@2022-07-27T073416-0400", "diary-entries@2022-07-28T073416-0400");
    lab.run(&format!("zfs snapshot rpool/{first}; mkdir -p /srv/full /srv/incremental; zfs send --raw rpool/{first} > /srv/full/{first}"))?
        .exits(0)?;
    write(lab, "five")?;
    lab.run(&format!(
        "zfs snapshot rpool/{second} && zfs send --raw -i rpool/{first} rpool/{second} > /srv/incremental/{second}; echo x > /srv/full/notes"
    ))?
    .exits(0)?;
    lab.run(&format!("cd /srv/full && zferry stream adopt {first}"))?
        .exits(0)?
        .says("1 file has a manifest now.")?;
    lab.run("zferry stream adopt /srv/full /srv/incremental")?
        .exits(0)?
        .says("1 file has a manifest now; 1 had one.")?;
    lab.run("zferry stream adopt /srv/full /srv/incremental")?.exits(0)?.says("2 had one")?;
    lab.run("zferry stream list /srv/full /srv/incremental")?.says(first)?.says("INCOMPLETE")?;
    lab.run("zferry stream restore rpool/back /srv/full /srv/incremental")?.exits(0)?.says("from 2 files")?;
    same(lab, "rpool/back")
}

/// What was there before is there, and nothing else.
fn unchanged(lab: &mut Lab, before: &[String]) -> Result<()> {
    let now: Vec<_> = files(lab)?.into_iter().filter(|name| !name.starts_with(".zferry-")).collect();
    ensure!(now == before, "{now:?}, and before {before:?}");
    lab.run("zferry stream verify diary")?.exits(0)?;
    Ok(())
}

fn troubles(lab: &mut Lab) -> Result<()> {
    let told = "on-failure = [\"sh\", \"-c\", \"env | grep ^ZFERRY_ > /run/lab/told\"]";
    diary(lab, &format!("keep = {{ last = 2 }}\nfull = \"every 3\"\nbase = \"chain\"\n{told}\n"))?;
    write(lab, "one")?;
    lab.run("zferry stream save")?.exits(0)?;
    // Killed, or stopped, in the middle of the stream, and killed when all of it is there.
    for (strike, signal, code) in
        [("send -w", "KILL", 137), ("send -w", "INT", 130), ("program -j rpool -", "KILL", 137)]
    {
        let before = files(lab)?;
        write(lab, "struck")?;
        lab.in_place_of(
            "zfs",
            &format!("case \"$*\" in *-nP*) ;; '{strike}'*) pkill -{signal} -x zferry; sleep 0.3 ;; esac; exec $real \"$@\""),
        )?;
        lab.run("zferry stream save; echo ended with $?")?.says(&format!("ended with {code}"))?;
        lab.real_again("zfs")?;
        if strike.starts_with("send") {
            unchanged(lab, &before)?;
        }
        lab.run("zferry stream save")?.exits(0)?;
        lab.run(&format!("ls -A {FILES} | grep '^.zferry-'"))?.exits(1)?;
        lab.run("zferry stream verify")?.exits(0)?;
    }
    // By now the third was a full one, and what only older ones needed is gone.
    lab.run("zferry stream list")?.exits(0)?.says_nothing_of("INCOMPLETE")?;
    lab.run("zferry stream prune -n")?.exits(0)?.says("diary: `keep` keeps all files.")?;
    let kept = files(lab)?;
    ensure!((4..=8).contains(&kept.len()), "{kept:?}");
    full(lab)?;
    refused(lab, told)?;
    misled(lab)
}

/// What does not fit is not begun; what turns out not to fit leaves what is there as it is.
fn full(lab: &mut Lab) -> Result<()> {
    let before = files(lab)?;
    lab.run("set -e; mkdir /srv/small; mount -t tmpfs -o size=40M tmpfs /srv/small; cp -a /srv/files/. /srv/small/; mount --bind /srv/small /srv/files")?
        .exits(0)?;
    write(lab, "large")?;
    lab.in_place_of(
        "zfs",
        "case \"$*\" in *-nP*) ;; 'send -w'*) head -c 40M /dev/zero > /srv/small/.rest 2>/dev/null ;; esac; exec $real \"$@\"",
    )?;
    lab.run("zferry stream save")?
        .exits(1)?
        .says("was not saved: ")?
        .says("cannot be written: No space left on device")?
        .says("diary: 1 dataset not saved")?;
    lab.real_again("zfs")?;
    lab.run("cat /run/lab/told")?.says("ZFERRY_STREAM=diary")?.says("ZFERRY_EVENT=failure")?;
    lab.run("zferry stream save")?
        .exits(1)?
        .says("it needs about ")?
        .says("/srv/files/rpool_diary-entries has 0 B")?;
    unchanged(lab, &before)?;
    lab.run("rm /srv/small/.rest; umount /srv/files /srv/small; zferry stream save")?.exits(0)?;
    Ok(())
}

/// Each with what was found and what can be done; nothing is written.
fn refused(lab: &mut Lab, told: &str) -> Result<()> {
    lab.run("zfs create -o encryption=off -o mountpoint=/srv/plain rpool/plain; zfs create rpool/a_b; zfs create -p rpool/a/b")?
        .exits(0)?;
    let config = |lab: &mut Lab, text: &str| {
        lab.write("/run/lab/other.toml", format!("[streams.other]\n{text}\n{told}\n"))
    };
    for (text, code, words) in [
        (
            "source = \"rpool/plain\"\ndirectory = \"/srv/files\"",
            1,
            "it is not encrypted, and whoever has the files could read it",
        ),
        (
            "source = \"rpool/plain\"\ndirectory = \"/srv/files\"\nsnapshot = \"existing\"\nsend = \"plain\"",
            1,
            "it has no snapshot",
        ),
        ("source = \"rpool/plain\"\ndirectory = \"/srv/none\"", 1, "there is no directory /srv/none"),
        ("source = \"rpool/none\"\ndirectory = \"/srv/files\"", 1, "there is no dataset rpool/none here"),
        ("source = \"none/x\"\ndirectory = \"/srv/files\"", 1, "there is no dataset none/x here"),
        ("source = \"rpool\"\ndirectory = \"/srv/files\"", 1, "would lie in one directory, rpool_a_b"),
        ("source = \"rpool/plain\"\ndirectory = \"files\"", 78, "is no absolute path"),
        ("source = \"rpool/plain\"", 78, "directory"),
        (
            "source = \"rpool/plain\"\ndirectory = \"/srv/files\"\nfull = \"sometimes\"",
            78,
            "does not say when",
        ),
        (
            "source = \"rpool/plain\"\ndirectory = \"/srv/files\"\nkeep = { last = 0 }",
            78,
            "would keep nothing",
        ),
        (
            "source = \"rpool/plain\"\ndirectory = \"/srv/files\"\nkep = { last = 0 }",
            78,
            "did you mean `keep`?",
        ),
    ] {
        config(lab, text)?;
        lab.run("zferry --config /run/lab/other.toml stream save")?.exits(code)?.says(words)?;
        lab.run("ls /srv/files")?.prints("rpool_diary-entries")?;
    }
    lab.run("zferry stream save dairy")?.exits(2)?.says("did you mean diary?")?;
    lab.run("zferry run")?.exits(78)?.says("has no drive")?;
    lab.run("zferry check")?.exits(0)?;
    lab.run("flock /srv/files/.zferry.lock zferry stream save")?
        .exits(75)?
        .says("another zferry is busy with the files in /srv/files")?;
    // One that may be read is saved when that is said, and asked for nothing else.
    config(lab, "source = \"rpool/plain\"\ndirectory = \"/srv/files\"\nallow-plaintext = true")?;
    lab.run("zferry --config /run/lab/other.toml stream save")?.exits(0)?;
    lab.run("stat -c %a /srv/files/rpool_plain/*.zfs; stat -c %a /srv/files/rpool_diary-entries/*-full.zfs | uniq")?.prints("600\n644")?;
    lab.run("rm -r /srv/files/rpool_plain; zferry stream export rpool/diary-entries@none /srv/x")?
        .exits(1)?
        .says("there is no rpool/diary-entries@none here")?;
    Ok(())
}

/// Damaged, swapped, missing, and described wrongly: each is told for what it is, and nothing of it reaches a pool.
fn misled(lab: &mut Lab) -> Result<()> {
    lab.run(&format!("set -e; rm -rf {FILES}; zferry stream save"))?.exits(0)?;
    for name in ["two", "three"] {
        write(lab, name)?;
        lab.run("sed -i 's/every 3/never/; /^keep/d' /etc/zferry/config.toml; zferry stream save")?
            .exits(0)?;
    }
    lab.run("cp -a /srv/files /srv/good; zferry stream verify")?.exits(0)?;
    let incr = "set -- $(ls *-incr.zfs)";
    for (how, words, is_quick) in [
        ("printf x | dd of=$1 bs=1 seek=200000 conv=notrunc status=none", "DAMAGED", false),
        ("truncate -s -1000 $2", "is not as long as it was", true),
        ("mv $1 x; mv $2 $1; mv x $2", "its manifest is about: its", true),
        ("cp $1 $2", "its manifest is about: its", true),
        ("rm $1", "is gone; its manifest is there", true),
        ("rm $1 ${1%.zfs}.json", "and no file beside it makes that one", true),
        ("sed -i 's/\"blake3\": \"./\"blake3\": \"z/' ${1%.zfs}.json", "its BLAKE3 is another one", false),
        ("echo '{' > ${1%.zfs}.json", "is left out: it is no manifest", true),
    ] {
        lab.run(&format!("set -e; cd {FILES}; {incr}; {how}"))?.exits(0)?;
        let quick = if is_quick { " --quick" } else { "" };
        lab.run(&format!("zferry stream verify{quick}"))?.exits(1)?.says(words)?;
        lab.run("zferry stream verify")?.exits(1)?;
        // Of a wrong manifest and of swapped names, what is in the files is still whole.
        let is_whole = ["sed", "echo", "mv"].iter().any(|word| how.starts_with(word));
        lab.run(&format!("zferry stream restore rpool/back {FILES}"))?.exits(i32::from(!is_whole))?;
        if is_whole {
            same(lab, "rpool/back")?;
        } else {
            lab.run("zfs list rpool/back")?.exits(1)?;
        }
        lab.run("rm -r /srv/files; cp -a /srv/good /srv/files; zferry stream verify")?.exits(0)?;
    }
    Ok(())
}
