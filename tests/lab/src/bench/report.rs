//! The page with the results.

use std::fmt::Write as _;

use super::{Case, Measured};

/// How docs/benchmarks.md begins.
const HEAD: &str = "# Benchmarks\n\n\
    Written by `cargo lab bench`, part by part. The tools did the same work in turns, in one emulated guest with one \
    processor, each\nwith a USB drive of its own; the pools were imported before. **Only the ratios mean anything**: the \
    times are those of an\nemulated machine, some twenty times slower than a real one. Nothing that runs side by side is faster \
    there, and the wide\nvector instructions that hashes and checksums are made of are dearer than narrow ones: what reads \
    a stream is told outside\nof a guest too.\n";

/// The page with another section for one part.
pub fn with(page: &str, part: &str, section: &str) -> String {
    let (open, close) = (format!("<!-- {part} -->\n"), format!("<!-- end of {part} -->\n"));
    let body = page.find("<!-- ").map_or("", |at| &page[at..]);
    let (before, after) = match (body.find(&open), body.find(&close)) {
        (Some(from), Some(to)) if from < to => (&body[..from], &body[to + close.len()..]),
        _ => (body, ""),
    };
    let gap = if before.is_empty() || before.ends_with("\n\n") { "" } else { "\n" };
    format!("{HEAD}\n{before}{gap}{open}{section}{close}{after}")
}

/// What came of one part.
pub fn section(name: &str, part: &Measured) -> String {
    let mut text = String::new();
    for case in &part.cases {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n## {}\n\n{}", case.name, table(case));
    }
    if !part.about.is_empty() {
        let _ = write!(text, "\nVersions: {}\n", part.about);
    }
    if !part.facts.is_empty() {
        let _ = write!(text, "\n## {name}: other numbers\n\n| what | measured |\n|---|---|\n");
    }
    for fact in &part.facts {
        let _ = writeln!(text, "| {} | {} |", fact.name, fact.value);
    }
    text.push('\n');
    text
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
    fn each_part_has_a_place_of_its_own_in_the_page() {
        let first = with("", "one", "1\n");
        let both = with(&first, "two", "2\n");
        assert_eq!(both, format!("{first}\n<!-- two -->\n2\n<!-- end of two -->\n"));
        assert_eq!(with(&with(&both, "one", "3\n"), "one", "1\n"), both);
    }

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
