//! Builds a guest's image: bootstrap, modules, file system; once per recipe.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::recipe::{CUSTOMIZE, FILES, INIT, Mirrors, Recipe};
use crate::host::privileged;
use crate::machine::slots;
use crate::paths;

/// The files of an image.
const PARTS: [&str; 3] = ["vmlinuz", "initrd", "root.img"];
/// Lists the parts with their sizes; written last.
const MANIFEST: &str = "manifest";

/// The directory of the recipe's image, built now if it has to be.
pub fn ensure(recipe: &Recipe) -> Result<PathBuf> {
    let images = paths::cache()?.join("images");
    let directory = images.join(format!("{}-{}", recipe.name, recipe.fingerprint()));
    fs::create_dir_all(&images)?;
    // It is there as a whole or not at all: who has one need not wait for another recipe's to be built.
    if !is_complete(&directory) {
        make(recipe, &images, &directory)?;
    }
    paths::remember_use(&directory)?;
    Ok(directory)
}

/// Builds it, unless somebody else does so meanwhile.
fn make(recipe: &Recipe, images: &Path, directory: &Path) -> Result<()> {
    let _lock = slots::lock(&format!("image-{}", recipe.name))?;
    if is_complete(directory) {
        return Ok(());
    }
    let started = Instant::now();
    eprintln!("lab: building the {} guest; this takes about ten minutes, once", recipe.name);
    let work = images.join(format!(".building-{}", recipe.name));
    remove(&work)?;
    remove(directory)?;
    fs::create_dir(&work)?;
    let built = build(recipe, &work)
        .with_context(|| format!("the guest image could not be built; see {}", work.join("log").display()));
    // The log of a failure stays; the half-built system is of no use.
    remove(&work.join("root"))?;
    built?;
    fs::rename(&work, directory)?;
    paths::remember_use(directory)?;
    paths::remove_unused(images, recipe.name, directory)?;
    eprintln!("lab: built in {} s", started.elapsed().as_secs());
    Ok(())
}

fn is_complete(directory: &Path) -> bool {
    let Ok(manifest) = fs::read_to_string(directory.join(MANIFEST)) else { return false };
    manifest_of(directory).is_ok_and(|now| now == manifest)
}

fn manifest_of(directory: &Path) -> Result<String> {
    let mut manifest = String::new();
    for part in PARTS {
        let size = fs::metadata(directory.join(part))?.len();
        manifest += &format!("{part} {size}\n");
    }
    Ok(manifest)
}

fn build(recipe: &Recipe, work: &Path) -> Result<()> {
    write_inputs(recipe, work)?;
    let mut log = fs::File::create(work.join("log"))?;
    let root = work.join("root");
    logged(bootstrap(recipe, work, &root)?, &mut log).context("mmdebstrap failed")?;
    for (from, to) in [("vmlinuz", "vmlinuz"), ("initrd", "initrd"), ("versions", "versions")] {
        let mut copy = privileged("cp");
        copy.arg(root.join("boot/lab").join(from)).arg(work.join(to));
        logged(copy, &mut log)?;
    }
    let image = work.join("root.img");
    let mut make = privileged("mke2fs");
    make.args(["-q", "-F", "-t", "ext4", "-L", "lab", "-E", "lazy_itable_init=1", "-d"])
        .arg(&root)
        .arg(&image)
        .arg(recipe.size);
    logged(make, &mut log).context("mke2fs failed")?;
    let mut check = privileged("e2fsck");
    check.args(["-f", "-n"]).arg(&image);
    logged(check, &mut log).context("the new file system is damaged")?;
    own(work, &mut log)?;
    let versions = fs::read_to_string(work.join("versions"))?;
    eprintln!("lab: {}", versions.trim());
    fs::write(work.join(MANIFEST), manifest_of(work)?)?;
    Ok(())
}

/// Writes the files that mmdebstrap's hooks copy into the new system.
fn write_inputs(recipe: &Recipe, work: &Path) -> Result<()> {
    let files = work.join("files");
    for (path, content, mode) in FILES {
        write_with_mode(&files.join(path), content, *mode)?;
    }
    write_with_mode(&files.join("boot/lab/init"), INIT, 0o755)?;
    write_with_mode(&files.join("boot/lab/customize.sh"), CUSTOMIZE, 0o755)?;
    fs::write(work.join("apt-preferences"), recipe.apt_preferences())?;
    Ok(())
}

fn write_with_mode(path: &Path, content: &str, mode: u32) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// The command that makes the root file system.
fn bootstrap(recipe: &Recipe, work: &Path, root: &Path) -> Result<Command> {
    let inputs = work.to_str().context("the cache directory's path is not text")?;
    if inputs.contains(['\'', '"', '$', '`', '\\']) {
        bail!("the path {inputs} cannot be passed to a shell; set XDG_CACHE_HOME to another one");
    }
    // With mounts and processes of its own: a build that is interrupted leaves
    // neither behind.
    let mut command = privileged("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"]);
    command.args(["--kill-child", "--mount-proc", "mmdebstrap"]);
    command.args(["--mode=root", "--variant=minbase", "--format=directory", "--arch=amd64"]);
    command.arg("--components=main,contrib");
    command.args([
        "--aptopt=APT::Install-Recommends \"false\"",
        "--aptopt=Acquire::Languages \"none\"",
        "--dpkgopt=force-unsafe-io",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
    ]);
    for option in host_apt_options()? {
        command.arg(format!("--aptopt={option}"));
    }
    command.arg(format!(
        "--setup-hook=mkdir -p \"$1/etc/apt/preferences.d\" && \
         cp '{inputs}/apt-preferences' \"$1/etc/apt/preferences.d/zfs\""
    ));
    let packages = [recipe.packages, recipe.build_packages].concat().join(",");
    command.arg(format!("--include={packages}"));
    command.arg(format!(
        "--customize-hook=cp -r --preserve=mode '{inputs}'/files/. \"$1/\" && \
         chroot \"$1\" sh /boot/lab/customize.sh '{}' '{}' '{}'",
        recipe.build_packages.join(" "),
        recipe.masked.join(" "),
        recipe.initramfs.join(" "),
    ));
    command.arg(recipe.codename).arg(root);
    command.args(recipe.sources(&Mirrors::of_this_host()?));
    Ok(command)
}

/// What the host's administrator told apt about reaching the archive: a proxy,
/// or that its clock and the archive's do not agree.
fn host_apt_options() -> Result<Vec<String>> {
    let output = Command::new("apt-config")
        .arg("dump")
        .output()
        .context("apt-config cannot be started: the lab needs a Debian (or Ubuntu) host")?;
    let wanted = [
        "Acquire::Check-Valid-Until ",
        "Acquire::Check-Date ",
        "Acquire::http::Proxy ",
        "Acquire::https::Proxy ",
    ];
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| wanted.iter().any(|key| line.starts_with(key)))
        .map(|line| line.trim_end_matches(';').to_owned())
        .collect())
}

/// Gives the files that root made to the caller.
fn own(work: &Path, log: &mut fs::File) -> Result<()> {
    let ids = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let mut chown = privileged("chown");
    chown.arg(format!("{}:{}", ids.0, ids.1));
    chown.args(PARTS.iter().map(|part| work.join(part))).arg(work.join("versions"));
    logged(chown, log)
}

/// Runs a command with its output in the log, and its milestones on the terminal.
fn logged(mut command: Command, log: &mut fs::File) -> Result<()> {
    writeln!(log, "\n$ {command:?}")?;
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds copies of the pipe's writing end; without it the pipe ends.
    drop(command);
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        log.write_all(&line)?;
        let text = String::from_utf8_lossy(&line);
        if text.starts_with("I: ") || text.starts_with("lab: ") {
            eprintln!("  {}", text.trim_end());
        }
        line.clear();
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{status}");
    }
    Ok(())
}

/// Removes a file or a directory, which may contain what belongs to root.
fn remove(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let status = privileged("rm").args(["-rf", "--one-file-system"]).arg(path).status()?;
    if !status.success() {
        bail!("{} could not be removed", path.display());
    }
    Ok(())
}
