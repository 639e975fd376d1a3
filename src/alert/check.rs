//! What would keep anybody from being told, said before it matters.

use crate::config::{Drive, Stream};
use crate::model::Alerts;
use crate::process::find_program;

use super::send;

/// Full sentences, for `config check`. What only root may read is left out when somebody else asks.
pub fn problems(drives: &[Drive], streams: &[Stream], is_root: bool) -> Vec<String> {
    let drives = drives.iter().map(|drive| (format!("drives.{}.alerts", drive.name), &drive.alerts));
    let streams = streams.iter().map(|stream| (format!("streams.{}", stream.name), &stream.alerts));
    drives.chain(streams).flat_map(|(path, alerts)| problems_of(&path, alerts, is_root)).collect()
}

fn problems_of(path: &str, alerts: &Alerts, is_root: bool) -> Vec<String> {
    let mut all = Vec::new();
    for (key, words) in alerts.programs() {
        if let Some(name) = words.first()
            && find_program(name).is_err()
        {
            all.push(format!("The program of {path}.{key}, {name}, was not found."));
        }
    }
    if let Some(directory) = alerts.metrics.as_ref().filter(|path| !path.is_dir()) {
        all.push(format!("{path}.metrics: {} is no directory.", directory.display()));
    }
    let Some(ping) = alerts.ping.as_ref().filter(|_| is_root) else { return all };
    match send::address(ping) {
        Ok((_, dangerous)) => all.extend(dangerous.map(|why| format!("{path}.ping: {why}."))),
        Err(error) => all.push(format!("{path}.ping: {error}.")),
    }
    all
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn programs_and_files_that_are_not_there_are_told() {
        let config = |alerts: &str| {
            format!(
                "[drives.t7]\npool = \"b\"\npool-guid = \"7\"\n[drives.t7.alerts]\n{alerts}\n\
                 [backups.home]\nsource = \"r/h\"\ntarget = \"e\"\nprune = \"never\"\n"
            )
        };
        let problems = |alerts: &str, is_root| {
            let settings = crate::config::parse(&config(alerts), Path::new("c"), "h").unwrap();
            super::problems(&settings.drives, &settings.streams, is_root)
        };
        let alerts = "ping = \"file:/nonexistent/ping\"\non-start = [\"sh\", \"-c\", \"x\"]\non-failure = [\"/nonexistent/x\"]\nmetrics = \"/nonexistent\"";
        assert_eq!(
            problems(alerts, true),
            [
                "The program of drives.t7.alerts.on-failure, /nonexistent/x, was not found.",
                "drives.t7.alerts.metrics: /nonexistent is no directory.",
                "drives.t7.alerts.ping: /nonexistent/ping cannot be read: No such file or directory (os error 2).",
            ]
        );
        assert_eq!(problems(alerts, false).len(), 2);
        let alerts =
            "[streams.diary]\nsource = \"r/d\"\ndirectory = \"/srv\"\nping = \"file:/nonexistent/ping\"";
        assert!(
            problems(alerts, true)[0].starts_with("streams.diary.ping: /nonexistent/ping cannot be read")
        );
        assert!(problems("ping = \"https://hc-ping.com/x\"", true).is_empty());
    }
}
