//! Files come back: a drive is opened, looked into and closed, and files are copied out of its snapshots.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Scenario;
use crate::command::{Background, Command};
use crate::drive::Drive;
use crate::lab::{CTRL_C, Lab, PASSPHRASE};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core("a file comes back from an opened drive, and from one that is not", comes_back),
        Scenario::full(
            "three wrong passphrases open nothing, and another one is asked for where it is needed",
            keys,
        ),
        Scenario::full("a drive that is pulled out while it is open is told truly", pulled_out),
        Scenario::full(
            "what cannot be restored is refused, and a file that is there is replaced by consent only",
            refused,
        ),
        Scenario::full(
            "a restore of files that is interrupted or has no room leaves nothing behind",
            interrupted,
        ),
        Scenario::full(
            "a restore of files whose room is taken or whose drive is pulled in the middle leaves nothing behind",
            cut_short,
        ),
    ]
}

const SAFE: &str = "Safe to unplug t7";

/// Sets and shows extended attributes, an ACL among them: the guests have no other program for that. The numbers are those
/// of the system calls setxattr, getxattr and listxattr.
const ATTRIBUTES: &str = r#"
my ($what, @files) = @ARGV;
my $acl = pack("H*", "0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000000ffffffff");
for my $file (@files) {
    if ($what eq "set") {
        for (["user.colour", "red"], ["system.posix_acl_access", $acl]) {
            my ($name, $value) = @$_;
            syscall(188, $file, $name, $value, length($value), 0) == 0 or die "$name: $!";
        }
        next;
    }
    my $list = "\0" x 400;
    my $length = syscall(194, $file, $list, 400);
    $length >= 0 or die "$file: $!";
    for my $name (sort split(/\0/, substr($list, 0, $length))) {
        my $value = "\0" x 400;
        my $got = syscall(191, $file, $name, $value, 400);
        print "$file $name ", unpack("H*", substr($value, 0, $got)), "\n";
    }
}
"#;

/// A line with the passphrase on its standard input.
pub(super) fn typed(lab: &mut Lab, line: &str) -> Result<crate::command::Output> {
    lab.execute(Command::shell(line).stdin(format!("{PASSPHRASE}\n")))
}

/// Files with everything that a file can have, backed up; the drive is plugged in again.
fn backed_up(lab: &mut Lab) -> Result<Drive> {
    let (t7, _) = lab.setting("512M")?;
    lab.write("/run/lab/attributes", ATTRIBUTES)?;
    lab.run(
        "set -e; cd /home/anna; useradd -m -d /tmp/anna anna 2>/dev/null || true; mkdir -p Documents/old; \
         echo 2025 > Documents/old/taxes; echo draft > Documents/tax.pdf; chown -R anna: Documents; chmod 640 Documents/tax.pdf; \
         touch -d '2025-05-05 05:05:05.123456789' Documents/tax.pdf; \
         perl /run/lab/attributes set Documents/tax.pdf; \
         ln -s tax.pdf Documents/link; ln -s /etc out; ln Documents/tax.pdf Documents/same; zpool sync rpool",
    )?
    .exits(0)?;
    lab.snapshot("rpool/nixos/home", "draft")?;
    lab.run("sleep 1; echo final > /home/anna/Documents/tax.pdf; rm /home/anna/Documents/old/taxes; zpool sync rpool")?
        .exits(0)?;
    lab.snapshot("rpool/nixos/home", "last")?;
    lab.run("zferry run t7")?.exits(0)?;
    lab.plug(&t7)?;
    Ok(t7)
}

/// Everything that a person can see of what is at and below a path, and of what lies in its files.
fn seen(path: &str) -> String {
    format!(
        "cd {path} && find . -printf '%P %y %m %U %G %T@ %l\\n' | sort && \
         find . -type f -exec sha256sum {{}} + | sort && \
         find . -type f | sort | xargs perl /run/lab/attributes show"
    )
}

/// Nothing of the drive is mounted, imported or left beside anything.
pub(super) fn nothing_is_left(lab: &mut Lab) -> Result<()> {
    lab.not_imported("backup")?;
    lab.run(
        "grep backup /proc/self/mountinfo; ls -A /run/zferry/open /run/zferry/restore 2>/dev/null | grep -v ':$' | grep .; \
         find / -xdev -name '.zferry-restore-*' 2>/dev/null",
    )?
    .prints("")?;
    Ok(())
}

fn comes_back(lab: &mut Lab) -> Result<()> {
    let t7 = backed_up(lab)?;
    let disk = t7.sha256()?;
    let open = typed(lab, "zferry open t7")?;
    open.exits(0)?.says("/run/zferry/open/t7/home/anna/.zfs/snapshot")?.says("zferry close t7")?;
    ensure!(
        !open.stderr().contains(PASSPHRASE) && !open.stdout().contains(PASSPHRASE),
        "the passphrase is shown"
    );
    let files = "/run/zferry/open/t7/home/anna";
    // Whoever may read a file at home may read it here.
    lab.run(&format!("runuser -u anna -- cat {files}/Documents/tax.pdf"))?.prints("final")?;
    lab.run(&format!("cat {files}/.zfs/snapshot/draft/Documents/old/taxes"))?.prints("2025")?;
    lab.run(&format!("touch {files}/x; mount | grep -c 'backup/eds.* (ro,nosuid,nodev'"))?.prints("2")?;
    lab.run("zferry open t7 < /dev/null")?.exits(0)?.says("is open already")?;
    lab.run("zferry run t7")?.exits(1)?.says("zferry close t7")?;

    // Out of what is open, which stays open.
    lab.run("mkdir /tmp/back && zferry restore t7 home anna/letter --to /tmp/back")?
        .exits(0)?
        .last_word("t7 is still open")?;
    lab.run("cmp /tmp/back/letter /home/anna/letter && ls /run/zferry/open/t7/home/anna/letter")?.exits(0)?;
    lab.run("zferry close t7 --no-power-off")?
        .exits(0)?
        .last_word("Safe to unplug t7 (exported; still powered)")?;
    nothing_is_left(lab)?;
    ensure!(t7.sha256()? == disk, "the drive was written to");
    restored(lab)?;
    nothing_is_left(lab)?;
    ensure!(t7.sha256()? == disk, "the drive was written to");
    lab.run("zferry close t7")?.exits(0)?.last_word("Safe to unplug t7 (exported and powered off)")?;
    lab.gone(&t7)
}

/// A file and a directory, out of a drive that is not open.
fn restored(lab: &mut Lab) -> Result<()> {
    let expected = lab.run(&seen("/home/anna/.zfs/snapshot/draft/Documents"))?;
    ensure!(expected.exits(0)?.says("user.colour")?.stdout().contains("posix_acl"), "{}", expected.stdout());
    typed(lab, "zferry restore t7 home anna/Documents --from draft --to /tmp/back")?
        .exits(0)?
        .last_word(SAFE)?;
    lab.run(&seen("/tmp/back/Documents"))?.exits(0)?.prints(expected.stdout().trim())?;
    // What was deleted is found in the newest snapshot that has it.
    typed(lab, "zferry restore t7 home anna/Documents/old/taxes --to /tmp/back")?
        .exits(0)?
        .says("as it was in @draft")?;
    lab.run("cat /tmp/back/taxes")?.prints("2025")?;
    Ok(())
}

fn refused(lab: &mut Lab) -> Result<()> {
    let t7 = backed_up(lab)?;
    let disk = t7.sha256()?;
    lab.run("mkdir /tmp/back && echo other > /tmp/back/taxes")?.exits(0)?;
    let versions = typed(lab, "zferry restore t7 home anna/Documents/tax.pdf --versions")?;
    versions.exits(0)?.says("@draft")?.says("@last")?;
    // Nothing is replaced unasked, and that is known before the drive is touched.
    lab.run("zferry restore t7 home anna/Documents/old/taxes --to /tmp/back")?
        .exits(1)?
        .says("exists already")?;
    typed(lab, "zferry restore t7 home anna/Documents/old/taxes --force --to /tmp/back")?.exits(0)?;
    lab.run("cat /tmp/back/taxes")?.prints("2025")?;
    for (what, code, says) in [
        ("anna/../../etc/passwd --to /tmp", 2, "leads out of the backup"),
        ("/home/anna/letter --to /tmp", 2, "begins with"),
        ("anna/out/passwd --to /tmp", 1, "by a symbolic link"),
        ("anna/Documents/tex.pdf --to /tmp", 1, "try: anna/Documents/tax.pdf"),
        ("anna/letter --from 2026-02-30 --to /tmp", 1, "is no day or time that there is"),
        ("anna/letter --from 02/03/2026 --to /tmp", 1, "no day or time"),
        ("anna/letter --to /tmp/none", 1, "mkdir /tmp/none"),
    ] {
        typed(lab, &format!("zferry restore t7 home {what}"))?.exits(code)?.says(says)?;
    }
    // Whoever keeps it busy is named.
    typed(lab, "zferry open t7")?.exits(0)?;
    let files = "/run/zferry/open/t7/home/anna";
    let busy = lab.run_in_background(&format!("cd {files} && exec sleep 600"))?;
    lab.run("sleep 1; zferry close t7")?.exits(1)?.says("sleep (process")?.says("zferry eject t7")?;
    lab.signal(&busy, rustix::process::Signal::KILL)?;
    lab.finish(busy)?;
    lab.run("zferry close t7 --no-power-off")?.exits(0)?.last_word(SAFE)?;
    nothing_is_left(lab)?;
    ensure!(t7.sha256()? == disk, "the drive was written to");
    Ok(())
}

fn keys(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    // A dataset with a passphrase of its own, and one that is a key of bytes.
    lab.run(
        "set -e; echo another passphrase > /run/lab/other; head -c 32 /dev/urandom > /run/lab/bytes; \
         zfs create -o encryption=on -o keyformat=passphrase -o pbkdf2iters=100000 -o keylocation=file:///run/lab/other rpool/nixos/home/bob; \
         zfs set keylocation=prompt rpool/nixos/home/bob; echo bob > /home/bob/letter; zpool sync rpool; zfs snapshot -r rpool/nixos/home@last; zferry run t7",
    )?
    .exits(0)?;
    lab.plug(&t7)?;
    let disk = t7.sha256()?;
    let wrong = Command::shell("zferry open t7").stdin("wrong horse\nwrong again\n\nand again\n");
    lab.execute(wrong)?.exits(1)?.says("the passphrase was wrong 3 times")?.says(SAFE)?;
    nothing_is_left(lab)?;
    lab.run("zferry open t7 < /dev/null")?.exits(1)?.says("no passphrase was typed")?;
    nothing_is_left(lab)?;
    // On a terminal nothing is shown, and Ctrl-C ends it.
    let mut asked = lab.on_terminal("zferry open t7")?;
    lab.until_says(&mut asked, "Passphrase of backup/eds:")?;
    lab.type_into(&asked, CTRL_C)?;
    lab.finish(asked)?.exits(130)?;
    nothing_is_left(lab)?;
    let mut asked = lab.on_terminal("zferry open t7")?;
    lab.until_says(&mut asked, "Passphrase of backup/eds:")?;
    lab.type_into(&asked, "wrong horse\n")?;
    lab.until_says(&mut asked, "That was not it. Passphrase of backup/eds:")?;
    lab.type_into(&asked, &format!("{PASSPHRASE}\n"))?;
    lab.until_says(&mut asked, "Passphrase of backup/eds/bob:")?;
    lab.type_into(&asked, "another passphrase\n")?;
    let asked = lab.finish(asked)?;
    asked.exits(0)?.says_nothing_of("horse")?.says_nothing_of("another passphrase")?;
    lab.run("cat /run/zferry/open/t7/home/bob/letter || cat /run/zferry/open/t7/home+bob/letter")?
        .prints("bob")?;
    lab.run("zferry eject t7 --no-power-off")?.exits(0)?.last_word(SAFE)?;
    nothing_is_left(lab)?;
    ensure!(t7.sha256()? == disk, "the drive was written to");
    Ok(())
}

fn pulled_out(lab: &mut Lab) -> Result<()> {
    let t7 = backed_up(lab)?;
    // Nobody reads from it: it is closed as ever.
    typed(lab, "zferry open t7")?.exits(0)?;
    lab.pull(&t7)?;
    lab.gone(&t7)?;
    lab.run("zferry open t7")?.exits(1)?.says("was pulled out while it was open")?.says("zferry close t7")?;
    lab.run("zferry close t7")?
        .exits(0)?
        .last_word("t7 was pulled out while it was open. It is closed now")?;
    nothing_is_left(lab)?;
    lab.plug(&t7)?;
    // Plugged in again before it is closed.
    typed(lab, "zferry open t7")?.exits(0)?;
    lab.pull(&t7)?;
    lab.gone(&t7)?;
    lab.plug(&t7)?;
    lab.run("zferry close t7 --no-power-off")?.exits(0)?.last_word(SAFE)?;
    nothing_is_left(lab)?;
    lab.run("zferry run t7 --no-power-off")?.exits(0)?.last_word(SAFE)?;
    // Somebody reads: only a restart ends that, and other pools go on.
    typed(lab, "zferry open t7")?.exits(0)?;
    lab.pull(&t7)?;
    lab.gone(&t7)?;
    lab.run_in_background(
        "ls /run/zferry/open/t7/home/anna/.zfs/snapshot/*/Documents; cat /run/zferry/open/t7/home/anna/photo",
    )?;
    lab.wait_until(
        "ZFS has noticed",
        Duration::from_secs(60),
        "test $(cat /proc/spl/kstat/zfs/backup/state) = SUSPENDED",
    )?;
    for command in ["close", "open", "run"] {
        let line = format!("zferry {command} t7");
        let said = lab.execute(Command::shell(&line).within(Duration::from_secs(60)))?;
        said.exits(1)?.says("restart this computer")?;
    }
    super::unplugged::others_answer(lab)?;
    lab.cut()?;
    lab.unlock_source("rpool")?;
    lab.plug(&t7)?;
    lab.run("zferry run t7")?.exits(0)?.last_word(SAFE)?;
    Ok(())
}

fn interrupted(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    super::session::much(lab)?;
    lab.run("zferry run t7")?.exits(0)?;
    lab.plug(&t7)?;
    let disk = t7.sha256()?;
    lab.run("ls -la /home/anna; mkdir /tmp/back /tmp/small && mount -t tmpfs -o size=8M small /tmp/small")?
        .exits(0)?;
    let big = "anna/$(cd /home/anna && ls -S | head -1)";
    typed(lab, &format!("zferry restore t7 home {big} --to /tmp/small"))?
        .exits(1)?
        .says("/tmp/small has")?
        .says(SAFE)?;
    nothing_is_left(lab)?;
    lab.run("ls -A /tmp/small")?.prints("")?;
    // By Ctrl-C in the middle, when the drive is slow.
    lab.plug_slow(&t7)?;
    let line = format!("zferry restore t7 home {big} --to /tmp/back");
    let restore = Command::shell(&line).stdin(format!("{PASSPHRASE}\n")).within(Duration::from_secs(300));
    let run = lab.start_command(restore)?;
    lab.wait_until(
        "something was copied",
        Duration::from_secs(120),
        "test $(du -sk /tmp/back | cut -f1) -gt 100",
    )?;
    lab.signal(&run, rustix::process::Signal::INT)?;
    lab.finish(run)?.exits(130)?.says(SAFE)?;
    nothing_is_left(lab)?;
    lab.run("ls -A /tmp/back")?.prints("")?;
    // One that is killed leaves things, and the next command clears them away.
    let restore = Command::shell(&line).stdin(format!("{PASSPHRASE}\n")).within(Duration::from_secs(300));
    let run = lab.start_command(restore)?;
    lab.wait_until(
        "something was copied",
        Duration::from_secs(120),
        "test $(du -sk /tmp/back | cut -f1) -gt 100",
    )?;
    lab.signal(&run, rustix::process::Signal::KILL)?;
    lab.finish(run)?;
    lab.run("ls /tmp/back; rm -rf /tmp/back/.zferry-restore-*; sleep 1")?.prints("")?;
    lab.run("zferry close t7 --no-power-off")?.exits(0)?.last_word(SAFE)?;
    nothing_is_left(lab)?;
    ensure!(t7.sha256()? == disk, "the drive was written to");
    Ok(())
}

/// Begins to restore the large file from a slow drive, and waits until some of it is there.
fn restore_slowly(lab: &mut Lab, to: &str) -> Result<Background> {
    let line = format!("zferry restore t7 home anna/film --to {to}");
    let restore = Command::shell(&line).stdin(format!("{PASSPHRASE}\n")).within(Duration::from_secs(300));
    let run = lab.start_command(restore)?;
    let begun = format!("test $(du -sk {to} | cut -f1) -gt 100");
    lab.wait_until("something was copied", Duration::from_secs(120), &begun)?;
    Ok(run)
}

fn cut_short(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    super::session::much(lab)?;
    lab.run("zferry run t7")?.exits(0)?;
    lab.plug_slow(&t7)?;
    let disk = t7.sha256()?;
    // There was room enough when it was begun.
    lab.run("mkdir /tmp/back /tmp/small && mount -t tmpfs -o size=100M small /tmp/small")?.exits(0)?;
    let run = restore_slowly(lab, "/tmp/small")?;
    lab.run("head -c 60M /dev/zero > /tmp/small/other")?.exits(0)?;
    lab.finish(run)?.exits(1)?.says("/tmp/small has no space left")?.says("--to")?.says(SAFE)?;
    nothing_is_left(lab)?;
    lab.run("ls -A /tmp/small")?.prints("other")?;
    ensure!(t7.sha256()? == disk, "the drive was written to");

    let run = restore_slowly(lab, "/tmp/back")?;
    super::unplugged::pull_in_mid_run(lab, &t7, &run)?;
    let pulled = lab.finish(run)?;
    pulled
        .exits(1)?
        .says("t7 is gone")?
        .says("was unplugged while it was read from")?
        .says("zferry close t7")?;
    lab.run("ls -A /tmp/back")?.prints("")?;
    super::unplugged::others_answer(lab)?;
    // What the kernel holds on to ends with a restart, if somebody still reads; that is what is said.
    let close = lab.execute(Command::shell("zferry close t7").within(Duration::from_secs(120)))?;
    if close.exits(0).is_ok() {
        lab.remark("closed");
        nothing_is_left(lab)?;
    } else {
        close.exits(1)?.says("restart this computer")?;
        lab.remark("closed by a restart");
        lab.cut()?;
        lab.unlock_source("rpool")?;
    }
    lab.plug(&t7)?;
    lab.run("mkdir -p /tmp/again")?.exits(0)?;
    typed(lab, "zferry restore t7 home anna/film --to /tmp/again")?.exits(0)?.last_word(SAFE)?;
    lab.run("cmp /tmp/again/film /home/anna/film")?.exits(0)?;
    nothing_is_left(lab)
}
