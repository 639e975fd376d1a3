//! `init`: a blank disk becomes a drive. Whether it may is decided in `plan::init`; here it is looked at, asked about,
//! looked at again, erased, and given a pool, which is exported when this ends, however it ends.

mod encased;
mod error;
mod pool;
mod small;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config::edit::{self, NewDrive, Place, Written};
use crate::config::preparing::InitRequest;
use crate::drive::{Claimed, Disk, Holds, Partition, Watcher, find_partition, resolve, survey};
use crate::event::Event;
use crate::execute::session::SessionError;
use crate::execute::{lock, luks};
use crate::model::{FoundDisk, Guid, LuksUuid, PoolName};
use crate::plan::init::{self, Layout, NotPrepared, Taken, Wishes};
use crate::plan::rescue::PARTITION;
use crate::process::{Invocation, Tool};
use crate::zfs::parse::Imported;
use crate::zfs::{Client, version};

use super::rescue::{Rescue, write_first};
use super::{Environment, JobError};
use encased::make_in_luks;
pub use error::PrepareError;
use pool::{export, make_pool};

/// Where a pool is imported below while it is made: the mark by which the pool of an `init` that died is known.
pub(super) const ALTROOT: &str = "/run/zferry/init";
/// There is one `init` at a time. No pool has this guid.
pub(super) const LOCK: Guid = Guid(0);
/// How long udev and the kernel may take to know what was written.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);
/// For tools that only look.
const SHORT: Duration = Duration::from_secs(90);
/// For reading a label back.
const LABEL: Duration = Duration::from_secs(20);

/// Asks a person, and returns what was typed; nothing when nobody was there or the person wants to stop.
pub type Ask<'a> = dyn FnMut(&str) -> io::Result<Option<String>> + 'a;

/// Makes a drive of a disk, and writes it down.
///
/// # Errors
/// When the disk must not be erased, nobody said that it is this one, or something did not work out. No pool is left
/// imported that was not before.
pub fn init(request: &InitRequest, env: &Environment<'_>, ask: &mut Ask<'_>) -> Result<(), JobError> {
    let _lock = lock::take(env.locks, LOCK, &format!("process {}, zferry init", std::process::id()))?;
    let client = env.client();
    check_zfs(&client)?;
    settle(env);
    let (asked, _, layout) = look(request, env)?;
    if layout.rescue.is_some() {
        small::check_tool(env)?;
    }
    if request.luks {
        luks::check_tool(&client)?;
    }
    let typed = match &request.serial {
        Some(serial) => {
            note(env, erased(&asked));
            serial.clone()
        }
        None => answer(&asked, env, ask)?,
    };
    init::check_answer(&asked, &typed).map_err(PrepareError::from)?;
    let secret = request.luks.then(|| luks::new_passphrase(env.ask, request.drive.as_str())).transpose()?;
    // Between question and answer there was time to plug in another one.
    settle(env);
    let (now, disk, again) = look(request, env)?;
    init::check_same(&asked.identity, &now.identity).map_err(PrepareError::from)?;
    if (&again, &now.contents) != (&layout, &asked.contents) {
        let node = now.identity.node.clone();
        let what = "what is on it is not what was shown".to_owned();
        return Err(PrepareError::from(NotPrepared::Swapped { node, what }).into());
    }
    if env.cancel.is_requested() {
        return Err(JobError::Interrupted);
    }
    let watcher = Watcher::new(env.root.clone(), vec![disk.clone()], None);
    let cancel = env.cancel.watching(move || watcher.lost());
    let env = &Environment { cancel: &cancel, ..*env };
    let (link, small) = write_disk(request, env, &now, &layout)?;
    if let Some(small) = &small {
        small::make(env, &disk, request.drive.as_str(), small)?;
    }
    let (guid, luks) = match &secret {
        Some(secret) => make_in_luks(request, env, &link, secret).map(|(guid, uuid)| (guid, Some(uuid)))?,
        None => (make_pool(request, env, &link)?, None),
    };
    let (name, pool) = (request.drive.clone(), request.pool.clone());
    let drive = NewDrive { name, pool, guid, luks, rescue: small.is_some() };
    if drive.rescue {
        let first = Rescue::new(edit::snippet(&drive), &request.common.host);
        write_first(env, &first, &disk, &drive);
    } else if request.rescue {
        note(env, format!("{} is too small for a rescue file system, and has none.", drive.name));
    }
    write_down(env, &request.place, &drive, &[])?;
    if request.luks {
        note(env, decrypted(&drive, &request.place.backups));
    }
    note(env, next(request));
    Ok(())
}

/// As a run would refuse it: nobody should fill a drive with a ZFS that ruins backups.
fn check_zfs(client: &Client<'_>) -> Result<(), SessionError> {
    let versions = client.check_tool(Tool::Zfs).map_err(SessionError::Tools)?;
    version::refusal(&versions).map_or(Ok(()), |refusal| Err(SessionError::UnsafeZfs(refusal)))
}

pub(super) fn note(env: &Environment<'_>, text: String) {
    env.sink.event(Event::Note { text });
}

/// Until udev has seen what happened. What it does not see is noticed where it matters.
fn settle(env: &Environment<'_>) {
    tool(env, Tool::Udevadm, &["settle", "-t", "60"]);
}

/// Whether udev has seen what is on a device now; it is told to look again until it has.
fn is_shown(env: &Environment<'_>, link: &Path, seen: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if seen() {
            return true;
        }
        let node = std::fs::canonicalize(link).unwrap_or_else(|_| link.to_owned());
        tool(env, Tool::Udevadm, &["trigger", "--action=change", &node.display().to_string()]);
        settle(env);
        std::thread::sleep(PAUSE);
    }
    false
}

/// A tool that only tells others to look: whether it helped is looked at afterwards.
fn tool(env: &Environment<'_>, tool: Tool, arguments: &[&str]) {
    let command = Invocation::new(tool, arguments.iter().copied(), SHORT);
    log::debug!("{command}");
    match env.runner.run(&command, env.cancel) {
        Ok(output) if output.exit.is_success() => {}
        Ok(output) => log::info!("`{command}` ended with {}: {}", output.exit, output.stderr.trim()),
        Err(error) => log::info!("{error}"),
    }
}

/// Imported pools with the nodes of their devices.
fn pools_and_devices(client: &Client<'_>) -> Result<Vec<(Imported, Vec<PathBuf>)>, JobError> {
    let listed = |source| JobError::Zfs { what: "which disks are in use is not known", source };
    let pools = client.pools().map_err(listed)?;
    pools
        .into_iter()
        .map(|pool| {
            let devices = client.devices(Some(&pool.name)).map_err(listed)?;
            Ok((pool, devices))
        })
        .collect()
}

/// What the disk is at this moment, and whether it may be erased.
fn look(request: &InitRequest, env: &Environment<'_>) -> Result<(FoundDisk, Disk, Layout), JobError> {
    let client = env.client();
    let node = resolve(env.root, &request.device).map_err(PrepareError::from)?;
    let mut pools = pools_and_devices(&client)?;
    let containers = encased::left_open(env, &node);
    if let Some(left) = left_over(&pools, &node, &containers) {
        note(env, format!("An earlier `init` was cut off: exporting the pool {left} that it left."));
        export(&client, &left).map_err(|source| JobError::Zfs {
            what: "the pool that an earlier `init` left cannot be exported",
            source,
        })?;
        settle(env);
        pools = pools_and_devices(&client)?;
    }
    encased::close_left(request, env, &containers, &pools);
    let names: Vec<_> = pools.iter().map(|(pool, nodes)| (pool.name.to_string(), nodes.clone())).collect();
    let (disk, found) = survey(env.root, &node, &names).map_err(PrepareError::from)?;
    let taken = Taken {
        drives: request.place.drives.clone(),
        pools: pools.into_iter().map(|(pool, _)| pool.name).collect(),
    };
    let wishes = Wishes {
        drive: request.drive.as_str(),
        pool: &request.pool,
        wipe: request.wipe,
        internal: request.internal,
        rescue: request.rescue,
    };
    let layout = init::judge(&found, &wishes, &taken).map_err(PrepareError::from)?;
    Ok((found, disk, layout))
}

/// The pool on this disk, or in a container on it, that an `init` made and did not export. The lock is held: that one is
/// dead.
fn left_over(
    pools: &[(Imported, Vec<PathBuf>)],
    node: &Path,
    containers: &[(LuksUuid, PathBuf)],
) -> Option<PoolName> {
    let disk = node.display().to_string();
    let ours = |(pool, nodes): &&(Imported, Vec<PathBuf>)| {
        // `/dev/sdb` has `/dev/sdb1` and not `/dev/sdba1`, `/dev/nvme0n1` has `/dev/nvme0n1p1`.
        let is_number = |rest: &str| {
            let digits = rest.strip_prefix('p').unwrap_or(rest);
            !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
        };
        let is_on_it = |part: &PathBuf| {
            part.to_str().and_then(|part| part.strip_prefix(&disk)).is_some_and(is_number)
                || containers.iter().any(|(_, mapped)| mapped == part)
        };
        pool.altroot.as_deref() == Some(ALTROOT) && !nodes.is_empty() && nodes.iter().all(is_on_it)
    };
    pools.iter().find(ours).map(|(pool, _)| pool.name.clone())
}

fn erased(disk: &FoundDisk) -> String {
    let mut text = format!("Everything on this disk will be lost:\n  {}", disk.title());
    if disk.contents.is_empty() {
        text.push_str("\n  nothing is known to be on it");
    }
    for content in &disk.contents {
        text.push_str(&format!("\n  {content}"));
    }
    text
}

fn answer(disk: &FoundDisk, env: &Environment<'_>, ask: &mut Ask<'_>) -> Result<String, JobError> {
    let wanted = init::challenge(disk).to_owned();
    if !env.interactive {
        return Err(
            PrepareError::from(NotPrepared::NobodyToAsk { title: disk.title(), serial: wanted }).into()
        );
    }
    let question = match disk.identity.serial {
        Some(_) => "If it is this one: type its serial, or at least the last 4 characters of it: ".to_owned(),
        None => format!("It has no serial. If it is this one: type its name, {wanted}: "),
    };
    let typed = ask(&format!("{}\n{question}", erased(disk)))
        .map_err(|source| PrepareError::Disk { what: "the answer cannot be read".to_owned(), source })?;
    typed.ok_or(JobError::Interrupted)
}

/// Erases it and gives it its partitions. Returns the links to that of the pool and to the small one.
fn write_disk(
    request: &InitRequest,
    env: &Environment<'_>,
    disk: &FoundDisk,
    layout: &Layout,
) -> Result<(PathBuf, Option<PathBuf>), JobError> {
    let node = disk.identity.node.display().to_string();
    let failed = |what: &str| {
        let what = format!("{what} {node}");
        move |source| PrepareError::Disk { what, source }
    };
    let mut claimed =
        Claimed::open(&disk.identity).map_err(failed("nobody else may use it, and that was refused:"))?;
    let holds = if request.luks { Holds::Luks } else { Holds::Pool };
    let pool = Partition { extent: layout.partition, name: request.drive.as_str(), holds };
    let small = |extent| Partition { extent, name: PARTITION, holds: Holds::Files };
    let partitions: Vec<_> = std::iter::once(pool).chain(layout.rescue.map(small)).collect();
    let how_many = if partitions.len() == 1 { "one partition" } else { "two partitions" };
    note(env, format!("Erasing what is known of {node}, and making {how_many}."));
    claimed.erase(&layout.zeros).map_err(failed("nothing can be erased on"))?;
    let made = claimed.partition(&partitions, disk.sector);
    let identities = made.map_err(failed("no partition can be made on"))?;
    drop(claimed);
    let started = Instant::now();
    loop {
        // udev looks again at a disk that was written to; where it was busy with it, it is told.
        settle(env);
        let find = |identity: &String| find_partition(env.root, &disk.identity, identity);
        if let Some(found) = identities.iter().map(find).collect::<Option<Vec<_>>>() {
            log::debug!("{found:?}");
            let mut links = found.into_iter().map(|(link, _)| link);
            let pool = links.next().ok_or_else(|| PrepareError::NoPartition(node.clone()))?;
            return Ok((pool, links.next()));
        }
        if started.elapsed() > PATIENCE || env.cancel.lost().is_some() {
            return Err(PrepareError::NoPartition(node).into());
        }
        tool(env, Tool::Blockdev, &["--rereadpt", &node]);
        std::thread::sleep(PAUSE);
    }
}

/// Adds the drive to the configuration, or says what to add.
pub(super) fn write_down(
    env: &Environment<'_>,
    place: &Place,
    drive: &NewDrive,
    proposals: &[edit::Proposal],
) -> Result<(), JobError> {
    let path = place.path.display();
    let written = edit::write(place, drive, proposals).map_err(|source| PrepareError::Unwritten {
        path: place.path.clone(),
        snippet: edit::snippet(drive),
        source,
    })?;
    note(
        env,
        match written {
            Written::Edited => format!("Added {} to {path}.", drive.name),
            Written::Created => {
                format!("Wrote {path}, with the drive {} and nothing to back up yet.", drive.name)
            }
            Written::Print { snippet, why } => {
                format!("{path} is not edited ({why}). Add this to the configuration:\n\n{snippet}")
            }
        },
    );
    Ok(())
}

/// What belongs into the configuration so that copies are sent decrypted to this drive only.
fn decrypted(drive: &NewDrive, backups: &[edit::Proposal]) -> String {
    let overrides = edit::plain_overrides(drive, backups).replace('\n', "\n  ");
    format!(
        "{} is encrypted by its container. For copies that do not rely on raw sends, add to the configuration:\n  {overrides}",
        drive.name
    )
}

/// What to type next.
fn next(request: &InitRequest) -> String {
    let Place { path, backups, .. } = &request.place;
    let command = &request.common.command;
    let drive = &request.drive;
    let path = path.display();
    if !backups.is_empty() {
        return format!(
            "{drive} is ready. Next, see what would be backed up to it:\n  {command} plan {drive}"
        );
    }
    format!(
        "{drive} is ready. Next, say in {path} what is backed up, then\n  {command} config check\n  {command} plan {drive}"
    )
}
