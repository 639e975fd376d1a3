//! Adds a drive to the configuration. Comments and order stay as they are, and a file that is not ours to edit (a link,
//! as on NixOS, or one that cannot be written) is left alone: then the lines to add are printed.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value, value};

use super::name::{BackupName, DriveName};
use super::problem::ConfigError;
use super::read::{self, ReadError};
use crate::model::{Guid, LuksUuid, PoolName};

/// What a new drive is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDrive {
    /// What people call it.
    pub name: DriveName,
    /// Its pool's name.
    pub pool: PoolName,
    /// Its pool's guid.
    pub guid: Guid,
    /// The LUKS container that the pool lies in.
    pub luks: Option<LuksUuid>,
    /// Whether it has a rescue file system.
    pub rescue: bool,
}

/// A backup: one that is configured, or one that is proposed as a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What it could be called.
    pub name: String,
    /// The dataset that is backed up.
    pub source: String,
    /// Its copy, without the drive's pool.
    pub target: String,
}

/// Where a drive is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// What is in it; nothing where there is no file.
    pub text: Option<String>,
    /// Why it is not ours to edit.
    pub locked: Option<String>,
    /// The drives in it, with the guids of their pools.
    pub drives: Vec<(String, Option<Guid>)>,
    /// Its backups, with `{host}` replaced.
    pub backups: Vec<Proposal>,
}

/// What became of the new entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is in the file.
    Edited,
    /// There was no file, and now there is.
    Created,
    /// It is to be added by hand.
    Print {
        /// What to add.
        snippet: String,
        /// Why it was not added.
        why: String,
    },
}

/// Looks at the configuration before anything is done. It need not be complete: a drive without a backup is what `init`
/// leaves.
///
/// # Errors
/// When it cannot be read or trusted, or is not TOML.
pub fn place(path: &Path, host: &str) -> Result<Place, ConfigError> {
    let text = match read::read(path) {
        Ok(text) => Some(text),
        Err(ReadError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let mut place =
        Place { path: path.to_owned(), locked: locked(path), text, drives: Vec::new(), backups: Vec::new() };
    let Some(text) = &place.text else { return Ok(place) };
    let Ok(document) = text.parse::<DocumentMut>() else {
        // Its places and excerpts are better than those of this parser.
        super::parse(text, path, host)?;
        let problems = Vec::new();
        return Err(ConfigError::Invalid { file: path.to_owned(), problems });
    };
    let backups = document.get("backups").and_then(Item::as_table_like);
    for (name, backup) in backups.into_iter().flat_map(|backups| backups.iter()) {
        let text = |key: &str| Some(backup.as_table_like()?.get(key)?.as_str()?.replace("{host}", host));
        let (source, target) = (text("source").unwrap_or_default(), text("target").unwrap_or_default());
        place.backups.push(Proposal { name: name.to_owned(), source, target });
    }
    let drives = document.get("drives").and_then(Item::as_table_like);
    for (name, drive) in drives.into_iter().flat_map(|drives| drives.iter()) {
        let guid = drive.as_table_like().and_then(|drive| drive.get("pool-guid")?.as_str()?.parse().ok());
        place.drives.push((name.to_owned(), guid));
    }
    Ok(place)
}

/// Why a file is not ours to edit.
fn locked(path: &Path) -> Option<String> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => {
            let to = fs::read_link(path).unwrap_or_default();
            Some(format!("it is a link to {}", to.display()))
        }
        Ok(_) => {
            let is_writable = access(path, Access::WRITE_OK).is_ok() && directory_is_writable(path);
            (!is_writable).then(|| "it cannot be written".to_owned())
        }
        Err(_) => {
            let directory = path.ancestors().skip(1).find(|directory| directory.exists())?;
            let is_writable = access(directory, Access::WRITE_OK).is_ok();
            (!is_writable).then(|| format!("{} cannot be written to", directory.display()))
        }
    }
}

fn directory_is_writable(path: &Path) -> bool {
    path.parent().is_none_or(|directory| access(directory, Access::WRITE_OK).is_ok())
}

/// The lines of a drive.
pub fn snippet(drive: &NewDrive) -> String {
    let rescue = if drive.rescue { "rescue = true\n" } else { "" };
    let luks = drive.luks.as_ref().map(|uuid| format!("luks = \"{uuid}\"\n")).unwrap_or_default();
    let (key, pool, guid) = (drive.name.as_key(), &drive.pool, drive.guid);
    format!("[drives.{key}]\npool = \"{pool}\"\npool-guid = \"{guid}\"\n{luks}{rescue}")
}

/// What has each backup sent decrypted to this drive, or a first one, where there is none yet.
pub fn plain_overrides(drive: &NewDrive, backups: &[Proposal]) -> String {
    let key = |name: &str| Some(name.parse::<BackupName>().ok()?.as_key());
    let names: Vec<_> = backups.iter().filter_map(|backup| key(&backup.name)).collect();
    let names = if names.is_empty() { vec!["home".to_owned()] } else { names };
    let table = |name: &String| {
        let drive = drive.name.as_key();
        format!("[drives.{drive}.override.{name}]\nsend = \"plain\"\nallow-plaintext = true\n")
    };
    names.iter().map(table).collect()
}

/// A configuration with nothing but this drive, and what is missing as a comment.
fn beginning(drive: &NewDrive, proposals: &[Proposal]) -> String {
    let example = [Proposal { name: "home".into(), source: "rpool/home".into(), target: "home".into() }];
    let mut text = "# The configuration of zferry. `zferry config check` checks it, `zferry config example` shows more.\n\n".to_owned();
    text.push_str(&snippet(drive));
    text.push_str("\n# What is backed up. Remove each \"# \", and name what is yours.\n");
    for proposal in if proposals.is_empty() { &example } else { proposals } {
        let Proposal { name, source, target } = proposal;
        text.push_str(&format!("# [backups.{name}]\n# source = \"{source}\"\n"));
        text.push_str(&format!("# target = \"{target}\"            # becomes {}/{target}\n", drive.pool));
        text.push_str("# prune = \"mirror\"           # what the source no longer has goes from the drive too; or \"never\"\n#\n");
    }
    text.truncate(text.len() - 2);
    text
}

/// The text with this drive added, and with nothing else changed.
///
/// # Errors
/// When `drives` is something else than a table.
fn with_drive(text: &str, drive: &NewDrive) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("it is not TOML: {error}"))?;
    let drives = document.entry("drives").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let (name, pool, guid) = (drive.name.as_str(), drive.pool.as_str(), drive.guid.to_string());
    match drives {
        Item::Table(drives) => {
            let mut entry = Table::new();
            entry.insert("pool", value(pool));
            entry.insert("pool-guid", value(guid));
            if let Some(uuid) = &drive.luks {
                entry.insert("luks", value(uuid.as_str()));
            }
            if drive.rescue {
                entry.insert("rescue", value(true));
            }
            if !text.trim().is_empty() {
                entry.decor_mut().set_prefix("\n");
            }
            drives.insert(name, Item::Table(entry));
        }
        Item::Value(Value::InlineTable(drives)) => {
            let mut entry = [("pool", pool), ("pool-guid", &guid)].into_iter().collect::<InlineTable>();
            if let Some(uuid) = &drive.luks {
                entry.insert("luks", uuid.as_str().into());
            }
            if drive.rescue {
                entry.insert("rescue", true.into());
            }
            drives.insert(name, Value::InlineTable(entry));
        }
        _ => return Err("`drives` is no table in it".to_owned()),
    }
    Ok(document.to_string())
}

/// Writes a drive down, or says what to write. Afterwards the file is the new one or still the old one.
///
/// # Errors
/// When the file cannot be written; what is to be added is in [`snippet`].
pub fn write(place: &Place, drive: &NewDrive, proposals: &[Proposal]) -> io::Result<Written> {
    let print = |why: &str| Ok(Written::Print { snippet: snippet(drive), why: why.to_owned() });
    if let Some(why) = &place.locked {
        return print(why);
    }
    let Some(before) = &place.text else {
        save(&place.path, &beginning(drive, proposals), None)?;
        return Ok(Written::Created);
    };
    let metadata = fs::symlink_metadata(&place.path)?;
    if !metadata.is_file() || fs::read_to_string(&place.path)? != *before {
        return print("it was changed in the meantime");
    }
    match with_drive(before, drive) {
        Ok(text) => save(&place.path, &text, Some(&metadata)).map(|()| Written::Edited),
        Err(why) => print(&why),
    }
}

/// Beside it, synced, renamed; with mode and owner as before. A new one can be read by everybody, since `zferry status`
/// needs no root.
fn save(path: &Path, text: &str, before: Option<&Metadata>) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    if !directory.is_dir() {
        fs::create_dir_all(directory)?;
        // Said again because of the umask, which a root shell may have at 077.
        fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    }
    let mut file = tempfile::Builder::new().prefix(".config-").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    if let Some(before) = before {
        fchown(file.as_file(), Some(before.uid()), Some(before.gid()))?;
    }
    let mode = before.map_or(0o644, |before| before.mode() & 0o7777);
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    match before {
        Some(_) => file.persist(path)?,
        // Somebody may have written one in the meantime.
        None => file.persist_noclobber(path)?,
    };
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
