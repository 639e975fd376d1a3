//! What it takes to read two pools' listings and to plan with them: `cargo bench --bench planner`.
//!
//! A script of no more than a table answers in the place of `zfs`, so that nothing is measured but zferry: parsing, asking
//! again about what matters, the plan, and its checker. A tenth of the drive's snapshots is gone from the source, and each
//! dataset has a new one.

#![expect(clippy::expect_used, reason = "a measurement that cannot be made has nothing to go on with")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use jiff::{Timestamp, tz::TimeZone};
use zferry::model::{
    Consents, DatasetFilter, Guid, HistoryMode, Inventory, Policy, PoolFacts, Prune, SendMode,
    SnapshotFilter, glob_set,
};
use zferry::observe::observe;
use zferry::plan::{DatasetPlan, check, plan};
use zferry::process::{Cancel, Exit, Invocation, Output, PipeOutput, RunError, Runner, Watch};
use zferry::zfs::Client;
use zferry::zfs::argv::DATASET_COLUMNS;

/// Snapshots of each dataset.
const EACH: u64 = 1000;
/// Snapshots of a side in all.
const SIZES: [u64; 4] = [10_000, 100_000, 300_000, 1_000_000];

fn planner(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("planner");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(10));
    for size in SIZES {
        let host = Host::of(size / EACH);
        let inventory = host.inventory();
        group.throughput(Throughput::Elements(2 * size));
        group.bench_function(BenchmarkId::new("read both listings", size), |bencher| {
            bencher.iter(|| host.inventory());
        });
        group.bench_function(BenchmarkId::new("plan and check", size), |bencher| {
            bencher.iter(|| planned(&inventory));
        });
    }
    group.finish();
    println!("planner/greatest resident memory: {} MB", greatest_memory() / 1000);
}

/// Plans, and sees to it that there was something to plan.
fn planned(inventory: &Inventory) {
    let (policies, now) = ([policy()], Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC));
    let plan = plan(&policies, inventory, &now);
    assert_eq!(plan.refused().count(), 0, "{:?}", plan.refused().next());
    let datasets = plan.datasets.len() as u64;
    let destroyed: usize = plan.datasets.iter().map(DatasetPlan::destroyed).sum();
    assert_eq!(destroyed as u64, (datasets - 1) * EACH / 10);
    assert!(check::check(&policies, inventory, &plan, &now).is_empty());
}

fn policy() -> Policy {
    Policy {
        name: "data".to_owned(),
        drive: Guid(7),
        source: "rpool/data".parse().expect("a name"),
        target: "backup/data".parse().expect("a name"),
        recursive: true,
        skip_parent: false,
        datasets: DatasetFilter::default(),
        snapshots: SnapshotFilter::default(),
        send: SendMode::Raw,
        allow_plaintext: false,
        history: HistoryMode::All,
        prune: Prune::Mirror,
        protect: glob_set(&[]).expect("no pattern"),
        prune_limit: 20,
        properties: Vec::new(),
        grace: Duration::ZERO,
        own: None,
        max_age: None,
        consents: Consents::default(),
    }
}

/// What `zfs` prints of the two pools.
struct Host {
    /// By pool.
    datasets: BTreeMap<&'static str, Vec<u8>>,
    snapshots: BTreeMap<&'static str, Vec<u8>>,
}

impl Host {
    fn of(datasets: u64) -> Self {
        let mut host = Self { datasets: BTreeMap::new(), snapshots: BTreeMap::new() };
        for (pool, from) in [("rpool", EACH / 10 + 1), ("backup", 1)] {
            let is_drive = pool == "backup";
            let (mut listed, mut histories) = (row(pool, pool, None, false), String::new());
            for number in 0..=datasets {
                let top = format!("{pool}/data");
                let name = if number == 0 { top } else { format!("{top}/d{number:04}") };
                listed.push_str(&row(pool, &name, Some(number), is_drive));
                // The top has one snapshot only, which both have.
                let range = if number == 0 { 1..=1 } else { from..=if is_drive { EACH } else { EACH + 1 } };
                for snapshot in range {
                    let id = guid(number) + snapshot;
                    // Writing to a String cannot fail.
                    let _ = writeln!(
                        histories,
                        "{name}@autosnap_2026-01-01_{snapshot:06}\t{id}\t{}",
                        100 + snapshot
                    );
                }
            }
            host.datasets.insert(pool, listed.into_bytes());
            host.snapshots.insert(pool, histories.into_bytes());
        }
        host
    }

    fn inventory(&self) -> Inventory {
        let cancel = Cancel::new();
        let features = [("encryption".to_owned(), "active".to_owned())].into();
        let drive = PoolFacts { name: "backup".parse().expect("a name"), guid: Guid(7), features };
        let imported = ["rpool", "backup"].map(|pool| pool.parse().expect("a name"));
        observe(&Client::new(self, &cancel), &[policy()], &drive, &imported).expect("listings")
    }
}

/// The guid of the dataset of this number; those of its snapshots follow.
fn guid(number: u64) -> u64 {
    1_000_000_000 + number * 10_000
}

/// A line of the listing of datasets.
fn row(pool: &str, name: &str, number: Option<u64>, is_drive: bool) -> String {
    let value = |column: &&str| match *column {
        "name" => name.to_owned(),
        "type" => "filesystem".to_owned(),
        "guid" => (number.map_or(1, guid) + if is_drive { 5000 } else { 0 }).to_string(),
        // What arrived raw is an encryption root of its own.
        "encryptionroot" if is_drive && number.is_some() => name.to_owned(),
        "encryptionroot" if number.is_some() => format!("{pool}/data"),
        "keyguid" if number.is_some() => "5".to_owned(),
        "keystatus" if number.is_some() => if is_drive { "unavailable" } else { "available" }.to_owned(),
        "keyformat" if number.is_some() => "passphrase".to_owned(),
        "keylocation" if number == Some(0) || is_drive && number.is_some() => "prompt".to_owned(),
        "pbkdf2salt" if number.is_some() => "6".to_owned(),
        "written" | "used" | "quota" | "refquota" | "usedbychildren" | "inconsistent" => "0".to_owned(),
        "available" => (1_u64 << 40).to_string(),
        "mounted" => "no".to_owned(),
        "canmount" => "noauto".to_owned(),
        "recordsize" => "131072".to_owned(),
        "dnodesize" => "legacy".to_owned(),
        "org.zferry:source" | "org.zferry:mirror" if is_drive => {
            number.map_or("-".to_owned(), |number| guid(number).to_string())
        }
        _ => "-".to_owned(),
    };
    DATASET_COLUMNS.iter().map(value).collect::<Vec<_>>().join("\t") + "\n"
}

impl Runner for Host {
    fn run(&self, command: &Invocation, _: &Cancel) -> Result<Output, RunError> {
        let has = |word: &str| command.args.iter().any(|argument| argument == word);
        let pool = || {
            let last = command.args.last().map_or("", String::as_str);
            if last.starts_with("rpool") { "rpool" } else { "backup" }
        };
        let stdout = match command.args[0].as_str() {
            "list" if has("filesystem,volume") => self.datasets[pool()].clone(),
            "list" => self.snapshots[pool()].clone(),
            "get" => details(&command.args),
            other => unreachable!("nobody asks for {other}"),
        };
        Ok(Output { exit: Exit::Code(0), stdout, stderr: String::new() })
    }

    fn pipe(
        &self,
        _: &Invocation,
        _: &Invocation,
        _: &mut dyn FnMut(u64) -> Watch,
        _: &Cancel,
    ) -> Result<PipeOutput, RunError> {
        unreachable!("nothing is sent")
    }
}

/// The same IV set on both sides, nothing held.
fn details(arguments: &[String]) -> Vec<u8> {
    let mut text = String::new();
    let properties: Vec<&str> =
        arguments.iter().find(|a| a.starts_with("ivsetguid")).map_or(Vec::new(), |a| a.split(',').collect());
    for name in arguments.iter().filter(|argument| argument.contains('@')) {
        let place = name.rsplit_once('_').map_or("", |(_, place)| place);
        for property in &properties {
            let value = match *property {
                "ivsetguid" => format!("9{place}"),
                "userrefs" | "numclones" | "used" => "0".to_owned(),
                "written" | "referenced" => "1000".to_owned(),
                "creation" => "1700000000".to_owned(),
                _ => "-".to_owned(),
            };
            let _ = writeln!(text, "{name}\t{property}\t{value}\t-");
        }
    }
    text.into_bytes()
}

/// Of this process, in kilobytes, as the kernel counts them.
fn greatest_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

criterion_group!(benches, planner);
criterion_main!(benches);
