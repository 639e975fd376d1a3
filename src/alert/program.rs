//! Runs a program of the user's: what it finds in its environment, and what it reads.

use std::time::Duration;

use super::told::{About, Moment, Told};
use crate::model::Alerts;
use crate::process::{Exit, Program};

/// How long it may take.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The program for a moment, with its key. None for a run that was stopped: who stopped it knows.
pub fn program(alerts: &Alerts, moment: Moment) -> Option<(&'static str, &[String])> {
    let [start, success, failure] = alerts.programs();
    let meant = match moment {
        Moment::Start => start,
        Moment::Success => success,
        Moment::Failure | Moment::Overdue => failure,
        Moment::Stopped => return None,
    };
    (!meant.1.is_empty()).then_some(meant)
}

/// What it finds in its environment. Documented in docs/how-to/alerts.md.
pub fn variables(told: &Told) -> Vec<(&'static str, String)> {
    let about = match &told.about {
        About::Drive { pool, guid } => [
            ("ZFERRY_DRIVE", told.name.clone()),
            ("ZFERRY_POOL", pool.to_string()),
            ("ZFERRY_POOL_GUID", guid.to_string()),
        ],
        About::Stream { source, directory } => [
            ("ZFERRY_STREAM", told.name.clone()),
            ("ZFERRY_SOURCE", source.to_string()),
            ("ZFERRY_DIRECTORY", directory.to_string_lossy().into_owned()),
        ],
    };
    let common = [
        ("ZFERRY_EVENT", told.moment.word().to_owned()),
        ("ZFERRY_HOST", told.host.clone()),
        ("ZFERRY_MESSAGE", told.message.clone()),
        ("ZFERRY_SECONDS", told.took.as_secs().to_string()),
    ];
    about.into_iter().chain(common).collect()
}

/// Runs it. What it prints is for the log; a warning is given back.
pub fn run(alerts: &Alerts, told: &Told) -> Option<String> {
    let (key, words) = program(alerts, told.moment)?;
    let name = words.first()?;
    let (variables, input) = (variables(told), told.body());
    let outcome = Program { words, variables: &variables, input: &input, deadline: DEADLINE }.run();
    let failed = |why: &str| Some(format!("The program of `{key}`, {name}, {why}."));
    match outcome {
        Ok(output) => {
            for line in String::from_utf8_lossy(&output.stdout).lines().chain(output.stderr.lines()) {
                log::debug!("{} {key}: {line}", told.name);
            }
            match output.exit {
                Exit::Code(0) => None,
                exit => {
                    let last = output.stderr.lines().rfind(|line| !line.trim().is_empty());
                    let said = last.map_or(String::new(), |line| format!(": {}", line.trim_end_matches('.')));
                    failed(&format!("failed with {exit}{said}"))
                }
            }
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            failed(&format!("did not do it: {error}{}", cause.unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::told::tests::told;
    use super::*;

    fn with(program: &[&str]) -> Alerts {
        let words: Vec<_> = program.iter().map(|word| (*word).to_owned()).collect();
        Alerts { on_failure: words, ..Alerts::default() }
    }

    #[test]
    fn each_moment_has_its_program_and_a_run_that_was_stopped_has_none() {
        let alerts =
            Alerts { on_start: vec!["a".to_owned()], on_success: vec!["b".to_owned()], ..with(&["c"]) };
        for (moment, expected) in [
            (Moment::Start, Some("a")),
            (Moment::Success, Some("b")),
            (Moment::Failure, Some("c")),
            (Moment::Overdue, Some("c")),
            (Moment::Stopped, None),
        ] {
            let found = program(&alerts, moment).map(|(_, words)| words[0].as_str());
            assert_eq!(found, expected, "{moment:?}");
        }
        assert_eq!(program(&with(&["c"]), Moment::Start), None);
    }

    #[test]
    fn it_is_told_everything_and_its_own_trouble_is_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        let seen = directory.path().join("seen");
        let script = "{ env | grep ^ZFERRY_ | sort; cat; } > \"$0\"; echo 'no mail.' >&2; exit 4";
        let warning = run(&with(&["sh", "-c", script, seen.to_str().unwrap()]), &told(Moment::Failure));
        assert_eq!(
            warning.as_deref(),
            Some("The program of `on-failure`, sh, failed with exit code 4: no mail.")
        );
        let expected = "ZFERRY_DRIVE=t7\nZFERRY_EVENT=failure\nZFERRY_HOST=laptop\nZFERRY_MESSAGE=t7: all is well & “good”.\nZFERRY_POOL=backup\nZFERRY_POOL_GUID=7\nZFERRY_SECONDS=72\nt7: all is well & “good”.\n\none\ntwo\n";
        assert_eq!(std::fs::read_to_string(seen).unwrap(), expected);
        let missing = run(&with(&["/nonexistent/x"]), &told(Moment::Overdue)).unwrap();
        assert!(missing.contains("could not be started: there is no such program"), "{missing}");
        assert_eq!(run(&with(&["true"]), &told(Moment::Failure)), None);
    }
}
