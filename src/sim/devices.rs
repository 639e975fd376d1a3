//! The drives of the host: what udev and the labels say of them, and their files in `/sys`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::drive::imitation::Imitation;
use crate::drive::{Devices, Disk, Known, Label, LabelError, Member, PoolState, Root};
use crate::model::{Guid, Txg};

use super::Answer;
use super::state::{Pool, State};

/// The kernel's name of the one drive.
const DISK: &str = "sdb";

const MOUNTS: &str = "/proc/self/mountinfo";
/// The numbers of the rescue file system's partition.
pub const RESCUE: &str = "8:92";

/// One USB drive, with the pool that has the mark [`Pool::on_usb`].
pub struct Drives {
    state: Arc<Mutex<State>>,
    files: Imitation,
    attached: Arc<Mutex<Attached>>,
}

/// The drive while it is there.
#[derive(Debug, Default)]
struct Attached {
    disk: Option<Disk>,
    /// How often it was plugged in.
    times: u64,
}

/// What a session asks.
#[derive(Debug)]
struct Asked {
    state: Arc<Mutex<State>>,
    attached: Arc<Mutex<Attached>>,
}

impl Drives {
    /// With the drive plugged in.
    pub fn new(state: Arc<Mutex<State>>) -> Self {
        let drives = Self { state, files: Imitation::new(), attached: Arc::default() };
        drives.plug_in();
        drives
    }

    /// Plugs the drive in, if it is not.
    pub fn plug_in(&self) {
        let mut attached = self.attached.lock().unwrap();
        if attached.disk.is_none() {
            attached.times += 1;
            attached.disk = Some(self.files.disk(DISK, attached.times, "usb1/1-4"));
        }
    }

    /// Pulls the drive out, whatever is done with it.
    pub fn pull_out(&self) {
        if self.attached.lock().unwrap().disk.take().is_some() {
            self.files.unplug(DISK);
        }
    }

    /// The kernel says which pool it still has, as ZFS does from 2.2 on.
    pub fn tell_guids(&self) {
        for (name, pool) in &self.state.lock().unwrap().pools {
            self.files.write(&format!("/proc/spl/kstat/zfs/{name}/guid"), &format!("{}\n", pool.guid));
        }
    }

    /// Whether it is plugged in.
    pub fn is_attached(&self) -> bool {
        self.attached.lock().unwrap().disk.is_some()
    }

    /// The host with this drive.
    pub fn root(&self) -> Root {
        let asked = Asked { state: Arc::clone(&self.state), attached: Arc::clone(&self.attached) };
        Root::with_devices(self.files.path(), Arc::new(asked))
    }

    /// From now on this is mounted.
    pub fn mounted(&self, table: &str) {
        self.files.write(MOUNTS, table);
    }

    /// From now on the drive has a rescue file system.
    pub fn with_rescue(&self) {
        let part = self.attached.lock().unwrap().disk.as_ref().unwrap().sysfs.join("sdb2");
        let part = part.to_str().unwrap();
        self.files.write(&format!("{part}/partition"), "2\n");
        self.files.write(&format!("{part}/dev"), &format!("{RESCUE}\n"));
        self.files.write(&format!("{part}/uevent"), "DEVTYPE=partition\nPARTNAME=zferry-rescue\n");
    }

    /// What is mounted.
    pub fn mounts(&self) -> String {
        self.files.read(MOUNTS)
    }

    /// `udisksctl power-off`.
    pub fn power_off(&self, state: &State) -> Answer {
        let imported = state.pools.values().any(|pool| pool.on_usb && pool.imported.is_some());
        let mut attached = self.attached.lock().unwrap();
        match attached.disk.take() {
            Some(_) if !imported && !self.mounts().contains(RESCUE) => {
                self.files.unplug(DISK);
                Ok(String::new())
            }
            disk => {
                attached.disk = disk;
                Err("Error powering off drive: it cannot be powered off now".to_owned())
            }
        }
    }
}

/// The device that a pool is on.
pub fn node(pool: &Pool) -> PathBuf {
    Path::new(if pool.on_usb { "/dev/sdb1" } else { "/dev/sda1" }).to_owned()
}

impl Devices for Asked {
    fn members(&self) -> io::Result<Vec<Member>> {
        let state = self.state.lock().unwrap();
        let attached = self.attached.lock().unwrap();
        let on_usb = state.pools.iter().filter(|(_, pool)| pool.on_usb);
        let member = |disk: &Disk, (name, pool): (&String, &Pool)| Member {
            node: node(pool),
            stable: format!("/dev/disk/by-id/usb-Elements-{DISK}-part1").into(),
            pool_guid: Guid(pool.guid),
            pool_name: name.clone(),
            vdev_guid: Some(Guid(pool.guid + 1)),
            disk: disk.clone(),
        };
        Ok(attached.disk.iter().flat_map(|disk| on_usb.clone().map(|pool| member(disk, pool))).collect())
    }

    fn label(&self, device: &Path, _within: Duration) -> Result<Label, LabelError> {
        let missing = || LabelError::None { device: device.to_owned() };
        let state = self.state.lock().unwrap();
        let found = state.pools.iter().find(|(_, pool)| node(pool) == device);
        let (name, pool) =
            found.filter(|_| self.attached.lock().unwrap().disk.is_some()).ok_or_else(missing)?;
        let is_active = pool.imported.as_ref().is_some_and(|import| !import.readonly);
        Ok(Label {
            pool_name: name.clone(),
            pool_guid: Guid(pool.guid),
            vdev_guid: Guid(pool.guid + 1),
            state: if is_active { PoolState::Active } else { PoolState::Exported },
            txg: Txg(pool.txg),
            newest_uberblock: Some(Txg(pool.txg)),
            hostid: Some(1),
            hostname: Some("host".to_owned()),
            top_level_vdevs: 1,
            leaves: vec![Guid(pool.guid + 1)],
            copies: 4,
        })
    }

    fn known(&self, name: &str) -> io::Result<Known> {
        let kind = (name == "sdb2").then(|| "ext4".to_owned());
        Ok(Known { kind, disk: self.attached.lock().unwrap().disk.clone(), ..Known::default() })
    }
}
