//! What `zfs allow` says: who else than root may do what.

use super::{Unreadable, unreadable};

/// Permissions that somebody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The dataset that they were given on: the one that was asked about, or one above it.
    pub on: String,
    /// As `zfs unallow` takes it: `user anna`, `group staff`, `everyone`.
    pub who: String,
    /// `destroy`, `send`, `@set` …
    pub permissions: Vec<String>,
}

/// Output of [`crate::zfs::argv::list_delegations`]. Sets of permissions, and those that whoever creates a dataset gets on it,
/// are nobody's by themselves.
///
/// # Errors
/// When a line is not such a line.
pub fn delegations(output: &[u8]) -> Result<Vec<Delegation>, Unreadable> {
    let text = std::str::from_utf8(output).map_err(|_| unreadable(0, "it is not UTF-8"))?;
    let (mut on, mut is_somebodys, mut found) = (None, false, Vec::new());
    for (index, line) in text.lines().enumerate() {
        let bad = || unreadable(index + 1, format!("{line:?} is no permission"));
        if let Some(rest) = line.strip_prefix("---- Permissions on ") {
            (on, is_somebodys) = (rest.split(' ').next(), false);
        } else if let Some(entry) = line.strip_prefix('\t') {
            let on = on.ok_or_else(bad)?;
            if is_somebodys {
                let (who, permissions) = entry.trim_end().rsplit_once(' ').ok_or_else(bad)?;
                let permissions = permissions.split(',').map(str::to_owned).collect();
                found.push(Delegation { on: on.to_owned(), who: who.to_owned(), permissions });
            }
        } else if line.ends_with(':') {
            is_somebodys = line.starts_with("Local") || line.starts_with("Descend");
        } else if !line.is_empty() {
            return Err(bad());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_has_is_read_and_by_whom_and_where() {
        let text = "---- Permissions on rpool/home ---------------------------------------\n\
                    Permission sets:\n\t@backup hold,send\n\
                    Create time permissions:\n\tdestroy\n\
                    Local permissions:\n\tuser anna mount\n\
                    Local+Descendent permissions:\n\tuser syncoid destroy,hold,send\n\teveryone @backup\n\
                    ---- Permissions on rpool --------------------------------------------\n\
                    Descendent permissions:\n\tgroup staff snapshot\n";
        let told: Vec<_> = delegations(text.as_bytes())
            .unwrap()
            .into_iter()
            .map(|found| format!("{} on {}: {}", found.who, found.on, found.permissions.join(" ")))
            .collect();
        assert_eq!(
            told,
            [
                "user anna on rpool/home: mount",
                "user syncoid on rpool/home: destroy hold send",
                "everyone on rpool/home: @backup",
                "group staff on rpool: snapshot",
            ]
        );
        assert_eq!(delegations(b"").unwrap(), []);
        for bad in
            ["\tuser anna mount\n", "no such line\n", "---- Permissions on a ----\nLocal permissions:\n\tx\n"]
        {
            assert!(delegations(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
