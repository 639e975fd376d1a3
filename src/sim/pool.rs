//! `zpool`: which pools there are, how they are, in and out (facts: zfs.md 5).

use super::Answer;
use super::devices::node;
use super::flags::Flags;
use super::state::{Import, Pool, Scrub, State, pool_of};

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
        "scrub" => scrub(state, rest),
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

/// What is damaged is known once a scrub came across it.
fn status(state: &mut State, args: &[&str]) -> Answer {
    let (name, pool) = one(state, args)?;
    // Of a pool that is only read nothing goes on.
    let reads = pool.imported.as_ref().is_some_and(|import| import.readonly);
    let txg = if reads { pool.txg } else { state.next_txg(&name) };
    let pool = state.pools.get_mut(&name).ok_or("no such pool")?;
    let text = |pool: &Pool| {
        let (errors, known) = match pool.scrub {
            Scrub::Finished { errors, .. } => (pool.errors + errors, errors),
            _ => (pool.errors, 0),
        };
        let data = match known {
            0 => "No known data errors".to_owned(),
            known => format!("{known} data errors, use '-v' for a list"),
        };
        format!(
            "  pool: {name}\n state: ONLINE\n  scan: {}\nconfig:\n\n\tNAME\tSTATE\tREAD WRITE CKSUM\n\t{name}  ONLINE  0  {errors}  0\n\nerrors: {data}\n",
            scan(pool.scrub)
        )
    };
    let shown = text(pool);
    pool.scrub = match pool.scrub {
        stands_still if reads => stands_still,
        Scrub::Running(2) => Scrub::Finished { txg, errors: pool.damaged },
        Scrub::Running(step) => Scrub::Running(step + 1),
        other => other,
    };
    Ok(shown)
}

fn scan(scrub: Scrub) -> String {
    match scrub {
        Scrub::Never => "none requested".to_owned(),
        Scrub::Running(step) => format!(
            "scrub in progress since Sun Nov 22 21:48:45 2026\n\t1G / 2G scanned, 1G / 2G issued\n\t0B repaired, {step}0.00% done, 00:00:12 to go"
        ),
        Scrub::Paused(step) => {
            format!("scrub paused since Sun Nov 22 21:48:45 2026\n\t0B repaired, {step}0.00% done")
        }
        Scrub::Finished { txg, errors } => format!(
            "scrub repaired 0B in 00:00:01 with {errors} errors on Fri Jan 15 {:02}:{:02}:{:02} 2027",
            txg / 3600 % 8,
            txg / 60 % 60,
            txg % 60
        ),
    }
}

/// `zpool scrub [-p] POOL`.
fn scrub(state: &mut State, args: &[&str]) -> Answer {
    let flags = Flags::read(args, "p")?;
    let (name, pool) = one(state, args)?;
    if pool.imported.as_ref().is_some_and(|import| import.readonly) {
        return Err(format!("cannot scrub {name}: pool is read-only"));
    }
    let after = match (flags.has('p'), pool.scrub) {
        (true, Scrub::Running(step)) => Scrub::Paused(step),
        (true, _) => return Err(format!("cannot pause scrubbing {name}: there is no active scrub")),
        (false, Scrub::Running(_)) => {
            return Err(format!(
                "cannot scrub {name}: currently scrubbing; use 'zpool scrub -s' to cancel scrub"
            ));
        }
        (false, Scrub::Paused(step)) => Scrub::Running(step),
        (false, _) => Scrub::Running(0),
    };
    if let Some(pool) = state.pools.get_mut(&name) {
        pool.scrub = after;
    }
    Ok(String::new())
}

/// By guid.
fn import(state: &mut State, args: &[&str]) -> Answer {
    let flags = Flags::read(args, "Nfo:R:d:")?;
    let guid: u64 = flags.operands.first().and_then(|guid| guid.parse().ok()).ok_or("missing guid")?;
    let pool = state.pools.values_mut().find(|pool| pool.guid == guid);
    let pool = pool.ok_or_else(|| format!("cannot import '{guid}': no such pool available"))?;
    if pool.imported.is_some() {
        return Err(format!("cannot import '{guid}': a pool with that name already exists"));
    }
    let readonly = flags.all('o').contains(&"readonly=on");
    pool.imported = Some(Import { altroot: flags.value('R').map(str::to_owned), readonly });
    Ok(String::new())
}

fn export(state: &mut State, args: &[&str]) -> Answer {
    let (name, _) = one(state, args)?;
    if let Some(pool) = state.pools.get_mut(&name) {
        pool.imported = None;
    }
    let of_pool = state.datasets.iter_mut().filter(|(dataset, _)| pool_of(dataset) == name);
    for key in of_pool.filter_map(|(_, dataset)| dataset.key.as_mut()) {
        key.loaded = false;
    }
    Ok(String::new())
}
