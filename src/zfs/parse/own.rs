//! What snapshots say of having been taken by zferry.

use super::{Unreadable, rows};

/// Output of [`crate::zfs::argv::get_own`]: the full names of those that say their own name, themselves and not what is
/// above them.
///
/// # Errors
/// When a line is not such a line.
pub fn own_snapshots(output: &[u8]) -> Result<Vec<String>, Unreadable> {
    let mut all = Vec::new();
    for row in rows::<3>(output)? {
        let [name, value, source] = row?.columns;
        if source == "local" && name.split_once('@').is_some_and(|(_, called)| called == value) {
            all.push(name.to_owned());
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_ours_when_it_says_the_name_that_it_has_and_says_it_itself() {
        let output = b"t/a@zferry_1\tzferry_1\tlocal\nt/a@renamed\tzferry_2\tlocal\n\
            t/b@zferry_3\tzferry_3\tinherited from t\nt/b@zferry_4\t-\t-\n";
        assert_eq!(own_snapshots(output).unwrap(), ["t/a@zferry_1"]);
        assert!(own_snapshots(b"t/a@x\tx\n").is_err());
        assert!(own_snapshots(b"t/a@x\tx\tloc").is_err());
    }
}
