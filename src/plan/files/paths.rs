//! Paths that people type, and the dataset and the place in it that each may mean.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::model::DatasetName;

/// A path within a backup: relative, without `..`, and not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapPath(PathBuf);

/// Why a path is none within a backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It begins with `/`.
    #[error("{} begins with “/”: paths are those within the backup", .0.display())]
    Absolute(PathBuf),
    /// It has `..` in it.
    #[error("{} leads out of the backup", .0.display())]
    Leaves(PathBuf),
    /// It names nothing.
    #[error("“{}” names no file or directory", .0.display())]
    Empty(PathBuf),
}

impl SnapPath {
    /// Checks what was typed.
    ///
    /// # Errors
    /// When it may lead out of the backup, or names nothing.
    pub fn new(typed: &Path) -> Result<Self, BadPath> {
        let mut path = PathBuf::new();
        for component in typed.components() {
            match component {
                Component::Normal(name) => path.push(name),
                Component::CurDir => {}
                Component::ParentDir => return Err(BadPath::Leaves(typed.to_owned())),
                Component::RootDir | Component::Prefix(_) => return Err(BadPath::Absolute(typed.to_owned())),
            }
        }
        if path.as_os_str().is_empty() { Err(BadPath::Empty(typed.to_owned())) } else { Ok(Self(path)) }
    }

    /// As it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What it is called where it is restored to.
    pub fn name(&self) -> &OsStr {
        self.0.file_name().unwrap_or_default()
    }

    /// The datasets that it may be in, the deepest first: a directory of a dataset may have the name of a dataset below it,
    /// which is what people see in that place. `has` says which datasets there are.
    pub fn candidates(&self, top: &DatasetName, has: &dyn Fn(&DatasetName) -> bool) -> Vec<Candidate> {
        let parts: Vec<&OsStr> = self.0.iter().collect();
        let mut all = Vec::new();
        let mut dataset = Some(top.clone());
        for (depth, part) in std::iter::once(None).chain(parts.iter().map(Some)).enumerate() {
            dataset = dataset.and_then(|above| match part {
                None => Some(above),
                Some(part) => above.join(part.to_str()?).ok(),
            });
            let Some(there) = &dataset else { break };
            if has(there) {
                all.push(Candidate { dataset: there.clone(), path: parts[depth..].iter().collect() });
            }
        }
        all.reverse();
        all
    }
}

/// A place that a path may mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The dataset.
    pub dataset: DatasetName,
    /// The path in it; empty: all of it.
    pub path: PathBuf,
}

/// The name that was probably meant, of those that are in a directory.
pub fn nearest_name<'a>(typed: &str, there: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Two of three letters in place.
    const NEAR_ENOUGH: f64 = 0.6;
    let rated = there.into_iter().map(|name| {
        let rate = strsim::normalized_damerau_levenshtein(&typed.to_lowercase(), &name.to_lowercase());
        (rate, name)
    });
    let best = rated.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= NEAR_ENOUGH).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_within_the_backup() {
        for (typed, expected) in [
            ("Documents/tax.pdf", Ok("Documents/tax.pdf")),
            ("./a//b/./c/", Ok("a/b/c")),
            ("a b", Ok("a b")),
            ("-rf", Ok("-rf")),
            ("/etc/passwd", Err(BadPath::Absolute("/etc/passwd".into()))),
            ("..", Err(BadPath::Leaves("..".into()))),
            ("a/../../etc", Err(BadPath::Leaves("a/../../etc".into()))),
            ("a/..", Err(BadPath::Leaves("a/..".into()))),
            ("", Err(BadPath::Empty("".into()))),
            (".", Err(BadPath::Empty(".".into()))),
        ] {
            let path = SnapPath::new(Path::new(typed)).map(|path| path.path().to_owned());
            assert_eq!(path, expected.map(PathBuf::from), "{typed:?}");
        }
        assert_eq!(SnapPath::new(Path::new("a/b/")).unwrap().name(), "b");
    }

    #[test]
    fn the_deepest_dataset_is_looked_into_first() {
        let there = ["backup/eds", "backup/eds/anna", "backup/eds/anna/docs"];
        let has = |dataset: &DatasetName| there.contains(&dataset.as_str());
        let top: DatasetName = "backup/eds".parse().unwrap();
        for (typed, expected) in [
            ("letter", vec!["backup/eds:letter"]),
            ("anna/letter", vec!["backup/eds/anna:letter", "backup/eds:anna/letter"]),
            ("anna", vec!["backup/eds/anna:", "backup/eds:anna"]),
            (
                "anna/docs/x/y",
                vec!["backup/eds/anna/docs:x/y", "backup/eds/anna:docs/x/y", "backup/eds:anna/docs/x/y"],
            ),
            ("bob/anna", vec!["backup/eds:bob/anna"]),
            ("a@b/c", vec!["backup/eds:a@b/c"]),
        ] {
            let found = SnapPath::new(Path::new(typed)).unwrap().candidates(&top, &has);
            let shown: Vec<_> =
                found.iter().map(|place| format!("{}:{}", place.dataset, place.path.display())).collect();
            assert_eq!(shown, expected, "{typed}");
        }
    }

    #[test]
    fn what_was_probably_meant_is_near() {
        let there = ["tax.pdf", "Taxes", "holiday.jpg"];
        assert_eq!(nearest_name("tax.PDF", there), Some("tax.pdf"));
        assert_eq!(nearest_name("taxs.pdf", there), Some("tax.pdf"));
        assert_eq!(nearest_name("letter", there), None);
        assert_eq!(nearest_name("x", []), None);
    }
}
