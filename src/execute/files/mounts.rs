//! Mounting what an imported drive has, read-only, without changing a property of it.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::model::{DatasetName, SnapshotName};
use crate::process::{Invocation, Tool};
use crate::zfs::{Client, Kind, ZfsError};

/// A mount opens the dataset, which reads from the drive.
const MOUNT: Duration = Duration::from_secs(120);
const UNMOUNT: Duration = Duration::from_secs(60);
/// For who looks at what was mounted for a moment.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(250);

/// Nothing of a drive is to be run with more rights than its caller has, nor to open devices.
const OPTIONS: &str = "ro,nosuid,nodev";

/// Mounts a dataset. `zfsutil`: by us, and not by the properties `canmount` and `mountpoint`, which stay as they are.
///
/// # Errors
/// As for every request.
pub fn mount_dataset(client: &Client<'_>, dataset: &DatasetName, at: &Path) -> Result<(), ZfsError> {
    client.run(&mount(dataset.as_str(), &format!("{OPTIONS},zfsutil"), at)).map(drop)
}

/// Mounts a snapshot.
///
/// # Errors
/// As for every request.
pub fn mount_snapshot(client: &Client<'_>, snapshot: &SnapshotName, at: &Path) -> Result<(), ZfsError> {
    client.run(&mount(&snapshot.to_string(), OPTIONS, at)).map(drop)
}

fn mount(what: &str, options: &str, at: &Path) -> Invocation {
    let at = at.display().to_string();
    Invocation::new(Tool::Mount, ["-t", "zfs", "-o", options, what, &at], MOUNT)
}

/// Unmounts, never by force. Who only passes by is waited for.
///
/// # Errors
/// As for every request; of the kind `Busy` while somebody uses it.
pub fn unmount(client: &Client<'_>, at: &Path) -> Result<(), ZfsError> {
    let started = Instant::now();
    let unmount = Invocation::new(Tool::Umount, [at.display().to_string()], UNMOUNT);
    loop {
        match client.run(&unmount) {
            Err(error) if error.kind() == Kind::Busy && started.elapsed() < PATIENCE => {
                std::thread::sleep(PAUSE);
            }
            other => return other.map(drop),
        }
    }
}

/// A directory that everybody may go through: what is mounted below has permissions of its own.
///
/// # Errors
/// When it cannot be made.
pub fn public_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    // Whatever the caller's umask is.
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

/// A directory for us alone.
///
/// # Errors
/// When it cannot be made.
pub fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_is_mounted_read_only() {
        let at = Path::new("/run/zferry/open/t7/home");
        let options = format!("{OPTIONS},zfsutil");
        assert_eq!(
            mount("backup/eds", &options, at).to_string(),
            "mount -t zfs -o ro,nosuid,nodev,zfsutil backup/eds /run/zferry/open/t7/home"
        );
        assert_eq!(
            mount("backup/my eds@a", OPTIONS, at).to_string(),
            "mount -t zfs -o ro,nosuid,nodev 'backup/my eds@a' /run/zferry/open/t7/home"
        );
    }

    #[test]
    fn directories_have_their_permissions_also_when_they_are_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        private_directory(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        public_directory(&path).unwrap();
        assert_eq!(mode(&path), 0o755);
        private_directory(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }
}
