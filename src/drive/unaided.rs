//! Devices without udev, for a build that has to run where its library is not: from sysfs, and from the devices themselves.
//!
//! Each device is read for this, where udev would only be asked. What is found is the same but for the words of
//! manufacturers, which udev knows better.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::find::{best_link, slaves};
use super::label::read_label;
use super::survey::Known;
use super::{Disk, LuksDevice, Member, Root};
use crate::model::LuksUuid;
use crate::plan::rescue::KIND;

/// For a device that answers.
const ANSWER: Duration = Duration::from_secs(20);

/// Devices that hold no part of a pool that can be unplugged; to read some of them wakes a motor, or waits for another
/// pool.
const NEVER: [&str; 7] = ["zd", "ram", "zram", "sr", "fd", "nbd", "mtdblock"];

/// Of a device what its kind is told by: an ext4 file system has its superblock at 1 KiB.
const HEAD: usize = 4096;
const LUKS_MAGIC: &[u8] = b"LUKS\xba\xbe";
const LUKS_UUID: std::ops::Range<usize> = 168..208;
const EXT_MAGIC: (usize, [u8; 2]) = (1024 + 0x38, [0x53, 0xef]);
const EXT_LABEL: std::ops::Range<usize> = 1024 + 0x78..1024 + 0x88;

/// All devices that belong to a pool, sorted by node.
///
/// # Errors
/// When the kernel's list cannot be read.
pub fn list_members(root: &Root) -> io::Result<Vec<Member>> {
    let mut members = Vec::new();
    let mut below = BTreeSet::new();
    for device in list(root)? {
        below.extend(slaves(&root.at(&device.sysfs)));
        members.extend(device.member(root));
    }
    // Under multipath or LUKS the same labels may be seen twice; the upper device is the one to use.
    members.retain(|member| !below.contains(&member.node));
    Ok(members)
}

/// All devices that say they are this LUKS container, sorted by node.
///
/// # Errors
/// When the kernel's list cannot be read.
pub fn list_luks(root: &Root, uuid: &LuksUuid) -> io::Result<Vec<LuksDevice>> {
    let is_it = |device: &Listed| {
        let head = head(&root.at(&device.node)).unwrap_or_default();
        head.starts_with(LUKS_MAGIC) && text(head.get(LUKS_UUID)).as_deref() == Some(uuid.as_str())
    };
    let found = list(root)?.into_iter().filter(is_it);
    Ok(found.map(|device| LuksDevice { disk: device.disk(root), node: device.node }).collect())
}

/// What can be said of the device with this name in the kernel. What is on it is told as blkid calls it, if it is one of
/// the few kinds that matter here; of anything else only that it is there.
///
/// # Errors
/// When it is gone.
pub fn known(root: &Root, name: &str) -> io::Result<Known> {
    let device = Listed::new(root, name).ok_or(io::ErrorKind::NotFound)?;
    let disk = Some(device.disk(root));
    // Partitions tell for themselves what is on them.
    if root.disk_and_partitions(name).len() > 1 {
        return Ok(Known { disk, ..Known::default() });
    }
    let head = head(&root.at(&device.node))?;
    let (at, magic) = EXT_MAGIC;
    let (kind, label) = if head.starts_with(LUKS_MAGIC) {
        (Some("crypto_LUKS"), None)
    } else if head.get(at..at + magic.len()) == Some(&magic) {
        (Some(KIND), text(head.get(EXT_LABEL)))
    } else {
        (
            head.iter().any(|byte| *byte != 0).then_some("something that this build of zferry does not know"),
            None,
        )
    };
    Ok(Known { disk, kind: kind.map(str::to_owned), label })
}

/// Nothing announces a device here: it is found when it is looked for the next time.
#[cfg(not(feature = "udev"))]
pub struct Announcements;

#[cfg(not(feature = "udev"))]
impl Announcements {
    /// Of all that come from now on.
    ///
    /// # Errors
    /// None: as where udev is asked.
    pub fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// Whether there was one since this was last asked.
    pub fn are_there(&self) -> bool {
        false
    }

    /// Sleeps until there is one, at most this long.
    ///
    /// # Errors
    /// None: as where udev is asked.
    pub fn wait(&self, most: Duration) -> io::Result<()> {
        std::thread::sleep(most);
        Ok(())
    }
}

/// A block device in the kernel's list.
struct Listed {
    node: PathBuf,
    /// Below `/sys/devices`.
    sysfs: PathBuf,
}

/// All of them with something in them, sorted by name; of a disk with partitions these.
fn list(root: &Root) -> io::Result<Vec<Listed>> {
    // To be told apart from an empty list.
    std::fs::read_dir(root.at("/sys/class/block"))?;
    let names = root.names("/sys/class/block").into_iter();
    let names = names.filter(|name| {
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
        !NEVER.contains(&kind) && root.disk_and_partitions(name).len() < 2
    });
    let size = |name: &String| root.text(Path::new("/sys/class/block").join(name).join("size"));
    let names = names.filter(|name| size(name).is_some_and(|size| size != "0"));
    Ok(names.filter_map(|name| Listed::new(root, &name)).collect())
}

impl Listed {
    fn new(root: &Root, name: &str) -> Option<Self> {
        let found = root.at(Path::new("/sys/class/block").join(name)).canonicalize().ok()?;
        let sysfs = Path::new("/").join(found.strip_prefix(root.at("/").canonicalize().ok()?).ok()?);
        // In the kernel's names a slash is an exclamation mark.
        Some(Self { node: Path::new("/dev").join(name.replace('!', "/")), sysfs })
    }

    /// A device of a pool; nothing of any other, and of one that does not answer.
    fn member(&self, root: &Root) -> Option<Member> {
        let label = match read_label(&root.at(&self.node), ANSWER) {
            Ok(label) => label,
            Err(error) => {
                log::debug!("{error}");
                return None;
            }
        };
        Some(Member {
            stable: self.stable(root),
            node: self.node.clone(),
            pool_guid: label.pool_guid,
            pool_name: label.pool_name,
            vdev_guid: Some(label.vdev_guid),
            disk: self.disk_below(root),
        })
    }

    fn stable(&self, root: &Root) -> PathBuf {
        let directory = Path::new("/dev/disk/by-id");
        let leads_here = |link: &PathBuf| {
            root.link(link).and_then(|to| Some(to.file_name()? == self.node.file_name()?)).unwrap_or(false)
        };
        let links = root.names(directory).into_iter().map(|name| directory.join(name)).filter(leads_here);
        let links: Vec<_> = links.map(|link| link.display().to_string()).collect();
        best_link(&links.join(" ")).map_or_else(|| self.node.clone(), PathBuf::from)
    }

    /// The disk below a device, also when another one lies in between. One that is made of several stands for itself.
    fn disk_below(&self, root: &Root) -> Disk {
        let below = slaves(&root.at(&self.sysfs));
        let name = match below.as_slice() {
            [one] => one.file_name().and_then(|name| name.to_str()),
            _ => None,
        };
        let below = name.and_then(|name| Self::new(root, name));
        below.map_or_else(|| self.disk(root), |below| below.disk_below(root))
    }

    fn disk(&self, root: &Root) -> Disk {
        let is_part = root.at(self.sysfs.join("partition")).exists();
        let sysfs = self.sysfs.parent().filter(|_| is_part).unwrap_or(&self.sysfs).to_owned();
        let usb =
            sysfs.ancestors().find(|above| root.at(above.join("idVendor")).exists()).map(Path::to_owned);
        let of_usb = |file: &str| root.text(usb.as_ref()?.join(file));
        let of_disk = |file: &str| root.text(sysfs.join(file));
        let told =
            |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let name = sysfs.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        Disk {
            node: Path::new("/dev").join(name.replace('!', "/")),
            diskseq: of_disk("diskseq").and_then(|number| number.trim().parse().ok()),
            model: told(of_disk("device/model")),
            serial: told(of_usb("serial").or_else(|| of_disk("device/serial")).or_else(|| of_disk("serial"))),
            bus: usb.as_ref().map(|_| "usb".to_owned()),
            usb_device: usb,
            sysfs,
        }
    }
}

/// The first bytes of a device; fewer of a smaller one. One that gives no answer is not waited for (S13).
fn head(device: &Path) -> io::Result<Vec<u8>> {
    let (answer, question) = mpsc::channel();
    let device = device.to_owned();
    let read = move || {
        let mut head = Vec::with_capacity(HEAD);
        File::open(device)?.take(HEAD as u64).read_to_end(&mut head)?;
        Ok(head)
    };
    // Nobody listens any more when it was late.
    std::thread::Builder::new().name("head".to_owned()).spawn(move || answer.send(read()))?;
    question.recv_timeout(ANSWER).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A text that ends with a zero, or with its field.
fn text(field: Option<&[u8]>) -> Option<String> {
    let bytes = field?.split(|byte| *byte == 0).next()?;
    let text = String::from_utf8_lossy(bytes).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::imitation::Imitation;

    /// A USB disk with a partition, as sysfs shows it.
    fn plugged() -> (Imitation, Disk) {
        let host = Imitation::new();
        let disk = host.disk("sdb", 7, "usb1/1-4");
        let sysfs = disk.sysfs.display().to_string();
        for (name, below) in [("sdb", ""), ("sdb1", "/sdb1")] {
            host.link(&format!("/sys/class/block/{name}"), &format!("../../..{sysfs}{below}"));
            host.write(&format!("{sysfs}{below}/size"), "8192\n");
        }
        host.write(&format!("{sysfs}/device/model"), "Elements    \n");
        host.write("/sys/devices/usb1/1-4/serial", "S-sdb\n");
        (host, disk)
    }

    fn put(host: &Imitation, what: &[(usize, &[u8])]) {
        let mut bytes = vec![0; 8192];
        for (at, some) in what {
            bytes[*at..at + some.len()].copy_from_slice(some);
        }
        let node = host.path().join("dev/sdb1");
        std::fs::create_dir_all(node.parent().unwrap()).unwrap();
        std::fs::write(node, bytes).unwrap();
    }

    #[test]
    fn a_disk_is_described_as_udev_does() {
        let (host, disk) = plugged();
        put(&host, &[]);
        assert_eq!(known(&host.root(), "sdb1").unwrap().disk, Some(disk.clone()));
        assert_eq!(known(&host.root(), "sdb").unwrap(), Known { disk: Some(disk), ..Known::default() });
        assert!(known(&host.root(), "sdc").is_err());
    }

    #[test]
    fn what_is_on_a_partition_is_told_by_its_first_bytes() {
        let (host, _) = plugged();
        let uuid: LuksUuid = "2f3b5a3e-0000-4c1d-9abc-0123456789ab".parse().unwrap();
        let kind = || known(&host.root(), "sdb1").map(|known| (known.kind, known.label)).unwrap();
        put(&host, &[]);
        assert_eq!(kind(), (None, None));
        assert_eq!(list_luks(&host.root(), &uuid).unwrap(), []);
        put(&host, &[(EXT_MAGIC.0, &EXT_MAGIC.1), (EXT_LABEL.start, b"RESCUE-t7")]);
        assert_eq!(kind(), (Some("ext4".to_owned()), Some("RESCUE-t7".to_owned())));
        put(&host, &[(0, b"who knows")]);
        assert!(kind().0.unwrap().starts_with("something"));
        put(&host, &[(0, LUKS_MAGIC), (LUKS_UUID.start, uuid.as_str().as_bytes())]);
        assert_eq!(kind(), (Some("crypto_LUKS".to_owned()), None));
        let found = list_luks(&host.root(), &uuid).unwrap();
        assert_eq!(
            found.iter().map(|luks| luks.node.clone()).collect::<Vec<_>>(),
            [PathBuf::from("/dev/sdb1")]
        );
        assert_eq!(list_members(&host.root()).unwrap(), []);
        assert!(list_members(&Imitation::new().root()).is_err());
    }

    #[test]
    fn what_is_no_disk_is_not_read() {
        let (host, _) = plugged();
        for name in ["zd16", "sr0", "ram0", "loop0"] {
            host.write(
                &format!("/sys/devices/virtual/block/{name}/size"),
                if name == "loop0" { "0" } else { "8" },
            );
            host.link(&format!("/sys/class/block/{name}"), &format!("../../devices/virtual/block/{name}"));
        }
        let listed: Vec<_> = list(&host.root()).unwrap().into_iter().map(|device| device.node).collect();
        assert_eq!(listed, [PathBuf::from("/dev/sdb1")]);
    }

    #[test]
    fn a_member_has_the_best_of_the_links_that_lead_to_it() {
        let (host, _) = plugged();
        for (link, to) in
            [("wwn-0x5-part1", "sdb1"), ("usb-WD_57-0:0-part1", "sdb1"), ("usb-WD_57-0:0", "sdb")]
        {
            host.link(&format!("/dev/disk/by-id/{link}"), &format!("../../{to}"));
        }
        let device = Listed::new(&host.root(), "sdb1").unwrap();
        assert_eq!(device.stable(&host.root()), Path::new("/dev/disk/by-id/usb-WD_57-0:0-part1"));
    }
}
