//! What a passphrase is tried on. Pure.

use std::collections::BTreeMap;

use crate::model::{DatasetName, Side, WantedKey};

/// The encryption roots of these copies and of what is below them, with what opens each. What is received raw is a root of its
/// own.
pub fn roots(tops: &[&DatasetName], side: &Side) -> Vec<(DatasetName, WantedKey)> {
    let is_ours = |name: &DatasetName| tops.iter().any(|top| name.below(top).is_some());
    let ours = side.datasets.values().filter(|dataset| is_ours(&dataset.name));
    let mut roots = BTreeMap::new();
    for encryption in ours.filter_map(|dataset| dataset.encryption.as_ref()) {
        let root = side.get(&encryption.root).and_then(|root| root.encryption.as_ref());
        // Only the root itself says what opens it.
        roots.insert(encryption.root.clone(), root.unwrap_or(encryption).wanted.clone());
    }
    roots.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Encryption, KeyStatus};
    use crate::plan::testing::{dataset, history};

    /// A drive with these datasets, and the encryption root of each.
    fn side(datasets: &[(&str, &str)]) -> Side {
        let mut side = Side::default();
        for (name, root) in datasets {
            let mut one = dataset(name, history("", 1));
            let wanted = if name == root { WantedKey::Passphrase } else { WantedKey::Bytes };
            one.encryption = (!root.is_empty()).then(|| Encryption {
                root: root.parse().unwrap(),
                keyguid: None,
                key: KeyStatus::Unavailable,
                wanted,
                salt: None,
            });
            side.datasets.insert(one.name.clone(), one);
        }
        side
    }

    #[test]
    fn every_root_of_what_is_backed_up_is_tried_once_and_no_other() {
        let side = side(&[
            ("b", ""),
            ("b/eds", "b/eds"),
            ("b/eds/anna", "b/eds/anna"),
            ("b/eds/ben", "b/eds"),
            ("b/eds/plain", ""),
            ("b/others", "b/others"),
            ("b/edsel", "b/edsel"),
        ]);
        let found = |tops: &[&str]| -> String {
            let tops: Vec<DatasetName> = tops.iter().map(|top| top.parse().unwrap()).collect();
            let roots = roots(&tops.iter().collect::<Vec<_>>(), &side);
            assert!(roots.iter().all(|(_, wanted)| *wanted == WantedKey::Passphrase));
            roots.iter().map(|(root, _)| root.as_str()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found(&["b/eds"]), "b/eds b/eds/anna");
        assert_eq!(found(&["b/eds", "b/eds/anna"]), "b/eds b/eds/anna");
        assert_eq!(found(&["b/eds/ben"]), "b/eds", "it is opened by what is above it");
        assert_eq!(found(&["b/eds/plain", "b/none"]), "");
    }
}
