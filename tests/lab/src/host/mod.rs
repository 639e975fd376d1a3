//! The machine that the lab runs on: its packages, its cargo.

pub mod cargo;
pub mod memory;
pub mod nix;
pub mod package;
pub mod packages;

use std::process::Command;

/// What packages' scripts read: ask nothing, and make no initramfs (the guest's is
/// the lab's own).
const ENVIRONMENT: [(&str, &str); 2] = [("DEBIAN_FRONTEND", "noninteractive"), ("INITRD", "No")];

/// A command as root: as it is for root, with sudo for everybody else.
pub fn privileged(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        let mut command = Command::new(program);
        command.env("PATH", packages::search_path()).envs(ENVIRONMENT);
        return command;
    }
    let mut command = Command::new("sudo");
    // sudo drops the environment; env(1) brings it back.
    command.arg("env").args(ENVIRONMENT.map(|(name, value)| format!("{name}={value}")));
    command.arg(program);
    command
}
