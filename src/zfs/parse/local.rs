//! The properties that are set on datasets themselves.

use std::collections::BTreeMap;

use crate::model::DatasetName;

use super::{Unreadable, unreadable};

/// Output of [`crate::zfs::argv::get_local`]. The value of a user property may have any character in it: a line that is
/// not one is the rest of such a value, and is left out.
///
/// # Errors
/// When it is not text, or ends in the middle of a line.
pub fn local(output: &[u8]) -> Result<BTreeMap<DatasetName, BTreeMap<String, String>>, Unreadable> {
    let text = std::str::from_utf8(output).map_err(|_| unreadable(0, "it is not UTF-8"))?;
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(unreadable(0, "it ends in the middle of a line"));
    }
    let mut all: BTreeMap<DatasetName, BTreeMap<String, String>> = BTreeMap::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        if let [name, property, value] = columns[..]
            && let Ok(name) = name.parse()
        {
            all.entry(name).or_default().insert(property.to_owned(), value.to_owned());
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_come_by_dataset_and_the_rest_of_a_long_value_is_left_out() {
        let output = b"t/a\tmountpoint\t/my home\nt/a\tmy:note\tone\ntwo\nt/b\tquota\t5\n";
        let all = local(output).unwrap();
        let of = |name: &str| all[&name.parse::<DatasetName>().unwrap()].clone();
        assert_eq!(of("t/a")["mountpoint"], "/my home");
        assert_eq!((of("t/a").len(), of("t/b").len()), (2, 1));
        assert!(local(b"t/a\tquota").is_err());
        assert!(local(b"\xff\n").is_err());
        assert!(local(b"").unwrap().is_empty());
    }
}
