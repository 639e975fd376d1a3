//! The page with the results.

use std::fmt::Write as _;

use super::{Case, Measured};

/// docs/benchmarks.md.
pub fn page(parts: &[Measured]) -> String {
    let mut page = "# Benchmarks\n\n\
         Written by `cargo lab bench`. The tools did the same work in turns, in one emulated guest with one processor, each \
         with a USB\ndrive of its own; the pools were imported before. **Only the ratios mean anything**: the times are those \
         of an emulated\nmachine, some twenty times slower than a real one, on which nothing that runs side by side is \
         faster.\n"
        .to_owned();
    for part in parts {
        // Writing to a String cannot fail.
        for case in &part.cases {
            let _ = write!(page, "\n## {}\n\n{}", case.name, table(case));
        }
        if !part.about.is_empty() {
            let _ = write!(page, "\nVersions: {}\n", part.about);
        }
    }
    page.push_str("\n## Other\n\n| what | measured |\n|---|---|\n");
    for fact in parts.iter().flat_map(|part| &part.facts) {
        let _ = writeln!(page, "| {} | {} |", fact.name, fact.value);
    }
    page
}

fn table(case: &Case) -> String {
    let base = case.series.first().map_or(f64::NAN, super::Series::median);
    let mut table =
        "| tool | median | least … greatest | rounds | ratio |\n|---|---|---|---|---|\n".to_owned();
    for series in &case.series {
        let (least, greatest) = series.spread();
        let median = series.median();
        let _ = writeln!(
            table,
            "| {} | {median:.1} s | {least:.1} … {greatest:.1} s | {} | {:.2} |",
            series.tool,
            series.seconds.len(),
            median / base
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::Series;
    use super::*;

    #[test]
    fn the_ratio_is_to_the_first_tool() {
        let case = Case {
            name: "x".to_owned(),
            series: vec![
                Series { tool: "bare".into(), seconds: vec![2.0, 2.0, 2.0] },
                Series { tool: "zferry".into(), seconds: vec![3.0, 2.9, 9.0] },
            ],
        };
        let table = table(&case);
        assert!(table.contains("| zferry | 3.0 s | 2.9 … 9.0 s | 3 | 1.50 |"), "{table}");
    }
}
