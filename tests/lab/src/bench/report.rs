//! The page with the results.

use std::fmt::Write as _;

use super::{Case, Fact};

/// docs/benchmarks.md.
pub fn page(cases: &[Case], facts: &[Fact], about: &str, rounds: usize) -> String {
    let mut page = format!(
        "# Benchmarks\n\n\
         Written by `cargo lab bench`. The tools did the same work in turns ({rounds} rounds), in one emulated guest \
         with one processor,\neach with a USB drive of its own; the pools were imported before. **Only the ratios mean \
         anything**: the times are those\nof an emulated machine, some twenty times slower than a real one, on which \
         nothing that runs side by side is faster.\n\n\
         Versions: {about}\n"
    );
    for case in cases {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {}\n\n{}", case.name, table(case));
    }
    page.push_str("\n## Other\n\n| what | measured |\n|---|---|\n");
    for fact in facts {
        let _ = writeln!(page, "| {} | {} |", fact.name, fact.value);
    }
    page
}

fn table(case: &Case) -> String {
    let base = case.series.first().map_or(f64::NAN, super::Series::median);
    let mut table = "| tool | median | least … greatest | ratio |\n|---|---|---|---|\n".to_owned();
    for series in &case.series {
        let (least, greatest) = series.spread();
        let median = series.median();
        let _ = writeln!(
            table,
            "| {} | {median:.1} s | {least:.1} … {greatest:.1} s | {:.2} |",
            series.tool,
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
                Series { tool: "bare", seconds: vec![2.0, 2.0, 2.0] },
                Series { tool: "zferry", seconds: vec![3.0, 2.9, 9.0] },
            ],
        };
        let table = table(&case);
        assert!(table.contains("| zferry | 3.0 s | 2.9 … 9.0 s | 1.50 |"), "{table}");
    }
}
