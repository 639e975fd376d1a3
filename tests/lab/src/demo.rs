//! `cargo lab demo`: a first and a second backup to a USB drive, to watch.

mod picture;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::Command;
use crate::drive::Drive;
use crate::host::cargo::Share;
use crate::image::saved::Saved;
use crate::lab::Lab;
use crate::machine::Console;
use crate::paths;

/// How long one backup may take.
const RUN: Duration = Duration::from_secs(600);

/// Shows what zferry does, in a guest of its own. A picture of the second backup is written to `record`.
pub fn show(saved: &Saved, share: &Share, record: Option<&Path>) -> Result<()> {
    let directory = paths::cache()?.join("runs").join(format!("{}-demo", std::process::id()));
    let console = Console::File(directory.join("console"));
    let mut lab = Lab::start(saved, share.path(), &directory, console)?;
    let size = if record.is_some() { (picture::COLUMNS.get(), 40) } else { terminal_size() };
    let second = match story(&mut lab, size) {
        Ok(second) => second,
        Err(error) => {
            let kept = lab.keep("demo")?;
            eprintln!("lab: what the demo left: {}", kept.display());
            return Err(error);
        }
    };
    drop(lab);
    std::fs::remove_dir_all(directory)?;
    if let Some(path) = record {
        let picture = picture::svg(&[("sudo zferry run t7".to_owned(), second)]);
        std::fs::write(path, picture).with_context(|| format!("{} cannot be written", path.display()))?;
        say(&format!("The picture of the second backup: {}", path.display()));
    }
    Ok(())
}

/// Gives what the second backup printed.
fn story(lab: &mut Lab, size: (u16, u16)) -> Result<Vec<u8>> {
    say("A machine with an encrypted pool, rpool, and a home with snapshots.");
    lab.encrypted_source("rpool")?;
    lab.run("head -c 96M /dev/urandom > /home/anna/film")?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "autosnap_2026-01-03_00:00:00_daily")?;
    watch(lab, size, "zfs list -r -t filesystem,snapshot -o name,used,encryption rpool/nixos/home")?;

    say("A new USB drive, with an empty pool.");
    let t7 = lab.drive("t7", "2G")?;
    let guid = lab.prepare_drive(&t7, "backup")?;
    lab.write("/etc/zferry/config.toml", configuration(guid))?;
    watch(lab, size, "cat /etc/zferry/config.toml")?;

    say("What would be done, and then the first backup.");
    watch(lab, size, "zferry plan t7")?;
    watch(lab, size, "zferry run t7")?;
    powered_off(lab, &t7, size)?;

    say("Two days later: new snapshots, one old one gone. The drive is plugged in again.");
    later(lab)?;
    lab.plug(&t7)?;
    let second = watch(lab, size, "zferry run t7")?;
    powered_off(lab, &t7, size)?;
    watch(lab, size, "zferry status")?;
    say("That was it. Nothing of this touched your machine's own pools or drives.");
    Ok(second)
}

/// What sanoid would have done meanwhile.
fn later(lab: &mut Lab) -> Result<()> {
    lab.run("echo a new letter > /home/anna/letter; head -c 24M /dev/urandom > /home/anna/song")?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "autosnap_2026-01-04_00:00:00_daily")?;
    lab.run("rm /home/anna/photo")?.exits(0)?;
    lab.snapshot("rpool/nixos/home", "autosnap_2026-01-05_00:00:00_daily")?;
    lab.run("zfs destroy -r rpool/nixos/home@autosnap_2026-01-01_00:00:00_daily")?.exits(0)?;
    Ok(())
}

fn powered_off(lab: &mut Lab, drive: &Drive, size: (u16, u16)) -> Result<()> {
    lab.gone(drive)?;
    drive.is_exported()?;
    say("The drive left the USB bus, and all four of its labels say: exported.");
    watch(lab, size, "lsblk -o NAME,SIZE,TRAN,SERIAL")?;
    Ok(())
}

fn configuration(guid: u64) -> String {
    format!(
        "[drives.t7]\n\
         pool = \"backup\"\n\
         pool-guid = \"{guid}\"\n\
         backups = [\"home\"]\n\
         \n\
         [backups.home]\n\
         source = \"rpool/nixos/home\"\n\
         target = \"eds\"\n\
         recursive = true\n\
         prune = \"mirror\"\n"
    )
}

/// Columns and rows of the caller's terminal.
fn terminal_size() -> (u16, u16) {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
    size.map_or((100, 30), |size| (size.ws_col.max(40), size.ws_row.max(10)))
}

/// Runs a command on a terminal of this size and shows it as it comes.
fn watch(lab: &mut Lab, (columns, rows): (u16, u16), line: &str) -> Result<Vec<u8>> {
    println!("\x1b[1m# {line}\x1b[0m");
    let command = Command::shell(line).terminal(columns, rows).within(RUN);
    let mut printed = Vec::new();
    let output = lab.execute_live(command, &mut |bytes| {
        printed.extend_from_slice(bytes);
        let mut stdout = std::io::stdout().lock();
        // A caller that closed the output does not end the demo half-way.
        let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
    })?;
    println!();
    output.exits(0)?;
    Ok(printed)
}

fn say(text: &str) {
    println!("\n\x1b[1;34m{text}\x1b[0m");
}
