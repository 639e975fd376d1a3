//! What a drive's runs came to, as the textfile collector of Prometheus' node_exporter reads it: one file per drive,
//! whole or not there at all.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::PoolName;
use crate::state::{DriveState, Outcome, RunRecord};

/// Where the numbers of one drive go, and what is no part of its state.
#[derive(Debug, Clone, Copy)]
pub struct Metrics<'a> {
    /// The directory that the collector reads.
    pub directory: &'a Path,
    /// The drive's pool.
    pub pool: &'a PoolName,
    /// How old its last complete run may be.
    pub warn_after: Option<Duration>,
}

/// The numbers could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the numbers of this run could not be written to {}", path.display())]
pub struct NotWritten {
    path: PathBuf,
    source: io::Error,
}

/// One number, and what it means. Without a run, a scrub, a limit there is no number of it.
struct Number {
    name: &'static str,
    means: &'static str,
    value: Option<f64>,
}

impl Metrics<'_> {
    /// Writes them. The directory has to be there: whoever reads it made it.
    ///
    /// # Errors
    /// When that cannot be done: worth a warning.
    pub fn write(&self, state: &DriveState) -> Result<(), NotWritten> {
        let path = self.directory.join(format!("zferry_{}.prom", state.drive.replace('/', "_")));
        replace(self.directory, &path, &self.text(state)).map_err(|source| NotWritten { path, source })
    }

    /// In Prometheus' text format.
    fn text(&self, state: &DriveState) -> String {
        let labels = format!(
            "drive=\"{}\",pool=\"{}\",pool_guid=\"{}\"",
            escaped(&state.drive),
            escaped(self.pool.as_str()),
            state.pool_guid
        );
        let mut text = String::new();
        for Number { name, means, value } in self.numbers(state) {
            if let Some(value) = value {
                let _ = writeln!(
                    text,
                    "# HELP zferry_{name} {means}\n# TYPE zferry_{name} gauge\nzferry_{name}{{{labels}}} {value}"
                );
            }
        }
        text
    }

    fn numbers(&self, state: &DriveState) -> Vec<Number> {
        let fullness = state.fullness.last();
        let of_run = |number: fn(&RunRecord) -> f64| state.last_run.as_ref().map(number);
        let number = |name, means, value| Number { name, means, value };
        vec![
            number(
                "last_run_timestamp_seconds",
                "When the last run ended.",
                of_run(|run| seconds(run.ended)),
            ),
            number(
                "last_run_success",
                "Whether the last run was complete.",
                of_run(|run| f64::from(u8::from(run.outcome == Outcome::Complete))),
            ),
            number(
                "last_run_duration_seconds",
                "How long the last run took.",
                of_run(|run| run.ended.duration_since(run.started).as_secs_f64().max(0.0)),
            ),
            number("last_run_sent_bytes", "What travelled in the last run.", of_run(|run| whole(run.sent.0))),
            number(
                "last_run_snapshots",
                "Snapshots that arrived in the last run.",
                of_run(|run| count(run.snapshots)),
            ),
            number(
                "last_run_pruned_snapshots",
                "Snapshots that the last run destroyed on the drive.",
                of_run(|run| count(run.pruned)),
            ),
            number(
                "last_run_failed_datasets",
                "Datasets that the last run did not back up.",
                of_run(|run| count(run.failed)),
            ),
            number("last_run_warnings", "Warnings of the last run.", of_run(|run| count(run.warnings))),
            number(
                "last_success_timestamp_seconds",
                "When the last complete run ended.",
                state.last_success.map(seconds),
            ),
            number(
                "last_scrub_timestamp_seconds",
                "When the last scrub of the drive ended.",
                state.last_scrub.map(|scrub| seconds(scrub.ended)),
            ),
            number(
                "last_scrub_errors",
                "What the last scrub could not mend.",
                state.last_scrub.map(|scrub| whole(scrub.errors)),
            ),
            number(
                "last_rehearsal_timestamp_seconds",
                "When somebody last proved to know the passphrase.",
                state.last_rehearsal.map(seconds),
            ),
            number(
                "pool_used_bytes",
                "What is in use on the drive.",
                fullness.map(|fullness| whole(fullness.used.0)),
            ),
            number(
                "pool_size_bytes",
                "The size of its pool.",
                fullness.map(|fullness| whole(fullness.size.0)),
            ),
            number(
                "warn_after_seconds",
                "How old its last complete run may be: warn-after.",
                self.warn_after.map(|limit| limit.as_secs_f64()),
            ),
        ]
    }
}

fn seconds(time: jiff::Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has nothing but doubles")]
fn whole(number: u64) -> f64 {
    number as f64
}

fn count(number: usize) -> f64 {
    whole(number as u64)
}

/// As a label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Whoever reads it sees the old file or the new one. That it survives a power cut is not asked for.
fn replace(directory: &Path, path: &Path, text: &str) -> io::Result<()> {
    // The collector reads whatever ends with “.prom”.
    let mut file = tempfile::Builder::new().prefix(".zferry-").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bytes, Fullness, Guid};
    use crate::state::ScrubRecord;

    fn at(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(second).unwrap()
    }

    fn run(outcome: Outcome, ended: i64) -> RunRecord {
        RunRecord {
            started: at(ended - 72),
            ended: at(ended),
            outcome,
            sent: Bytes(5_000_000_000),
            snapshots: 3,
            pruned: 2,
            failed: 1,
            warnings: 0,
        }
    }

    fn text(state: &DriveState, warn_after: Option<Duration>) -> String {
        let pool = "backup".parse().unwrap();
        Metrics { directory: Path::new("/"), pool: &pool, warn_after }.text(state)
    }

    #[test]
    fn what_is_not_known_has_no_number() {
        let empty = DriveState::empty("t7", Guid(7));
        assert_eq!(text(&empty, None), "");
        assert_eq!(
            text(&empty, Some(Duration::from_secs(14 * 86400))),
            "# HELP zferry_warn_after_seconds How old its last complete run may be: warn-after.\n\
             # TYPE zferry_warn_after_seconds gauge\n\
             zferry_warn_after_seconds{drive=\"t7\",pool=\"backup\",pool_guid=\"7\"} 1209600\n"
        );
    }

    #[test]
    fn a_failed_run_leaves_the_time_of_the_last_success() {
        let mut state = DriveState::empty("t7", Guid(7));
        state.record(run(Outcome::Complete, 1_700_000_000));
        state.record(run(Outcome::Partial, 1_700_086_400));
        state.last_scrub = Some(ScrubRecord { ended: at(1_699_000_000), errors: 4 });
        state.record_fullness(Some(Fullness { at: at(0), used: Bytes(1 << 40), size: Bytes(1 << 41) }));
        let text = text(&state, None);
        let numbers: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let labels = "{drive=\"t7\",pool=\"backup\",pool_guid=\"7\"}";
        let expected = [
            "last_run_timestamp_seconds 1700086400",
            "last_run_success 0",
            "last_run_duration_seconds 72",
            "last_run_sent_bytes 5000000000",
            "last_run_snapshots 3",
            "last_run_pruned_snapshots 2",
            "last_run_failed_datasets 1",
            "last_run_warnings 0",
            "last_success_timestamp_seconds 1700000000",
            "last_scrub_timestamp_seconds 1699000000",
            "last_scrub_errors 4",
            "pool_used_bytes 1099511627776",
            "pool_size_bytes 2199023255552",
        ]
        .map(|line| {
            let (name, value) = line.split_once(' ').unwrap();
            format!("zferry_{name}{labels} {value}")
        });
        assert_eq!(numbers, expected);
    }

    #[test]
    fn the_file_is_replaced_as_a_whole_and_everybody_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let pool = "backup".parse().unwrap();
        let metrics = Metrics { directory: directory.path(), pool: &pool, warn_after: None };
        let mut state = DriveState::empty("a\"b\\c", Guid(7));
        for outcome in [Outcome::Failed, Outcome::Complete] {
            state.record(run(outcome, 1_700_000_000));
            metrics.write(&state).unwrap();
        }
        let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
        let [file] = &files[..] else { panic!("{files:?}") };
        assert_eq!(file.file_name(), "zferry_a\"b\\c.prom");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o644);
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(
            text.contains(
                "zferry_last_run_success{drive=\"a\\\"b\\\\c\",pool=\"backup\",pool_guid=\"7\"} 1\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_directory_that_is_not_there_is_told_and_not_made() {
        let pool = "backup".parse().unwrap();
        let metrics =
            Metrics { directory: Path::new("/nonexistent/collector"), pool: &pool, warn_after: None };
        let error = metrics.write(&DriveState::empty("t7", Guid(7))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the numbers of this run could not be written to /nonexistent/collector/zferry_t7.prom"
        );
    }
}
