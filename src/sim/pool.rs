//! `zpool`: which pools there are, how they are, in and out (facts: zfs.md 5).

use super::Answer;
use super::devices::node;
use super::flags::Flags;
use super::state::{Import, Pool, State};

/// Both lines of `zfs version`.
pub const VERSION: &str = "zfs-2.4.4-1\nzfs-kmod-2.4.4-1\n";

/// Features that a pool of today has.
const FEATURES: [&str; 6] =
    ["encryption", "large_blocks", "large_dnode", "lz4_compress", "zstd_compress", "bookmark_v2"];

/// One command.
pub fn zpool(state: &mut State, args: &[&str]) -> Answer {
    let (&verb, rest) = args.split_first().ok_or("missing command")?;
    match verb {
        "version" => Ok(VERSION.to_owned()),
        "list" if rest.iter().any(|arg| arg.contains('v')) => devices(state, rest),
        "list" => list(state),
        "get" => get(state, rest),
        "status" => status(state, rest),
        "sync" | "clear" => one(state, rest).map(|_| String::new()),
        "import" => import(state, rest),
        "export" => export(state, rest),
        other => Err(format!("unrecognized command '{other}'")),
    }
}

/// The imported pool that is the last argument.
fn one<'a>(state: &'a State, args: &[&str]) -> Result<(String, &'a Pool), String> {
    let name = args.last().copied().unwrap_or_default();
    let pool = state.pools.get(name).filter(|pool| pool.imported.is_some());
    pool.map(|pool| (name.to_owned(), pool)).ok_or_else(|| format!("cannot open '{name}': no such pool"))
}

fn list(state: &State) -> Answer {
    let line = |(name, pool): (&String, &Pool)| {
        let import = pool.imported.as_ref()?;
        let readonly = if import.readonly { "on" } else { "off" };
        let altroot = import.altroot.as_deref().unwrap_or("-");
        Some(format!("{name}\t{}\tONLINE\t{readonly}\t{altroot}\n", pool.guid))
    };
    Ok(state.pools.iter().filter_map(line).collect())
}

/// `zpool list -vHPL -o name [POOL]`.
fn devices(state: &State, args: &[&str]) -> Answer {
    let flags = Flags::read(args, "vHPLo:")?;
    let wanted = |name: &String| flags.operands.is_empty() || flags.operands.contains(&name.as_str());
    let imported = state.pools.iter().filter(|(name, pool)| pool.imported.is_some() && wanted(name));
    let line = |(name, pool): (&String, &Pool)| {
        format!("{name}\n\t{}\t-\t-\t-\t-\t-\t-\t-\t-\tONLINE\n", node(pool).display())
    };
    let lines = imported.map(line);
    Ok(lines.collect())
}

fn get(state: &State, args: &[&str]) -> Answer {
    let (name, pool) = one(state, args)?;
    if args.contains(&"freeing") {
        return Ok("0\n".to_owned());
    }
    let readonly = pool.imported.as_ref().is_some_and(|import| import.readonly);
    let plain = [
        ("guid", pool.guid.to_string()),
        ("health", "ONLINE".to_owned()),
        ("readonly", (if readonly { "on" } else { "off" }).to_owned()),
        ("checkpoint", "-".to_owned()),
    ];
    let features = FEATURES.map(|feature| (format!("feature@{feature}"), "active".to_owned()));
    let all = plain.map(|(key, value)| (key.to_owned(), value)).into_iter().chain(features);
    Ok(all.map(|(key, value)| format!("{name}\t{key}\t{value}\n")).collect())
}

fn status(state: &State, args: &[&str]) -> Answer {
    let (name, pool) = one(state, args)?;
    let errors = pool.errors;
    Ok(format!(
        "  pool: {name}\n state: ONLINE\nconfig:\n\n\tNAME\tSTATE\tREAD WRITE CKSUM\n\t{name}  ONLINE  0  {errors}  0\n\nerrors: No known data errors\n"
    ))
}

/// By guid.
fn import(state: &mut State, args: &[&str]) -> Answer {
    let flags = Flags::read(args, "Nfo:R:d:")?;
    let guid: u64 = flags.operands.first().and_then(|guid| guid.parse().ok()).ok_or("missing guid")?;
    let pool = state.pools.values_mut().find(|pool| pool.guid == guid && pool.imported.is_none());
    let pool = pool.ok_or_else(|| format!("cannot import '{guid}': no such pool available"))?;
    let readonly = flags.all('o').contains(&"readonly=on");
    pool.imported = Some(Import { altroot: flags.value('R').map(str::to_owned), readonly });
    Ok(String::new())
}

fn export(state: &mut State, args: &[&str]) -> Answer {
    let (name, _) = one(state, args)?;
    if let Some(pool) = state.pools.get_mut(&name) {
        pool.imported = None;
    }
    Ok(String::new())
}
