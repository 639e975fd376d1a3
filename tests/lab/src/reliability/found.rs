//! What was found in the program and mended: each with the test that notices it now.

use std::fmt::Write as _;

/// The list.
const LIST: &str = include_str!("found.txt");

/// What was wrong, what found it, and what guards it.
fn entries() -> impl Iterator<Item = [&'static str; 3]> {
    let lines = LIST.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split(" | ").collect::<Vec<_>>().try_into().ok())
}

/// The part of the page.
pub fn section() -> String {
    let mut section = "\n## What was found, and mended\n\n| what was wrong | found by | the test or scenario that notices it now |\n\
         |---|---|---|\n"
        .to_owned();
    for [what, by, guard] in entries() {
        // Writing to a String cannot fail.
        let _ = writeln!(section, "| {what} | {by} | {} |", guard.replace('_', " "));
    }
    section
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenarios;

    fn sources(directory: &Path, all: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, all);
            } else {
                all.push_str(&std::fs::read_to_string(path).unwrap_or_default());
            }
        }
    }

    #[test]
    fn whatever_was_found_has_a_test_that_is_still_there() {
        let mut program = String::new();
        sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../src")), &mut program);
        let lines = LIST.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!((entries().count(), lines > 15), (lines, true));
        for [_, _, guard] in entries() {
            let is_scenario = scenarios::all().iter().any(|scenario| scenario.name == guard);
            assert!(is_scenario || program.contains(&format!("fn {guard}()")), "{guard}");
        }
    }
}
