//! What the tests of this module share.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Channel, Colour, Format, Loudness, Output};
use crate::event::{Event, ImportHow, Summary, Unplug};
use crate::model::{Bytes, DatasetName, Guid, PoolName};

/// A writer that keeps what it gets, and that can be closed.
#[derive(Clone, Default)]
pub(super) struct Sheet(Arc<Mutex<(Vec<u8>, bool)>>);

impl Sheet {
    pub(super) fn close(&self) {
        self.0.lock().unwrap().1 = true;
    }

    pub(super) fn open(&self) {
        self.0.lock().unwrap().1 = false;
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
    }
}

impl io::Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sheet = self.0.lock().unwrap();
        if sheet.1 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        sheet.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn output(channel: Channel, loudness: Loudness) -> Output {
    Output { format: Format::Text, loudness, channel, colour: Colour::Never }
}

pub(super) fn source() -> DatasetName {
    "rpool/home".parse().unwrap()
}

pub(super) fn target() -> DatasetName {
    "backup/home".parse().unwrap()
}

pub(super) fn started(mib: u64) -> Event {
    Event::SendStarted {
        source: source(),
        target: target(),
        what: "3 snapshots since @monday".to_owned(),
        estimate: Bytes(mib << 20),
    }
}

pub(super) fn progress(mib: u64) -> Event {
    Event::SendProgress { target: target(), sent: Bytes(mib << 20) }
}

pub(crate) fn finished() -> Event {
    Event::DriveFinished(Summary {
        fault: crate::event::Fault::None,
        drive: "t7".to_owned(),
        done: 5,
        failed: 0,
        warnings: 0,
        snapshots: 12,
        pruned: 4,
        sent: Bytes(312 << 20),
        took: Duration::from_secs(72),
        interrupted: false,
        unplug: Unplug::Safe { powered_off: true },
    })
}

/// One event of each kind, with what people are told of it.
pub(crate) fn one_of_each() -> Vec<(Event, &'static str)> {
    [beginning(), streams(), trouble_and_end()].concat()
}

fn t7() -> String {
    "t7".to_owned()
}

fn pool() -> PoolName {
    "backup".parse().unwrap()
}

fn beginning() -> Vec<(Event, &'static str)> {
    let import = |how| Event::Imported { pool: pool(), how };
    vec![
        (
            Event::DriveStarted { drive: t7(), pool: pool(), guid: Guid(1190) },
            "t7: pool “backup”, guid 1190.",
        ),
        (Event::Waiting { drive: t7(), seconds: Some(60) }, "Plug in t7; waiting up to 1 min."),
        (Event::Waiting { drive: t7(), seconds: None }, "Plug in t7; waiting until it is there."),
        (
            Event::WaitingForReplug { drive: t7(), seconds: 60 },
            "Unplug t7 and plug it in again, with another cable or at another port; waiting up to 1 min.",
        ),
        (
            Event::Found {
                drive: t7(),
                description: "Samsung T7 S123".to_owned(),
                devices: vec!["/dev/sda1".into()],
            },
            "t7 is connected: Samsung T7 S123 (/dev/sda1).",
        ),
        (import(ImportHow::Fresh), "Imported “backup”."),
        (import(ImportHow::ReadOnly), "Imported “backup” read-only."),
        (
            import(ImportHow::Adopted),
            "“backup” was left imported by an earlier run that was cut off; this run exports it.",
        ),
        (import(ImportHow::Foreign), "“backup” was imported before this run; it is used as it is."),
    ]
}

fn streams() -> Vec<(Event, &'static str)> {
    let planned = |datasets, up_to_date| Event::Planned {
        datasets,
        up_to_date,
        snapshots: 12,
        estimate: Bytes(312 << 20),
    };
    let pruned = |names: &[&str]| Event::Pruned {
        target: target(),
        snapshots: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    vec![
        (planned(5, 1), "To send: 5 datasets with 12 snapshots, about 312 MiB; 1 dataset is up to date."),
        (planned(1, 0), "To send: 1 dataset with 12 snapshots, about 312 MiB."),
        (planned(0, 8), "Nothing to send; 8 datasets are up to date."),
        (started(312), "Sending “rpool/home” to “backup/home”: 3 snapshots since @monday, about 312 MiB."),
        (progress(50), ""),
        (
            Event::SendFinished {
                target: target(),
                sent: Bytes(312 << 20),
                took: Duration::from_millis(12_345),
            },
            "Sent 312 MiB to “backup/home” in 12 s.",
        ),
        (Event::ScrubProgress { pool: pool(), done: 4217, total: Bytes(1 << 30), left: Some(72) }, ""),
        (Event::Verified { target: target(), snapshots: 1 }, "Verified “backup/home”: 1 snapshot arrived."),
        (pruned(&["a"]), "Pruned 1 snapshot of “backup/home”: a."),
        (
            pruned(&["a", "b", "c", "d", "e", "f"]),
            "Pruned 6 snapshots of “backup/home”: a, b, c, d and 2 more.",
        ),
        (
            Event::Done { target: target(), what: "dropped a partial receive".to_owned() },
            "“backup/home”: dropped a partial receive",
        ),
    ]
}

fn trouble_and_end() -> Vec<(Event, &'static str)> {
    let text = || "The pool is 91 % full.".to_owned();
    vec![
        (
            Event::Refused {
                source: source(),
                target: target(),
                finding: "it was written to since @monday.".to_owned(),
                remedies: vec![
                    "zferry run t7 --rollback-target=backup/home".to_owned(),
                    "zferry list t7".to_owned(),
                ],
            },
            "“rpool/home” was left alone, “backup/home” is as it was: it was written to since @monday.\n    \
             zferry run t7 --rollback-target=backup/home\n    zferry list t7",
        ),
        (
            Event::Failed {
                source: source(),
                target: target(),
                error: "the drive is gone\ncause: I/O error\n".to_owned(),
            },
            "“rpool/home” was not backed up to “backup/home”: the drive is gone\n  cause: I/O error",
        ),
        (Event::Warning { text: text() }, "Warning: The pool is 91 % full."),
        (Event::Note { text: text() }, "The pool is 91 % full."),
        (Event::Exported { pool: pool() }, "Exported “backup”."),
        (
            Event::NotExported { pool: pool(), why: "rsync (1234) keeps it busy.".to_owned() },
            "“backup” could not be exported: rsync (1234) keeps it busy.",
        ),
        (Event::PoweredOff { drive: t7() }, "Powered off t7."),
        (
            finished(),
            "t7: 5 datasets backed up, 12 snapshots, 312 MiB sent, 4 pruned, 1 min 12 s\n\
             Safe to unplug t7 (exported and powered off).",
        ),
    ]
}
