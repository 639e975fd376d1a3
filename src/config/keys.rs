//! Every key of the configuration, once: what a value looks like, what holds without it, what it means. Unknown keys,
//! wrong types and the table in docs/configuration.md all come from here.

mod alerts;
mod streams;

use std::fmt::Write as _;

pub use alerts::ALERTS;
pub use streams::STREAM;

/// What a value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text in quotes.
    Text,
    /// `true` or `false`.
    Flag,
    /// A list of texts.
    Texts,
    /// A whole number.
    Number,
    /// A text in quotes that is never shown, unless it only names a file.
    Secret,
    /// A table with keys of its own.
    Table,
}

impl Kind {
    /// For a person who wrote something else.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "a text in quotes",
            Self::Flag => "true or false",
            Self::Texts => "a list of texts",
            Self::Number => "a whole number",
            Self::Table => "a table",
        }
    }
}

/// What holds when a key is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It has to be written.
    Refused,
    /// The same as if this were written (TOML).
    Means(&'static str),
    /// There is no value that says the same; in words.
    Described(&'static str),
    /// Documented for a later version: writing it is an error, since ignoring it would mislead.
    NotYet,
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// As written.
    pub name: &'static str,
    /// What its value has to be.
    pub kind: Kind,
    /// A value that could be written, in TOML.
    pub example: &'static str,
    /// What holds without it.
    pub absent: Absent,
    /// One or two sentences for the user.
    pub meaning: &'static str,
}

const fn key(
    name: &'static str,
    kind: Kind,
    example: &'static str,
    absent: Absent,
    meaning: &'static str,
) -> Key {
    Key { name, kind, example, absent, meaning }
}

use Absent::{Described, Means, NotYet, Refused};
use Kind::{Flag, Number, Table, Text, Texts};

/// At the top of the file.
pub const TOP: &[Key] = &[
    key(
        "drives",
        Table,
        "[drives.t7]",
        Described("no drive"),
        "The removable drives, each by the name that people type.",
    ),
    key(
        "backups",
        Table,
        "[backups.home]",
        Described("no backup"),
        "What is backed up, each by a name of your choice.",
    ),
    key(
        "streams",
        Table,
        "[streams.diary]",
        Described("nothing"),
        "What `zferry stream save` writes to files, each by a name of your choice.",
    ),
    key("elevate", Text, "", NotYet, "How the alias becomes root."),
];

/// In `[drives.NAME]`.
pub const DRIVE: &[Key] = &[
    key("pool", Text, "\"backup\"", Refused, "Name of the pool on the drive."),
    key(
        "pool-guid",
        Text,
        "\"11906027114410063854\"",
        Refused,
        "Guid of that pool (`zpool get guid POOL`), in quotes. Another pool of the same name is refused.",
    ),
    key("backups", Texts, "[\"home\"]", Described("all"), "Names of the backups that this drive carries."),
    key("power-off", Flag, "false", Means("true"), "Power the drive off once its export is confirmed."),
    key(
        "rescue",
        Flag,
        "true",
        Means("false"),
        "The drive has a rescue file system, a small partition that `init` made, and each run keeps it current. Only then is it mounted.",
    ),
    key(
        "luks",
        Text,
        "\"2f3b5a3e-0000-4c1d-9abc-0123456789ab\"",
        Described("none"),
        "The pool lies in the LUKS container with this UUID (`cryptsetup luksUUID DEVICE`). It is opened for each command, with a passphrase that is asked for, and closed after the export.",
    ),
    key(
        "luks-key-file",
        Text,
        "\"/etc/zferry/t7.key\"",
        Described("a person is asked"),
        "What opens that container instead: a file, handed to `cryptsetup --key-file` as it is. Only root should be able to read it.",
    ),
    key(
        "replug-wait",
        Text,
        "\"0s\"",
        Means("\"10m\""),
        "When the drive is pulled out in mid-run: how long the run waits for it to come back, to go on where it was. `0s`: it ends at once.",
    ),
    key(
        "override",
        Table,
        "[drives.t7.override.home]",
        Described("nothing"),
        "`[drives.NAME.override.BACKUP]`: what differs on this drive. Any key of a backup.",
    ),
    key(
        "scrub",
        Text,
        "\"30d\"",
        Means("\"never\""),
        "When the last scrub of the drive is older than this, `run` scrubs it at its end, when the backup is complete. `zferry eject` and Ctrl-C pause that, and the next run goes on with it. `never`: only `zferry verify` scrubs.",
    ),
    key(
        "rehearse",
        Text,
        "\"90d\"",
        Means("\"never\""),
        "When nobody has proved for longer than this that the passphrase opens what is on the drive, `status`, and `run` on a terminal, remind of `zferry rehearse`. `never`: nothing reminds.",
    ),
    key(
        "min-interval",
        Text,
        "\"0s\"",
        Means("\"6h\""),
        "A drive that is plugged in again within this time after a complete run is left as it is by the run that udev starts. One that you type is not kept from anything. `0s`: each plugging in is a run.",
    ),
    key(
        "warn-after",
        Text,
        "\"14d\"",
        Means("\"never\""),
        "When the last complete run is older than this, `zferry check` says so and raises an alert, once a day. The timer zferry-check.timer runs it. `never`: it says nothing of this drive.",
    ),
    key(
        "alerts",
        Table,
        "[drives.t7.alerts]",
        Described("nobody is told"),
        "`[drives.NAME.alerts]`: who is told how a run went. See below.",
    ),
];

/// In `[backups.NAME]` and `[drives.DRIVE.override.NAME]`.
pub const BACKUP: &[Key] = &[
    key("source", Text, "\"rpool/nixos/home\"", Refused, "The dataset that is backed up."),
    key(
        "target",
        Text,
        "\"eds\"",
        Refused,
        "Where its copy lies, below the drive's pool and without the pool's name: `eds` is `backup/eds` on the pool `backup`. `{host}` stands for the name of this machine, so that several machines can share a drive.",
    ),
    key(
        "recursive",
        Flag,
        "false",
        Means("true"),
        "Back up the datasets below the source too. On by default: a dataset that is forgotten is a backup that is missing.",
    ),
    key(
        "exclude",
        Texts,
        "[\"videos\", \"*/cache\"]",
        Means("[]"),
        "Patterns for datasets that are left out, matched against the path below the source. A dataset that is left out takes those below it along. `*` stays within one part of a name, `**` does not.",
    ),
    key(
        "snapshots",
        Table,
        "{ include = [\"autosnap_*\"], exclude = [\"*_frequently\"] }",
        Described("all"),
        "Patterns for the names of snapshots that are sent. Deselecting never deletes anything, and zferry's own snapshots are always sent.",
    ),
    key(
        "send",
        Text,
        "\"plain\"",
        Means("\"raw\""),
        "`raw`: as encrypted as it lies on the disk; no key is needed, here or on the drive. `plain`: decrypted by the sender.",
    ),
    key(
        "allow-plaintext",
        Flag,
        "true",
        Means("false"),
        "Datasets that are not encrypted may land on the drive, readable by anyone who has it.",
    ),
    key(
        "history",
        Text,
        "\"newest\"",
        Means("\"all\""),
        "`all`: every selected snapshot. `newest`: only the newest one.",
    ),
    key(
        "prune",
        Text,
        "\"mirror\"",
        Refused,
        "What happens to old snapshots on the drive. `mirror`: those that the source no longer has are destroyed. `keep`: those that no rule of `keep` keeps are destroyed, whatever the source has. Both within `prune-limit`. `never`: they stay. There is no default: it is your decision.",
    ),
    key(
        "protect",
        Texts,
        "[\"keep-*\"]",
        Means("[]"),
        "Patterns for the names of snapshots that are never destroyed on the drive.",
    ),
    key(
        "prune-limit",
        Text,
        "\"40%\"",
        Means("\"60%\""),
        "The largest part of a dataset's snapshots on the drive that one run may destroy, from 1% to 100%.",
    ),
    key(
        "grace",
        Text,
        "\"30d\"",
        Means("\"0d\""),
        "With `prune = \"mirror\"`: a snapshot that vanished from the source is destroyed on the drive only when runs have seen it missing for so long. When that began is noted on the snapshot itself, on the drive. Each run looks at every snapshot of the copy then, which takes longer.",
    ),
    key(
        "properties",
        Table,
        "{ mountpoint = \"/mnt/eds\", snapdir = \"visible\" }",
        Means("{}"),
        "ZFS properties for the top dataset of the copy, set when it is first received.",
    ),
    key(
        "max-age",
        Text,
        "\"2d\"",
        Means("\"never\""),
        "Warn, in `run` and `plan`, when the newest selected snapshot of a dataset is older than this: a length of time, or `never`. Each dataset is judged by itself; one warning names them all.",
    ),
    key(
        "keep",
        Table,
        "{ last = 5, daily = 30, weekly = 12, monthly = 24, yearly = 10 }",
        Described("nothing"),
        "With `prune = \"keep\"`: how many snapshots of each age the drive keeps. See below.",
    ),
    key(
        "snapshot",
        Text,
        "\"before-run\"",
        Means("\"never\""),
        "`before-run`: take a snapshot of all datasets of this backup, at one moment, when the drive was found and before anything is sent. It is called `zferry_` and the time in UTC. `never`: send what there is.",
    ),
    key(
        "snapshot-keep",
        Table,
        "{ daily = 14 }",
        Means("{ daily = 7 }"),
        "With `snapshot = \"before-run\"`: how many of zferry's own snapshots the source keeps, by the same rules as `keep`. Those of others are never destroyed.",
    ),
];

/// In `keep` and `snapshot-keep`.
pub const KEEP: &[Key] = &[
    key("last", Number, "5", Means("0"), "The newest so many, whenever they were made."),
    key(
        "hourly",
        Number,
        "24",
        Means("0"),
        "The newest of each of the last so many hours that have a snapshot.",
    ),
    key("daily", Number, "30", Means("0"), "The newest of each of the last so many days that have one."),
    key("weekly", Number, "12", Means("0"), "Of weeks, from Monday to Sunday."),
    key("monthly", Number, "24", Means("0"), "Of months."),
    key("yearly", Number, "10", Means("0"), "Of years."),
];

/// In `snapshots`.
pub const SNAPSHOTS: &[Key] = &[
    key("include", Texts, "[\"autosnap_*\"]", Described("all"), "Patterns for the names that are sent."),
    key(
        "exclude",
        Texts,
        "[\"*_frequently\"]",
        Means("[]"),
        "Patterns for the names that are not sent, whatever `include` says.",
    ),
];

/// The sections with the keys in each, in the order of the documentation.
const SECTIONS: [(&str, &[Key]); 6] = [
    ("[drives.NAME]", DRIVE),
    ("[drives.NAME.alerts]", ALERTS),
    ("[backups.NAME]", BACKUP),
    ("[streams.NAME]", STREAM),
    ("snapshots = { … } of a backup or a stream", SNAPSHOTS),
    ("keep = { … } and snapshot-keep = { … }", KEEP),
];

/// All keys as Markdown tables, for docs/configuration.md.
pub fn markdown() -> String {
    let mut page = String::new();
    for (section, keys) in SECTIONS {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "### `{section}`\n\n| key | value | default | meaning |\n|---|---|---|---|");
        for key in keys.iter().filter(|key| key.absent != NotYet) {
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} |",
                key.name,
                value(key),
                default(key.absent),
                key.meaning
            );
        }
        let later: Vec<_> =
            keys.iter().filter(|key| key.absent == NotYet).map(|key| format!("`{}`", key.name)).collect();
        if !later.is_empty() {
            let _ = writeln!(page, "\nNot available yet, and therefore refused: {}.", later.join(", "));
        }
        page.push('\n');
    }
    page
}

fn value(key: &Key) -> String {
    let kind = key.kind.expected();
    if key.example.is_empty() { kind.to_owned() } else { format!("{kind}: `{}`", key.example) }
}

fn default(absent: Absent) -> String {
    match absent {
        Refused => "must be written".to_owned(),
        Means(toml) => format!("`{toml}`"),
        Described(words) => words.to_owned(),
        NotYet => String::new(),
    }
}
