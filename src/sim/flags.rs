//! Options before operands, as `getopt` reads them.

use std::collections::BTreeMap;

/// What stood on a command line.
#[derive(Debug, Default)]
pub struct Flags<'a> {
    /// Single letters.
    switches: Vec<char>,
    /// Letters with a value, in order.
    values: BTreeMap<char, Vec<&'a str>>,
    /// The rest.
    pub operands: Vec<&'a str>,
}

impl<'a> Flags<'a> {
    /// Reads them; `known` are the letters, with a colon behind those that take a value.
    pub fn read(args: &[&'a str], known: &str) -> Result<Self, String> {
        let mut flags = Self::default();
        let mut rest = args.iter();
        while let Some(&arg) = rest.next() {
            let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
                flags.operands.push(arg);
                flags.operands.extend(rest);
                break;
            };
            for (at, letter) in letters.char_indices() {
                let place = known.find(letter).ok_or(format!("invalid option '{letter}'"))?;
                if !known[place + 1..].starts_with(':') {
                    flags.switches.push(letter);
                    continue;
                }
                let attached = &letters[at + 1..];
                let value = if attached.is_empty() { rest.next().copied() } else { Some(attached) };
                let value = value.ok_or(format!("missing argument for '{letter}' option"))?;
                flags.values.entry(letter).or_default().push(value);
                break;
            }
        }
        Ok(flags)
    }

    /// Whether a switch was given.
    pub fn has(&self, letter: char) -> bool {
        self.switches.contains(&letter)
    }

    /// All values of a letter.
    pub fn all(&self, letter: char) -> &[&'a str] {
        self.values.get(&letter).map_or(&[], Vec::as_slice)
    }

    /// The last value of a letter.
    pub fn value(&self, letter: char) -> Option<&'a str> {
        self.all(letter).last().copied()
    }
}
