//! What is mounted: in `mountinfo`, and as real files in real directories, since they are read without a command.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Answer;
use super::devices::RESCUE;
use super::state::{State, pool_of};

/// The passphrase of every key.
pub const PASSPHRASE: &str = "correct horse";

/// By place: the dataset or snapshot, or the device of a rescue file system.
pub type Mounts = BTreeMap<PathBuf, String>;

/// What is no dataset.
const DEVICE: &str = "/dev/";

/// `mount -t zfs -o … SNAPSHOT DIRECTORY`, or of a device.
pub fn mount(mounts: &mut Mounts, state: &State, args: &[&str]) -> Answer {
    let [.., what, at] = args else { return Err("mount: bad usage".to_owned()) };
    let fails = |why: &str| Err(format!("filesystem '{what}' cannot be mounted: {why}"));
    if mounts.contains_key(Path::new(at)) {
        return fails("it is busy");
    }
    if what.starts_with(DEVICE) {
        // Its files are in that directory, mounted or not.
        mounts.insert(at.into(), (*what).to_owned());
        return Ok(String::new());
    }
    let Some(content) = content(state, what) else { return fails("Permission denied") };
    put(Path::new(at), content);
    mounts.insert(at.into(), (*what).to_owned());
    Ok(String::new())
}

/// `umount DIRECTORY`.
pub fn unmount(mounts: &mut Mounts, args: &[&str]) -> Answer {
    let at = args.last().copied().unwrap_or_default();
    let what = mounts.remove(Path::new(at)).ok_or_else(|| format!("umount: {at}: not mounted."))?;
    if !what.starts_with(DEVICE) {
        take_away(Path::new(at));
    }
    Ok(String::new())
}

/// An export unmounts what is mounted of a pool.
pub fn leave(mounts: &mut Mounts, state: &State) {
    let is_gone =
        |(_, what): &(&PathBuf, &String)| !what.starts_with(DEVICE) && !state.is_imported(pool_of(what));
    let gone: Vec<PathBuf> = mounts.iter().filter(is_gone).map(|(at, _)| at.clone()).collect();
    for at in gone {
        mounts.remove(&at);
        take_away(&at);
    }
}

/// `mountinfo`, with these mounts and nothing else.
pub fn table(mounts: &Mounts) -> String {
    let line = |(number, (at, what)): (usize, (&PathBuf, &String))| {
        let at = at.display();
        if what.starts_with(DEVICE) {
            return format!("{number} 1 {RESCUE} / {at} rw - ext4 {what} rw\n");
        }
        format!("{number} 1 0:{number} / {at} rw,relatime - zfs {what} rw,xattr\n")
    };
    mounts.iter().enumerate().map(line).collect()
}

/// What stands for the files of a snapshot that can be read.
fn content(state: &State, snapshot: &str) -> Option<u64> {
    let (dataset, name) = snapshot.split_once('@')?;
    let there = state.dataset(dataset)?;
    let key = there.key.as_ref().map(|key| key.root.clone());
    let root = key.and_then(|root| state.dataset(&root)?.key.clone());
    if root.is_some_and(|key| !key.loaded) {
        return None;
    }
    Some(there.named(name)?.content)
}

/// Files: one is the same in all snapshots, and of one every snapshot has its own.
fn put(at: &Path, content: u64) {
    fs::create_dir_all(at.join("documents")).unwrap();
    fs::write(at.join("documents/letter"), content.to_string()).unwrap();
    fs::write(at.join("photo"), "a tree").unwrap();
}

fn take_away(at: &Path) {
    fs::remove_dir_all(at).unwrap();
    fs::create_dir(at).unwrap();
}

/// Mounts a filesystem below a directory, with its snapshots where ZFS shows them.
pub fn show(mounts: &mut Mounts, state: &mut State, dataset: &str, below: &Path) {
    let top = below.join(dataset);
    let there = state.datasets.get_mut(dataset).unwrap();
    there.properties.insert("mounted".to_owned(), "yes".to_owned());
    for snapshot in &there.snapshots {
        let at = top.join(".zfs/snapshot").join(&snapshot.name);
        put(&at, snapshot.content);
        mounts.insert(at, format!("{dataset}@{}", snapshot.name));
    }
    mounts.insert(top, dataset.to_owned());
}

/// `zfs load-key -L prompt ROOT`.
pub fn load_key(state: &mut State, args: &[&str], stdin: &[u8]) -> Answer {
    let name = args.last().copied().unwrap_or_default();
    let right = stdin == format!("{PASSPHRASE}\n").as_bytes();
    let missing = format!("cannot open '{name}': dataset does not exist");
    if !state.is_imported(pool_of(name)) {
        return Err(missing);
    }
    let key = state.datasets.get_mut(name).and_then(|there| there.key.as_mut());
    let key = key.filter(|key| key.root == name).ok_or(missing)?;
    if key.loaded {
        return Err(format!("Key load error: Key already loaded for '{name}'."));
    }
    if !right {
        return Err(format!("Key load error: Incorrect key provided for '{name}'."));
    }
    key.loaded = true;
    Ok(String::new())
}

/// `zfs unload-key ROOT`.
pub fn unload_key(state: &mut State, args: &[&str]) -> Answer {
    let name = args.last().copied().unwrap_or_default();
    let key = state.datasets.get_mut(name).and_then(|there| there.key.as_mut());
    let key = key.filter(|key| key.loaded);
    key.ok_or_else(|| format!("Key unload error: Key already unloaded for '{name}'."))?.loaded = false;
    Ok(String::new())
}
