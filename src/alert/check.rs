//! What would keep anybody from being told, said before it matters.

use crate::config::Drive;
use crate::process::find_program;

use super::send;

/// Full sentences, for `config check`. What only root may read is left out when somebody else asks.
pub fn problems(drives: &[Drive], is_root: bool) -> Vec<String> {
    let mut all = Vec::new();
    for drive in drives {
        for (key, words) in drive.alerts.programs() {
            if let Some(name) = words.first()
                && find_program(name).is_err()
            {
                all.push(format!(
                    "The program of drives.{}.alerts.{key}, {name}, was not found.",
                    drive.name
                ));
            }
        }
        if let Some(directory) = drive.alerts.metrics.as_ref().filter(|path| !path.is_dir()) {
            let path = directory.display();
            all.push(format!("drives.{}.alerts.metrics: {path} is no directory.", drive.name));
        }
        let Some(ping) = drive.alerts.ping.as_ref().filter(|_| is_root) else { continue };
        match send::address(ping) {
            Ok((_, dangerous)) => {
                all.extend(dangerous.map(|why| format!("drives.{}.alerts.ping: {why}.", drive.name)));
            }
            Err(error) => all.push(format!("drives.{}.alerts.ping: {error}.", drive.name)),
        }
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
            super::problems(&settings.drives, is_root)
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
        assert!(problems("ping = \"https://hc-ping.com/x\"", true).is_empty());
    }
}
