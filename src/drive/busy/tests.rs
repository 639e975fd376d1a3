use super::*;
use crate::drive::imitation::Imitation;

const ROOT: &str = "22 1 8:2 / / rw - ext4 /dev/sda2 rw\n";
const OURS: &str = "90 22 0:45 / /mnt/my\\040data rw - zfs backup/data rw\n";
const OTHER: &str = "91 22 0:46 / /mnt/other rw - zfs backup2/data rw\n";

/// A host with one process in our mount namespace, 10, and one in another, 20; neither uses anything.
fn host() -> Imitation {
    let host = Imitation::new();
    host.write("/proc/self/mountinfo", &[ROOT, OURS, OTHER].concat());
    host.link("/proc/self/ns/mnt", "mnt:[1]");
    for (pid, namespace, uid) in [(10, 1, 1000), (20, 2, 0)] {
        host.link(&format!("/proc/{pid}/ns/mnt"), &format!("mnt:[{namespace}]"));
        host.write(&format!("/proc/{pid}/mountinfo"), &[ROOT, OTHER].concat());
        host.write(&format!("/proc/{pid}/comm"), &format!("tool\x1b{pid}\n"));
        host.write(&format!("/proc/{pid}/status"), &format!("Name:\tx\nUid:\t{uid}\t0\t0\t0\n"));
    }
    host.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    host
}

/// Process, user and what it uses.
fn found(host: &Imitation) -> Vec<(Option<u32>, String, String)> {
    let holders = list_holders(&host.root(), &"backup".parse().unwrap());
    holders.into_iter().map(|h| (h.pid, h.user.unwrap_or_default(), h.what)).collect()
}

fn one(pid: u32, user: &str, what: &str) -> Vec<(Option<u32>, String, String)> {
    vec![(Some(pid), user.to_owned(), what.to_owned())]
}

#[test]
fn nobody_holds_a_pool_that_is_only_mounted_by_us() {
    assert_eq!(found(&host()), []);
}

#[test]
fn a_directory_on_the_pool_holds_it_and_one_with_a_similar_name_does_not() {
    let host = host();
    host.link("/proc/10/cwd", "/mnt/my data/sub");
    host.link("/proc/10/root", "/");
    host.link("/proc/20/cwd", "/mnt/other");
    assert_eq!(found(&host), one(10, "1000", "working directory /mnt/my data/sub"));
}

#[test]
fn an_open_file_is_found_by_its_mount_also_when_it_was_deleted() {
    let host = host();
    for (descriptor, target, mount) in
        [(0, "/dev/null", 24), (3, "/mnt/my data/x (deleted)", 90), (4, "/mnt/other/y", 91)]
    {
        host.link(&format!("/proc/10/fd/{descriptor}"), target);
        host.write(
            &format!("/proc/10/fdinfo/{descriptor}"),
            &format!("pos:\t0\nflags:\t02\nmnt_id:\t{mount}\n"),
        );
    }
    assert_eq!(found(&host), one(10, "1000", "open file /mnt/my data/x (deleted)"));
}

#[test]
fn a_running_program_of_the_pool_holds_it() {
    let host = host();
    let maps = "5590-5591 r--p 00000000 08:02 11                         /bin/sh\n\
                7f00-7f01 r-xp 00000000 00:2d 1234                       /mnt/my data/tool\n";
    host.write("/proc/10/maps", maps);
    assert_eq!(found(&host), one(10, "1000", "running file /mnt/my data/tool"));
}

#[test]
fn a_mount_in_another_namespace_is_told_once_with_a_process_that_lives_there() {
    let host = host();
    host.write("/proc/20/mountinfo", &[ROOT, "95 22 0:45 / /data rw - zfs backup/data@a rw\n"].concat());
    host.link("/proc/21/ns/mnt", "mnt:[2]");
    assert_eq!(found(&host), one(20, "root", "mount /data in another mount namespace"));
}

#[test]
fn a_mount_that_follows_ours_holds_nothing() {
    let host = host();
    let ours = OURS.replace("rw - zfs", "rw shared:7 - zfs");
    host.write("/proc/self/mountinfo", &[ROOT, &ours].concat());
    for (groups, expected) in
        [("master:7", None), ("shared:9 master:7", None), ("shared:7", None), ("master:8", Some(20))]
    {
        let theirs = format!("95 22 0:45 / /mnt/x rw {groups} - zfs backup/data rw\n");
        host.write("/proc/20/mountinfo", &[ROOT, &theirs].concat());
        assert_eq!(found(&host).first().and_then(|(pid, ..)| *pid), expected, "{groups}");
    }
}

#[test]
fn a_transfer_of_the_pool_holds_it_and_one_of_another_pool_does_not() {
    let host = host();
    host.write("/proc/10/cmdline", "/usr/sbin/zfs\0receive\0-s\0-u\0backup/data\0");
    host.write("/proc/20/cmdline", "zfs\0send\0backup2/data@a\0");
    assert_eq!(found(&host), one(10, "1000", "zfs receive of backup/data"));
}

#[test]
fn volumes_are_held_by_open_nodes_by_mounts_and_by_devices_on_top() {
    let host = host();
    host.link("/dev/zvol/backup/vm/disk", "../../../zd16");
    host.link("/dev/zvol/backup/vm/disk-part1", "../../../zd16p1");
    host.link("/dev/zvol/backup2/disk", "../../zd32");
    host.write("/sys/block/zd16/zd16p1/partition", "1\n");
    host.write("/sys/block/zd16/zd16p1/holders/dm-3/dev", "");
    host.write("/sys/block/zd32/holders/dm-4/dev", "");
    host.link("/proc/10/fd/5", "/dev/zd16");
    host.link("/proc/10/fd/6", "/dev/zd32");
    host.write("/proc/20/mountinfo", "96 22 230:1 / /vm rw - ext4 /dev/zd16p1 rw\n");
    let expected = [
        one(10, "1000", "open volume /dev/zd16"),
        one(20, "root", "mount /vm in another mount namespace"),
        vec![(None, String::new(), "device dm-3 on volume /dev/zd16p1".to_owned())],
    ];
    assert_eq!(found(&host), expected.concat());
}

#[test]
fn names_of_processes_cannot_abuse_a_terminal_and_many_uses_of_one_are_cut() {
    let host = host();
    for descriptor in 0..10 {
        host.link(&format!("/proc/10/fd/{descriptor}"), "/mnt/my data/\x1b[2J");
        host.write(&format!("/proc/10/fdinfo/{descriptor}"), "mnt_id:\t90\n");
    }
    let holders = list_holders(&host.root(), &"backup".parse().unwrap());
    assert_eq!(holders.len(), PER_PROCESS);
    assert_eq!(holders[0].command, "tool\u{fffd}10");
    assert_eq!(holders[0].what, "open file /mnt/my data/\u{fffd}[2J");
}
