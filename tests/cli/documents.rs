//! Texts that are part of the documentation: what is printed and what stands in docs/ is the same.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::CommandFactory as _;

use crate::program::{Answer, zferry};

/// Longest help that a terminal of the usual size shows without scrolling away its beginning, in lines.
const SCREEN: usize = 44;

/// Compares a page in docs/ with what it should be, and leaves that where it can be copied from.
fn assert_document(name: &str, expected: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    let found = fs::read_to_string(&page).unwrap_or_default();
    if found != expected {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&fresh, expected).unwrap();
        panic!(
            "docs/{name} is out of date. When the change is meant:\n  cp {} {}",
            fresh.display(),
            page.display()
        );
    }
}

/// The words of every command: `[]`, `["run"]`, `["config", "check"]` …
fn commands() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, words: &[String], all: &mut Vec<Vec<String>>) {
        all.push(words.to_vec());
        for sub in command.get_subcommands() {
            let words = [words, &[sub.get_name().to_owned()]].concat();
            walk(sub, &words, all);
        }
    }
    let mut all = Vec::new();
    walk(&zferry::cli::args::Arguments::command(), &[], &mut all);
    all
}

fn help_of(words: &[String]) -> String {
    let answer = Answer::of(zferry().args(words).arg("--help").output().unwrap(), None);
    assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""), "{words:?}");
    answer.stdout
}

#[test]
fn every_help_text_begins_with_an_example_and_fits_a_screen() {
    for words in commands() {
        let help = help_of(&words);
        assert!(help.starts_with("Example: "), "{words:?}");
        assert!(help.lines().count() <= SCREEN, "{words:?} has {} lines", help.lines().count());
    }
}

#[test]
fn every_example_in_a_help_text_is_a_valid_command_line() {
    use clap::Parser as _;
    for words in commands() {
        let help = help_of(&words);
        let example =
            help.lines().next().unwrap().trim_start_matches("Example: ").trim_start_matches("sudo ");
        let example = example.split(&['|', '>']).next().unwrap().trim_end();
        let parsed = zferry::cli::args::Arguments::try_parse_from(example.split(' '));
        assert!(parsed.is_ok(), "{example}");
    }
}

#[test]
fn the_page_of_commands_is_what_help_prints() {
    let mut page =
        "# Commands\n\nThis page is what `zferry COMMAND --help` prints; a test compares the two.\n"
            .to_owned();
    for words in commands() {
        let title = [vec!["zferry".to_owned()], words.clone()].concat().join(" ");
        writeln!(page, "\n## {title}\n\n```text\n{}```", help_of(&words)).unwrap();
    }
    assert_document("cli.md", &page);
}

#[test]
fn the_tables_of_keys_are_those_of_the_code() {
    let (begin, end) = ("<!-- keys: begin -->\n", "<!-- keys: end -->");
    let page = include_str!("../../docs/configuration.md");
    let (before, rest) = page.split_once(begin).expect("the marker for the beginning");
    let (_, after) = rest.split_once(end).expect("the marker for the end");
    assert_document(
        "configuration.md",
        &[before, begin, "\n", &zferry::config::keys::markdown(), end, after].concat(),
    );
}

#[test]
fn every_exit_code_is_documented() {
    let page = include_str!("../../docs/exit-codes.md");
    use zferry::cli::failure;
    for code in [
        failure::DONE,
        failure::INCOMPLETE,
        failure::USAGE,
        failure::ZFS_MISSING,
        failure::INTERNAL,
        failure::NOT_NOW,
        failure::NOT_ROOT,
        failure::CONFIGURATION,
        130,
        143,
    ] {
        assert!(page.contains(&format!("| {code} |")), "{code}");
    }
}

#[test]
fn the_configurations_in_the_documentation_are_valid() {
    let pages = [
        include_str!("../../README.md"),
        include_str!("../../docs/configuration.md"),
        include_str!("../../docs/how-to/alerts.md"),
    ];
    let mut checked = 0;
    for page in pages {
        for block in page.split("```toml\n").skip(1) {
            let text = block.split("```").next().unwrap();
            let parsed = zferry::config::parse(text, Path::new("page"), "laptop");
            assert!(parsed.is_ok(), "{parsed:?} in\n{text}");
            checked += 1;
        }
    }
    assert!(checked >= 2, "only {checked} configurations were found");
}
