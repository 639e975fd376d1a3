//! One table of the file, read key by key: unknown keys, keys of a later version and wrong types are noted with their
//! place, and what is right is handed out.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Absent, Key, Kind};
use super::problem::{Problems, Span, nearest};

/// What was written for each key: the value in TOML on one line (nothing of a secret), and where it stands. For
/// `config show`.
pub type Written = BTreeMap<&'static str, Spanned<String>>;

/// Said of what a later version will know.
const NOT_YET: &str = "not available yet in this version";

/// Reads one table.
pub struct Reader<'a, 'i> {
    /// `drives.t7`; empty at the top.
    path: String,
    table: &'a DeTable<'i>,
    keys: &'static [Key],
    problems: &'a mut Problems,
    written: Written,
}

impl<'a, 'i> Reader<'a, 'i> {
    /// Looks at the names of all keys.
    pub fn new(
        path: impl Into<String>,
        table: &'a DeTable<'i>,
        keys: &'static [Key],
        problems: &'a mut Problems,
    ) -> Self {
        let reader = Self { path: path.into(), table, keys, problems, written: Written::new() };
        for (name, _) in table {
            let path = reader.path_of(name.get_ref());
            match keys.iter().find(|key| key.name == name.get_ref().as_ref()) {
                Some(key) if key.absent == Absent::NotYet => {
                    let hint = "remove it: leaving it without effect would mislead".to_owned();
                    reader.problems.push(
                        name.span(),
                        path,
                        "is not available yet in this version",
                        Some(hint),
                    );
                }
                Some(_) => {}
                None => {
                    reader.problems.push(name.span(), path, "there is no such key", suggestion(name, keys))
                }
            }
        }
        reader
    }

    /// The full path of a key of this table.
    pub fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Notes a problem with a key of this table.
    pub fn problem(&mut self, at: Span, name: &str, what: impl Into<String>, hint: Option<String>) {
        let path = self.path_of(name);
        self.problems.push(at, path, what, hint);
    }

    /// Everything that was asked for and is written, be it right or wrong.
    pub fn into_written(self) -> Written {
        self.written
    }

    /// The same of a table within another one, whose reader is only lent.
    pub fn take_written(&mut self) -> Written {
        std::mem::take(&mut self.written)
    }

    /// The value, if it is written and of the right kind.
    fn value(&mut self, name: &str) -> Option<&'a Spanned<DeValue<'i>>> {
        let key = self.keys.iter().find(|key| key.name == name)?;
        let value = self.table.get(name)?;
        // What is in a section of its own is written there, key by key; a secret nowhere.
        let is_section = key.kind == Kind::Table && key.example.starts_with('[');
        let shown = match key.kind {
            Kind::Secret if !names_a_file(value.get_ref()) => String::new(),
            _ if is_section => String::new(),
            _ => on_one_line(value.get_ref()),
        };
        self.written.insert(key.name, Spanned::new(value.span(), shown));
        if !is_kind(value.get_ref(), key.kind) {
            let found = value.get_ref().type_str();
            let what = format!("expected {}, found {found}", key.kind.expected());
            let hint = match key.kind {
                Kind::Texts if key.name == "backups" && found == "table" => {
                    format!("what differs on this drive goes into [{}.NAME]", self.path_of("override"))
                }
                Kind::Table if key.example.starts_with('[') => format!("write {}", key.example),
                _ => format!("write {} = {}", key.name, key.example),
            };
            self.problem(value.span(), name, what, Some(hint));
            return None;
        }
        Some(value)
    }

    /// A text.
    pub fn text(&mut self, name: &str) -> Option<Spanned<String>> {
        let value = self.value(name)?;
        Some(Spanned::new(value.span(), value.get_ref().as_str()?.to_owned()))
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        self.value(name)?.get_ref().as_bool()
    }

    /// A whole number, 0 or more.
    pub fn number(&mut self, name: &str) -> Option<u32> {
        let value = self.value(name)?;
        let DeValue::Integer(written) = value.get_ref() else { return None };
        let number = u32::from_str_radix(written.as_str(), written.radix()).ok();
        if number.is_none() {
            let what = format!("{written} is not a number of snapshots");
            self.problem(value.span(), name, what, Some("0 or more".to_owned()));
        }
        number
    }

    /// A text that has to be a `T`.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<Spanned<T>> {
        let text = self.text(name)?;
        match text.get_ref().parse() {
            Ok(parsed) => Some(Spanned::new(text.span(), parsed)),
            Err(error) => {
                self.problem(text.span(), name, error.to_string(), None);
                None
            }
        }
    }

    /// One of a few words; `later` are those of a later version.
    pub fn choice<T: Copy>(&mut self, name: &str, words: &[(&str, T)], later: &[&str]) -> Option<T> {
        let text = self.text(name)?;
        let written = text.get_ref();
        if let Some((_, meant)) = words.iter().find(|(word, _)| word == written) {
            return Some(*meant);
        }
        let quoted: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let all = quoted.join(" or ");
        let near = nearest(written, words.iter().map(|(word, _)| *word));
        let (what, hint) = match near {
            _ if later.contains(&written.as_str()) => (format!("{written:?} is {NOT_YET}"), all),
            Some(near) => (format!("{written:?} is not {all}"), format!("did you mean \"{near}\"?")),
            None => (format!("{written:?} is not one of the words for it"), all),
        };
        self.problem(text.span(), name, what, Some(hint));
        None
    }

    /// A list of texts, each of which has to be a `T`.
    pub fn list<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<Vec<Spanned<T>>> {
        let array = self.value(name)?.get_ref().as_array()?;
        let mut all = Vec::with_capacity(array.len());
        for item in array {
            let parsed = match item.get_ref().as_str() {
                Some(text) => text.parse().map_err(|error: T::Err| error.to_string()),
                None => Err(format!("expected a text in quotes, found {}", item.get_ref().type_str())),
            };
            match parsed {
                Ok(parsed) => all.push(Spanned::new(item.span(), parsed)),
                Err(what) => self.problem(item.span(), name, what, None),
            }
        }
        Some(all)
    }

    /// The entries of a table of texts, in the order of the file, each with the place of its key.
    pub fn texts(&mut self, name: &str) -> Option<Vec<(Spanned<String>, String)>> {
        let table = self.value(name)?.get_ref().as_table()?;
        let mut all = Vec::with_capacity(table.len());
        for (key, value) in in_order(table) {
            match value.get_ref().as_str() {
                Some(text) => {
                    all.push((Spanned::new(key.span(), key.get_ref().to_string()), text.to_owned()))
                }
                None => {
                    let what = format!("expected a text in quotes, found {}", value.get_ref().type_str());
                    self.problem(value.span(), &format!("{name}.{}", key.get_ref()), what, None);
                }
            }
        }
        Some(all)
    }

    /// Reads a table with keys of its own.
    pub fn nested<T>(
        &mut self,
        name: &str,
        keys: &'static [Key],
        read: impl FnOnce(&mut Reader<'_, 'i>) -> T,
    ) -> Option<T> {
        let table = self.value(name)?.get_ref().as_table()?;
        let path = self.path_of(name);
        Some(read(&mut Reader::new(path, table, keys, self.problems)))
    }

    /// Reads the tables that the user named, in the order of the file: `[drives.NAME]`.
    pub fn sections<N: FromStr<Err: Display>, T>(
        &mut self,
        name: &str,
        keys: &'static [Key],
        read: impl Fn(Spanned<N>, Reader<'_, 'i>) -> T,
    ) -> Vec<T> {
        let Some(table) = self.value(name).and_then(|value| value.get_ref().as_table()) else {
            return Vec::new();
        };
        let mut all = Vec::with_capacity(table.len());
        for (key, value) in in_order(table) {
            let path = self.path_of(&format!("{name}.{}", key.get_ref()));
            let parsed = key.get_ref().parse::<N>();
            match (parsed, value.get_ref().as_table()) {
                (Err(error), _) => self.problems.push(key.span(), name, error.to_string(), None),
                (Ok(_), None) => {
                    let what = format!("expected a table, found {}", value.get_ref().type_str());
                    self.problems.push(key.span(), &path, what, Some(format!("write [{path}]")));
                }
                (Ok(label), Some(table)) => {
                    let label = Spanned::new(key.span(), label);
                    all.push(read(label, Reader::new(path, table, keys, self.problems)));
                }
            }
        }
        all
    }
}

fn suggestion(name: &Spanned<impl AsRef<str>>, keys: &[Key]) -> Option<String> {
    let available = keys.iter().filter(|key| key.absent != Absent::NotYet).map(|key| key.name);
    match nearest(name.get_ref().as_ref(), available.clone()) {
        Some(meant) => Some(format!("did you mean `{meant}`?")),
        None => Some(format!("there are: {}", available.collect::<Vec<_>>().join(", "))),
    }
}

/// A secret that stands elsewhere: where it does is none.
fn names_a_file(value: &DeValue<'_>) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(crate::model::PING_FILE))
}

fn is_kind(value: &DeValue<'_>, kind: Kind) -> bool {
    match kind {
        Kind::Text | Kind::Secret => value.is_str(),
        Kind::Flag => value.is_bool(),
        Kind::Texts => value.is_array(),
        Kind::Number => matches!(value, DeValue::Integer(_)),
        Kind::Table => value.is_table(),
    }
}

/// The parser sorts by name; people read from top to bottom.
fn in_order<'a, 'i>(
    table: &'a DeTable<'i>,
) -> Vec<(&'a Spanned<toml::de::DeString<'i>>, &'a Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// The value as TOML on one line, whichever way it was written.
fn on_one_line(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| on_one_line(item.get_ref())).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Table(table) => {
            let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                let key: &toml::de::DeString<'_> = key.get_ref();
                let bare = !key.is_empty()
                    && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                let key = if bare { key.to_string() } else { quoted(key) };
                format!("{key} = {}", on_one_line(value.get_ref()))
            };
            let entries: Vec<_> = in_order(table).into_iter().map(entry).collect();
            if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
        }
        DeValue::Integer(number) => number.to_string(),
        // No key takes these: they are refused and never shown.
        DeValue::Float(_) | DeValue::Datetime(_) => value.type_str().to_owned(),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
