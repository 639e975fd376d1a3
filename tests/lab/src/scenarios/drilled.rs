//! A drill: the copies are opened, and files of them are compared with the source.

use anyhow::{Result, ensure};

use super::Scenario;
use super::files::{nothing_is_left, typed};
use super::verified::{SAFE, damage, much};
use crate::command::Command;
use crate::drive::Drive;
use crate::lab::{CTRL_C, Lab};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::core(
            "a drill names the file that is damaged, and the one that a scrub calls sound and is another",
            finds,
        ),
        Scenario::full("a drill that does not come to its end leaves nothing open", broken_off),
    ]
}

/// Changes the content of a file in a stream and puts the checksums right, so that what is received is sound, has the guid
/// of the snapshot, and is not what the source has. A checksum is known by being the sum of all that is before it (fletcher4
/// over 32-bit words); the last record has one more, of everything before that record.
const FORGE: &str = r#"
use strict; use warnings; use integer;
binmode STDIN; binmode STDOUT; local $/;
my $stream = <STDIN>;
my $forged = $stream;
($forged =~ s/tell the truth/tell the lies!/g) == 1 or die "the file is not in the stream once";
my (@w, @v) = ();
@w = unpack("V*", $stream); @v = unpack("V*", $forged);
my ($end, $found) = (@w - 78, 0);
$w[$end] == 5 or die "the stream does not end with a record of that kind";
sub words { map { ($_ & 0xffffffff, ($_ >> 32) & 0xffffffff) } @_ }
my (@a, @b) = (); @a = (0, 0, 0, 0); @b = (0, 0, 0, 0);
for my $i (0 .. $#w) {
    if ($i == $end) { my @sum = words(@b); @v[$i + 2 .. $i + 9] = @sum; }
    if ($i > 8 && $i + 7 <= $#w && $w[$i] == ($a[0] & 0xffffffff) && join(",", @w[$i .. $i + 7]) eq join(",", words(@a))) {
        my @sum = words(@b); @v[$i .. $i + 7] = @sum; $found++;
    }
    $a[0] += $w[$i]; $a[1] += $a[0]; $a[2] += $a[1]; $a[3] += $a[2];
    $b[0] += $v[$i]; $b[1] += $b[0]; $b[2] += $b[1]; $b[3] += $b[2];
}
$found > 3 or die "there are checksums of another kind: $found";
print pack("V*", @v);
"#;

/// A second copy on the drive: sound for ZFS, and not what the source has under the same guid.
fn forge_a_copy(lab: &mut Lab, t7: &Drive) -> Result<()> {
    lab.write("/run/lab/forge", FORGE)?;
    lab.run(&format!(
        "set -e; set -o pipefail; zfs create -o encryption=off -o mountpoint=/plain rpool/plain; \
         (echo tell the truth; head -c 100000 /dev/urandom) > /plain/letter; echo same > /plain/note; \
         zfs snapshot rpool/plain@one; \
         zpool import -N -o cachefile=none -R /run/lab/altroot -d {} backup; \
         zfs send rpool/plain@one | perl /run/lab/forge | \
         zfs receive -u -o readonly=on -o canmount=noauto backup/plain; \
         test $(zfs list -Hp -t snapshot -o guid rpool/plain backup/plain | sort -u | wc -l) = 1; \
         for try in {{1..15}}; do zpool export backup && exit 0; sleep 1; done; exit 98",
        t7.partition()
    ))?
    .exits(0)?;
    Ok(())
}

const PLAIN: &str = "\n[backups.plain]\nsource = \"rpool/plain\"\ntarget = \"plain\"\nprune = \"never\"\n\
                     allow-plaintext = true\n";

fn finds(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    much(lab, 30)?;
    lab.run("zferry run t7 --no-power-off")?.exits(0)?;
    forge_a_copy(lab, &t7)?;
    lab.configure_drive("t7", guid, PLAIN)?;
    lab.run("zferry verify t7 --no-power-off")?.exits(0)?.says("everything on it can be read")?;

    let disk = t7.sha256()?;
    lab.run("zferry verify t7 --all")?.exits(2)?.says("--drill")?;
    let drill = typed(lab, "zferry verify t7 --drill --no-power-off")?;
    drill
        .exits(1)?
        .says("3 of 3 copies on the drive can be continued")?
        .says("letter differs from the source, in the block that begins at byte 0")?
        .says("compared with rpool/nixos/home/anna@much. They are the same")?
        .says("zferry verify t7 --drill --seed")?
        .last_word("Safe to unplug t7 (exported; still powered)")?;
    nothing_is_left(lab)?;
    ensure!(t7.sha256()? == disk, "the drive was written to");

    lab.pull(&t7)?;
    damage(&t7)?;
    lab.plug(&t7)?;
    let drill = typed(lab, "zferry verify t7 --drill --all")?;
    drill
        .exits(1)?
        .says("film cannot be read on the drive: Input/output error")?
        .says("letter differs from the source")?
        .says("All others are good")?
        .last_word(SAFE)?;
    for sound in ["\n  note ", "\n  photo ", "are NOT"] {
        ensure!(!drill.stderr().contains(sound), "{sound} is named too\n{}", drill.stderr());
    }
    lab.gone(&t7)?;
    nothing_is_left(lab)?;
    t7.is_exported()
}

fn broken_off(lab: &mut Lab) -> Result<()> {
    let (t7, _) = lab.setting("512M")?;
    lab.run("zferry run t7 --no-power-off")?.exits(0)?;
    let disk = t7.sha256()?;
    let wrong =
        Command::shell("zferry verify t7 --drill --no-power-off").stdin("one\ntwo\nthree\n".to_owned());
    lab.execute(wrong)?.exits(1)?.says("the passphrase was wrong 3 times")?.says("Safe to unplug t7")?;
    nothing_is_left(lab)?;

    let mut asked = lab.on_terminal("zferry verify t7 --drill --no-power-off")?;
    lab.until_says(&mut asked, "Passphrase of")?;
    lab.type_into(&asked, CTRL_C)?;
    lab.finish(asked)?.exits(130)?.says("Safe to unplug t7")?;
    nothing_is_left(lab)?;

    // What the source cannot show is read alone, and that is said.
    lab.run("zfs unmount rpool/nixos/home/anna")?.exits(0)?;
    typed(lab, "zferry verify t7 --drill --no-power-off")?
        .exits(0)?
        .says("not compared, since rpool/nixos/home/anna is not mounted")?;
    lab.run("zfs mount rpool/nixos/home/anna")?.exits(0)?;
    nothing_is_left(lab)?;
    ensure!(t7.sha256()? == disk, "the drive was written to");

    let mut asked = lab.on_terminal("zferry verify t7 --drill")?;
    lab.until_says(&mut asked, "Passphrase of")?;
    lab.pull(&t7)?;
    lab.type_into(&asked, &format!("{}\n", crate::lab::PASSPHRASE))?;
    lab.finish(asked)?.exits(1)?.last_word("t7 was unplugged")?;
    lab.run("zferry close t7; zpool list -H backup")?.says("no such pool")?;
    Ok(())
}
