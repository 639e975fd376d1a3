//! A host's `/sys`, `/proc` and `/dev` in a temporary directory, for tests.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Disk, Root};

/// The directory and what is put into it.
pub(crate) struct Imitation(TempDir);

impl Imitation {
    /// With an empty table of mounts.
    pub(crate) fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        host.write("/proc/self/mountinfo", "");
        host
    }

    pub(crate) fn root(&self) -> Root {
        Root::imitation(self.path())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().at(path)).unwrap()
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.root().at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// A disk with one partition at a USB port such as "usb1/1-4". Device numbers are "8:DISKSEQ" for the disk and
    /// "8:DISKSEQ1" for the partition.
    pub(crate) fn disk(&self, name: &str, diskseq: u64, port: &str) -> Disk {
        let usb = format!("/sys/devices/{port}");
        let sysfs = format!("{usb}/1:0/host6/block/{name}");
        self.write(&format!("{usb}/idVendor"), "1058\n");
        self.write(&format!("{usb}/remove"), "");
        self.write(&format!("{sysfs}/dev"), &format!("8:{diskseq}\n"));
        self.write(&format!("{sysfs}/diskseq"), &format!("{diskseq}\n"));
        self.write(&format!("{sysfs}/device/delete"), "");
        self.write(&format!("{sysfs}/{name}1/partition"), "1\n");
        self.write(&format!("{sysfs}/{name}1/dev"), &format!("8:{diskseq}1\n"));
        self.link(&format!("/sys/block/{name}"), &format!("../devices/{port}/1:0/host6/block/{name}"));
        Disk {
            node: Path::new("/dev").join(name),
            sysfs: sysfs.into(),
            diskseq: Some(diskseq),
            model: Some("Elements".into()),
            serial: Some(format!("S-{name}")),
            bus: Some("usb".into()),
            usb_device: Some(usb.into()),
        }
    }

    pub(crate) fn unplug(&self, name: &str) {
        std::fs::remove_file(self.root().at(Path::new("/sys/block").join(name))).unwrap();
    }
}
