//! Whether what a person types would open encryption roots. Nothing is loaded, and nothing but what is typed is tried.

use super::{Ask, KeyError, NotTyped, Secret, TRIES};
use crate::model::{DatasetName, WantedKey};
use crate::zfs::argv;
use crate::zfs::{Client, Kind};

/// How it went with one root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// What was typed opens it.
    Opens,
    /// Nothing that was typed does.
    Not,
    /// Its key is bytes, which nobody types.
    Bytes,
}

/// What was typed so far.
pub struct Trial<'a> {
    ask: &'a mut dyn Ask,
    typed: Vec<Secret>,
    /// Somebody answers. Who did not know one passphrase is not asked for each dataset again.
    answers: bool,
}

impl<'a> Trial<'a> {
    /// With nothing typed yet.
    pub fn new(ask: &'a mut dyn Ask) -> Self {
        Self { ask, typed: Vec::new(), answers: true }
    }

    /// Tries everything that was typed, and asks for more where that does not open it.
    ///
    /// # Errors
    /// When the person wants to stop, or ZFS does not say whether it is the right one.
    pub fn root(
        &mut self,
        client: &Client<'_>,
        root: &DatasetName,
        wanted: &WantedKey,
    ) -> Result<Tried, KeyError> {
        if *wanted == WantedKey::Bytes {
            return Ok(Tried::Bytes);
        }
        for secret in &self.typed {
            if fits(client, root, secret)? {
                return Ok(Tried::Opens);
            }
        }
        for attempt in 0..TRIES {
            if !self.answers {
                return Ok(Tried::Not);
            }
            let secret = match self.ask.ask(root, attempt > 0) {
                Ok(secret) => secret,
                Err(NotTyped::Ended) => {
                    self.answers = false;
                    return Ok(Tried::Not);
                }
                Err(source) => return Err(KeyError::NotTyped { dataset: root.clone(), source }),
            };
            let opens = fits(client, root, &secret)?;
            self.typed.push(secret);
            if opens {
                return Ok(Tried::Opens);
            }
        }
        self.answers = false;
        Ok(Tried::Not)
    }
}

fn fits(client: &Client<'_>, root: &DatasetName, secret: &Secret) -> Result<bool, KeyError> {
    match client.run(&argv::try_key(root, secret.bytes())) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == Kind::WrongKey => Ok(false),
        Err(source) => Err(KeyError::Zfs { dataset: root.clone(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::testing::Commands;
    use crate::process::{Cancel, Exit, Invocation, Output};

    struct Typist(Vec<&'static str>, usize);

    impl Ask for Typist {
        fn ask(&mut self, _: &DatasetName, _: bool) -> Result<Secret, NotTyped> {
            self.1 += 1;
            if self.0.is_empty() {
                return Err(NotTyped::Ended);
            }
            match self.0.remove(0) {
                "^C" => Err(NotTyped::Interrupted),
                typed => Ok(Secret::new(typed.as_bytes().to_vec())),
            }
        }
    }

    /// Tries these roots, whose passphrases are given. Which open, and how often somebody was asked.
    fn trial(roots: &[(&str, &str)], types: &[&'static str]) -> (String, usize) {
        let host = Commands(|command: &Invocation| {
            assert_eq!(command.args[..4], ["load-key", "-n", "-L", "prompt"]);
            let (_, key) = roots.iter().find(|(root, _)| root == command.args.last().unwrap()).unwrap();
            let right = command.stdin == format!("{key}\n").as_bytes();
            let complaint = if right { "" } else { "Key load error: Incorrect key provided for 'x'." };
            let exit = Exit::Code(if right { 0 } else { 255 });
            Ok(Output { exit, stdout: Vec::new(), stderr: complaint.to_owned() })
        });
        let cancel = Cancel::new();
        let client = Client::new(&host, &cancel);
        let mut typist = Typist(types.to_vec(), 0);
        let mut trial = Trial::new(&mut typist);
        let mut told = String::new();
        for (root, key) in roots {
            let wanted = if key.is_empty() { WantedKey::Bytes } else { WantedKey::Passphrase };
            told.push(match trial.root(&client, &root.parse().unwrap(), &wanted) {
                Ok(Tried::Opens) => 'y',
                Ok(Tried::Not) => 'n',
                Ok(Tried::Bytes) => 'b',
                Err(_) => '!',
            });
        }
        (told, typist.1)
    }

    #[test]
    fn each_root_is_tried_with_all_that_was_typed_and_nobody_is_bothered_who_does_not_know() {
        let same = [("b/a", "x"), ("b/b", "x"), ("b/c", "x")];
        let other = [("b/a", "x"), ("b/b", "y"), ("b/c", "x")];
        for (roots, types, expected) in [
            (&same[..], &["x"][..], ("yyy", 1)),
            (&same, &["no", "x"], ("yyy", 2)),
            (&other, &["x", "y"], ("yyy", 2)),
            (&other, &["y", "x"], ("yyy", 2)),
            (&other, &["x", "1", "2", "3"], ("yny", 4)),
            (&other, &["1", "y", "3", "x"], ("nyn", 3)),
            (&same, &["1", "2", "3", "x"], ("nnn", 3)),
            (&same, &[], ("nnn", 1)),
            (&same[..1], &["^C"], ("!", 1)),
            (&[("b/a", ""), ("b/b", "x")], &["x"], ("by", 1)),
        ] {
            let (told, asked) = trial(roots, types);
            assert_eq!((told.as_str(), asked), expected, "{roots:?} {types:?}");
        }
    }
}
