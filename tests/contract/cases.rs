// The reader of rules.txt, for the simulation (src/sim/contract.rs) and for the lab (tests/lab/src/scenarios/contract.rs).

/// One rule and how it shows.
#[derive(Debug, Clone)]
pub struct Case {
    /// The section of the facts that it is from.
    pub section: String,
    /// The rule, as a sentence.
    pub rule: String,
    /// What is done and what must come of it, in order.
    pub lines: Vec<Line>,
}

/// One line of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// It succeeds.
    Does(Doing),
    /// It fails, and complains in these words.
    Fails(String, Doing),
    /// It succeeds and prints this.
    Prints(String, Doing),
    /// Both succeed and print the same.
    Same(Doing, Doing),
    /// Both succeed and print something else each.
    Differ(Doing, Doing),
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    /// So many KiB are written to a filesystem.
    Write(String, u64),
    /// A `zfs` command.
    Zfs(Vec<String>),
    /// A stream, whole.
    Pipe(Vec<String>, Vec<String>),
    /// A stream that breaks off in the middle of its (only) snapshot.
    Cut(Vec<String>, Vec<String>),
    /// One of zferry's channel programs over these arguments: DESTROY, BOOKMARK …
    Program(String, Vec<String>),
}

/// All cases. `$S`, `$P` and `$T` become names of the case's own.
pub fn cases(text: &str) -> Vec<Case> {
    let mut all: Vec<Case> = Vec::new();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("# "));
    for line in lines {
        if let Some(title) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (section, rule) = title.split_once(' ').unwrap_or((title, ""));
            let (section, rule) = (section.to_owned(), rule.to_owned());
            all.push(Case { section, rule, lines: Vec::new() });
            continue;
        }
        let number = all.len();
        let Some(case) = all.last_mut() else { panic!("a line before the first rule: {line}") };
        let names = [("$S", format!("src/s{number}")), ("$P", format!("src/p{number}"))];
        let names = names.into_iter().chain([("$T", format!("dst/t{number}"))]);
        let line = names.fold(line.to_owned(), |line, (from, to)| line.replace(from, &to));
        case.lines.push(read(&line));
    }
    all
}

fn read(line: &str) -> Line {
    if let Some(rest) = line.strip_prefix("fails “") {
        let (words, doing) = rest.split_once("”: ").unwrap_or_else(|| panic!("cannot be read: {line}"));
        return Line::Fails(words.to_owned(), doing_of(doing));
    }
    if let Some(rest) = line.strip_prefix("prints “") {
        let (text, doing) = rest.split_once("”: ").unwrap_or_else(|| panic!("cannot be read: {line}"));
        return Line::Prints(text.replace("\\t", "\t").replace("\\n", "\n"), doing_of(doing));
    }
    for (word, make) in [("same: ", Line::Same as fn(_, _) -> _), ("differ: ", Line::Differ)] {
        if let Some(rest) = line.strip_prefix(word) {
            let (one, other) = rest.split_once(" == ").unwrap_or_else(|| panic!("cannot be read: {line}"));
            return make(doing_of(one), doing_of(other));
        }
    }
    Line::Does(doing_of(line))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn doing_of(text: &str) -> Doing {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let both = |rest: &str| {
        let (send, receive) = rest.split_once(" | ").unwrap_or_else(|| panic!("no stream: {text}"));
        (words(send), words(receive))
    };
    match verb {
        "write" => {
            let (dataset, kib) = rest.split_once(' ').unwrap_or_else(|| panic!("cannot be read: {text}"));
            Doing::Write(dataset.to_owned(), kib.parse().unwrap_or_else(|_| panic!("no number: {text}")))
        }
        "stream" => {
            let (send, receive) = both(rest);
            Doing::Pipe(send, receive)
        }
        "cut" => {
            let (send, receive) = both(rest);
            Doing::Cut(send, receive)
        }
        "program" => {
            let (script, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
            Doing::Program(script.to_owned(), words(arguments))
        }
        _ => Doing::Zfs(words(text)),
    }
}
