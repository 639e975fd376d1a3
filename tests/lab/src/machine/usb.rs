//! USB drives: plugged in, pulled out, made slow, and made to fail.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::arguments;
use super::qmp::Qmp;

/// How long QEMU may take to let go of a pulled device.
const PULL: Duration = Duration::from_secs(60);
/// What a slow drive writes in a second.
const SLOW: u64 = 3 << 20;

/// What a drive no longer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Each write ends with an error.
    Writes,
    /// Each read does.
    Reads,
}

/// Plugs in a drive whose content is this file.
pub fn plug(qmp: &mut Qmp, name: &str, image: &Path, serial: &str) -> Result<()> {
    let mut below = file(image);
    below["node-name"] = below_of(name).into();
    attach(qmp, name, below, serial)
}

/// Plugs in one that writes slowly.
pub fn plug_slow(qmp: &mut Qmp, name: &str, image: &Path, serial: &str) -> Result<()> {
    let group = format!("slow-{name}");
    // Reading is not what most of them wait for, and a restore has to last long enough too.
    let limits = json!({ "bps-write": SLOW, "bps-read": 2 * SLOW });
    // It is there already when the drive was plugged in so before.
    let _ = qmp.execute("object-add", json!({ "qom-type": "throttle-group", "id": group, "limits": limits }));
    let below = json!({
        "node-name": below_of(name), "driver": "throttle", "throttle-group": group, "file": file(image),
    });
    attach(qmp, name, below, serial)
}

/// A slow drive, plugged in, answers only so many reads in a second from now on.
pub fn reads_slowly(qmp: &mut Qmp, name: &str, reads: u64) -> Result<()> {
    let limits = json!({ "bps-write": SLOW, "iops-read": reads });
    let group = format!("/objects/slow-{name}");
    qmp.execute("qom-set", json!({ "path": group, "property": "limits", "value": limits }))?;
    Ok(())
}

/// Pulls a drive out, whatever the guest is doing with it.
pub fn pull(qmp: &mut Qmp, name: &str) -> Result<()> {
    qmp.execute("device_del", json!({ "id": name }))?;
    qmp.wait_event("DEVICE_DELETED", PULL, |data| data["device"] == name)?;
    qmp.execute("blockdev-del", json!({ "node-name": format!("{name}-image") }))?;
    // It is there only when the drive went bad and nobody mended it.
    let _ = qmp.execute("blockdev-del", json!({ "node-name": bad_of(name) }));
    Ok(())
}

/// From now on a drive that is plugged in fails; its content stays as it is.
pub fn goes_bad(qmp: &mut Qmp, name: &str, defect: Defect) -> Result<()> {
    let what = match defect {
        Defect::Writes => "write",
        Defect::Reads => "read",
    };
    let errors = json!([{ "event": "none", "iotype": what, "errno": 5 }]);
    qmp.execute(
        "blockdev-add",
        json!({
            "node-name": bad_of(name), "driver": "blkdebug", "image": below_of(name), "inject-error": errors,
        }),
    )?;
    reads_from(qmp, name, bad_of(name))
}

/// It works again.
pub fn is_mended(qmp: &mut Qmp, name: &str) -> Result<()> {
    reads_from(qmp, name, below_of(name))?;
    qmp.execute("blockdev-del", json!({ "node-name": bad_of(name) }))?;
    Ok(())
}

fn attach(qmp: &mut Qmp, name: &str, below: Value, serial: &str) -> Result<()> {
    qmp.execute("blockdev-add", drive(name, below))?;
    qmp.execute(
        "device_add",
        json!({
            "driver": "usb-storage", "id": name, "drive": format!("{name}-image"),
            "serial": serial, "bus": "xhci.0", "removable": true,
        }),
    )?;
    Ok(())
}

/// What stands between the device and the file can be exchanged while the guest uses it.
fn reads_from(qmp: &mut Qmp, name: &str, below: String) -> Result<()> {
    qmp.execute("blockdev-reopen", json!({ "options": [drive(name, below.into())] }))?;
    Ok(())
}

fn drive(name: &str, below: Value) -> Value {
    json!({
        "node-name": format!("{name}-image"), "driver": "raw", "discard": "unmap", "cache": arguments::cache(),
        "file": below,
    })
}

fn file(image: &Path) -> Value {
    json!({ "driver": "file", "filename": image, "discard": "unmap", "cache": arguments::cache() })
}

fn below_of(name: &str) -> String {
    format!("{name}-below")
}

fn bad_of(name: &str) -> String {
    format!("{name}-bad")
}
