use std::sync::Mutex;

use super::*;
use crate::drive::imitation::Imitation;
use crate::process::Exit;
use crate::process::testing::Commands;

/// Answers requests to udisks from a list; unplugs a disk with the one that succeeds.
struct Udisks<'a> {
    host: &'a Imitation,
    answers: Mutex<Vec<Result<Output, RunError>>>,
    asked: Mutex<Vec<String>>,
}

impl<'a> Udisks<'a> {
    fn new(host: &'a Imitation, mut answers: Vec<Result<Output, RunError>>) -> Self {
        answers.reverse();
        Self { host, answers: Mutex::new(answers), asked: Mutex::new(Vec::new()) }
    }
}

impl Udisks<'_> {
    fn answer(&self, command: &Invocation) -> Result<Output, RunError> {
        self.asked.lock().unwrap().push(command.to_string());
        if command.tool == Tool::Udevadm {
            return answer(0, "");
        }
        let answer = self.answers.lock().unwrap().pop().unwrap();
        if answer.as_ref().is_ok_and(|output| output.exit.is_success()) {
            self.host.unplug("sda");
        }
        answer
    }
}

fn answer(code: i32, stderr: &str) -> Result<Output, RunError> {
    Ok(Output { exit: Exit::Code(code), stdout: Vec::new(), stderr: stderr.to_owned() })
}

const BUSY: &str = "Error powering off drive: Error opening /dev/sda for fsync: Device or resource busy \
                    (udisks-error-quark, 0)";
const NO_DAEMON: &str = "Error connecting to the udisks daemon: GDBus.Error";

fn run(udisks: &Udisks<'_>, disk: &Disk, imported: &[&str]) -> Result<Outcome, PowerOffError> {
    let imported: Vec<_> = imported.iter().map(PathBuf::from).collect();
    let root = udisks.host.root();
    let cancel = Cancel::new();
    let (pause, disappear) = (Duration::ZERO, Duration::ZERO);
    let runner = Commands(|command: &Invocation| udisks.answer(command));
    PowerOff { root: &root, runner: &runner, disk, cancel: &cancel, pause, disappear }.run(&imported)
}

#[test]
fn a_drive_that_udisks_switched_off_is_gone() {
    let host = Imitation::new();
    let disk = host.disk("sda", 7, "usb1/1-4");
    let udisks = Udisks::new(&host, vec![answer(1, BUSY), answer(1, BUSY), answer(0, "")]);
    assert_eq!(run(&udisks, &disk, &["/dev/sdz1"]).unwrap(), Outcome::Gone);
    let request = "udisksctl power-off --no-user-interaction -b /dev/sda";
    let settle = "udevadm settle -t 5";
    assert_eq!(*udisks.asked.lock().unwrap(), [request, settle, request, settle, request]);
}

#[test]
fn success_is_not_believed_while_the_disk_is_there() {
    let host = Imitation::new();
    let disk = host.disk("sda", 7, "usb1/1-4");
    for (answers, expected) in [
        (vec![answer(1, BUSY), answer(1, BUSY), answer(1, BUSY), answer(1, BUSY)], BUSY),
        (
            vec![answer(1, "Error powering off drive: Not authorized")],
            "Error powering off drive: Not authorized",
        ),
        (vec![answer(3, "")], "udisksctl ended with exit code 3"),
        (vec![Err(RunError::Cancelled)], "interrupted"),
    ] {
        let outcome = run(&Udisks::new(&host, answers), &disk, &[]).unwrap();
        assert_eq!(outcome, Outcome::StillThere { why: expected.to_owned() });
    }
}

#[test]
fn without_udisks_the_kernel_detaches_every_disk_of_the_device() {
    let missing = || Err(RunError::NotFound { program: "udisksctl", places: String::new() });
    for silence in [missing(), answer(1, NO_DAEMON)] {
        let host = Imitation::new();
        let disk = host.disk("sda", 7, "usb1/1-4");
        let _second_bay = host.disk("sdb", 8, "usb1/1-4");
        let _elsewhere = host.disk("sdc", 9, "usb1/1-40");
        let outcome = run(&Udisks::new(&host, vec![silence]), &disk, &[]).unwrap();
        assert!(matches!(outcome, Outcome::StillThere { why } if why.contains("still there after")));
        for path in ["block/sda/device/delete", "block/sdb/device/delete", "devices/usb1/1-4/remove"] {
            assert_eq!(host.read(&format!("/sys/{path}")), "1", "{path}");
        }
        for path in ["block/sdc/device/delete", "devices/usb1/1-40/remove"] {
            assert_eq!(host.read(&format!("/sys/{path}")), "", "{path}");
        }
    }
}

#[test]
fn a_disk_that_left_by_itself_is_gone_without_a_request() {
    let host = Imitation::new();
    let disk = host.disk("sda", 7, "usb1/1-4");
    host.write("/sys/block/sda/diskseq", "12\n");
    let udisks = Udisks::new(&host, vec![]);
    assert_eq!(run(&udisks, &disk, &[]).unwrap(), Outcome::Gone);
    assert!(udisks.asked.lock().unwrap().is_empty());
}

#[test]
fn only_usb_is_powered_off() {
    let host = Imitation::new();
    let disk = Disk { usb_device: None, ..host.disk("sda", 7, "usb1/1-4") };
    let error = run(&Udisks::new(&host, vec![]), &disk, &[]).unwrap_err().to_string();
    assert_eq!(error, "Elements (serial S-sda, /dev/sda) is not behind USB: nothing to power off");
}

#[test]
fn nothing_that_is_used_behind_the_same_device_loses_its_power() {
    let node = |name: &str| Path::new("/dev").join(name);
    let mounted = |name, point: &str| InUse::Mounted { node: node(name), point: point.to_owned() };
    let cases: [(&str, &str, &[&str], InUse); 8] = [
        ("/proc/self/mountinfo", "36 1 8:71 / /a rw - ext4 /dev/sda1 rw\n", &[], mounted("sda1", "/a")),
        ("/proc/self/mountinfo", "36 1 8:8 / /a rw - ext4 /dev/mapper/x rw\n", &[], mounted("sdb", "/a")),
        ("/proc/self/mountinfo", "36 1 0:40 / /a rw - btrfs /dev/sdb1 rw\n", &[], mounted("sdb1", "/a")),
        ("/proc/swaps", "Filename\n/dev/sdb1 partition 1 0 -2\n", &[], InUse::Swap { node: node("sdb1") }),
        (
            "/sys/block/sdb/sdb1/holders/dm-0/x",
            "",
            &[],
            InUse::Held { node: node("sdb1"), by: "dm-0".to_owned() },
        ),
        (
            "/sys/block/loop3/loop/backing_file",
            "/dev/sda\n",
            &[],
            InUse::Held { node: node("sda"), by: "loop3".to_owned() },
        ),
        ("/unrelated", "", &["/dev/sda1"], InUse::Pool { node: node("sda1") }),
        ("/unrelated", "", &["/dev/sdb1"], InUse::Pool { node: node("sdb1") }),
    ];
    for (path, text, imported, expected) in cases {
        let host = Imitation::new();
        let disk = host.disk("sda", 7, "usb1/1-4");
        let _second_bay = host.disk("sdb", 8, "usb1/1-4");
        host.write(path, text);
        let udisks = Udisks::new(&host, vec![]);
        match run(&udisks, &disk, imported) {
            Err(PowerOffError::InUse(found)) => assert_eq!(found, expected),
            other => panic!("{path}: {other:?}"),
        }
        assert!(udisks.asked.lock().unwrap().is_empty());
    }
}

#[test]
fn a_mount_in_a_container_counts_and_unreadable_mounts_are_no_permission() {
    let host = Imitation::new();
    let disk = host.disk("sda", 7, "usb1/1-4");
    host.link("/proc/50/ns/mnt", "mnt:[2]");
    host.write("/proc/50/mountinfo", "36 1 8:71 / /in/container rw - ext4 /dev/sda1 rw\n");
    let error = run(&Udisks::new(&host, vec![]), &disk, &[]).unwrap_err().to_string();
    assert_eq!(error, "not powered off: /dev/sda1 is mounted on /in/container");
    host.write("/proc/self/mountinfo", "garbage\n");
    let error = run(&Udisks::new(&host, vec![]), &disk, &[]).unwrap_err();
    assert!(matches!(error, PowerOffError::Unknown(_)));
}
