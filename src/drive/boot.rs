//! What this computer imports by itself when it starts: what is in ZFS's list of pools, or whatever is connected.

use crate::model::{Guid, Nvlist};

use super::Root;

/// Written by ZFS for every pool whose property `cachefile` is the default; read by `zfs-import-cache.service`.
pub const CACHE: &str = "/etc/zfs/zpool.cache";
/// Where systemd notes that the other service is to be started. It imports all pools that it finds, unless there is a list.
const SCAN: &str = "/etc/systemd/system/zfs-import.target.wants/zfs-import-scan.service";

/// What is imported at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Boot {
    /// The pools in the list; untrusted names. Of a list that cannot be read none.
    pub listed: Vec<(Guid, String)>,
    /// Every pool that is connected then.
    pub scans: bool,
}

impl Boot {
    /// As it is now.
    pub fn read(root: &Root) -> Self {
        let list = std::fs::read(root.at(CACHE)).unwrap_or_default();
        let pools = Nvlist::parse(&list).unwrap_or_default();
        let pool = |(name, config): (&str, &Nvlist)| {
            config.unsigned("pool_guid").map(|guid| (Guid(guid), name.to_owned()))
        };
        let listed = pools.named_lists().filter_map(pool).collect();
        Self { listed, scans: list.is_empty() && root.link(SCAN).is_some() }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// In the encoding of labels, which is read too: names and texts are padded to four bytes, each pair begins with its size.
    fn pair(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
        let mut body = u32::try_from(name.len()).unwrap().to_be_bytes().to_vec();
        body.extend(name.bytes());
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend([kind.to_be_bytes(), 1_u32.to_be_bytes()].concat());
        body.extend(value);
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes()[..], &size.to_be_bytes(), &body].concat()
    }

    fn list(pairs: &[Vec<u8>]) -> Vec<u8> {
        [&[0; 8][..], &pairs.concat(), &[0; 8]].concat()
    }

    #[test]
    fn pools_are_known_by_the_list_and_without_a_list_all_are_imported() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::imitation(directory.path().to_owned());
        assert_eq!(Boot::read(&root), Boot::default());
        for path in ["etc/zfs", "etc/systemd/system/zfs-import.target.wants"] {
            std::fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        symlink("/lib/systemd/system/zfs-import-scan.service", root.at(SCAN)).unwrap();
        assert_eq!(Boot::read(&root), Boot { listed: Vec::new(), scans: true });
        let pool =
            |name: &str, guid: u64| pair(name, 19, &list(&[pair("pool_guid", 8, &guid.to_be_bytes())]));
        let packed = [&[1, 1, 0, 0][..], &list(&[pool("backup", 7), pool("rpool", u64::MAX)])].concat();
        std::fs::write(root.at(CACHE), &packed).unwrap();
        let listed = vec![(Guid(7), "backup".to_owned()), (Guid(u64::MAX), "rpool".to_owned())];
        assert_eq!(Boot::read(&root), Boot { listed, scans: false });
        std::fs::write(root.at(CACHE), &packed[..30]).unwrap();
        assert_eq!(Boot::read(&root), Boot::default(), "a list that cannot be read is one all the same");
    }
}
