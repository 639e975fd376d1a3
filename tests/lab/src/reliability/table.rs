//! Faults by phases, with counts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a run does, in its order. The names are those that the simulation prints.
pub const PHASES: [&str; 12] = [
    "import",
    "look",
    "bookmark",
    "hold",
    "rearrange",
    "send and receive",
    "verify",
    "release",
    "prune",
    "record",
    "export",
    "power off",
];

/// How often each fault was tried in each phase.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<(String, String), u64>);

impl Counts {
    /// Adds some.
    pub fn add(&mut self, fault: &str, phase: &str, times: u64) {
        *self.0.entry((fault.to_owned(), phase.to_owned())).or_default() += times;
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// A table with a row for each of these faults: the name that it was counted under, and words for it. Phases in
    /// which nothing was tried have no column.
    pub fn table(&self, faults: &[(&str, &str)]) -> String {
        let count = |fault: &str, phase: &str| self.0.get(&(fault.to_owned(), phase.to_owned())).copied();
        let tried = |phase: &&&str| faults.iter().any(|(fault, _)| count(fault, phase).is_some());
        let phases: Vec<&&str> = PHASES.iter().filter(tried).collect();
        let mut table = "| |".to_owned();
        // Writing to a String cannot fail.
        for phase in &phases {
            let _ = write!(table, " {phase} |");
        }
        let _ = write!(table, "\n|---|{}\n", "--:|".repeat(phases.len()));
        for (fault, words) in faults {
            let _ = write!(table, "| {words} |");
            for phase in &phases {
                let _ = write!(table, " {} |", count(fault, phase).map_or(String::new(), |n| n.to_string()));
            }
            table.push('\n');
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_tried_has_no_column_or_an_empty_cell() {
        let mut counts = Counts::default();
        counts.add("Cut", "export", 2);
        counts.add("Cut", "export", 1);
        counts.add("Pull", "import", 4);
        let table = counts.table(&[("Cut", "power fails"), ("Pull", "cable pulled")]);
        let expected =
            "| | import | export |\n|---|--:|--:|\n| power fails |  | 3 |\n| cable pulled | 4 |  |\n";
        assert_eq!((table.as_str(), counts.total()), (expected, 7));
    }
}
