//! Who tells of devices: udev, or sysfs where there is no udev, and the devices themselves; in tests something that imitates both.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

#[cfg(feature = "udev")]
use super::database;
use super::label::read_label;
use super::survey::Known;
use super::{Label, LabelError, LuksDevice, Member};
#[cfg(not(feature = "udev"))]
use super::{Root, unaided};
use crate::model::LuksUuid;

/// Answers what a session asks about devices.
pub trait Devices: fmt::Debug + Send + Sync {
    /// All devices that belong to a pool, sorted by node.
    ///
    /// # Errors
    /// When udev does not answer.
    fn members(&self) -> io::Result<Vec<Member>>;

    /// What a device's labels say at this moment.
    ///
    /// # Errors
    /// When it cannot be read, or has none.
    fn label(&self, device: &Path, within: Duration) -> Result<Label, LabelError>;

    /// What udev knows of the device with this name in the kernel.
    ///
    /// # Errors
    /// When udev does not answer.
    fn known(&self, name: &str) -> io::Result<Known>;

    /// All devices that say they are this LUKS container: more than one when a disk was copied.
    ///
    /// # Errors
    /// When udev does not answer.
    fn luks(&self, _uuid: &LuksUuid) -> io::Result<Vec<LuksDevice>> {
        Ok(Vec::new())
    }
}

/// Those of this host.
#[derive(Debug)]
pub struct Attached;

#[cfg(feature = "udev")]
impl Devices for Attached {
    fn members(&self) -> io::Result<Vec<Member>> {
        database::list_members()
    }

    fn label(&self, device: &Path, within: Duration) -> Result<Label, LabelError> {
        read_label(device, within)
    }

    fn known(&self, name: &str) -> io::Result<Known> {
        database::known(name)
    }

    fn luks(&self, uuid: &LuksUuid) -> io::Result<Vec<LuksDevice>> {
        database::list_luks(uuid)
    }
}

#[cfg(not(feature = "udev"))]
impl Devices for Attached {
    fn members(&self) -> io::Result<Vec<Member>> {
        unaided::list_members(&Root::default())
    }

    fn label(&self, device: &Path, within: Duration) -> Result<Label, LabelError> {
        read_label(device, within)
    }

    fn known(&self, name: &str) -> io::Result<Known> {
        unaided::known(&Root::default(), name)
    }

    fn luks(&self, uuid: &LuksUuid) -> io::Result<Vec<LuksDevice>> {
        unaided::list_luks(&Root::default(), uuid)
    }
}
