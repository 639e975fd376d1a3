//! QEMU's command line.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::{Console, Spec};
use crate::protocol::PORT;

/// Enough for ZFS with a small cache; a saved state holds only what was touched.
const MEMORY: &str = "1024";

/// What the kernel is told. `panic` with QEMU's `-no-reboot` ends the machine, so
/// that a crash is seen at once; the rest spares work that emulation makes dear, and
/// the second that usb-storage gives real drives to settle.
const KERNEL: &str = "console=ttyS0 panic=1 mitigations=off init_on_alloc=0 nokaslr \
    no_timer_check apparmor=0 audit=0 usb-storage.delay_use=0 quiet loglevel=5 \
    systemd.show_status=0";

/// The arguments for a guest whose sockets are in `sockets`.
pub fn qemu(spec: &Spec, sockets: &Path) -> Vec<OsString> {
    let mut line = Line::default();
    line.add(&["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
    line.add(&["-machine", "q35", "-smp", spec.accelerator.processors(), "-m", MEMORY]);
    line.add(&spec.accelerator.arguments());
    line.path("-kernel", &spec.image.join("vmlinuz"));
    line.path("-initrd", &spec.image.join("initrd"));
    line.add(&["-append", KERNEL]);
    line.disk("root", &spec.root);
    line.disk("source", &spec.source);
    line.socket("qmp", &sockets.join("qmp"));
    line.add(&["-mon", "chardev=qmp,mode=control"]);
    line.socket("qmp2", &sockets.join("qmp2"));
    line.add(&["-mon", "chardev=qmp2,mode=control"]);
    line.socket("agent", &sockets.join("agent"));
    line.add(&["-device", "virtio-serial-pci"]);
    line.add(&["-device", &format!("virtserialport,chardev=agent,name={PORT}")]);
    line.option(
        "-fsdev",
        "local,id=share,security_model=none,readonly=on,multidevs=remap,path=",
        &spec.share,
    );
    line.add(&["-device", "virtio-9p-pci,fsdev=share,mount_tag=lab"]);
    line.add(&["-device", "qemu-xhci,id=xhci,p2=8,p3=8"]);
    line.add(&["-object", "rng-builtin,id=rng", "-device", "virtio-rng-pci,rng=rng"]);
    match &spec.console {
        Console::File(path) => line.option("-chardev", "file,id=console,append=on,path=", path),
        Console::Terminal => line.add(&["-chardev", "stdio,id=console,mux=on,signal=off"]),
    }
    line.add(&["-serial", "chardev:console"]);
    if let Console::Terminal = spec.console {
        line.add(&["-mon", "chardev=console,mode=readline"]);
    }
    if let Some(state) = &spec.restore {
        line.add(&["-incoming"]);
        let quoted = shell_quoted(state).unwrap_or_default();
        line.add(&[&format!("exec:cat {quoted}")]);
    }
    line.0
}

/// What the guest flushes reaches the host's memory, and need not reach its disk:
/// the lab cuts the guest's power, not the host's. A flush of a busy host's disk
/// takes seconds, and a pool flushes all the time.
pub fn cache() -> serde_json::Value {
    json!({ "no-flush": true })
}

/// A path for the shell that QEMU starts for `exec:`.
pub fn shell_quoted(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| {
        format!("{} is not text; set XDG_CACHE_HOME to a directory that is", path.display())
    })?;
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn add(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(OsString::from));
    }

    fn path(&mut self, option: &str, path: &Path) {
        self.0.push(option.into());
        self.0.push(path.into());
    }

    /// `option prefix<path>`, with commas doubled as QEMU's lists want.
    fn option(&mut self, option: &str, prefix: &str, path: &Path) {
        let path = path.to_string_lossy().replace(',', ",,");
        self.add(&[option, &format!("{prefix}{path}")]);
    }

    fn socket(&mut self, name: &str, path: &Path) {
        self.option("-chardev", &format!("socket,id={name},server=on,wait=off,path="), path);
    }

    fn disk(&mut self, name: &str, path: &Path) {
        let node = json!({
            "node-name": name, "driver": "qcow2", "discard": "unmap", "cache": cache(),
            "file": { "driver": "file", "filename": path, "discard": "unmap", "cache": cache() },
        });
        self.add(&["-blockdev", &node.to_string()]);
        self.add(&["-device", &format!("virtio-blk-pci,drive={name},serial={name}")]);
    }
}
