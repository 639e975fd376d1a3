//! How a dataset was set up on its source. Raw streams carry no properties, so what was set there is recorded on the
//! drive, as one user property of the copy, and given back by `restore --into`.

use std::collections::BTreeMap;

use crate::model::DatasetName;
use crate::zfs::argv::PROPERTY_SETTINGS;

/// Properties by name.
pub type Settings = BTreeMap<String, String>;

/// What is given back by itself: how data is kept, and what it may take.
const HARMLESS: [&str; 28] = [
    "aclinherit",
    "aclmode",
    "acltype",
    "atime",
    "checksum",
    "compression",
    "copies",
    "devices",
    "dnodesize",
    "exec",
    "logbias",
    "nbmand",
    "overlay",
    "prefetch",
    "primarycache",
    "quota",
    "readonly",
    "recordsize",
    "redundant_metadata",
    "refquota",
    "refreservation",
    "relatime",
    "reservation",
    "secondarycache",
    "setuid",
    "snapdir",
    "sync",
    "xattr",
];
/// What puts something in the way of what is there now, or makes it public: the drive is not trusted with that, and a
/// person types it.
const BY_HAND: [&str; 4] = ["mountpoint", "canmount", "sharenfs", "sharesmb"];
/// Values of those that do nothing of the kind.
const AT_REST: [(&str, &str); 4] =
    [("mountpoint", "none"), ("mountpoint", "legacy"), ("canmount", "off"), ("canmount", "noauto")];
/// ZFS takes user properties below 8192 bytes (`ZAP_MAXVALUELEN` in zap.h).
const MOST: usize = 8000;
/// Longer ones of the user's own are left out.
const LONG: usize = 1000;

fn is_known(name: &str) -> bool {
    HARMLESS.contains(&name) || BY_HAND.contains(&name)
}

/// Somebody's own, such as sanoid's or `com.sun:auto-snapshot`.
fn is_users(name: &str) -> bool {
    name.contains(':') && !name.starts_with("org.zferry:")
}

/// What is recorded of the properties that are set on a source; with too much of them, without the user's own.
pub fn recorded(local: &Settings) -> String {
    let short = |(name, value): &(&String, &String)| is_users(name) && value.len() <= LONG;
    let native = local.iter().filter(|(name, _)| is_known(name));
    let all: Settings = native.clone().chain(local.iter().filter(short)).map(owned).collect();
    let text = written(&all);
    if text.len() <= MOST { text } else { written(&native.map(owned).collect()) }
}

fn owned((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

/// JSON on one line.
fn written(settings: &Settings) -> String {
    serde_json::to_string(settings).unwrap_or_default()
}

/// The copies whose record is not, or no longer, what is set on their source, with the record that is to be there.
/// `local` has what is set on sources and copies; of what was not listed nothing is said.
pub fn to_record<'a>(
    pairs: impl IntoIterator<Item = (&'a DatasetName, &'a DatasetName)>,
    local: &BTreeMap<DatasetName, Settings>,
) -> Vec<(DatasetName, String)> {
    let nothing = Settings::new();
    let of = |name: &DatasetName| local.get(name).unwrap_or(&nothing);
    let wanted = pairs.into_iter().map(|(source, copy)| (copy, recorded(of(source))));
    // A dataset with nothing of its own needs no record, unless there is an old one.
    let known = |copy: &DatasetName| of(copy).get(PROPERTY_SETTINGS).map_or("{}", String::as_str).to_owned();
    wanted.filter(|(copy, text)| known(copy) != *text).map(|(copy, text)| (copy.clone(), text)).collect()
}

/// What a restored dataset gets back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenBack {
    /// Set by the restore.
    pub set: Settings,
    /// Left to a person.
    pub by_hand: Settings,
}

/// Reads a record. It comes from the drive: what is not understood is left out, and nothing of it mounts or shares
/// anything by itself.
pub fn given_back(record: &str) -> GivenBack {
    let all: Settings = serde_json::from_str(record).unwrap_or_default();
    let is_sound = |(name, value): &(String, String)| {
        (is_known(name) || is_users(name))
            && name.len() < 256
            && name.chars().all(|c| c.is_ascii_alphanumeric() || ":.-_".contains(c))
            && !name.starts_with('-')
            && !value.chars().any(char::is_control)
            && value.len() <= LONG
    };
    let at_rest = |name: &str, value: &str| AT_REST.contains(&(name, value));
    let (by_hand, set) = all
        .into_iter()
        .filter(is_sound)
        .partition(|(name, value)| BY_HAND.contains(&name.as_str()) && !at_rest(name, value));
    GivenBack { set, by_hand }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn name(text: &str) -> DatasetName {
        text.parse().unwrap()
    }

    #[test]
    fn what_was_set_comes_back_and_what_would_mount_or_share_it_is_left_to_a_person() {
        let local = settings(&[
            ("mountpoint", "/home"),
            ("compression", "zstd"),
            ("com.sun:auto-snapshot", "true\n\"x\""),
            ("org.zferry:source", "7"),
            ("keylocation", "file:///key"),
            ("canmount", "noauto"),
            ("sharenfs", "on"),
        ]);
        let text = recorded(&local);
        assert!(!text.contains(['\n', '\t']), "{text}");
        let back = given_back(&text);
        assert_eq!(back.set, settings(&[("compression", "zstd"), ("canmount", "noauto")]));
        assert_eq!(back.by_hand, settings(&[("mountpoint", "/home"), ("sharenfs", "on")]));
        let legacy = given_back(&recorded(&settings(&[("mountpoint", "legacy")])));
        assert_eq!(legacy.set, settings(&[("mountpoint", "legacy")]));
    }

    #[test]
    fn a_record_that_nobody_wrote_gives_nothing_back() {
        let long = format!("{{\"compression\":\"{}\"}}", "x".repeat(LONG + 1));
        for record in [
            "",
            "-",
            "[]",
            "{\"compression\":7}",
            "{\"org.zferry:source\":\"7\"}",
            "{\"-x:y\":\"1\"}",
            "{\"a b:c\":\"1\"}",
            "{\"encryption\":\"off\"}",
            "{\"compression\":\"\\u001b[2J\"}",
            &long,
        ] {
            assert_eq!(given_back(record), GivenBack::default(), "{record}");
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_from_the_users_own() {
        let mut local: Settings =
            (0..20).map(|number| (format!("my:property{number}"), "x".repeat(LONG))).collect();
        local.insert("my:long".to_owned(), "x".repeat(LONG + 1));
        local.insert("quota".to_owned(), "5".to_owned());
        assert_eq!(recorded(&local), "{\"quota\":\"5\"}");
        local.retain(|name, _| name.ends_with('7') || name.ends_with("long"));
        assert_eq!(given_back(&recorded(&local)).set.len(), 2);
    }

    #[test]
    fn only_what_changed_is_written_again() {
        let (source, copy) = (name("rpool/home"), name("backup/eds"));
        let pairs = || [(&source, &copy)];
        let mut local = BTreeMap::new();
        assert_eq!(to_record(pairs(), &local), []);
        local.insert(source.clone(), settings(&[("mountpoint", "/home")]));
        let wanted = "{\"mountpoint\":\"/home\"}".to_owned();
        assert_eq!(to_record(pairs(), &local), [(copy.clone(), wanted.clone())]);
        local.insert(copy.clone(), settings(&[(PROPERTY_SETTINGS, &wanted)]));
        assert_eq!(to_record(pairs(), &local), []);
        local.remove(&source);
        assert_eq!(to_record(pairs(), &local), [(copy.clone(), "{}".to_owned())]);
    }
}
