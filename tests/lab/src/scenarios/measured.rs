//! A drive's numbers, as Prometheus gets them: by Debian's node_exporter.

use anyhow::{Context as _, Result, ensure};

use super::Scenario;
use crate::drive::Drive;
use crate::lab::Lab;

pub fn scenarios() -> Vec<Scenario> {
    vec![Scenario::full(
        "a drive's numbers reach Prometheus, and a run that failed does not hide the last good one",
        measured,
    )]
}

/// Where Debian's node_exporter looks.
const COLLECTED: &str = "/var/lib/prometheus/node-exporter";

fn measured(lab: &mut Lab) -> Result<()> {
    let (t7, guid) = lab.setting("512M")?;
    lab.configure_drive("t7", guid, &format!("\n[drives.t7.alerts]\nmetrics = \"{COLLECTED}\"\n"))?;
    lab.run("zferry config check")?.exits(0)?.says_nothing_of("Warning")?;
    lab.run(&format!(
        "systemd-run -q --unit=exporter prometheus-node-exporter --web.listen-address=127.0.0.1:9100 \
         --collector.disable-defaults --collector.textfile --collector.textfile.directory={COLLECTED}; \
         for try in {{1..50}}; do ss -ltn | grep -q 127.0.0.1:9100 && exit 0; sleep 0.2; done; exit 1"
    ))?
    .exits(0)
    .context("node_exporter does not come up")?;

    lab.run("zferry run --no-power-off t7")?.exits(0)?;
    let first = Numbers::of(lab, guid)?;
    ensure!(first.get("last_run_success")? == 1.0 && first.get("last_run_failed_datasets")? == 0.0);
    ensure!(first.get("last_run_snapshots")? > 0.0 && first.get("last_run_sent_bytes")? > 0.0);
    ensure!(first.get("pool_size_bytes")? > first.get("pool_used_bytes")?);
    let success = first.get("last_success_timestamp_seconds")?;
    let now: f64 = lab.run("date +%s")?.stdout().trim().parse()?;
    ensure!((now - success).abs() < 600.0, "{success} at {now}");
    ensure!(first.get("last_scrub_timestamp_seconds").is_err(), "there was no scrub");

    // Verified: with a scrub, whose numbers are there at once.
    lab.run("zferry verify --no-power-off t7")?.exits(0)?;
    let scrubbed = Numbers::of(lab, guid)?;
    ensure!(
        scrubbed.get("last_scrub_errors")? == 0.0 && scrubbed.get("last_scrub_timestamp_seconds")? >= success
    );

    // One that is away, or busy, changes nothing.
    lab.pull(&t7)?;
    lab.run("zferry run --no-power-off --wait=0s t7")?.exits(75)?;
    ensure!(Numbers::of(lab, guid)?.all == scrubbed.all, "a drive that is away has other numbers");
    failed(lab, &t7, guid, success)
}

/// Runs that fail, in the middle and before they have begun.
fn failed(lab: &mut Lab, t7: &Drive, guid: u64, success: f64) -> Result<()> {
    lab.plug(t7)?;
    lab.run(&format!(
        "set -e; zpool import -N -o cachefile=none -d {} backup other; zpool sync other; zpool export other; udevadm settle",
        t7.partition()
    ))?
    .exits(0)?;
    lab.run("zferry run --no-power-off t7")?.exits(1)?;
    let renamed = Numbers::of(lab, guid)?;
    ensure!(renamed.get("last_run_success")? == 0.0 && renamed.get("last_run_failed_datasets")? > 0.0);
    ensure!(renamed.get("last_success_timestamp_seconds")? == success, "the last good run is forgotten");

    lab.run("sleep 1; mv /usr/sbin/zpool /usr/sbin/zpool.away")?.exits(0)?;
    let run = lab
        .run("zferry run --no-power-off t7; code=$?; mv /usr/sbin/zpool.away /usr/sbin/zpool; exit $code")?;
    run.exits(69)?;
    let none = Numbers::of(lab, guid)?;
    let ended = "last_run_timestamp_seconds";
    ensure!(none.get(ended)? > renamed.get(ended)?, "a run without ZFS is not counted");
    ensure!(none.get("last_run_success")? == 0.0 && none.get("last_success_timestamp_seconds")? == success);

    // What cannot be written is told, and keeps nobody from backing up.
    lab.run(&format!(
        "set -e; zpool import -N -o cachefile=none -d {} other backup; zpool export backup; udevadm settle; \
         rm -r {COLLECTED}",
        t7.partition()
    ))?
    .exits(0)?;
    lab.run("zferry config check")?.says("/node-exporter")?;
    lab.run("zferry run --no-power-off t7")?
        .exits(0)?
        .says(&format!("the numbers of this run could not be written to {COLLECTED}/zferry_t7.prom"))?
        .last_word("Safe to unplug t7 (exported; still powered)")?;
    Ok(())
}

/// What node_exporter tells of the drive.
struct Numbers {
    all: Vec<(String, f64)>,
}

impl Numbers {
    fn of(lab: &mut Lab, guid: u64) -> Result<Self> {
        let text = lab
            .run("exec 3<>/dev/tcp/127.0.0.1/9100; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3")?
            .stdout();
        ensure!(text.contains("node_textfile_scrape_error 0"), "the exporter cannot read it:\n{text}");
        let labels = format!("{{drive=\"t7\",pool=\"backup\",pool_guid=\"{guid}\"}}");
        let ours = text.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("zferry_")?.split_once(&labels)?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        });
        Ok(Self { all: ours.collect() })
    }

    fn get(&self, name: &str) -> Result<f64> {
        let found = self.all.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value).with_context(|| format!("no {name} in {:?}", self.all))
    }
}
