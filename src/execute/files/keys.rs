//! Opening encryption roots with passphrases that a person types. Each received dataset is a root of its own, and mostly one
//! passphrase opens them all: it is asked for once.

use std::fmt;

use crate::model::{DatasetName, KeyStatus, WantedKey};
use crate::zfs::argv;
use crate::zfs::{Client, Kind, ZfsError};

/// A passphrase. It is shown nowhere (S17).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// As it was typed.
    pub fn new(typed: Vec<u8>) -> Self {
        Self(typed)
    }

    /// For who hands it to ZFS or to `cryptsetup`.
    pub(in crate::execute) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Somebody who knows passphrases.
pub trait Ask {
    /// The passphrase of this dataset. `again`: the last one was wrong.
    ///
    /// # Errors
    /// When nobody typed one.
    fn ask(&mut self, dataset: &DatasetName, again: bool) -> Result<Secret, NotTyped>;
}

/// Why there is no passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTyped {
    /// The input ended.
    #[error("no passphrase was typed")]
    Ended,
    /// There is a terminal, and it does not work.
    #[error("the terminal cannot be read")]
    Unreadable,
    /// We were asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Wrong passphrases, one after the other, that end it.
pub const TRIES: usize = 3;

/// Why a dataset was not opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// None of the passphrases.
    #[error("{dataset} was not opened: the passphrase was wrong {TRIES} times")]
    Wrong {
        /// The encryption root.
        dataset: DatasetName,
    },
    /// Nobody typed one.
    #[error("{dataset} was not opened")]
    NotTyped {
        /// The encryption root.
        dataset: DatasetName,
        /// Why not.
        #[source]
        source: NotTyped,
    },
    /// Its key is nothing that is typed.
    #[error("{dataset} is not opened by a passphrase, but by a key that is bytes")]
    Bytes {
        /// The encryption root.
        dataset: DatasetName,
    },
    /// ZFS did not say whether it is the right one.
    #[error("{dataset} was not opened")]
    Zfs {
        /// The encryption root.
        dataset: DatasetName,
        /// Why not.
        #[source]
        source: ZfsError,
    },
}

/// The passphrases that were typed, and what they opened.
pub struct Keyring<'a> {
    ask: &'a mut dyn Ask,
    known: Vec<Secret>,
    /// Opened by us.
    loaded: Vec<DatasetName>,
}

impl<'a> Keyring<'a> {
    /// With nothing in it.
    pub fn new(ask: &'a mut dyn Ask) -> Self {
        Self { ask, known: Vec::new(), loaded: Vec::new() }
    }

    /// Loads the key of an encryption root, if it is not loaded: with a passphrase that opened another one, or with one
    /// that is asked for.
    ///
    /// # Errors
    /// When it stays closed.
    pub fn open(
        &mut self,
        client: &Client<'_>,
        root: &DatasetName,
        status: KeyStatus,
        wanted: &WantedKey,
    ) -> Result<(), KeyError> {
        if status == KeyStatus::Available || self.loaded.contains(root) {
            return Ok(());
        }
        if *wanted == WantedKey::Bytes {
            return Err(KeyError::Bytes { dataset: root.clone() });
        }
        for number in 0..self.known.len() {
            if self.fits(client, root, &self.known[number].clone())? {
                return Ok(());
            }
        }
        for attempt in 0..TRIES {
            let typed = self.ask.ask(root, attempt > 0);
            let secret = typed.map_err(|source| KeyError::NotTyped { dataset: root.clone(), source })?;
            if self.fits(client, root, &secret)? {
                self.known.push(secret);
                return Ok(());
            }
        }
        Err(KeyError::Wrong { dataset: root.clone() })
    }

    fn fits(&mut self, client: &Client<'_>, root: &DatasetName, secret: &Secret) -> Result<bool, KeyError> {
        match client.run(&argv::load_key(root, &secret.0)) {
            Ok(_) => {
                self.loaded.push(root.clone());
                Ok(true)
            }
            Err(error) if error.kind() == Kind::WrongKey => Ok(false),
            Err(source) => Err(KeyError::Zfs { dataset: root.clone(), source }),
        }
    }

    /// The encryption roots that were opened here.
    pub fn loaded(&self) -> &[DatasetName] {
        &self.loaded
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::process::testing::Commands;
    use crate::process::{Cancel, Exit, Invocation, Output};

    /// Types these, one after the other, and notes what it was asked.
    struct Typist {
        types: Vec<&'static str>,
        asked: Vec<String>,
    }

    impl Ask for Typist {
        fn ask(&mut self, dataset: &DatasetName, again: bool) -> Result<Secret, NotTyped> {
            self.asked.push(format!("{dataset}{}", if again { " again" } else { "" }));
            if self.types.is_empty() {
                return Err(NotTyped::Ended);
            }
            Ok(Secret::new(self.types.remove(0).as_bytes().to_vec()))
        }
    }

    /// Opens these roots in order on a host where the passphrase of each is given; what was asked, and how it ended.
    fn opening(roots: &[(&str, &str)], types: &[&'static str]) -> (Vec<String>, Result<usize, String>) {
        let wanted: Vec<(String, String)> =
            roots.iter().map(|(root, key)| ((*root).to_owned(), format!("{key}\n"))).collect();
        let tried = Mutex::new(0);
        let host = Commands(|command: &Invocation| {
            *tried.lock().unwrap() += 1;
            let root = command.args.last().unwrap();
            let right = wanted.iter().any(|(name, key)| name == root && key.as_bytes() == command.stdin);
            let complaint = if right { "" } else { "Key load error: Incorrect key provided for 'x'." };
            let exit = Exit::Code(if right { 0 } else { 255 });
            Ok(Output { exit, stdout: Vec::new(), stderr: complaint.to_owned() })
        });
        let cancel = Cancel::new();
        let client = Client::new(&host, &cancel);
        let mut typist = Typist { types: types.to_vec(), asked: Vec::new() };
        let mut ring = Keyring::new(&mut typist);
        let opened = roots.iter().try_for_each(|(root, _)| {
            ring.open(&client, &root.parse().unwrap(), KeyStatus::Unavailable, &WantedKey::Passphrase)
        });
        let loaded = ring.loaded().len();
        (typist.asked, opened.map(|()| loaded).map_err(|error| error.to_string()))
    }

    #[test]
    fn one_passphrase_for_all_is_asked_for_once_and_another_one_only_where_it_is_needed() {
        let same = [("b/a", "x"), ("b/b", "x"), ("b/c", "x")];
        assert_eq!(opening(&same, &["x"]), (vec!["b/a".to_owned()], Ok(3)));
        let other = [("b/a", "x"), ("b/b", "y"), ("b/c", "x"), ("b/d", "y")];
        let (asked, opened) = opening(&other, &["no", "x", "y"]);
        assert_eq!((asked.join(", ").as_str(), opened), ("b/a, b/a again, b/b", Ok(4)));
    }

    #[test]
    fn three_wrong_ones_end_it_and_so_does_the_end_of_the_input() {
        let (asked, opened) = opening(&[("b/a", "x")], &["1", "2", "3", "x"]);
        assert_eq!(asked.len(), TRIES);
        assert_eq!(opened.unwrap_err(), "b/a was not opened: the passphrase was wrong 3 times");
        let (asked, opened) = opening(&[("b/a", "x")], &["1"]);
        assert_eq!((asked.len(), opened.unwrap_err().as_str()), (2, "b/a was not opened"));
    }

    #[test]
    fn what_is_open_is_not_asked_for_and_what_nobody_can_type_neither() {
        let host = Commands(|command: &Invocation| panic!("{command}"));
        let cancel = Cancel::new();
        let client = Client::new(&host, &cancel);
        let mut typist = Typist { types: vec!["x"], asked: Vec::new() };
        let mut ring = Keyring::new(&mut typist);
        let root = "b/a".parse().unwrap();
        ring.open(&client, &root, KeyStatus::Available, &WantedKey::Passphrase).unwrap();
        let bytes = ring.open(&client, &root, KeyStatus::Unavailable, &WantedKey::Bytes);
        assert!(matches!(bytes, Err(KeyError::Bytes { .. })));
        assert!(ring.loaded().is_empty() && typist.asked.is_empty());
    }
}
