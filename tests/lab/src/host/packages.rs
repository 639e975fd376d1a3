//! `cargo lab setup`: installs what is missing, and only that.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::privileged;

/// Something the lab needs: a program or a file, and Debian's package of it.
struct Need {
    what: &'static str,
    package: &'static str,
    why: &'static str,
}

const NEEDS: &[Need] = &[
    Need { what: "qemu-system-x86_64", package: "qemu-system-x86", why: "runs the guests" },
    Need { what: "qemu-img", package: "qemu-utils", why: "makes their disks" },
    Need { what: "mmdebstrap", package: "mmdebstrap", why: "makes their system" },
    Need {
        what: "/usr/share/keyrings/debian-archive-keyring.gpg",
        package: "debian-archive-keyring",
        why: "checks their packages",
    },
    Need { what: "mke2fs", package: "e2fsprogs", why: "makes their root file system" },
    Need { what: "nix-instantiate", package: "nix-bin", why: "evaluates the modules for NixOS" },
    Need { what: "dpkg-shlibdeps", package: "dpkg-dev", why: "finds what the package depends on" },
    Need { what: "setpriv", package: "util-linux", why: "ends guests with the lab" },
    Need { what: "sha256sum", package: "coreutils", why: "compares drives" },
    Need { what: "pkg-config", package: "pkg-config", why: "finds libudev" },
    Need { what: "/usr/include/libudev.h", package: "libudev-dev", why: "compiles zferry" },
];

/// Installs what is missing. Says nothing and asks for nothing when all is there.
///
/// In two rounds at most: where a package came from somewhere else than Debian's
/// stable release (a newer `qemu-utils` from its backports, say), installing its
/// sister removes it, and it is missing only then.
pub fn ensure() -> Result<()> {
    for _ in 0..2 {
        let missing = missing();
        if missing.is_empty() {
            return Ok(());
        }
        install(&missing)?;
    }
    match missing().as_slice() {
        [] => Ok(()),
        [need, ..] => bail!("{} is still missing after installing {}", need.what, need.package),
    }
}

fn install(missing: &[&Need]) -> Result<()> {
    eprintln!("lab: installing what is missing here:");
    for need in missing {
        eprintln!("  {:24} {}", need.package, need.why);
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    apt(&["update"]).context("the list of packages could not be refreshed")?;
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(&names);
    apt(&install).with_context(|| format!("could not install {}", names.join(" ")))
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !is_there(need.what)).collect()
}

fn is_there(what: &str) -> bool {
    if what.starts_with('/') {
        return Path::new(what).exists();
    }
    env::split_paths(&search_path()).any(|directory| directory.join(what).is_file())
}

/// The caller's PATH and the directories for administrators, which an ordinary
/// user's PATH lacks on Debian.
pub fn search_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = env::split_paths(&path).collect();
    directories.extend(["/usr/sbin".into(), "/sbin".into()]);
    env::join_paths(directories).unwrap_or(path)
}

fn apt(arguments: &[&str]) -> Result<()> {
    let status = privileged("apt-get")
        .args(["-qq", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"])
        .args(arguments)
        .stdin(std::process::Stdio::null())
        // Its progress is not a result of ours.
        .stdout(std::io::stderr())
        .status()
        .context("cannot start apt-get; the lab sets itself up on Debian and its descendants only")?;
    if !status.success() {
        bail!("apt-get {} failed: {status}", arguments[0]);
    }
    Ok(())
}
