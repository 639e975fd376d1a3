//! Where the datasets of an opened drive are mounted.

use crate::model::{Dataset, DatasetKind, DatasetName, Side};

/// The copy of a backup on the drive.
#[derive(Debug, Clone, Copy)]
pub struct Copy<'a> {
    /// The backup's name.
    pub name: &'a str,
    /// Its top dataset on the drive.
    pub top: &'a DatasetName,
    /// Whether the datasets below are of it.
    pub recursive: bool,
}

/// A dataset that is mounted, and the place that it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The dataset.
    pub dataset: DatasetName,
    /// Names of directories below that of the drive: the backup's, then those of the datasets below its top.
    pub below: Vec<String>,
    /// The dataset whose key opens it, if it is encrypted.
    pub key: Option<DatasetName>,
}

impl Place {
    /// The place of a dataset that has no directory in the one above: beside the backup's own. No dataset has a `+` in its
    /// name, so that no two get the same.
    pub fn beside(&self) -> String {
        self.below.join("+")
    }
}

/// The datasets of these backups that have files, parents first. What was put aside, and what only carries others, is
/// left out.
pub fn places(copies: &[Copy<'_>], side: &Side) -> Vec<Place> {
    let mut all: Vec<Place> = Vec::new();
    for copy in copies {
        for dataset in side.tree(copy.top) {
            let Some(below) = dataset.name.below(copy.top) else { continue };
            let wanted = has_files(dataset) && (copy.recursive || below.is_empty());
            if !wanted || all.iter().any(|place| place.dataset == dataset.name) {
                continue;
            }
            let names = below.split('/').filter(|name| !name.is_empty());
            let below = std::iter::once(copy.name).chain(names).map(str::to_owned).collect();
            let key = dataset.encryption.as_ref().map(|encryption| encryption.root.clone());
            all.push(Place { dataset: dataset.name.clone(), below, key });
        }
    }
    all
}

/// Whether there is something to look into. What is below a placeholder inherits its mark, but is not as it is.
pub fn has_files(dataset: &Dataset) -> bool {
    let empty = dataset.placeholder && dataset.container;
    dataset.kind == DatasetKind::Filesystem && !empty && !dataset.retired
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing;

    #[test]
    fn a_backup_has_the_datasets_below_it_and_no_volume_or_placeholder() {
        let mut side = Side::default();
        for (name, change) in [
            ("backup/eds", None),
            ("backup/eds/anna", None),
            ("backup/eds/anna/docs", None),
            ("backup/eds/vm", Some("volume")),
            ("backup/eds/box", Some("placeholder")),
            ("backup/eds/box/inside", Some("below a placeholder")),
            ("backup/eds/old", Some("retired")),
            ("backup/other", None),
        ] {
            let mut dataset = testing::dataset(name, testing::history("", 1));
            match change {
                Some("volume") => dataset.kind = DatasetKind::Volume,
                Some("placeholder") => (dataset.placeholder, dataset.container) = (true, true),
                Some("below a placeholder") => dataset.placeholder = true,
                Some(_) => dataset.retired = true,
                None => {}
            }
            side.datasets.insert(dataset.name.clone(), dataset);
        }
        let top: DatasetName = "backup/eds".parse().unwrap();
        let copy = |recursive| Copy { name: "home", top: &top, recursive };
        let shown = |recursive| -> Vec<String> {
            let found = places(&[copy(recursive), copy(recursive)], &side);
            found.iter().map(|place| place.below.join("/")).collect()
        };
        assert_eq!(shown(true), ["home", "home/anna", "home/anna/docs", "home/box/inside"]);
        assert_eq!(places(&[copy(true)], &side)[2].beside(), "home+anna+docs");
        assert_eq!(shown(false), ["home"]);
    }
}
